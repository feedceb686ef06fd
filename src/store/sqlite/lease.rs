//! What the holder of a lease may do. Each statement names the fence, so an old holder changes nothing.

use pairbot_protocol::ids::{RunId, TaskId, Timestamp};
use pairbot_protocol::signal::Envelope;
use rusqlite::{Connection, OptionalExtension};

use super::budget;
use super::columns::{RunKey, identity, moment, run_key};
use super::inbox::{self, NewRow};
use super::outbox;
use crate::store::{Done, Lease, Result, StoreError};
use crate::wire::WireError;

/// The run of a lease that holds.
pub(super) fn check(db: &Connection, lease: &Lease) -> Result<RunKey> {
    db.prepare_cached("SELECT run FROM task WHERE id = ?1 AND fence = ?2 AND state = 3")?
        .query_row((identity(lease.task().0), identity(lease.fence().0)), |row| row.get(0))
        .optional()?
        .map(RunKey)
        .ok_or(StoreError::LeaseLost { task: lease.task() })
}

pub(super) fn heartbeat(db: &Connection, lease: &Lease, until: Timestamp) -> Result<()> {
    let extended = db
        .prepare_cached("UPDATE task SET due = ?3 WHERE id = ?1 AND fence = ?2 AND state = 3")?
        .execute((identity(lease.task().0), identity(lease.fence().0), moment(until)))?;
    if extended == 1 { Ok(()) } else { Err(StoreError::LeaseLost { task: lease.task() }) }
}

/// Results of a task, encoded.
#[derive(Debug)]
pub(super) struct Results {
    signals: Vec<NewRow>,
    receipts: Vec<(String, String)>,
}

impl Results {
    pub(super) fn of(task: TaskId, done: Done, now: Timestamp) -> Result<Self> {
        Ok(Self { signals: signals(task, &done.signals, now)?, receipts: done.receipts })
    }
}

/// Signals of a task as rows of the inbox.
pub(super) fn signals(task: TaskId, signals: &[Envelope], now: Timestamp) -> Result<Vec<NewRow>> {
    (0_u32..)
        .zip(signals)
        .map(|(n, envelope)| NewRow::of_signal(format!("task:{task}:{n}"), "task", envelope, now))
        .collect()
}

pub(super) fn complete(db: &Connection, lease: &Lease, results: &Results, now: Timestamp) -> Result<()> {
    let run = finish(db, lease, Finish::Done, now)?;
    for row in &results.signals {
        inbox::insert(db, row)?;
    }
    for (name, value) in &results.receipts {
        db.prepare_cached(
            "INSERT INTO receipt (run, name, value) VALUES (?1, ?2, ?3) \
             ON CONFLICT (run, name) DO UPDATE SET value = excluded.value",
        )?
        .execute((run.0, name, value))?;
    }
    Ok(())
}

pub(super) fn bury(
    db: &Connection,
    lease: &Lease,
    reason: &str,
    signals: &[NewRow],
    now: Timestamp,
) -> Result<()> {
    check(db, lease)?;
    record_failure(db, lease.task(), reason)?;
    finish(db, lease, Finish::Dead(reason), now)?;
    for row in signals {
        inbox::insert(db, row)?;
    }
    Ok(())
}

/// How a task ends under a lease.
#[derive(Clone, Copy)]
enum Finish<'a> {
    Done,
    Dead(&'a str),
}

fn finish(db: &Connection, lease: &Lease, how: Finish<'_>, now: Timestamp) -> Result<RunKey> {
    let (state, reason) = match how {
        Finish::Done => (4, None),
        Finish::Dead(reason) => (5, Some(reason)),
    };
    let ended: Option<(i64, String)> = db
        .prepare_cached(
            "UPDATE task SET state = ?3, due = NULL, finished_at = ?4, reason = ?5 \
             WHERE id = ?1 AND fence = ?2 AND state = 3 RETURNING run, lane",
        )?
        .query_row((identity(lease.task().0), identity(lease.fence().0), state, moment(now), reason), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((run, lane)) = ended else { return Err(StoreError::LeaseLost { task: lease.task() }) };
    budget::charge_open(db, lease.task())?;
    outbox::advance(db, RunKey(run), &lane)?;
    Ok(RunKey(run))
}

/// Gives a task back. It stays the head of its lane, so order holds.
pub(super) fn retry_later(
    db: &Connection,
    lease: &Lease,
    not_before: Timestamp,
    error: &str,
    counts: bool,
) -> Result<()> {
    check(db, lease)?;
    if counts {
        record_failure(db, lease.task(), error)?;
    }
    db.prepare_cached("UPDATE task SET state = 2, due = ?2, attempts = attempts - ?3 WHERE id = ?1")?
        .execute((identity(lease.task().0), moment(not_before), u8::from(!counts)))?;
    budget::charge_open(db, lease.task())
}

/// Keeps what became of an attempt that is under way.
pub(super) fn record_failure(db: &Connection, task: TaskId, error: &str) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO failed_attempt (task, fence, claimed_at, worker, error) \
         SELECT id, fence, coalesce(claimed_at, 0), coalesce(worker, ''), ?2 FROM task WHERE id = ?1",
    )?
    .execute((identity(task.0), error))?;
    Ok(())
}

/// Ends a task that this version cannot read, so that it holds up nobody.
pub(super) fn bury_unreadable(db: &Connection, task: TaskId, why: &WireError, now: Timestamp) -> Result<()> {
    let (run, lane): (i64, String) = db
        .prepare_cached(
            "UPDATE task SET state = 5, due = NULL, finished_at = ?2, reason = ?3 WHERE id = ?1 RETURNING run, lane",
        )?
        .query_row((identity(task.0), moment(now), why.to_string()), |row| Ok((row.get(0)?, row.get(1)?)))?;
    outbox::advance(db, RunKey(run), &lane)
}

pub(super) fn receipt(db: &Connection, run: RunId, name: &str) -> Result<Option<String>> {
    let Some(key) = run_key(db, run)? else { return Ok(None) };
    let value = db
        .prepare_cached("SELECT value FROM receipt WHERE run = ?1 AND name = ?2")?
        .query_row((key.0, name), |row| row.get(0))
        .optional()?;
    Ok(value)
}

/// Ends every lease: the process that held them is gone.
pub(super) fn end_all(db: &Connection) -> Result<()> {
    db.execute("UPDATE task INDEXED BY task_due SET due = 0 WHERE due IS NOT NULL AND state = 3", ())?;
    Ok(())
}
