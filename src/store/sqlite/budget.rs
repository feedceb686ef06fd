//! Budgets: what is reserved and spent, kept as sums that change with the reservations they are made of.

use pairbot_protocol::ids::{Money, RunId, TaskId, Timestamp, Usage};
use rusqlite::{Connection, OptionalExtension};

use super::columns::{RunKey, amount, counted, identified, identity, moment, money_of, run_key, usage_at};
use super::lease;
use crate::store::{Budget, Lease, ReservationId, Result, StoreError};

/// States of a reservation as the schema numbers them.
const OPEN: u8 = 0;
const SETTLED: u8 = 1;
const RELEASED: u8 = 2;
const CHARGED: u8 = 3;

pub(super) fn set_limit(db: &Connection, run: RunKey, limit: Money) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO budget (run, limit_microdollars) VALUES (?1, ?2) \
         ON CONFLICT (run) DO UPDATE SET limit_microdollars = excluded.limit_microdollars",
    )?
    .execute((run.0, amount(limit.microdollars)))?;
    Ok(())
}

/// Where the money of a run is.
pub(super) fn load(db: &Connection, run: RunKey) -> Result<Budget> {
    let budget = db
        .prepare_cached(
            "SELECT limit_microdollars, spent_microdollars, reserved_microdollars, calls, input_tokens, \
             cache_read_tokens, cache_write_tokens, output_tokens FROM budget WHERE run = ?1",
        )?
        .query_row([run.0], |row| {
            Ok(Budget {
                limit: money_of(row.get(0)?),
                spent: money_of(row.get(1)?),
                reserved: money_of(row.get(2)?),
                calls: counted(row.get(3)?),
                usage: usage_at(row, 4)?,
            })
        })
        .optional()?;
    Ok(budget.unwrap_or_default())
}

/// Writes the sums back. The limit is not among them: only a decision changes it.
fn save(db: &Connection, run: RunKey, budget: &Budget) -> Result<()> {
    db.prepare_cached(
        "UPDATE budget SET spent_microdollars = ?2, reserved_microdollars = ?3, calls = ?4, input_tokens = ?5, \
         cache_read_tokens = ?6, cache_write_tokens = ?7, output_tokens = ?8 WHERE run = ?1",
    )?
    .execute((
        run.0,
        amount(budget.spent.microdollars),
        amount(budget.reserved.microdollars),
        amount(budget.calls),
        amount(budget.usage.input_tokens),
        amount(budget.usage.cache_read_tokens),
        amount(budget.usage.cache_write_tokens),
        amount(budget.usage.output_tokens),
    ))?;
    Ok(())
}

pub(super) fn reserve(
    db: &Connection,
    lease: &Lease,
    wanted: Money,
    purpose: &str,
    now: Timestamp,
) -> Result<ReservationId> {
    let run = lease::check(db, lease)?;
    let mut budget = load(db, run)?;
    if budget.spent.plus(budget.reserved).plus(wanted) > budget.limit {
        let Budget { limit, spent, reserved, .. } = budget;
        return Err(StoreError::BudgetExhausted { limit, spent, reserved });
    }
    budget.reserved = budget.reserved.plus(wanted);
    save(db, run, &budget)?;
    db.prepare_cached(
        "INSERT INTO reservation (run, task, fence, amount_microdollars, created_at, purpose) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        run.0,
        identity(lease.task().0),
        identity(lease.fence().0),
        amount(wanted.microdollars),
        moment(now),
        purpose,
    ))?;
    Ok(ReservationId(identified(db.last_insert_rowid())))
}

/// A reservation as it is stored.
struct Reservation {
    id: ReservationId,
    run: RunKey,
    state: u8,
    amount: Money,
}

impl Reservation {
    fn load(db: &Connection, id: ReservationId) -> Result<Self> {
        db.prepare_cached("SELECT run, state, amount_microdollars FROM reservation WHERE id = ?1")?
            .query_row([identity(id.0)], |row| {
                Ok(Self { id, run: RunKey(row.get(0)?), state: row.get(1)?, amount: money_of(row.get(2)?) })
            })
            .optional()?
            .ok_or(StoreError::NoReservation { reservation: id })
    }

    /// Whether what the call cost is already known for certain.
    fn is_final(&self) -> bool {
        self.state == SETTLED || self.state == RELEASED
    }

    /// The budget as if this reservation had never been made.
    fn taken_back(&self, mut budget: Budget) -> Budget {
        if self.state == CHARGED {
            budget.spent = budget.spent.minus(self.amount);
            budget.calls = budget.calls.saturating_sub(1);
        } else {
            budget.reserved = budget.reserved.minus(self.amount);
        }
        budget
    }

    fn end(&self, db: &Connection, state: u8, cost: Money, usage: Usage, model: Option<&str>) -> Result<()> {
        db.prepare_cached(
            "UPDATE reservation SET state = ?2, actual_microdollars = ?3, input_tokens = ?4, \
             cache_read_tokens = ?5, cache_write_tokens = ?6, output_tokens = ?7, model = ?8 WHERE id = ?1",
        )?
        .execute((
            identity(self.id.0),
            state,
            amount(cost.microdollars),
            amount(usage.input_tokens),
            amount(usage.cache_read_tokens),
            amount(usage.cache_write_tokens),
            amount(usage.output_tokens),
            model,
        ))?;
        Ok(())
    }
}

pub(super) fn settle(
    db: &Connection,
    id: ReservationId,
    actual: Money,
    usage: Usage,
    model: &str,
) -> Result<()> {
    let reservation = Reservation::load(db, id)?;
    if reservation.is_final() {
        return Ok(());
    }
    let mut budget = reservation.taken_back(load(db, reservation.run)?);
    budget.spent = budget.spent.plus(actual);
    budget.usage = budget.usage.plus(usage);
    budget.calls = budget.calls.saturating_add(1);
    save(db, reservation.run, &budget)?;
    reservation.end(db, SETTLED, actual, usage, Some(model))
}

pub(super) fn release(db: &Connection, id: ReservationId) -> Result<()> {
    let reservation = Reservation::load(db, id)?;
    if reservation.is_final() {
        return Ok(());
    }
    let budget = reservation.taken_back(load(db, reservation.run)?);
    save(db, reservation.run, &budget)?;
    reservation.end(db, RELEASED, Money::ZERO, Usage::default(), None)
}

/// Charges in full what a task still has reserved, because its lease ends: what such a call cost is unknown.
pub(super) fn charge_open(db: &Connection, task: TaskId) -> Result<()> {
    let open = db
        .prepare_cached(
            "SELECT id FROM reservation INDEXED BY reservation_task WHERE task = ?1 AND state = ?2",
        )?
        .query_map((identity(task.0), OPEN), |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    for id in open {
        let reservation = Reservation::load(db, ReservationId(identified(id)))?;
        let mut budget = reservation.taken_back(load(db, reservation.run)?);
        budget.spent = budget.spent.plus(reservation.amount);
        budget.calls = budget.calls.saturating_add(1);
        save(db, reservation.run, &budget)?;
        reservation.end(db, CHARGED, reservation.amount, Usage::default(), None)?;
    }
    Ok(())
}

pub(super) fn of_run(db: &Connection, run: RunId) -> Result<Budget> {
    match run_key(db, run)? {
        Some(key) => load(db, key),
        None => Ok(Budget::default()),
    }
}
