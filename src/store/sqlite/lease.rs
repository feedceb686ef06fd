//! What the holder of a lease may do. Each statement names the fence, so an old holder changes nothing.

use pairbot_protocol::ids::{InstallationId, RunId, TaskId, Timestamp};
use pairbot_protocol::signal::{Envelope, Failure, Signal, Target, WorkKind};
use rusqlite::{Connection, OptionalExtension};

use super::budget;
use super::columns::{RunKey, identified, identity, moment, run_id_at, run_key};
use super::inbox::{self, NewRow};
use super::outbox;
use crate::store::{AttemptEnd, Done, Lease, Result, StoreError};
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
    record_failure(db, lease.task(), reason, false)?;
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
    end: AttemptEnd,
) -> Result<()> {
    check(db, lease)?;
    // A claim counts as an attempt; what was none is taken back.
    let (taken_back, outages) = match end {
        AttemptEnd::Failed => (0, 0),
        AttemptEnd::Snoozed => (1, 0),
        AttemptEnd::Outage => (1, 1),
    };
    if end != AttemptEnd::Snoozed {
        record_failure(db, lease.task(), error, end == AttemptEnd::Outage)?;
    }
    db.prepare_cached(
        "UPDATE task SET state = 2, due = ?2, attempts = attempts - ?3, outages = outages + ?4 WHERE id = ?1",
    )?
    .execute((identity(lease.task().0), moment(not_before), taken_back, outages))?;
    budget::charge_open(db, lease.task())
}

/// Keeps what became of an attempt that is under way.
pub(super) fn record_failure(db: &Connection, task: TaskId, error: &str, outage: bool) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO failed_attempt (task, fence, claimed_at, worker, error, outage) \
         SELECT id, fence, coalesce(claimed_at, 0), coalesce(worker, ''), ?2, ?3 FROM task WHERE id = ?1",
    )?
    .execute((identity(task.0), error, outage))?;
    Ok(())
}

/// Ends a task that this version cannot read, so that it holds up nobody, and tells its run.
pub(super) fn bury_unreadable(db: &Connection, task: TaskId, why: &WireError, now: Timestamp) -> Result<()> {
    let detail = why.to_string();
    record_failure(db, task, &detail, false)?;
    let (key, lane, installation): (i64, String, i64) = db
        .prepare_cached(
            "UPDATE task SET state = 5, due = NULL, finished_at = ?2, reason = ?3 WHERE id = ?1 \
             RETURNING run, lane, installation",
        )?
        .query_row((identity(task.0), moment(now), &detail), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    outbox::advance(db, RunKey(key), &lane)?;
    let run = db
        .prepare_cached("SELECT repository, issue, ordinal FROM run WHERE id = ?1")?
        .query_row([key], |row| run_id_at(row, 0))?;
    let work = WorkKind::Unreadable { lane: outbox::lane_of_work(&lane).to_owned() };
    let envelope = Envelope {
        installation: InstallationId(identified(installation)),
        target: Target::Run { run },
        signal: Signal::TaskFailed { work, failure: Failure::Agent, detail },
    };
    for row in signals(task, &[envelope], now)? {
        inbox::insert(db, &row)?;
    }
    Ok(())
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
