//! The outbox: tasks in lanes. Of a lane only its head is ever ready, delayed or running.

use pairbot_protocol::effect::{PUBLICATIONS_LANE, Publication, Work};
use pairbot_protocol::ids::{InstallationId, TaskId, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::budget;
use super::columns::{RunKey, amount, identified, identity, moment};
use super::failure::{corrupt, unwritable};
use crate::store::{Result, TaskEffect, TaskState};
use crate::wire;

/// What begins the lanes of work, so that none is called as that of the publications.
const WORK_LANE: &str = "work:";

/// Kinds of task as the schema numbers them.
pub(super) const AGENT: u8 = 0;
pub(super) const PUBLICATION: u8 = 1;
pub(super) const ERRAND: u8 = 2;

/// A task that is not stored yet.
#[derive(Debug)]
pub(super) struct NewTask {
    kind: u8,
    lane: String,
    coalesce_key: Option<String>,
    payload: String,
}

impl NewTask {
    pub(super) fn work(work: Work) -> Result<Self> {
        Ok(Self {
            kind: kind_of(&work),
            lane: format!("{WORK_LANE}{}", work.lane()),
            coalesce_key: None,
            payload: wire::encode(&TaskEffect::Work(work)).map_err(unwritable)?,
        })
    }

    pub(super) fn publication(publication: Publication) -> Result<Self> {
        Ok(Self {
            kind: PUBLICATION,
            lane: PUBLICATIONS_LANE.to_owned(),
            coalesce_key: Some(publication.key()),
            payload: wire::encode(&TaskEffect::Publication(publication)).map_err(unwritable)?,
        })
    }
}

/// Before errands had a number of their own, they had that of agents: what was queued then waits with those.
fn kind_of(work: &Work) -> u8 {
    match work {
        Work::Inspect { .. } | Work::ReadPermission { .. } | Work::OpenPullRequest { .. } => ERRAND,
        Work::Create { .. } | Work::Review { .. } | Work::Gate { .. } => AGENT,
    }
}

/// How the schema numbers states.
pub(super) fn state_column(state: TaskState) -> u8 {
    match state {
        TaskState::Waiting => 0,
        TaskState::Ready => 1,
        TaskState::Delayed => 2,
        TaskState::Running => 3,
        TaskState::Done => 4,
        TaskState::Dead => 5,
        TaskState::Cancelled => 6,
        TaskState::Dropped => 7,
    }
}

/// The state of a number that [`state_column`] gave.
pub(super) fn state_of(column: u8) -> Result<TaskState> {
    [
        TaskState::Waiting,
        TaskState::Ready,
        TaskState::Delayed,
        TaskState::Running,
        TaskState::Done,
        TaskState::Dead,
        TaskState::Cancelled,
        TaskState::Dropped,
    ]
    .into_iter()
    .find(|state| state_column(*state) == column)
    .ok_or_else(|| corrupt(format!("a task is in state {column}")))
}

/// Queues a task behind its lane. A publication that is already queued and not under way is not queued again.
pub(super) fn enqueue(
    db: &Connection,
    run: RunKey,
    installation: InstallationId,
    task: &NewTask,
    version: u64,
    at: Timestamp,
) -> Result<TaskId> {
    if let Some(key) = &task.coalesce_key
        && let Some(queued) = queued(db, run, &task.lane, key)?
    {
        return Ok(queued);
    }
    let state = state_in(db, run, &task.lane)?;
    db.prepare_cached(
        "INSERT INTO task (run, installation, kind, state, created_at, lane, coalesce_key, payload, version) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute((
        run.0,
        identity(installation.0),
        task.kind,
        state_column(state),
        moment(at),
        &task.lane,
        &task.coalesce_key,
        &task.payload,
        amount(version),
    ))?;
    Ok(TaskId(identified(db.last_insert_rowid())))
}

/// In which state a task joins a lane: it waits while the lane has another that is unfinished.
pub(super) fn state_in(db: &Connection, run: RunKey, lane: &str) -> Result<TaskState> {
    let behind = db
        .prepare_cached("SELECT 1 FROM task INDEXED BY task_lane WHERE run = ?1 AND lane = ?2 AND state < 4")?
        .exists((run.0, lane))?;
    Ok(if behind { TaskState::Waiting } else { TaskState::Ready })
}

/// The lane as the protocol calls it.
pub(super) fn lane_of_work(lane: &str) -> &str {
    lane.strip_prefix(WORK_LANE).unwrap_or(lane)
}

/// Looks through what of the lane is unfinished: as many rows as a run has different things to show, at most.
pub(super) fn queued(db: &Connection, run: RunKey, lane: &str, key: &str) -> Result<Option<TaskId>> {
    let queued = db
        .prepare_cached(
            "SELECT id FROM task INDEXED BY task_lane WHERE run = ?1 AND lane = ?2 AND state < 4 \
             AND state <> 3 AND coalesce_key = ?3 ORDER BY id LIMIT 1",
        )?
        .query_row((run.0, lane, key), |row| row.get(0))
        .optional()?;
    Ok(queued.map(|id| TaskId(identified(id))))
}

/// Withdraws all unfinished work of a run. Whoever carries some of it out has lost the lease with this.
pub(super) fn cancel_work(db: &Connection, run: RunKey, at: Timestamp) -> Result<()> {
    let withdrawn = db
        .prepare_cached(
            "UPDATE task INDEXED BY task_lane SET state = 6, due = NULL, finished_at = ?2 \
             WHERE run = ?1 AND state < 4 AND kind <> 1 RETURNING id",
        )?
        .query_map((run.0, moment(at)), |row| row.get::<_, i64>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for task in withdrawn {
        budget::charge_open(db, TaskId(identified(task)))?;
    }
    Ok(())
}

/// Makes the oldest unfinished task of a lane ready after its head has ended.
pub(super) fn advance(db: &Connection, run: RunKey, lane: &str) -> Result<()> {
    db.prepare_cached(
        "UPDATE task SET state = 1 WHERE state = 0 AND id = \
         (SELECT id FROM task INDEXED BY task_lane WHERE run = ?1 AND lane = ?2 AND state < 4 ORDER BY id LIMIT 1)",
    )?
    .execute((run.0, lane))?;
    Ok(())
}
