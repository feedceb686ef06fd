//! Time, chance and money as the tests decide them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use pairbot_protocol::budget::{Amount, Exhausted, Limits, Quantity, Scope};
use pairbot_protocol::ids::{Money, Timestamp, Tokens, Usage};

use crate::gateway::account::{AccountError, BudgetAccount, ReservationId, Room};
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
    pub(crate) limit_tokens: Option<Tokens>,
    pub(crate) open: BTreeMap<u64, Amount>,
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
        self.open.values().fold(Money::ZERO, |sum, amount| sum.plus(amount.money))
    }

    /// What is spent and reserved.
    fn taken(&self) -> Amount {
        let spent = self.settled.iter().fold(Amount::ZERO, |sum, (_, money, usage)| {
            sum.plus(Amount { money: *money, tokens: usage.total() })
        });
        self.open.values().fold(spent, |sum, amount| sum.plus(*amount))
    }

    fn limits(&self) -> Limits {
        Limits { money: Some(self.limit), tokens: self.limit_tokens }
    }
}

impl MemoryAccount {
    pub(crate) fn of(limit: Money) -> Self {
        Self(Mutex::new(Ledger { limit, ..Ledger::default() }))
    }

    /// The same with a limit in tokens besides.
    pub(crate) fn of_tokens(limit: Money, tokens: Tokens) -> Self {
        Self(Mutex::new(Ledger { limit, limit_tokens: Some(tokens), ..Ledger::default() }))
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
    async fn remaining(&self) -> Result<Room, AccountError> {
        let ledger = self.0.lock().unwrap();
        Ok(Room::within([(Scope::Run, ledger.limits(), ledger.taken())], Timestamp::default()))
    }

    async fn reserve(&self, amount: Amount, purpose: &str) -> Result<ReservationId, AccountError> {
        assert!(!purpose.is_empty());
        let mut ledger = self.0.lock().unwrap();
        if ledger.lease_lost {
            return Err(AccountError::LeaseLost);
        }
        if let Some(measure) = ledger.limits().refuses(ledger.taken(), amount) {
            let exhausted = Exhausted::Run { measure };
            let limit = ledger.limits().in_measure(measure).unwrap();
            let spent = ledger.taken().in_measure(measure);
            let reserved = Quantity::Money(ledger.reserved());
            return Err(AccountError::Exhausted { exhausted, limit, spent, reserved });
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
        assert!(actual <= reserved.money, "settled {actual} of {reserved:?}");
        assert!(usage.total() <= reserved.tokens, "used {usage:?} of {reserved:?}");
        ledger.settled.push((reserved.money, actual, usage));
        Ok(())
    }

    async fn release(&self, reservation: ReservationId) -> Result<(), AccountError> {
        let mut ledger = self.0.lock().unwrap();
        ledger.open.remove(&reservation.0).expect("released once");
        ledger.released += 1;
        Ok(())
    }
}
