//! Dead letters: listing what was given up, trying it again, and dropping it with a record.

use pairbot_protocol::awaits::unwanted;
use pairbot_protocol::ids::{InstallationId, RunId, TaskId, Timestamp};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{Envelope, Signal, Target, Timer};
use rusqlite::{Connection, OptionalExtension, Row};

use super::columns::{RunKey, identified, identity, limit, moment, moment_of};
use super::failure::{corrupt, unreadable, unwritable};
use super::inbox::RowState;
use super::outbox::{queued, state_column, state_in, state_of};
use crate::store::{
    Act, DeadLetter, InboxId, Intervention, Replayed, Result, StoreError, TaskEffect, TaskState,
    UnreadableSignal,
};
use crate::wire;

const REPLAYED: u8 = 0;
const DROPPED: u8 = 1;

/// Who does something to a dead letter, when, and why.
#[derive(Debug)]
pub(super) struct Doing {
    pub(super) at: Timestamp,
    pub(super) by: String,
    pub(super) reason: Option<String>,
}

pub(super) fn replay(db: &Connection, letter: DeadLetter, doing: &Doing) -> Result<Replayed> {
    match letter {
        DeadLetter::Task(task) => replay_task(db, task, doing),
        DeadLetter::Signal(inbox) => replay_signal(db, inbox, doing),
    }
}

/// A task that was given up.
struct DeadTask {
    run: RunKey,
    lane: String,
    coalesce_key: Option<String>,
    payload: String,
}

fn dead_task(db: &Connection, task: TaskId) -> Result<DeadTask> {
    let found = db
        .prepare_cached("SELECT state, run, lane, coalesce_key, payload FROM task WHERE id = ?1")?
        .query_row([identity(task.0)], |row| {
            let (run, lane) = (RunKey(row.get(1)?), row.get(2)?);
            let dead = DeadTask { run, lane, coalesce_key: row.get(3)?, payload: row.get(4)? };
            Ok((row.get::<_, u8>(0)?, dead))
        })
        .optional()?;
    let letter = DeadLetter::Task(task);
    let Some((state, dead)) = found else { return Err(StoreError::NotDead { letter, state: "unknown" }) };
    let state = state_of(state)?;
    if state == TaskState::Dead {
        Ok(dead)
    } else {
        Err(StoreError::NotDead { letter, state: state.as_str() })
    }
}

/// Puts a task back into its lane, if its run still waits for it. What its run must be shown is always wanted: it
/// shows the run as it is then.
fn replay_task(db: &Connection, task: TaskId, doing: &Doing) -> Result<Replayed> {
    let dead = dead_task(db, task)?;
    let effect = wire::decode(&dead.payload).map_err(unreadable(format!("task {task}")))?;
    if let TaskEffect::Work(work) = &effect {
        let snapshot: String = db
            .prepare_cached("SELECT snapshot FROM run WHERE id = ?1")?
            .query_row([dead.run.0], |row| row.get(0))?;
        let run: Run = wire::decode(&snapshot).map_err(unreadable(format!("the run of task {task}")))?;
        if let Some(why) = unwanted(&run, work) {
            return Ok(Replayed::Unwanted(why));
        }
    }
    if let Some(key) = &dead.coalesce_key
        && let Some(same) = queued(db, dead.run, &dead.lane, key)?
    {
        return Ok(Replayed::QueuedAlready(same));
    }
    let state = state_in(db, dead.run, &dead.lane)?;
    db.prepare_cached(
        "UPDATE task SET state = ?2, attempts = 0, outages = 0, due = NULL, finished_at = NULL, reason = NULL \
         WHERE id = ?1",
    )?
    .execute((identity(task.0), state_column(state)))?;
    record(db, DeadLetter::Task(task), REPLAYED, doing)?;
    Ok(Replayed::Queued)
}

/// Lets the engine have another look at a signal. One that still cannot be read is refused, and stays as it was.
fn replay_signal(db: &Connection, id: InboxId, doing: &Doing) -> Result<Replayed> {
    let row = set_aside(db, id)?;
    let what = || format!("signal {id}");
    let envelope = match wire::decode::<Envelope>(&row.payload) {
        Ok(envelope) => envelope,
        // A timer that could not be read was kept as it was, its run in the name of its delivery.
        Err(error) => match (row.event.as_str(), wire::decode::<Timer>(&row.payload)) {
            ("timer", Ok(timer)) => fired(db, &row.guid, timer)?,
            _ => return Err(unreadable(what())(error)),
        },
    };
    let signal = wire::encode(&envelope).map_err(unwritable)?;
    // Whatever waits belongs to an installation: they take turns.
    db.prepare_cached(
        "UPDATE inbox SET state = ?2, signal = ?3, installation = ?4, note = NULL, settled_at = NULL WHERE id = ?1",
    )?
    .execute((identity(id.0), RowState::Pending.column(), signal, identity(envelope.installation.0)))?;
    record(db, DeadLetter::Signal(id), REPLAYED, doing)?;
    Ok(Replayed::Queued)
}

