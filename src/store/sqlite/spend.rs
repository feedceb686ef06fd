//! What was spent, and by whom.

use std::collections::BTreeMap;

use pairbot_protocol::effect::Work;
use pairbot_protocol::ids::{Money, RepositoryId, Round, RunId, TaskId};
use pairbot_protocol::signal::Spend;
use rusqlite::Connection;

use super::columns::{
    amount_at, identified, identity, limit, moment_of, money_of, run_id_at, run_key, usage_at,
};
use crate::store::{OpenReservation, ReservationId, Result, SpendLine, TaskEffect};
use crate::wire;

/// Who spent for a task that this version cannot read.
const UNREADABLE: &str = "a task of another version";

pub(super) fn of_task(db: &Connection, task: TaskId) -> Result<Spend> {
    let mut query = db.prepare_cached(
        "SELECT actual_microdollars, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens \
         FROM reservation INDEXED BY reservation_task WHERE task = ?1 AND state IN (1, 3)",
    )?;
    let rows = query.query_map([identity(task.0)], |row| {
        Ok(Spend { cost: money_of(row.get(0)?), usage: usage_at(row, 1)? })
    })?;
    let mut total = Spend::default();
    for row in rows {
        total = plus(total, row?);
    }
    Ok(total)
}

fn plus(one: Spend, other: Spend) -> Spend {
    Spend { cost: one.cost.plus(other.cost), usage: one.usage.plus(other.usage) }
}

/// What a run has cost, by round, agent and model.
pub(super) fn lines(db: &Connection, run: RunId) -> Result<Vec<SpendLine>> {
    let Some(key) = run_key(db, run)? else { return Ok(Vec::new()) };
    let mut query = db.prepare_cached(
        "SELECT payload, model, actual_microdollars, reservation.input_tokens, cache_read_tokens, \
         cache_write_tokens, output_tokens FROM reservation INDEXED BY reservation_run \
         JOIN task ON task.id = reservation.task WHERE reservation.run = ?1 AND reservation.state IN (1, 3)",
    )?;
    let rows = query.query_map([key.0], |row| {
        let spend = Spend { cost: money_of(row.get(2)?), usage: usage_at(row, 3)? };
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, spend))
    })?;
    let mut lines = BTreeMap::<(_, _, Option<String>), (Spend, u64)>::new();
    for row in rows {
        let (payload, model, spend) = row?;
        // Money that was spent counts, whoever it was for.
        let (round, agent) = match wire::decode(&payload) {
            Ok(effect) => spender(&effect),
            Err(_) => (None, UNREADABLE.to_owned()),
        };
        let (total, calls) = lines.entry((round, agent, model)).or_insert_with(|| (Spend::default(), 0));
        *total = plus(*total, spend);
        *calls = calls.saturating_add(1);
    }
    let line = |((round, agent, model), (Spend { cost, usage }, calls))| SpendLine {
        round,
        agent,
        model,
        cost,
        usage,
        calls,
    };
    Ok(lines.into_iter().map(line).collect())
}

/// Reservations whose calls have not ended.
pub(super) fn open(db: &Connection, run: Option<RunId>) -> Result<Vec<OpenReservation>> {
    let mut query = db.prepare_cached(
        "SELECT reservation.id, repository, issue, ordinal, task, amount_microdollars, amount_tokens, created_at, \
         purpose FROM reservation INDEXED BY reservation_open JOIN run ON run.id = reservation.run \
         WHERE reservation.state = 0 ORDER BY reservation.id",
    )?;
    let rows = query.query_map((), |row| {
        Ok(OpenReservation {
            id: ReservationId(identified(row.get(0)?)),
            run: run_id_at(row, 1)?,
            task: TaskId(identified(row.get(4)?)),
            amount: amount_at(row, 5)?,
            since: moment_of(row.get(7)?),
            purpose: row.get(8)?,
        })
    })?;
    let mut found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    // As many as there are calls under way: few.
    found.retain(|reservation| run.is_none_or(|run| run == reservation.run));
    Ok(found)
}

/// What the newest runs of a repository have cost that are over and called a model.
pub(super) fn of_ended(db: &Connection, repository: RepositoryId, runs_max: usize) -> Result<Vec<Money>> {
    let mut query = db.prepare_cached(
        "SELECT spent_microdollars FROM run JOIN budget ON budget.run = run.id \
         WHERE repository = ?1 AND over = 1 AND calls > 0 ORDER BY run.id DESC LIMIT ?2",
    )?;
    let rows = query.query_map((identity(repository.0), limit(runs_max)), |row| Ok(money_of(row.get(0)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whose work a task is, and in which round.
fn spender(effect: &TaskEffect) -> (Option<Round>, String) {
    match effect {
        TaskEffect::Work(Work::Create { round, .. }) => (Some(*round), "creator".to_owned()),
        TaskEffect::Work(Work::Review { reviewer, round, .. }) => (Some(*round), reviewer.to_string()),
        TaskEffect::Work(Work::Gate { gate, .. }) => (None, format!("gate {gate}")),
        TaskEffect::Work(
            Work::Inspect { .. } | Work::ReadPermission { .. } | Work::OpenPullRequest { .. },
        )
        | TaskEffect::Publication(_) => (None, "pairbot".to_owned()),
    }
}
