//! Who pays for the calls of the benchmark: a run in the real store, or a number in memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use async_trait::async_trait;
use pairbot::adapters::SystemClock;
use pairbot::gateway::{AccountError, BudgetAccount, ReservationId, Room};
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{Commit, SharedLimits, Store, TaskKinds};
use pairbot::workers::TaskAccount;
use pairbot_protocol::apply;
use pairbot_protocol::budget::{Amount, Limits, Scope};
use pairbot_protocol::effect::{Effect, StoreChange, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{
    InstallationId, IssueNumber, Money, RepositoryId, Round, RunId, Timestamp, Usage, UserId,
};
use pairbot_protocol::signal::{Actor, ActorKind, IssueFacts};

/// More than any benchmark spends.
const LIMIT: Money = Money::from_cents(100_000_000);
const NOW: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

pub(crate) async fn of(folder: &Path, memory: bool) -> anyhow::Result<Arc<dyn BudgetAccount>> {
    if memory {
        return Ok(Arc::new(Memory(AtomicU64::new(0))));
    }
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.join("bench.db"))?);
    let id = RunId { repository: RepositoryId(1), issue: IssueNumber(1), ordinal: 1 };
    let by = Actor { id: UserId(1), login: "ada".parse()?, kind: ActorKind::Person };
    let issue = IssueFacts { repository_name: "octo/demo".to_owned(), title: "Greet by name".to_owned() };
    let installation = InstallationId(1);
    store
        .commit(Commit {
            inbox: None,
            run: id,
            version_before: 0,
            run_after: apply::opened(id, installation, &by, &issue, NOW),
            events: vec![Event::Opened { run: id, installation, by, issue, at: NOW }],
            effects: vec![
                Effect::Store(StoreChange::SetBudget { limit: LIMIT, tokens: None }),
                Effect::Work(Work::Create { round: Round::FIRST, attempt: 1, onto: None }),
            ],
            at: NOW,
        })
        .await?;
    let mut claimed = store.claim(TaskKinds::All, 1, "bench", NOW, 60_000).await?;
    let lease = claimed.pop().context("nothing to claim")?.lease;
    Ok(Arc::new(TaskAccount::new(store, Arc::new(SystemClock), lease, SharedLimits::NONE)))
}

/// Money that nobody keeps.
struct Memory(AtomicU64);

#[async_trait]
impl BudgetAccount for Memory {
    async fn remaining(&self) -> Result<Room, AccountError> {
        let limits = Limits { money: Some(LIMIT), tokens: None };
        Ok(Room::within([(Scope::Run, limits, Amount::ZERO)], NOW))
    }

    async fn reserve(&self, _: Amount, _: &str) -> Result<ReservationId, AccountError> {
        Ok(ReservationId(self.0.fetch_add(1, Ordering::Relaxed)))
    }

    async fn settle(&self, _: ReservationId, _: Money, _: Usage, _: &str) -> Result<(), AccountError> {
        Ok(())
    }

    async fn release(&self, _: ReservationId) -> Result<(), AccountError> {
        Ok(())
    }
}