/// The signal of a timer that went off under the name `timer:<run>:<due>`.
fn fired(db: &Connection, guid: &str, timer: Timer) -> Result<Envelope> {
    let run: Option<RunId> = guid.split(':').nth(1).and_then(|run| run.parse().ok());
    let run = run.ok_or_else(|| corrupt(format!("`{guid}` names no run")))?;
    let installation = db
        .prepare_cached("SELECT installation FROM run WHERE repository = ?1 AND issue = ?2 AND ordinal = ?3")?
        .query_row((identity(run.repository.0), identity(run.issue.0), run.ordinal), |row| row.get(0))
        .optional()?;
    Ok(Envelope {
        installation: InstallationId(identified(installation.unwrap_or_default())),
        target: Target::Run { run },
        signal: Signal::TimerFired { timer },
    })
}

pub(super) fn drop_letter(db: &Connection, letter: DeadLetter, doing: &Doing) -> Result<()> {
    match letter {
        DeadLetter::Task(task) => {
            dead_task(db, task)?;
            db.prepare_cached("UPDATE task SET state = 7 WHERE id = ?1")?.execute([identity(task.0)])?;
        }
        DeadLetter::Signal(inbox) => {
            set_aside(db, inbox)?;
            db.prepare_cached("UPDATE inbox SET state = ?2, settled_at = ?3 WHERE id = ?1")?.execute((
                identity(inbox.0),
                RowState::Dropped.column(),
                moment(doing.at),
            ))?;
        }
    }
    record(db, letter, DROPPED, doing)
}

fn set_aside(db: &Connection, id: InboxId) -> Result<UnreadableSignal> {
    let letter = DeadLetter::Signal(id);
    match signal(db, id)? {
        Some(row) if row.dropped => Err(StoreError::NotDead { letter, state: "dropped" }),
        Some(row) => Ok(row),
        None => Err(StoreError::NotDead { letter, state: "unknown or readable" }),
    }
}

fn record(db: &Connection, letter: DeadLetter, act: u8, doing: &Doing) -> Result<()> {
    let (task, inbox) = columns(letter);
    db.prepare_cached(
        "INSERT INTO intervention (task, inbox, act, done_at, done_by, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((task, inbox, act, moment(doing.at), &doing.by, &doing.reason))?;
    Ok(())
}

fn columns(letter: DeadLetter) -> (Option<i64>, Option<i64>) {
    match letter {
        DeadLetter::Task(task) => (Some(identity(task.0)), None),
        DeadLetter::Signal(inbox) => (None, Some(identity(inbox.0))),
    }
}

/// What operators did about a dead letter, oldest first.
pub(super) fn interventions(db: &Connection, letter: DeadLetter) -> Result<Vec<Intervention>> {
    let mut query = db.prepare_cached(match letter {
        DeadLetter::Task(_) => {
            "SELECT act, done_at, done_by, reason FROM intervention INDEXED BY intervention_task \
             WHERE task = ?1 ORDER BY id"
        }
        DeadLetter::Signal(_) => {
            "SELECT act, done_at, done_by, reason FROM intervention INDEXED BY intervention_inbox \
             WHERE inbox = ?1 ORDER BY id"
        }
    })?;
    let (task, inbox) = columns(letter);
    let rows = query.query_map([task.or(inbox)], |row| {
        Ok((row.get::<_, u8>(0)?, moment_of(row.get(1)?), row.get(2)?, row.get(3)?))
    })?;
    let mut interventions = Vec::new();
    for row in rows {
        let (act, at, by, reason) = row?;
        let act = match act {
            REPLAYED => Act::Replayed,
            DROPPED => Act::Dropped,
            other => return Err(corrupt(format!("an intervention is of kind {other}"))),
        };
        interventions.push(Intervention { act, at, by, reason });
    }
    Ok(interventions)
}

pub(super) fn signals(db: &Connection, rows_max: usize) -> Result<Vec<UnreadableSignal>> {
    let found = db
        .prepare_cached(&selecting("inbox INDEXED BY inbox_unreadable WHERE state = 3 ORDER BY id LIMIT ?1"))?
        .query_map([limit(rows_max)], signal_at)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    found.into_iter().map(|row| with_interventions(db, row)).collect()
}

pub(super) fn signal(db: &Connection, id: InboxId) -> Result<Option<UnreadableSignal>> {
    let found = db
        .prepare_cached(&selecting("inbox WHERE id = ?1 AND state IN (3, 4)"))?
        .query_row([identity(id.0)], signal_at)
        .optional()?;
    found.map(|row| with_interventions(db, row)).transpose()
}

fn selecting(from: &str) -> String {
    format!(
        "SELECT id, guid, event, received_at, coalesce(signal, ''), coalesce(note, ''), state FROM {from}"
    )
}

fn signal_at(row: &Row<'_>) -> rusqlite::Result<UnreadableSignal> {
    Ok(UnreadableSignal {
        id: InboxId(identified(row.get(0)?)),
        guid: row.get(1)?,
        event: row.get(2)?,
        received_at: moment_of(row.get(3)?),
        payload: row.get(4)?,
        reason: row.get(5)?,
        dropped: row.get::<_, u8>(6)? == RowState::Dropped.column(),
        interventions: Vec::new(),
    })
}

fn with_interventions(db: &Connection, mut row: UnreadableSignal) -> Result<UnreadableSignal> {
    row.interventions = interventions(db, DeadLetter::Signal(row.id))?;
    Ok(row)
}
