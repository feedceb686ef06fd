//! Forgetting what has ended, without a hole in the chain of proofs.

use pairbot_protocol::ids::{RunId, Timestamp};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::Spend;
use rusqlite::{Connection, OptionalExtension};

use super::audit;
use super::columns::{RunKey, amount, identity, moment, run_id_at};
use super::failure::{unreadable, unwritable};
use super::ledger::{NO_PREDECESSOR, chained};
use crate::store::{Cutoff, Kept, Result, Tombstone};
use crate::wire;

/// Rows of one transaction: whoever else writes waits no longer than for these.
const ROWS_MAX: u32 = 500;

/// States of the inbox that are settled for good: applied, ignored, dropped.
const SETTLED: &str = "state IN (1, 2, 4)";

/// The first row of the inbox that is too young to be forgotten. Rows are in the order in which they came, so only
/// what is old is read. The last row of all is kept: the next is numbered after it.
pub(super) fn first_young(db: &Connection, cutoff: Cutoff) -> Result<i64> {
    let young = db
        .prepare_cached("SELECT id FROM inbox WHERE received_at >= ?1 ORDER BY id LIMIT 1")?
        .query_row([moment(cutoff.at())], |row| row.get(0))
        .optional()?;
    match young {
        Some(id) => Ok(id),
        None => Ok(db.query_row("SELECT coalesce(max(id), 0) FROM inbox", (), |row| row.get(0))?),
    }
}

/// What of an open run's installation was told since the run began may be told again, as a comment that is read anew:
/// it must be known as long as the run can hear of it (promise P1).
const UNHEARD_OF: &str = "(meaning IS NULL OR NOT EXISTS (SELECT 1 FROM json_each(?2) AS open \
     WHERE open.value ->> 0 = inbox.installation AND open.value ->> 1 <= inbox.received_at))";

/// How much earlier than its first event what belongs to a run may have come.
const BEFORE_BEGINNING_MS: i64 = 24 * 60 * 60 * 1000;

/// The installations that have open runs, each with when the oldest of them began, as `[[installation, moment], …]`.
pub(super) fn hearing(db: &Connection) -> Result<String> {
    Ok(db
        .prepare_cached(
            "SELECT coalesce(json_group_array(json_array(installation, began - ?1)), '[]') FROM \
             (SELECT run.installation, min(json_extract(payload, '$.body.at')) AS began \
              FROM run INDEXED BY run_open JOIN event ON event.run = run.id AND event.seq = 1 \
              WHERE over = 0 GROUP BY run.installation)",
        )?
        .query_row([BEFORE_BEGINNING_MS], |row| row.get(0))?)
}

pub(super) fn count_deliveries(db: &Connection, before: i64) -> Result<u64> {
    let count = format!("SELECT count(*) FROM inbox WHERE id < ?1 AND {SETTLED} AND {UNHEARD_OF}");
    Ok(db.query_row(&count, (before, hearing(db)?), |row| row.get(0))?)
}

/// Forgets some settled rows of the inbox before this one. Answers how many.
pub(super) fn deliveries(db: &Connection, before: i64, hearing: &str) -> Result<u64> {
    let gone = db
        .prepare_cached(&format!(
            "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE id < ?1 AND {SETTLED} \
             AND {UNHEARD_OF} ORDER BY id LIMIT ?3)"
        ))?
        .execute((before, hearing, ROWS_MAX))?;
    tally(db, "deliveries pruned", gone as u64)?;
    Ok(gone as u64)
}

/// Adds to a number of what is gone.
pub(super) fn tally(db: &Connection, name: &str, more: u64) -> Result<()> {
    db.prepare_cached("UPDATE tally SET number = number + ?2 WHERE name = ?1")?
        .execute((name, amount(more)))?;
    Ok(())
}

/// The runs that are over and old enough, oldest first, each with why it is kept, if it is.
pub(super) fn runs(db: &Connection, cutoff: Cutoff) -> Result<Vec<(RunId, Option<Kept>)>> {
    let mut query = db.prepare_cached(
        "SELECT repository, issue, ordinal, id FROM run INDEXED BY run_over \
         WHERE over = 1 AND updated_at < ?1 ORDER BY updated_at, id",
    )?;
    let rows = query.query_map([moment(cutoff.at())], |row| Ok((run_id_at(row, 0)?, RunKey(row.get(3)?))))?;
    let mut found = Vec::new();
    for row in rows {
        let (run, key) = row?;
        found.push((run, kept(db, run, key)?));
    }
    Ok(found)
}

