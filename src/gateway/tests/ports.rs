//! Time, chance and money as the tests decide them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use pairbot_protocol::ids::{Money, Timestamp, Usage};

use crate::gateway::account::{AccountError, BudgetAccount, ReservationId};
use crate::ports::{Clock, Entropy};

/// Sleeps of up to 70 seconds, which are pauses, pass at once and move the time; longer ones, which are time-outs,
/// end when the test advances past them.
#[derive(Debug)]
pub(crate) struct TestClock(tokio::sync::watch::Sender<Timestamp>, AtomicU64);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(tokio::sync::watch::Sender::new(Timestamp::from_unix_ms(1_000_000)), AtomicU64::new(0))
    }

    /// How often somebody began to wait.
    pub(crate) fn waits(&self) -> u64 {
        self.1.load(Ordering::SeqCst)
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.0.send_modify(|now| *now = now.plus_ms(ms));
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.1.fetch_add(1, Ordering::SeqCst);
        if at.ms_since(self.now()) <= 70_000 {
            self.0.send_modify(|now| *now = at.max(*now));
        }
        let _ = self.0.subscribe().wait_for(|now| *now >= at).await;
    }
}

#[derive(Debug)]
pub(crate) struct TestEntropy;

impl Entropy for TestEntropy {
    fn bits(&self) -> u64 {
        4
    }
}

/// An account in memory that checks what it is told.
#[derive(Debug)]
pub(crate) struct MemoryAccount(Mutex<Ledger>);

#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) limit: Money,
    pub(crate) open: BTreeMap<u64, Money>,
    pub(crate) settled: Vec<(Money, Money, Usage)>,
    pub(crate) released: usize,
    pub(crate) lease_lost: bool,
    next: u64,
}

impl Ledger {
    pub(crate) fn spent(&self) -> Money {
        self.settled.iter().fold(Money::ZERO, |sum, (_, actual, _)| sum.plus(*actual))
    }

    pub(crate) fn reserved(&self) -> Money {
        self.open.values().fold(Money::ZERO, |sum, amount| sum.plus(*amount))
    }
}

impl MemoryAccount {
    pub(crate) fn of(limit: Money) -> Self {
        Self(Mutex::new(Ledger { limit, ..Ledger::default() }))
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn lose_lease(&self) {
        self.0.lock().unwrap().lease_lost = true;
    }
}

#[async_trait]
impl BudgetAccount for MemoryAccount {
    async fn remaining(&self) -> Result<Money, AccountError> {
        let ledger = self.0.lock().unwrap();
        Ok(ledger.limit.minus(ledger.spent()).minus(ledger.reserved()))
    }

    async fn reserve(&self, amount: Money, purpose: &str) -> Result<ReservationId, AccountError> {
        assert!(!purpose.is_empty());
        let mut ledger = self.0.lock().unwrap();
        if ledger.lease_lost {
            return Err(AccountError::LeaseLost);
        }
        let (limit, spent, reserved) = (ledger.limit, ledger.spent(), ledger.reserved());
        if spent.plus(reserved).plus(amount) > limit {
            return Err(AccountError::Exhausted { limit, spent, reserved });
        }
        ledger.next += 1;
        let id = ledger.next;
        ledger.open.insert(id, amount);
        Ok(ReservationId(id))
    }

    async fn settle(
        &self,
        reservation: ReservationId,
        actual: Money,
        usage: Usage,
        _: &str,
    ) -> Result<(), AccountError> {
        let mut ledger = self.0.lock().unwrap();
        let reserved = ledger.open.remove(&reservation.0).expect("settled once");
        assert!(actual <= reserved, "settled {actual} of {reserved}");
        ledger.settled.push((reserved, actual, usage));
        Ok(())
    }

    async fn release(&self, reservation: ReservationId) -> Result<(), AccountError> {
        let mut ledger = self.0.lock().unwrap();
        ledger.open.remove(&reservation.0).expect("released once");
        ledger.released += 1;
        Ok(())
    }
}
