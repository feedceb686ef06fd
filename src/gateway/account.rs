//! Who pays: the port through which the gateway reserves and settles money.

use std::fmt;

use async_trait::async_trait;
use pairbot_protocol::ids::{Money, Usage};
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
    #[error("the budget of {limit} is exhausted: {spent} spent, {reserved} reserved for calls under way")]
    Exhausted {
        /// The limit of the scope that refused.
        limit: Money,
        /// What was settled in it.
        spent: Money,
        /// What is reserved in it for calls that have not ended.
        reserved: Money,
    },
    /// The task that owns the account is no longer ours: another worker took it over, or the run was stopped.
    #[error("the task's lease was lost, so nothing may be spent for it here any more")]
    LeaseLost,
    /// The account could not be read or written. No call is made without an answer.
    #[error("the budget account could not be reached: {0}")]
    Unavailable(String),
}

/// The money of one task.
///
/// The implementation decides which scopes (run, repository, installation) must all have room. A reservation that
/// is neither settled nor released, because its holder died, must keep counting until whoever recovers the task
/// settles it in full: the call may have been made.
#[async_trait]
pub trait BudgetAccount: Send + Sync {
    /// What is neither spent nor reserved, of the tightest scope.
    async fn remaining(&self) -> Result<Money, AccountError>;

    /// Sets `amount` aside, or fails and changes nothing. `purpose` is for people who read the account.
    async fn reserve(&self, amount: Money, purpose: &str) -> Result<ReservationId, AccountError>;

    /// Replaces a reservation by what the call did cost.
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
