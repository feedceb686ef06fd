//! Counts what one task spends, whether its calls end well or not.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use pairbot_protocol::budget::Amount;
use pairbot_protocol::ids::{Money, Usage};

use crate::agents::outcome::Spent;
use crate::gateway::{AccountError, BudgetAccount, ReservationId, Room};

/// An account that counts what is settled in it.
pub(super) struct Meter<'a> {
    account: &'a dyn BudgetAccount,
    spent: Mutex<Spent>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(account: &'a dyn BudgetAccount) -> Self {
        Self { account, spent: Mutex::default() }
    }

    /// What was spent since this was last asked.
    pub(super) fn take(&self) -> Spent {
        std::mem::take(&mut *self.spent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl BudgetAccount for Meter<'_> {
    async fn remaining(&self) -> Result<Room, AccountError> {
        self.account.remaining().await
    }

    async fn reserve(&self, amount: Amount, purpose: &str) -> Result<ReservationId, AccountError> {
        self.account.reserve(amount, purpose).await
    }

    async fn settle(
        &self,
        reservation: ReservationId,
        actual: Money,
        usage: Usage,
        model: &str,
    ) -> Result<(), AccountError> {
        {
            let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            *spent = spent.plus(Spent { usage, cost: actual, calls: 1 });
        }
        self.account.settle(reservation, actual, usage, model).await
    }

    async fn release(&self, reservation: ReservationId) -> Result<(), AccountError> {
        self.account.release(reservation).await
    }
}
