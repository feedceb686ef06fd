//! Budgets: what is reserved and spent, kept as sums that change with the reservations they are made of. A reservation
//! is looked at in every scope, its run, repository and installation, in the transaction that makes it.

use pairbot_protocol::budget::{Amount, Scope};
use pairbot_protocol::ids::{Money, RunId, TaskId, Timestamp, Tokens, Usage};
use rusqlite::{Connection, OptionalExtension};

use super::columns::{
    RunKey, amount, amount_at, counted, identified, identity, moment, money_of, run_key, tokens_of, usage_at,
};
use super::lease;
use super::shared_budget::{self, SharedKey};
use crate::store::{Budget, Budgets, Lease, Owner, Refused, ReservationId, Result, SharedLimits, StoreError};

/// States of a reservation as the schema numbers them.
const OPEN: u8 = 0;
const SETTLED: u8 = 1;
const RELEASED: u8 = 2;
const CHARGED: u8 = 3;

pub(super) fn set_limit(db: &Connection, run: RunKey, limit: Money, tokens: Option<Tokens>) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO budget (run, limit_microdollars, limit_tokens) VALUES (?1, ?2, ?3) ON CONFLICT (run) DO UPDATE \
         SET limit_microdollars = excluded.limit_microdollars, limit_tokens = excluded.limit_tokens",
    )?
    .execute((run.0, amount(limit.microdollars), tokens.map(|tokens| amount(tokens.0))))?;
    Ok(())
}

/// Where the budget of a run is.
pub(super) fn load(db: &Connection, run: RunKey) -> Result<Budget> {
    let budget = db
        .prepare_cached(
            "SELECT limit_microdollars, limit_tokens, spent_microdollars, spent_tokens, reserved_microdollars, \
             reserved_tokens, calls, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens \
             FROM budget WHERE run = ?1",
        )?
        .query_row([run.0], |row| {
            Ok(Budget {
                limit: money_of(row.get(0)?),
                limit_tokens: row.get::<_, Option<i64>>(1)?.map(tokens_of),
                spent: money_of(row.get(2)?),
                spent_tokens: tokens_of(row.get(3)?),
                reserved: money_of(row.get(4)?),
                reserved_tokens: tokens_of(row.get(5)?),
                calls: counted(row.get(6)?),
                usage: usage_at(row, 7)?,
            })
        })
        .optional()?;
    Ok(budget.unwrap_or_default())
}

/// Writes the sums back. The limits are not among them: only a decision changes them.
fn save(db: &Connection, run: RunKey, budget: &Budget) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO budget (run, spent_microdollars, spent_tokens, reserved_microdollars, reserved_tokens, calls, \
         input_tokens, cache_read_tokens, cache_write_tokens, output_tokens) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (run) DO UPDATE SET \
         spent_microdollars = excluded.spent_microdollars, spent_tokens = excluded.spent_tokens, \
         reserved_microdollars = excluded.reserved_microdollars, reserved_tokens = excluded.reserved_tokens, \
         calls = excluded.calls, input_tokens = excluded.input_tokens, \
         cache_read_tokens = excluded.cache_read_tokens, cache_write_tokens = excluded.cache_write_tokens, \
         output_tokens = excluded.output_tokens",
    )?
    .execute((
        run.0,
        amount(budget.spent.microdollars),
        amount(budget.spent_tokens.0),
        amount(budget.reserved.microdollars),
        amount(budget.reserved_tokens.0),
        amount(budget.calls),
        amount(budget.usage.input_tokens),
        amount(budget.usage.cache_read_tokens),
        amount(budget.usage.cache_write_tokens),
        amount(budget.usage.output_tokens),
    ))?;
    Ok(())
}

/// The owners of the budgets that a task's run shares.
fn owners(lease: &Lease) -> [Owner; 2] {
    [Owner::Repository(lease.run().repository), Owner::Installation(lease.installation())]
}