fn kept(db: &Connection, run: RunId, key: RunKey) -> Result<Option<Kept>> {
    let has = |states: &str| -> Result<bool> {
        Ok(db
            .prepare_cached(&format!("SELECT 1 FROM task WHERE run = ?1 AND state IN ({states})"))?
            .exists([key.0])?)
    };
    if has("5")? {
        return Ok(Some(Kept::DeadLetters));
    }
    if has("0, 1, 2, 3")? {
        return Ok(Some(Kept::Unfinished));
    }
    let fault = audit::run(db, run)?.faults.into_iter().next();
    Ok(fault.map(|fault| Kept::Faulty(fault.to_string())))
}

/// Replaces a run by its tombstone. What has happened to it since it was listed is looked at again; answers why it is
/// kept, if it is.
pub(super) fn run(db: &Connection, run: RunId, cutoff: Cutoff, now: Timestamp) -> Result<Option<Kept>> {
    let found = db
        .prepare_cached(
            "SELECT id, hash, version, updated_at, snapshot FROM run WHERE repository = ?1 AND issue = ?2 \
             AND ordinal = ?3 AND over = 1 AND updated_at < ?4",
        )?
        .query_row(
            (identity(run.repository.0), identity(run.issue.0), run.ordinal, moment(cutoff.at())),
            |row| {
                let ending = Ending { hash: row.get(1)?, version: row.get(2)?, ended_at: row.get(3)? };
                Ok((RunKey(row.get(0)?), ending, row.get::<_, String>(4)?))
            },
        )
        .optional()?;
    let Some((key, ending, snapshot)) = found else { return Ok(Some(Kept::Unfinished)) };
    if let Some(why) = kept(db, run, key)? {
        return Ok(Some(why));
    }
    let last: Run = wire::decode(&snapshot).map_err(unreadable(format!("run {run}")))?;
    bury(db, key, &last, &ending, now)?;
    forget(db, key)?;
    Ok(None)
}

/// How the row of a run ends.
struct Ending {
    hash: Vec<u8>,
    version: i64,
    ended_at: i64,
}

fn bury(db: &Connection, key: RunKey, run: &Run, ending: &Ending, now: Timestamp) -> Result<()> {
    let budget = super::budget::load(db, key)?;
    let tombstone = Tombstone {
        run: run.id,
        installation: run.installation,
        repository_name: run.issue.repository_name.clone(),
        outcome: run.phase_name().to_owned(),
        events: super::columns::counted(ending.version),
        hash: hex::encode(&ending.hash),
        spend: Spend { cost: budget.spent, usage: budget.usage },
        opened_at: run.opened_at,
        ended_at: super::columns::moment_of(ending.ended_at),
        pruned_at: now,
    };
    let payload = wire::encode(&tombstone).map_err(unwritable)?;
    let previous: Option<Vec<u8>> = db
        .prepare_cached("SELECT hash FROM tombstone ORDER BY id DESC LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    let hash = chained(previous.as_deref().unwrap_or(&NO_PREDECESSOR), &payload);
    let id = run.id;
    db.prepare_cached(
        "INSERT INTO tombstone (repository, issue, ordinal, hash, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((identity(id.repository.0), identity(id.issue.0), id.ordinal, hash, payload))?;
    Ok(())
}

/// Removes a run with all that hangs on it, from the leaves to the root.
fn forget(db: &Connection, key: RunKey) -> Result<()> {
    super::shared_budget::outlive(db, key)?;
    for leaves in ["intervention", "failed_attempt"] {
        let text = format!("DELETE FROM {leaves} WHERE task IN (SELECT id FROM task WHERE run = ?1)");
        db.prepare_cached(&text)?.execute([key.0])?;
    }
    for table in ["reservation", "budget", "receipt", "timer", "turn", "event"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE run = ?1"))?.execute([key.0])?;
    }
    let tasks = db.prepare_cached("DELETE FROM task WHERE run = ?1")?.execute([key.0])?;
    tally(db, "tasks pruned", tasks as u64)?;
    db.prepare_cached("DELETE FROM run WHERE id = ?1")?.execute([key.0])?;
    Ok(())
}

/// What is left of the runs that were pruned, oldest first.
pub(super) fn tombstones(db: &Connection) -> Result<Vec<Tombstone>> {
    let mut query = db.prepare_cached("SELECT payload FROM tombstone ORDER BY id")?;
    let rows = query.query_map((), |row| row.get::<_, String>(0))?;
    let mut tombstones = Vec::new();
    for payload in rows {
        tombstones.push(wire::decode(&payload?).map_err(unreadable("a tombstone".to_owned()))?);
    }
    Ok(tombstones)
}
