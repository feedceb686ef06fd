//! Timers of runs.

use pairbot_protocol::ids::{InstallationId, RunId, Timestamp};
use pairbot_protocol::signal::{Envelope, Signal, Target, Timer};
use rusqlite::{Connection, OptionalExtension};

use super::columns::{RunKey, identified, moment, moment_of, run_id_at};
use super::failure::unwritable;
use super::inbox::{self, NewRow};
use crate::store::Result;
use crate::wire;

/// Timers that one call turns into signals.
const FIRED_MAX: u32 = 500;

/// Starts a timer, or moves it if it runs already.
pub(super) fn start(db: &Connection, run: RunKey, timer: &Timer, at: Timestamp) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO timer (run, timer, due) VALUES (?1, ?2, ?3) \
         ON CONFLICT (run, timer) DO UPDATE SET due = excluded.due",
    )?
    .execute((run.0, wire::encode(timer).map_err(unwritable)?, moment(at)))?;
    Ok(())
}

/// A timer that is due.
struct Due {
    key: RunKey,
    run: RunId,
    installation: InstallationId,
    payload: String,
    at: Timestamp,
}

/// Turns timers that are due into signals. A timer goes with the signal it became, so it goes off once.
pub(super) fn fire(db: &Connection, now: Timestamp) -> Result<usize> {
    let due = db
        .prepare_cached(
            "SELECT repository, issue, ordinal, run.id, run.installation, timer, due \
             FROM timer INDEXED BY timer_due JOIN run ON run.id = timer.run WHERE due <= ?1 ORDER BY due LIMIT ?2",
        )?
        .query_map((moment(now), FIRED_MAX), |row| {
            Ok(Due {
                run: run_id_at(row, 0)?,
                key: RunKey(row.get(3)?),
                installation: InstallationId(identified(row.get(4)?)),
                payload: row.get(5)?,
                at: moment_of(row.get(6)?),
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for timer in &due {
        db.prepare_cached("DELETE FROM timer WHERE run = ?1 AND timer = ?2")?
            .execute((timer.key.0, &timer.payload))?;
        inbox::insert(db, &signal(timer, now)?)?;
    }
    Ok(due.len())
}

fn signal(due: &Due, now: Timestamp) -> Result<NewRow> {
    let guid = format!("timer:{}:{}", due.run, due.at.unix_ms);
    match wire::decode(&due.payload) {
        Ok(timer) => {
            let envelope = Envelope {
                installation: due.installation,
                target: Target::Run { run: due.run },
                signal: Signal::TimerFired { timer },
            };
            NewRow::of_signal(guid, "timer", &envelope, now)
        }
        Err(error) => Ok(NewRow::of_unreadable(guid, "timer", due.payload.clone(), &error.to_string(), now)),
    }
}

pub(super) fn next_at(db: &Connection) -> Result<Option<Timestamp>> {
    let due = db
        .prepare_cached("SELECT due FROM timer INDEXED BY timer_due ORDER BY due LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    Ok(due.map(moment_of))
}
