//! Handing out tasks: installations in turn, of each its oldest.
//!
//! Every statement here goes by an index that holds the heads of lanes only, so a claim costs the same whatever waits.

use pairbot_protocol::ids::{FencingToken, InstallationId, TaskId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::budget;
use super::columns::{identified, identity, moment, moment_of, run_id_at};
use super::lease::{bury_unreadable, record_failure};
use super::outbox::{AGENT, ERRAND, PUBLICATION};
use crate::store::{Claimed, Lease, Result, TaskKinds};
use crate::wire::{self, WireError};

/// Delayed tasks and expired leases that one claim looks at; more are left to the next.
const PROMOTED_MAX: u32 = 1_000;

/// What to claim, and for whom.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) kinds: TaskKinds,
    pub(super) slots: usize,
    pub(super) worker: String,
    pub(super) now: Timestamp,
    pub(super) lease_ms: u64,
}

/// The installation whose turn it was last. Lost at a restart, which costs fairness one turn.
#[derive(Debug, Default)]
pub(super) struct Turn(Option<InstallationId>);

/// What a claim brought.
#[derive(Debug)]
pub(super) struct Hand {
    pub(super) claimed: Vec<Claimed>,
    /// How many tasks became ready on the way.
    pub(super) promoted: usize,
    /// How many tasks could not be read, of which their runs are told.
    pub(super) buried: usize,
}

impl Claim {
    pub(super) fn make(&self, db: &Connection, turn: &mut Turn) -> Result<Hand> {
        let mut hand = Hand { claimed: Vec::new(), promoted: promote(db, self.now)?, buried: 0 };
        while hand.claimed.len() < self.slots {
            let Some((installation, task)) = next(db, self.kinds, turn.0)? else { break };
            turn.0 = Some(installation);
            match take(db, self, task)? {
                Ok(claimed) => hand.claimed.push(claimed),
                Err(error) => {
                    tracing::error!(%task, %error, "buried a task that this version cannot read");
                    bury_unreadable(db, task, &error, self.now)?;
                    hand.buried += 1;
                }
            }
        }
        Ok(hand)
    }
}

/// Makes what is due ready: delayed tasks, and those whose lease expired.
fn promote(db: &Connection, now: Timestamp) -> Result<usize> {
    let due = db
        .prepare_cached(
            "SELECT id, state FROM task INDEXED BY task_due WHERE due <= ?1 ORDER BY due, id LIMIT ?2",
        )?
        .query_map((moment(now), PROMOTED_MAX), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u8>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for (task, state) in &due {
        if *state == 3 {
            record_failure(db, TaskId(identified(*task)), "its lease expired", false)?;
            budget::charge_open(db, TaskId(identified(*task)))?;
        }
        db.prepare_cached("UPDATE task SET state = 1, due = NULL WHERE id = ?1")?.execute([task])?;
    }
    Ok(due.len())
}

/// The installation whose turn it is, and its oldest task.
fn next(
    db: &Connection,
    kinds: TaskKinds,
    after: Option<InstallationId>,
) -> Result<Option<(InstallationId, TaskId)>> {
    let kinds: &[u8] = match kinds {
        TaskKinds::Errand => &[ERRAND],
        TaskKinds::Agent => &[AGENT],
        TaskKinds::Publication => &[PUBLICATION],
        TaskKinds::All => &[ERRAND, AGENT, PUBLICATION],
    };
    let following = after.and_then(|last| identity(last.0).checked_add(1)).unwrap_or(i64::MIN);
    let found = match first_from(db, kinds, following)? {
        None if following > i64::MIN => first_from(db, kinds, i64::MIN)?,
        found => found,
    };
    Ok(found.map(|(installation, task)| (InstallationId(identified(installation)), TaskId(identified(task)))))
}

fn first_from(db: &Connection, kinds: &[u8], from: i64) -> Result<Option<(i64, i64)>> {
    let mut first = None;
    for kind in kinds {
        let found = db
            .prepare_cached(
                "SELECT installation, id FROM task INDEXED BY task_ready \
                 WHERE state = 1 AND kind = ?1 AND installation >= ?2 ORDER BY installation, id LIMIT 1",
            )?
            .query_row((kind, from), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        first = match (first, found) {
            (Some(one), Some(other)) => Some(std::cmp::min(one, other)),
            (one, other) => one.or(other),
        };
    }
    Ok(first)
}

/// Leases one task, or says why it cannot be read.
fn take(db: &Connection, claim: &Claim, task: TaskId) -> Result<std::result::Result<Claimed, WireError>> {
    let until = claim.now.plus_ms(claim.lease_ms);
    let (run, installation, fence, attempt, payload, created_at, outages) = db
        .prepare_cached(
            "UPDATE task SET state = 3, fence = fence + 1, attempts = attempts + 1, due = ?2, claimed_at = ?3, \
             worker = ?4 WHERE id = ?1 RETURNING run, installation, fence, attempts, payload, created_at, outages",
        )?
        .query_row((identity(task.0), moment(until), moment(claim.now), &claim.worker), |row| {
            let payload: String = row.get(4)?;
            Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, payload, row.get(5)?, row.get(6)?))
        })?;
    let run = db
        .prepare_cached("SELECT repository, issue, ordinal FROM run WHERE id = ?1")?
        .query_row([run], |row| run_id_at(row, 0))?;
    Ok(wire::decode(&payload).map(|effect| Claimed {
        lease: Lease::grant(
            run,
            task,
            InstallationId(identified(installation)),
            FencingToken(identified(fence)),
            until,
        ),
        effect,
        attempt,
        outages,
        created_at: moment_of(created_at),
    }))
}
