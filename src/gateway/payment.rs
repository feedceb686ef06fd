//! The money of one attempt: what is set aside before it is sent, and what takes its place when it has ended. The
//! builtin agent's calls and those through a [door](super::door) are paid here and nowhere else (promise P3).

use pairbot_protocol::budget::Amount;
use pairbot_protocol::ids::{Money, Usage};

use super::account::{AccountError, BudgetAccount, ReservationId};
use super::call::CallError;
use super::prices::{CacheLife, ModelChoice, ModelFacts};
use super::providers::Charge;

/// An answer shorter than this is of no use to an agent, so rather than clamp the output below it a call is refused.
pub(super) const OUTPUT_TOKENS_FLOOR: u64 = 1_024;
/// How often a reservation is fitted again when other calls of the same account were faster.
const FITTINGS_MAX: u32 = 4;

/// What an attempt may use at most.
pub(super) struct Need<'a> {
    pub(super) facts: &'a ModelFacts,
    pub(super) input_tokens: u64,
    pub(super) cache: CacheLife,
    /// As much output as this is paid for if the budget has it.
    pub(super) output_wanted: u64,
    /// With less than this the attempt is not worth making.
    pub(super) output_floor: u64,
}

/// An attempt that is paid for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paid {
    pub(super) reservation: ReservationId,
    pub(super) reserved: Amount,
    /// The usage that the reservation covers.
    pub(super) worst: Usage,
    cache: CacheLife,
}

/// What is known of an attempt's cost when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bill {
    /// The provider reported what it read and wrote.
    Reported {
        usage: Usage,
        /// Of the tokens written to the cache, those that are kept for an hour.
        hour_tokens: u64,
    },
    /// A whole answer that, against its protocol, says nothing of what it used.
    Unreported,
    /// There is no whole answer.
    Failed(Charge),
    /// The answer was cut here, because more came than was paid for.
    Outgrown {
        /// The provider's report of what it read.
        input: Option<Usage>,
        /// The most tokens that what came can be.
        output_tokens: u64,
    },
}

/// What was paid in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) usage: Usage,
    pub(super) cost: Money,
}

/// Reserves the worst case, with as much output as fits.
pub(super) async fn set_aside(
    account: &dyn BudgetAccount,
    need: &Need<'_>,
    purpose: &str,
) -> Result<Paid, CallError> {
    let Need { facts, input_tokens, cache, output_wanted, output_floor } = *need;
    let needed = facts.worst(input_tokens, output_floor, cache);
    let mut room = account.remaining().await?;
    for _ in 0..FITTINGS_MAX {
        let paid_for = facts.output_tokens_within(room.money.amount, input_tokens, cache);
        let counted = room.tokens_left().0.saturating_sub(input_tokens);
        let output_tokens = paid_for.min(counted).min(output_wanted);
        let reserved = facts.worst(input_tokens, output_tokens, cache);
        if output_tokens < output_floor || room.lacks(reserved).is_some() {
            break;
        }
        match account.reserve(reserved, purpose).await {
            Ok(reservation) => {
                let worst = Usage { input_tokens, output_tokens, ..Usage::default() };
                return Ok(Paid { reservation, reserved, worst, cache });
            }
            // Other calls were faster, in whichever budget: see what they left.
            Err(AccountError::Exhausted { .. }) => room = account.remaining().await?,
            Err(other @ (AccountError::LeaseLost | AccountError::Unavailable(_))) => return Err(other.into()),
        }
    }
    Err(room.lacks(needed).unwrap_or_else(|| room.lack_of_money(needed)).into())
}

/// Puts what an attempt did cost, as far as it is known and in full where it is not, in the place of its reservation.
pub(super) async fn settle(
    account: &dyn BudgetAccount,
    model: &ModelChoice,
    facts: &ModelFacts,
    paid: Paid,
    bill: Bill,
) -> Result<Receipt, AccountError> {
    let Some(Receipt { usage, cost }) = receipt(facts, paid, bill) else {
        account.release(paid.reservation).await?;
        return Ok(Receipt::default());
    };
    if bill == Bill::Unreported {
        tracing::warn!(%model, "a model's answer reports no usage; charged in full as reserved");
    }
    let tokens = usage.total();
    if cost > paid.reserved.money || tokens > paid.reserved.tokens {
        // The estimate is meant to be an upper bound; the account must still know the truth.
        let Amount { money, tokens: tokens_reserved } = paid.reserved;
        tracing::error!(%model, %cost, reserved = %money, %tokens, %tokens_reserved, "a call took more than was reserved");
    }
    account.settle(paid.reservation, cost, usage, &model.model).await?;
    Ok(Receipt { usage, cost })
}

/// What is to be paid, or nothing if the attempt was free.
fn receipt(facts: &ModelFacts, paid: Paid, bill: Bill) -> Option<Receipt> {
    let full = Receipt { usage: paid.worst, cost: paid.reserved.money };
    // Of an answer that was not seen to its end only the sum of its cache writes is known: the dearer kind counts.
    let dearest = |usage: Usage| match paid.cache {
        CacheLife::Usual => facts.cost(usage),
        CacheLife::Hour => facts.cost_with_hour(usage, usage.cache_write_tokens),
    };
    match bill {
        Bill::Reported { usage, hour_tokens } => {
            Some(Receipt { usage, cost: facts.cost_with_hour(usage, hour_tokens) })
        }
        Bill::Unreported | Bill::Failed(Charge::Unknown { input: None }) => Some(full),
        Bill::Failed(Charge::Nothing) => None,
        // What was read is known; what was written before the cut is not, so it counts in full.
        Bill::Failed(Charge::Unknown { input: Some(input) }) => {
            let usage = Usage { output_tokens: paid.worst.output_tokens, ..input };
            Some(Receipt { usage, cost: dearest(usage).min(paid.reserved.money) })
        }
        Bill::Outgrown { input, output_tokens } => {
            let output_tokens = output_tokens.max(paid.worst.output_tokens);
            let usage = Usage { output_tokens, ..input.unwrap_or(paid.worst) };
            let cost = match input {
                Some(_) => dearest(usage),
                None => facts.worst_cost(usage.input_tokens, output_tokens, paid.cache),
            };
            Some(Receipt { usage, cost })
        }
    }
}
