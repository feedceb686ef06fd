//! Budgets that runs share: of a repository in a day, of an installation in a month. One row a period, which outlives
//! the runs that it counts.

use pairbot_protocol::budget::{Amount, Limits};
use pairbot_protocol::ids::{InstallationId, RepositoryId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use super::columns::{
    RunKey, amount, amount_at, counted, identified, identity, moment, moment_of, money_of, tokens_of,
};
use crate::store::{Owner, Refused, Result, SharedBudget, StoreError};

/// The row of a shared budget, by which reservations name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SharedKey(pub(super) i64);

/// Scopes as the schema numbers them, with their owners.
const REPOSITORY_DAY: u8 = 0;
const INSTALLATION_MONTH: u8 = 1;

fn place(owner: Owner) -> (u8, i64) {
    match owner {
        Owner::Repository(id) => (REPOSITORY_DAY, identity(id.0)),
        Owner::Installation(id) => (INSTALLATION_MONTH, identity(id.0)),
    }
}

/// The columns that [`read`] reads.
const COLUMNS: &str = "scope, owner, starts_at, limit_microdollars, limit_tokens, spent_microdollars, spent_tokens, \
     reserved_microdollars, reserved_tokens, calls";

fn read(row: &Row<'_>) -> rusqlite::Result<SharedBudget> {
    let (scope, id): (u8, u64) = (row.get(0)?, identified(row.get(1)?));
    let owner = if scope == REPOSITORY_DAY {
        Owner::Repository(RepositoryId(id))
    } else {
        Owner::Installation(InstallationId(id))
    };
    Ok(SharedBudget {
        owner,
        period: owner.period(moment_of(row.get(2)?)),
        limits: Limits {
            money: row.get::<_, Option<i64>>(3)?.map(money_of),
            tokens: row.get::<_, Option<i64>>(4)?.map(tokens_of),
        },
        spent: amount_at(row, 5)?,
        reserved: amount_at(row, 7)?,
        calls: counted(row.get(9)?),
    })
}

/// Where an owner's budget of this moment's period is.
pub(super) fn load(db: &Connection, owner: Owner, now: Timestamp) -> Result<SharedBudget> {
    let (scope, id) = place(owner);
    let starts_at = owner.period(now).starts_at;
    let found = db
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM shared_budget WHERE scope = ?1 AND owner = ?2 AND starts_at = ?3"
        ))?
        .query_row((scope, id, moment(starts_at)), read)
        .optional()?;
    Ok(found.unwrap_or_else(|| SharedBudget::unused(owner, now)))
}

/// Fails if an amount does not fit.
pub(super) fn refuse(
    db: &Connection,
    owner: Owner,
    limits: Limits,
    wanted: Amount,
    now: Timestamp,
) -> Result<()> {
    let budget = load(db, owner, now)?;
    match limits.refuses(budget.taken(), wanted) {
        None => Ok(()),
        Some(measure) => {
            let sums = [budget.spent, budget.reserved];
            Err(StoreError::BudgetExhausted(Refused::by(owner.scope(), measure, limits, sums, now)))
        }
    }
}

/// Sets an amount aside that was looked at, and notes the limits that held.
pub(super) fn reserve(
    db: &Connection,
    owner: Owner,
    limits: Limits,
    wanted: Amount,
    now: Timestamp,
) -> Result<SharedKey> {
    let (scope, id) = place(owner);
    let key = db
        .prepare_cached(
            "INSERT INTO shared_budget (scope, owner, starts_at, limit_microdollars, limit_tokens, \
             reserved_microdollars, reserved_tokens) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
             ON CONFLICT (scope, owner, starts_at) DO UPDATE SET \
             limit_microdollars = excluded.limit_microdollars, limit_tokens = excluded.limit_tokens, \
             reserved_microdollars = reserved_microdollars + excluded.reserved_microdollars, \
             reserved_tokens = reserved_tokens + excluded.reserved_tokens RETURNING id",
        )?
        .query_row(
            (
                scope,
                id,
                moment(owner.period(now).starts_at),
                limits.money.map(|money| amount(money.microdollars)),
                limits.tokens.map(|tokens| amount(tokens.0)),
                amount(wanted.money.microdollars),
                amount(wanted.tokens.0),
            ),
            |row| row.get(0),
        )?;
    Ok(SharedKey(key))
}

