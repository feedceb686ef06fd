//! Who pays: the port through which the gateway reserves and settles money and tokens.

use std::fmt;

use async_trait::async_trait;
use pairbot_protocol::budget::{Amount, Exhausted, Limits, Measure, Quantity, Scope};
use pairbot_protocol::ids::{Money, Timestamp, Tokens, Usage};
use serde::{Deserialize, Serialize};

/// The name of one reservation inside its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReservationId(pub u64);

impl fmt::Display for ReservationId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Why an account did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The amount does not fit what is left.
    #[error("{exhausted}, {limit}, is used up: {spent} spent, {reserved} reserved for calls under way")]
    Exhausted {
        /// The budget that refused, and when it opens again.
        exhausted: Exhausted,
        /// Its limit.
        limit: Quantity,
        /// What was settled in it.
        spent: Quantity,
        /// What is reserved in it for calls that have not ended.
        reserved: Quantity,
    },
    /// The task that owns the account is no longer ours: another worker took it over, or the run was stopped.
    #[error("the task's lease was lost, so nothing may be spent for it here any more")]
    LeaseLost,
    /// The account could not be read or written. No call is made without an answer.
    #[error("the budget account could not be reached: {0}")]
    Unavailable(String),
}

/// What is left in one measure, of the budget that has least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left<T> {
    /// How much.
    pub amount: T,
    /// Which budget it is that has no more.
    pub of: Exhausted,
}

/// What is neither spent nor reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In dollars.
    pub money: Left<Money>,
    /// In tokens; none where no budget counts them.
    pub tokens: Option<Left<Tokens>>,
}

/// What a call needs and a budget does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    /// The budget, and when it opens again.
    pub exhausted: Exhausted,
    /// What is left of it.
    pub remaining: Quantity,
    /// What the call could cost or use.
    pub needed: Quantity,
}

impl Room {
    /// What budgets have left together: each with its limits, and with what is taken of it.
    pub fn within(budgets: impl IntoIterator<Item = (Scope, Limits, Amount)>, now: Timestamp) -> Self {
        let most = Money::from_microdollars(u64::MAX);
        let of = Exhausted::Run { measure: Measure::Money };
        let mut room = Self { money: Left { amount: most, of }, tokens: None };
        for (scope, limits, taken) in budgets {
            if let Some(limit) = limits.money {
                let amount = limit.minus(taken.money);
                if amount < room.money.amount {
                    room.money = Left { amount, of: Exhausted::at(scope, Measure::Money, now) };
                }
            }
            if let Some(limit) = limits.tokens {
                let amount = limit.minus(taken.tokens);
                if room.tokens.is_none_or(|least| amount < least.amount) {
                    room.tokens = Some(Left { amount, of: Exhausted::at(scope, Measure::Tokens, now) });
                }
            }
        }
        room
    }

    /// How many tokens are left; more than any call takes where no budget counts them.
    pub fn tokens_left(&self) -> Tokens {
        self.tokens.map_or(Tokens(u64::MAX), |left| left.amount)
    }

    /// What there is too little of for `needed`.
    pub fn lacks(&self, needed: Amount) -> Option<Lack> {
        if needed.money > self.money.amount {
            return Some(self.lack_of_money(needed));
        }
        let tokens = self.tokens.filter(|left| needed.tokens > left.amount)?;
        Some(Lack {
            exhausted: tokens.of,
            remaining: Quantity::Tokens(tokens.amount),
            needed: Quantity::Tokens(needed.tokens),
        })
    }

    /// Says of `needed` that it is money there is too little of.
    pub fn lack_of_money(&self, needed: Amount) -> Lack {
        Lack {
            exhausted: self.money.of,
            remaining: Quantity::Money(self.money.amount),
            needed: Quantity::Money(needed.money),
        }
    }
}

/// The budgets that one task's calls are paid from.
///
/// The implementation decides which scopes (run, repository, installation) must all have room. A reservation that
/// is neither settled nor released, because its holder died, must keep counting until whoever recovers the task
/// settles it in full: the call may have been made.
#[async_trait]
pub trait BudgetAccount: Send + Sync {
    /// What is neither spent nor reserved, of the tightest scope in each measure.
    async fn remaining(&self) -> Result<Room, AccountError>;

    /// Sets `amount` aside in every scope, or fails and changes nothing. `purpose` is for people who read the account.
    async fn reserve(&self, amount: Amount, purpose: &str) -> Result<ReservationId, AccountError>;

    /// Replaces a reservation by what the call did cost and use.
    async fn settle(
        &self,
        reservation: ReservationId,
        actual: Money,
        usage: Usage,
        model: &str,
    ) -> Result<(), AccountError>;

    /// Drops the reservation of a call that cost nothing.
    async fn release(&self, reservation: ReservationId) -> Result<(), AccountError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(cents: u64, tokens: Option<u64>) -> Limits {
        Limits { money: Some(Money::from_cents(cents)), tokens: tokens.map(Tokens) }
    }

    fn amount(cents: u64, tokens: u64) -> Amount {
        Amount { money: Money::from_cents(cents), tokens: Tokens(tokens) }
    }

    #[test]
    fn the_tightest_budget_of_each_measure_is_the_room() {
        let now = Timestamp::from_unix_ms(1_767_600_000_000);
        let room = Room::within(
            [
                (Scope::Run, limits(100, None), amount(10, 5)),
                (Scope::RepositoryDay, limits(50, Some(1_000)), amount(20, 100)),
                (Scope::InstallationMonth, Limits::NONE, amount(900, 900)),
            ],
            now,
        );
        assert_eq!((room.money.amount, room.tokens_left()), (Money::from_cents(30), Tokens(900)));
        assert_eq!(room.money.of.scope(), Scope::RepositoryDay);
        assert_eq!(room.lacks(amount(30, 900)), None);
        assert_eq!(room.lacks(amount(31, 0)).unwrap().remaining.to_string(), "$0.30");
        assert_eq!(room.lacks(amount(0, 901)).unwrap().exhausted.measure(), Measure::Tokens);
    }

    #[test]
    fn where_nothing_is_limited_everything_fits() {
        let room = Room::within([], Timestamp::default());
        assert_eq!(room.lacks(amount(1_000_000, u64::MAX)), None);
    }
}
