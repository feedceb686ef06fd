//! The store's budget and transcripts, as an agent's task sees them: through its lease and no other way; and its files.

use std::sync::Arc;

use async_trait::async_trait;
use pairbot_protocol::budget::{Amount, Scope};
use pairbot_protocol::ids::{MalformedId, Money, TreeSha, Usage};

use crate::agents::{Checkpoint, CheckpointError, Repository, TranscriptError, TranscriptStore, Turn};
use crate::gateway::{AccountError, BudgetAccount, ReservationId, Room};
use crate::git::Worktree;
use crate::ports::Clock;
use crate::store::{self, Lease, Refused, SharedLimits, Store, StoreError};

/// The budgets that a task's calls are paid from: its run's, and those that its run shares.
#[derive(Debug)]
pub struct TaskAccount {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    lease: Lease,
    limits: SharedLimits,
}

impl TaskAccount {
    /// What the holder of `lease` may spend. `limits` hold for the budgets that runs share.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, lease: Lease, limits: SharedLimits) -> Self {
        Self { store, clock, lease, limits }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn account_error(error: StoreError) -> AccountError {
    if let StoreError::BudgetExhausted(Refused { exhausted, limit, spent, reserved }) = error {
        AccountError::Exhausted { exhausted, limit, spent, reserved }
    } else if let StoreError::LeaseLost { .. } = error {
        AccountError::LeaseLost
    } else {
        AccountError::Unavailable(error.to_string())
    }
}

#[async_trait]
impl BudgetAccount for TaskAccount {
    async fn remaining(&self) -> Result<Room, AccountError> {
        let now = self.clock.now();
        let budgets = self.store.budgets(&self.lease, now).await.map_err(account_error)?;
        let (day, month) = (budgets.repository_day.taken(), budgets.installation_month.taken());
        let budgets = [
            (Scope::Run, budgets.run.limits(), budgets.run.taken()),
            (Scope::RepositoryDay, self.limits.repository_day, day),
            (Scope::InstallationMonth, self.limits.installation_month, month),
        ];
        Ok(Room::within(budgets, now))
    }

    async fn reserve(&self, amount: Amount, purpose: &str) -> Result<ReservationId, AccountError> {
        let reserved = self.store.reserve(&self.lease, amount, &self.limits, purpose, self.clock.now()).await;
        Ok(ReservationId(reserved.map_err(account_error)?.0))
    }

    async fn settle(
        &self,
        reservation: ReservationId,
        actual: Money,
        usage: Usage,
        model: &str,
    ) -> Result<(), AccountError> {
        let reservation = store::ReservationId(reservation.0);
        self.store.settle(reservation, actual, usage, model).await.map_err(account_error)
    }

    async fn release(&self, reservation: ReservationId) -> Result<(), AccountError> {
        self.store.release(store::ReservationId(reservation.0)).await.map_err(account_error)
    }
}

/// The conversation of a task, kept turn by turn.
pub(super) struct TaskTranscript {
    pub(super) store: Arc<dyn Store>,
    pub(super) lease: Lease,
    pub(super) key: String,
    /// Whether the worktree that the conversation speaks of is still there. If not, it begins anew.
    pub(super) resumes: bool,
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn transcript_error(error: StoreError) -> TranscriptError {
    if let StoreError::LeaseLost { .. } = error {
        TranscriptError::LeaseLost
    } else {
        TranscriptError::Unavailable(error.to_string())
    }
}

#[async_trait]
impl TranscriptStore for TaskTranscript {
    async fn append(&self, turn: &Turn) -> Result<(), TranscriptError> {
        let payload =
            serde_json::to_string(turn).map_err(|error| TranscriptError::Unavailable(error.to_string()))?;
        self.store
            .append_turn(&self.lease, &self.key, turn.position, &payload)
            .await
            .map_err(transcript_error)
    }

    async fn load(&self) -> Result<Vec<Turn>, TranscriptError> {
        if !self.resumes {
            return Ok(Vec::new());
        }
        let payloads = self.store.turns(self.lease.run(), &self.key).await.map_err(transcript_error)?;
        // What an older version wrote may not be readable: the conversation is taken up to there.
        Ok(payloads.iter().map_while(|payload| serde_json::from_str(payload).ok()).collect())
    }
}

/// The files of an agent's worktree.
pub(super) struct TaskFiles<'a> {
    pub(super) worktree: &'a Worktree,
}

#[async_trait]
impl Checkpoint for TaskFiles<'_> {
    async fn keep(&self) -> Result<String, CheckpointError> {
        let kept = self.worktree.checkpoint().await;
        kept.map(|tree| tree.to_string()).map_err(|error| CheckpointError(error.to_string()))
    }

    async fn go_back(&self, name: &str) -> Result<(), CheckpointError> {
        let tree: TreeSha = name.parse().map_err(|error: MalformedId| CheckpointError(error.to_string()))?;
        self.worktree.go_back(&tree).await.map_err(|error| CheckpointError(error.to_string()))
    }
}

#[async_trait]
impl Repository for TaskFiles<'_> {
    async fn begin(&self) -> Result<(), CheckpointError> {
        self.worktree.begin_repository().await.map_err(|error| CheckpointError(error.to_string()))
    }
}