/// Takes back what was reserved and what was spent before, each with its calls, and counts what was spent instead.
pub(super) fn settle(
    db: &Connection,
    key: SharedKey,
    reserved: Amount,
    (before, calls_before): (Amount, u64),
    (cost, calls): (Amount, u64),
) -> Result<()> {
    db.prepare_cached(
        "UPDATE shared_budget SET reserved_microdollars = reserved_microdollars - ?2, \
         reserved_tokens = reserved_tokens - ?3, spent_microdollars = spent_microdollars - ?4 + ?5, \
         spent_tokens = spent_tokens - ?6 + ?7, calls = calls - ?8 + ?9 WHERE id = ?1",
    )?
    .execute((
        key.0,
        amount(reserved.money.microdollars),
        amount(reserved.tokens.0),
        amount(before.money.microdollars),
        amount(cost.money.microdollars),
        amount(before.tokens.0),
        amount(cost.tokens.0),
        amount(calls_before),
        amount(calls),
    ))?;
    Ok(())
}

/// The budgets whose period holds this moment, those of repositories first.
pub(super) fn of_moment(db: &Connection, now: Timestamp) -> Result<Vec<SharedBudget>> {
    let mut found = Vec::new();
    for owner in [Owner::Repository(RepositoryId(0)), Owner::Installation(InstallationId(0))] {
        let mut query = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM shared_budget WHERE scope = ?1 AND starts_at = ?2 ORDER BY owner"
        ))?;
        let rows = query.query_map((place(owner).0, moment(owner.period(now).starts_at)), read)?;
        for row in rows {
            found.push(row?);
        }
    }
    Ok(found)
}

/// Notes what a run that is about to be forgotten has spent: the sums of its periods go on counting it.
pub(super) fn outlive(db: &Connection, run: RunKey) -> Result<()> {
    for period in ["day", "month"] {
        db.prepare_cached(&format!(
            "UPDATE shared_budget SET pruned_microdollars = pruned_microdollars + gone.cost, \
             pruned_tokens = pruned_tokens + gone.tokens, pruned_calls = pruned_calls + gone.calls FROM \
             (SELECT {period} AS id, sum(actual_microdollars) AS cost, sum(actual_tokens) AS tokens, count(*) AS calls \
              FROM reservation INDEXED BY reservation_run WHERE run = ?1 AND state IN (1, 3) GROUP BY {period}) AS gone \
             WHERE shared_budget.id = gone.id"
        ))?
        .execute([run.0])?;
    }
    Ok(())
}

/// Every period whose sums are not those of its reservations, in words.
pub(super) fn faults(db: &Connection) -> Result<Vec<(Owner, String)>> {
    let mut found = Vec::new();
    for (scope, period) in [(REPOSITORY_DAY, "day"), (INSTALLATION_MONTH, "month")] {
        let mut query = db.prepare_cached(&format!(
            "SELECT {COLUMNS}, \
             coalesce(sum(CASE WHEN reservation.state IN (1, 3) THEN actual_microdollars END), 0) + pruned_microdollars, \
             coalesce(sum(CASE WHEN reservation.state IN (1, 3) THEN actual_tokens END), 0) + pruned_tokens, \
             coalesce(sum(CASE WHEN reservation.state = 0 THEN amount_microdollars END), 0), \
             coalesce(sum(CASE WHEN reservation.state = 0 THEN amount_tokens END), 0), \
             coalesce(sum(reservation.state IN (1, 3)), 0) + pruned_calls \
             FROM shared_budget LEFT JOIN reservation ON reservation.{period} = shared_budget.id \
             WHERE scope = ?1 GROUP BY shared_budget.id"
        ))?;
        let mut rows = query.query([scope])?;
        while let Some(row) = rows.next()? {
            let budget = read(row)?;
            let (spent, reserved) = (amount_at(row, 10)?, amount_at(row, 12)?);
            if (budget.spent, budget.reserved, budget.calls) != (spent, reserved, counted(row.get(14)?)) {
                let from = budget.period.starts_at.unix_ms;
                found.push((budget.owner, format!(
                    "its budget from {from} on has {} spent and {} reserved, and its reservations add up to {} and {}",
                    budget.spent.money, budget.reserved.money, spent.money, reserved.money
                )));
            }
        }
    }
    Ok(found)
}