pub(super) fn reserve(
    db: &Connection,
    lease: &Lease,
    wanted: Amount,
    limits: &SharedLimits,
    purpose: &str,
    now: Timestamp,
) -> Result<ReservationId> {
    let run = lease::check(db, lease)?;
    let mut budget = load(db, run)?;
    if let Some(measure) = budget.limits().refuses(budget.taken(), wanted) {
        let reserved = Amount { money: budget.reserved, tokens: budget.reserved_tokens };
        let sums = [budget.spent(), reserved];
        let refused = Refused::by(Scope::Run, measure, budget.limits(), sums, now);
        return Err(StoreError::BudgetExhausted(refused));
    }
    // All scopes are looked at before one is written: what is refused changes nothing.
    let shared = owners(lease).map(|owner| (owner, limits.of(owner)));
    for (owner, limits) in shared {
        shared_budget::refuse(db, owner, limits, wanted, now)?;
    }
    let [day, month] = shared;
    let day = shared_budget::reserve(db, day.0, day.1, wanted, now)?;
    let month = shared_budget::reserve(db, month.0, month.1, wanted, now)?;
    budget.reserved = budget.reserved.plus(wanted.money);
    budget.reserved_tokens = budget.reserved_tokens.plus(wanted.tokens);
    save(db, run, &budget)?;
    db.prepare_cached(
        "INSERT INTO reservation (run, task, fence, amount_microdollars, amount_tokens, created_at, purpose, day, \
         month) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute((
        run.0,
        identity(lease.task().0),
        identity(lease.fence().0),
        amount(wanted.money.microdollars),
        amount(wanted.tokens.0),
        moment(now),
        purpose,
        day.0,
        month.0,
    ))?;
    Ok(ReservationId(identified(db.last_insert_rowid())))
}

/// A reservation as it is stored.
struct Reservation {
    id: ReservationId,
    run: RunKey,
    state: u8,
    amount: Amount,
    /// The periods it was made in, which it counts for whenever it ends.
    shared: [Option<SharedKey>; 2],
}

/// How a call ended, as far as money is concerned.
struct Ending<'a> {
    state: u8,
    cost: Amount,
    usage: Usage,
    calls: u64,
    model: Option<&'a str>,
}

impl Ending<'_> {
    /// A call that certainly cost nothing.
    const NOTHING: Self =
        Ending { state: RELEASED, cost: Amount::ZERO, usage: NO_USAGE, calls: 0, model: None };
}

const NO_USAGE: Usage =
    Usage { input_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0, output_tokens: 0 };

impl Reservation {
    fn load(db: &Connection, id: ReservationId) -> Result<Self> {
        db.prepare_cached(
            "SELECT run, state, amount_microdollars, amount_tokens, day, month FROM reservation WHERE id = ?1",
        )?
        .query_row([identity(id.0)], |row| {
            Ok(Self {
                id,
                run: RunKey(row.get(0)?),
                state: row.get(1)?,
                amount: Amount { money: money_of(row.get(2)?), tokens: tokens_of(row.get(3)?) },
                shared: [row.get::<_, Option<i64>>(4)?, row.get(5)?].map(|key| key.map(SharedKey)),
            })
        })
        .optional()?
        .ok_or(StoreError::NoReservation { reservation: id })
    }

    /// Whether what the call cost is already known for certain.
    fn is_final(&self) -> bool {
        self.state == SETTLED || self.state == RELEASED
    }

    /// Whether it counts as spent, for want of better knowledge.
    fn is_charged(&self) -> bool {
        self.state == CHARGED
    }

    /// The run's budget as if this reservation had never been made.
    fn taken_back(&self, mut budget: Budget) -> Budget {
        if self.is_charged() {
            budget.spent = budget.spent.minus(self.amount.money);
            budget.spent_tokens = budget.spent_tokens.minus(self.amount.tokens);
            budget.calls = budget.calls.saturating_sub(1);
        } else {
            budget.reserved = budget.reserved.minus(self.amount.money);
            budget.reserved_tokens = budget.reserved_tokens.minus(self.amount.tokens);
        }
        budget
    }

