//! The real store, reached as a simulation needs it: one call after the other, and with trouble.

use std::sync::Arc;

use async_trait::async_trait;
use pairbot::store::{
    Accepted, AttemptEnd, Audited, Budget, Budgets, Claimed, Commit, Committed, Counts, Cutoff, DeadLetter,
    Delivery, Done, InboxId, InboxRow, Lease, LedgerEntry, OpenReservation, Origin, Pruned, Replayed,
    ReservationId, Result, RunFilter, RunSummary, SharedBudget, SharedLimits, SpendLine, Store, StoreError,
    StoredRun, TaskKinds, TaskRecord, Tombstone, UnreadableSignal,
};
use pairbot_protocol::budget::Amount;
use pairbot_protocol::ids::{Money, RepositoryId, RunId, TaskId, Timestamp, Usage};
use pairbot_protocol::signal::{Envelope, Spend, Target};
use tokio::sync::Notify;

use super::here::here;
use super::weather::Life;

/// A store behind the weather.
#[derive(Debug)]
pub(super) struct TroubledStore<S> {
    pub(super) store: S,
    pub(super) life: Arc<Life>,
}

impl<S: Store> TroubledStore<S> {
    async fn around<T>(&self, what: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let weather = self.life.weather();
        let answered = self.life.call(what, async {
            if weather.chance.per_mille(weather.rates().store) {
                let detail = "on purpose".to_owned();
                let error = match weather.chance.below(4) {
                    0 => StoreError::Full { detail },
                    1 => StoreError::Unavailable { detail },
                    _ => StoreError::Busy { detail },
                };
                weather.note(format_args!("store.{what}: {error}"));
                return Err(error);
            }
            here(call)
        });
        answered.await.unwrap_or_else(|_gone| Err(StoreError::Unavailable { detail: "no power".to_owned() }))
    }
}

#[async_trait]
impl<S: Store> Store for TroubledStore<S> {
    async fn accept(&self, delivery: Delivery) -> Result<Accepted> {
        self.around("accept", self.store.accept(delivery)).await
    }

    async fn inbox_pending(&self, limit: usize) -> Result<Vec<InboxRow>> {
        self.around("inbox_pending", self.store.inbox_pending(limit)).await
    }

    async fn inbox_settle(&self, id: InboxId, note: &str, now: Timestamp) -> Result<()> {
        self.around("inbox_settle", self.store.inbox_settle(id, note, now)).await
    }

    async fn inbox_set_aside(&self, id: InboxId, why: &str) -> Result<()> {
        self.around("inbox_set_aside", self.store.inbox_set_aside(id, why)).await
    }

    async fn run(&self, id: RunId) -> Result<Option<StoredRun>> {
        self.around("run", self.store.run(id)).await
    }

    async fn runs_for(&self, target: &Target) -> Result<Vec<RunId>> {
        self.around("runs_for", self.store.runs_for(target)).await
    }

    async fn commit(&self, decision: Commit) -> Result<Committed> {
        self.around("commit", self.store.commit(decision)).await
    }

    async fn ledger(&self, run: RunId) -> Result<Vec<LedgerEntry>> {
        self.around("ledger", self.store.ledger(run)).await
    }

    async fn audit(&self, run: Option<RunId>) -> Result<Audited> {
        self.around("audit", self.store.audit(run)).await
    }

    async fn origins(&self, run: RunId) -> Result<Vec<Origin>> {
        self.around("origins", self.store.origins(run)).await
    }

    async fn run_list(&self, filter: RunFilter) -> Result<Vec<RunSummary>> {
        self.around("run_list", self.store.run_list(filter)).await
    }

    async fn claim(
        &self,
        kinds: TaskKinds,
        slots: usize,
        worker: &str,
        now: Timestamp,
        lease_ms: u64,
    ) -> Result<Vec<Claimed>> {
        self.around("claim", self.store.claim(kinds, slots, worker, now, lease_ms)).await
    }

    async fn confirm(&self, lease: &Lease) -> Result<()> {
        self.around("confirm", self.store.confirm(lease)).await
    }

