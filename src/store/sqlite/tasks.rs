//! Looking at tasks: for people, and for who schedules.

use pairbot_protocol::ids::{FencingToken, InstallationId, RunId, TaskId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use super::columns::{counted, identified, identity, limit, moment_of, run_id_at, run_key};
use super::dead;
use super::outbox::state_of;
use crate::store::{Counts, DeadLetter, FailedAttempt, Result, TaskCounts, TaskRecord, TaskState};

pub(super) fn one(db: &Connection, task: TaskId) -> Result<Option<TaskRecord>> {
    Ok(records(db, "WHERE task.id = ?1", identity(task.0))?.pop())
}

pub(super) fn of_run(db: &Connection, run: RunId) -> Result<Vec<TaskRecord>> {
    let Some(key) = run_key(db, run)? else { return Ok(Vec::new()) };
    records(db, "WHERE task.run = ?1 ORDER BY task.id", key.0)
}

pub(super) fn dead(db: &Connection, rows_max: usize) -> Result<Vec<TaskRecord>> {
    records(db, "WHERE task.state = 5 ORDER BY task.id LIMIT ?1", limit(rows_max))
}

fn records(db: &Connection, which: &'static str, parameter: i64) -> Result<Vec<TaskRecord>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT repository, issue, ordinal, task.id, task.installation, payload, state, attempts, created_at, \
         finished_at, reason, outages, task.version FROM task JOIN run ON run.id = task.run {which}"
    ))?;
    let rows = query.query_map([parameter], |row| Ok((record_at(row)?, row.get::<_, u8>(6)?)))?;
    let mut records = Vec::new();
    for row in rows {
        let (mut record, state) = row?;
        record.state = state_of(state)?;
        record.history = history(db, record.task)?;
        record.interventions = dead::interventions(db, DeadLetter::Task(record.task))?;
        records.push(record);
    }
    Ok(records)
}

fn record_at(row: &Row<'_>) -> rusqlite::Result<TaskRecord> {
    Ok(TaskRecord {
        run: run_id_at(row, 0)?,
        task: TaskId(identified(row.get(3)?)),
        installation: InstallationId(identified(row.get(4)?)),
        payload: row.get(5)?,
        state: TaskState::Waiting,
        attempts: row.get(7)?,
        outages: row.get(11)?,
        version: row.get::<_, Option<i64>>(12)?.map(counted),
        created_at: moment_of(row.get(8)?),
        finished_at: row.get::<_, Option<i64>>(9)?.map(moment_of),
        reason: row.get(10)?,
        history: Vec::new(),
        interventions: Vec::new(),
    })
}

fn history(db: &Connection, task: TaskId) -> Result<Vec<FailedAttempt>> {
    let mut query = db.prepare_cached(
        "SELECT fence, worker, claimed_at, error, outage FROM failed_attempt WHERE task = ?1 ORDER BY id",
    )?;
    let rows = query.query_map([identity(task.0)], |row| {
        Ok(FailedAttempt {
            fence: FencingToken(identified(row.get(0)?)),
            worker: row.get(1)?,
            claimed_at: moment_of(row.get(2)?),
            error: row.get(3)?,
            outage: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// When the next delayed task is due or the next lease expires.
pub(super) fn next_at(db: &Connection) -> Result<Option<Timestamp>> {
    let due = db
        .prepare_cached(
            "SELECT due FROM task INDEXED BY task_due WHERE due IS NOT NULL ORDER BY due LIMIT 1",
        )?
        .query_row((), |row| row.get(0))
        .optional()?;
    Ok(due.map(moment_of))
}

/// How many tasks there are in each state. What is done is most of what there ever was, so it is not counted but what
/// remains of all: rows are numbered without gaps, and how many were pruned is kept.
pub(super) fn counts(db: &Connection) -> Result<Counts> {
    let count = |text: &str| -> Result<u64> {
        Ok(counted(db.prepare_cached(text)?.query_row((), |row| row.get(0))?))
    };
    let mut tasks = TaskCounts::default();
    let mut query = db.prepare_cached(
        "SELECT state, count(*) FROM task INDEXED BY task_lane WHERE state < 4 GROUP BY state \
         UNION ALL SELECT 5, count(*) FROM task INDEXED BY task_dead WHERE state = 5 \
         UNION ALL SELECT state, count(*) FROM task INDEXED BY task_withdrawn WHERE state IN (6, 7) GROUP BY state",
    )?;
    for row in query.query_map((), |row| Ok((row.get::<_, u8>(0)?, counted(row.get(1)?))))? {
        let (state, number) = row?;
        *match state_of(state)? {
            TaskState::Waiting => &mut tasks.waiting,
            TaskState::Ready => &mut tasks.ready,
            TaskState::Delayed => &mut tasks.delayed,
            TaskState::Running => &mut tasks.running,
            TaskState::Done => &mut tasks.done,
            TaskState::Dead => &mut tasks.dead,
            TaskState::Cancelled => &mut tasks.cancelled,
            TaskState::Dropped => &mut tasks.dropped,
        } = number;
    }
    let ever = count("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'task'), 0)")?;
    let others = [
        tasks.waiting,
        tasks.ready,
        tasks.delayed,
        tasks.running,
        tasks.dead,
        tasks.cancelled,
        tasks.dropped,
        count("SELECT number FROM tally WHERE name = 'tasks pruned'")?,
    ];
    tasks.done = others.into_iter().fold(ever, u64::saturating_sub);
    let received = count("SELECT coalesce(max(id), 0) FROM inbox")?;
    Ok(Counts {
        deliveries: received
            .saturating_sub(count("SELECT number FROM tally WHERE name = 'deliveries pruned'")?),
        pending: count("SELECT count(*) FROM inbox INDEXED BY inbox_pending WHERE state = 0")?,
        unreadable: count("SELECT count(*) FROM inbox INDEXED BY inbox_unreadable WHERE state = 3")?,
        runs_open: count("SELECT count(*) FROM run INDEXED BY run_open WHERE over = 0")?,
        tasks,
    })
}