    /// Replaces the reservation by what its call did cost, in every scope it counts for.
    fn end(&self, db: &Connection, how: &Ending<'_>) -> Result<()> {
        let mut budget = self.taken_back(load(db, self.run)?);
        budget.spent = budget.spent.plus(how.cost.money);
        budget.spent_tokens = budget.spent_tokens.plus(how.cost.tokens);
        budget.usage = budget.usage.plus(how.usage);
        budget.calls = budget.calls.saturating_add(how.calls);
        save(db, self.run, &budget)?;
        for key in self.shared.into_iter().flatten() {
            let before = if self.is_charged() { (self.amount, 1) } else { (Amount::ZERO, 0) };
            let reserved = if self.is_charged() { Amount::ZERO } else { self.amount };
            shared_budget::settle(db, key, reserved, before, (how.cost, how.calls))?;
        }
        db.prepare_cached(
            "UPDATE reservation SET state = ?2, actual_microdollars = ?3, actual_tokens = ?4, input_tokens = ?5, \
             cache_read_tokens = ?6, cache_write_tokens = ?7, output_tokens = ?8, model = ?9 WHERE id = ?1",
        )?
        .execute((
            identity(self.id.0),
            how.state,
            amount(how.cost.money.microdollars),
            amount(how.cost.tokens.0),
            amount(how.usage.input_tokens),
            amount(how.usage.cache_read_tokens),
            amount(how.usage.cache_write_tokens),
            amount(how.usage.output_tokens),
            how.model,
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
    let cost = Amount { money: actual, tokens: usage.total() };
    reservation.end(db, &Ending { state: SETTLED, cost, usage, calls: 1, model: Some(model) })
}

pub(super) fn release(db: &Connection, id: ReservationId) -> Result<()> {
    let reservation = Reservation::load(db, id)?;
    if reservation.is_final() { Ok(()) } else { reservation.end(db, &Ending::NOTHING) }
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
        let cost = reservation.amount;
        reservation.end(db, &Ending { state: CHARGED, cost, usage: NO_USAGE, calls: 1, model: None })?;
    }
    Ok(())
}

pub(super) fn of_run(db: &Connection, run: RunId) -> Result<Budget> {
    match run_key(db, run)? {
        Some(key) => load(db, key),
        None => Ok(Budget::default()),
    }
}

/// How the sums of a run's budget differ from its reservations, in words.
pub(super) fn fault(db: &Connection, run: RunKey) -> Result<Option<String>> {
    let budget = load(db, run)?;
    let (spent, reserved, calls) = db
        .prepare_cached(
            "SELECT coalesce(sum(CASE WHEN state IN (1, 3) THEN actual_microdollars END), 0), \
             coalesce(sum(CASE WHEN state IN (1, 3) THEN actual_tokens END), 0), \
             coalesce(sum(CASE WHEN state = 0 THEN amount_microdollars END), 0), \
             coalesce(sum(CASE WHEN state = 0 THEN amount_tokens END), 0), \
             coalesce(sum(state IN (1, 3)), 0) FROM reservation INDEXED BY reservation_run WHERE run = ?1",
        )?
        .query_row([run.0], |row| Ok((amount_at(row, 0)?, amount_at(row, 2)?, counted(row.get(4)?))))?;
    let kept = Amount { money: budget.reserved, tokens: budget.reserved_tokens };
    Ok(((budget.spent(), kept, budget.calls) != (spent, reserved, calls)).then(|| {
        format!(
            "its budget has {} spent and {} reserved, and its reservations add up to {} and {}",
            budget.spent, budget.reserved, spent.money, reserved.money
        )
    }))
}

/// Every budget that the calls of a task are paid from.
pub(super) fn of_task(db: &Connection, lease: &Lease, now: Timestamp) -> Result<Budgets> {
    let [repository, installation] = owners(lease);
    Ok(Budgets {
        run: of_run(db, lease.run())?,
        repository_day: shared_budget::load(db, repository, now)?,
        installation_month: shared_budget::load(db, installation, now)?,
    })
}