    async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_ms: u64) -> Result<()> {
        self.around("heartbeat", self.store.heartbeat(lease, now, lease_ms)).await
    }

    async fn complete(&self, lease: &Lease, done: Done, now: Timestamp) -> Result<()> {
        self.around("complete", self.store.complete(lease, done, now)).await
    }

    async fn retry_later(
        &self,
        lease: &Lease,
        not_before: Timestamp,
        error: &str,
        end: AttemptEnd,
    ) -> Result<()> {
        self.around("retry_later", self.store.retry_later(lease, not_before, error, end)).await
    }

    async fn bury(&self, lease: &Lease, reason: &str, signals: Vec<Envelope>, now: Timestamp) -> Result<()> {
        self.around("bury", self.store.bury(lease, reason, signals, now)).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<TaskRecord>> {
        self.around("dead_letters", self.store.dead_letters(limit)).await
    }

    async fn unreadable_signals(&self, limit: usize) -> Result<Vec<UnreadableSignal>> {
        self.around("unreadable_signals", self.store.unreadable_signals(limit)).await
    }

    async fn unreadable_signal(&self, id: InboxId) -> Result<Option<UnreadableSignal>> {
        self.around("unreadable_signal", self.store.unreadable_signal(id)).await
    }

    async fn replay(&self, letter: DeadLetter, by: &str, now: Timestamp) -> Result<Replayed> {
        self.around("replay", self.store.replay(letter, by, now)).await
    }

    async fn drop_letter(&self, letter: DeadLetter, by: &str, reason: &str, now: Timestamp) -> Result<()> {
        self.around("drop_letter", self.store.drop_letter(letter, by, reason, now)).await
    }

    async fn task(&self, id: TaskId) -> Result<Option<TaskRecord>> {
        self.around("task", self.store.task(id)).await
    }

    async fn tasks(&self, run: RunId) -> Result<Vec<TaskRecord>> {
        self.around("tasks", self.store.tasks(run)).await
    }

    async fn receipt(&self, run: RunId, key: &str) -> Result<Option<String>> {
        self.around("receipt", self.store.receipt(run, key)).await
    }

    async fn next_task_at(&self) -> Result<Option<Timestamp>> {
        self.around("next_task_at", self.store.next_task_at()).await
    }

    async fn fire_timers(&self, now: Timestamp) -> Result<usize> {
        self.around("fire_timers", self.store.fire_timers(now)).await
    }

    async fn next_timer(&self) -> Result<Option<Timestamp>> {
        self.around("next_timer", self.store.next_timer()).await
    }

    async fn reserve(
        &self,
        lease: &Lease,
        amount: Amount,
        limits: &SharedLimits,
        purpose: &str,
        now: Timestamp,
    ) -> Result<ReservationId> {
        self.around("reserve", self.store.reserve(lease, amount, limits, purpose, now)).await
    }

    async fn settle(
        &self,
        reservation: ReservationId,
        actual: Money,
        usage: Usage,
        model: &str,
    ) -> Result<()> {
        self.around("settle", self.store.settle(reservation, actual, usage, model)).await
    }

    async fn release(&self, reservation: ReservationId) -> Result<()> {
        self.around("release", self.store.release(reservation)).await
    }

    async fn budget(&self, run: RunId) -> Result<Budget> {
        self.around("budget", self.store.budget(run)).await
    }

    async fn budgets(&self, lease: &Lease, now: Timestamp) -> Result<Budgets> {
        self.around("budgets", self.store.budgets(lease, now)).await
    }

    async fn shared_budgets(&self, now: Timestamp) -> Result<Vec<SharedBudget>> {
        self.around("shared_budgets", self.store.shared_budgets(now)).await
    }

    async fn open_reservations(&self, run: Option<RunId>) -> Result<Vec<OpenReservation>> {
        self.around("open_reservations", self.store.open_reservations(run)).await
    }

    async fn costs_of_ended(&self, repository: RepositoryId, limit: usize) -> Result<Vec<Money>> {
        self.around("costs_of_ended", self.store.costs_of_ended(repository, limit)).await
    }

    async fn spend_of(&self, task: TaskId) -> Result<Spend> {
        self.around("spend_of", self.store.spend_of(task)).await
    }

    async fn spend_lines(&self, run: RunId) -> Result<Vec<SpendLine>> {
        self.around("spend_lines", self.store.spend_lines(run)).await
    }

    async fn append_turn(&self, lease: &Lease, key: &str, turn: u32, payload: &str) -> Result<()> {
        self.around("append_turn", self.store.append_turn(lease, key, turn, payload)).await
    }

    async fn turns(&self, run: RunId, key: &str) -> Result<Vec<String>> {
        self.around("turns", self.store.turns(run, key)).await
    }

    async fn prunable(&self, cutoff: Cutoff) -> Result<Pruned> {
        self.around("prunable", self.store.prunable(cutoff)).await
    }

    async fn prune(&self, cutoff: Cutoff, now: Timestamp) -> Result<Pruned> {
        self.around("prune", self.store.prune(cutoff, now)).await
    }

    async fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.around("tombstones", self.store.tombstones()).await
    }

    async fn ping(&self) -> Result<()> {
        self.around("ping", self.store.ping()).await
    }

    async fn counts(&self) -> Result<Counts> {
        self.around("counts", self.store.counts()).await
    }

    fn inbox_changed(&self) -> Arc<Notify> {
        self.store.inbox_changed()
    }

    fn outbox_changed(&self) -> Arc<Notify> {
        self.store.outbox_changed()
    }

    fn work_withdrawn(&self) -> Arc<Notify> {
        self.store.work_withdrawn()
    }
}
