//! The durable state: what a store promises.
//!
//! One door in ([`Store::accept`]), one door out ([`Store::claim`]), and one transaction per decision
//! ([`Store::commit`]). Whatever a method answered with `Ok` survives a crash; whatever it answered with an error
//! changed nothing. A store has no clock: every moment is given to it.

mod audit;
mod budget;
mod counts;
mod dead;
mod error;
mod inbox;
mod ledger;
mod retention;
pub mod sqlite;
mod task;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pairbot_protocol::budget::Amount;
use pairbot_protocol::ids::{Money, RepositoryId, RunId, TaskId, Timestamp, Usage};
use pairbot_protocol::signal::{Envelope, Spend, Target};
use tokio::sync::Notify;

pub use audit::{Audited, Fault, Origin, OriginDelivery};
pub use budget::{
    Budget, Budgets, OpenReservation, Owner, Refused, ReservationId, SharedBudget, SharedLimits, SpendLine,
};
pub use counts::{Counts, TaskCounts};
pub use dead::{Act, DeadLetter, Intervention, NoDeadLetter, Replayed, UnreadableSignal};
pub use error::{Result, StoreError};
pub use inbox::{Accepted, Content, Delivery, InboxId, InboxRow};
pub use ledger::{Commit, Committed, LedgerEntry, RunFilter, RunSummary, StoredRun};
pub use retention::{Cutoff, Kept, Pruned, Tombstone};
pub use task::{
    AttemptEnd, Claimed, Done, FailedAttempt, Lease, TaskEffect, TaskKinds, TaskRecord, TaskState,
};

/// The durable state of a server.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    // The inbox.

    /// Stores a delivery unless it, or one with the same meaning, was stored before. Refuses with
    /// [`StoreError::Busy`] rather than waits when too much is waiting already.
    async fn accept(&self, delivery: Delivery) -> Result<Accepted>;

    /// Signals that wait for their decision, oldest first, at most `limit`. Installations have equal shares of them: one
    /// with thousands waiting holds up no other. A row that this version cannot read is
    /// set aside, recorded with the reason, and does not hold up others.
    async fn inbox_pending(&self, limit: usize) -> Result<Vec<InboxRow>>;

    /// Settles a signal that was looked at and is for nobody; `note` says why.
    async fn inbox_settle(&self, id: InboxId, note: &str, now: Timestamp) -> Result<()>;

    /// Sets a signal aside that cannot be decided, so that it holds up nobody. It is kept, with the reason.
    async fn inbox_set_aside(&self, id: InboxId, why: &str) -> Result<()>;

    // Runs.

    /// A run and how many events it has.
    async fn run(&self, id: RunId) -> Result<Option<StoredRun>>;

    /// The runs that a target names: for an issue its newest run; for a pull request the newest run that owns it,
    /// else the newest run of the issue whose branch it has; for a head every run that is not over and has it; for
    /// a run itself if it exists.
    async fn runs_for(&self, target: &Target) -> Result<Vec<RunId>>;

    /// Makes a decision true, whole or not at all: events are appended, the run's state replaced, tasks queued,
    /// work withdrawn, the budget and timers set, and the row of the inbox settled.
    async fn commit(&self, decision: Commit) -> Result<Committed>;

    /// All events of a run, oldest first, after checking that every hash follows from its predecessor.
    async fn ledger(&self, run: RunId) -> Result<Vec<LedgerEntry>>;

    /// Follows the ledger of a run, or of every run with all tombstones, and finds whatever is not as it was written.
    async fn audit(&self, run: Option<RunId>) -> Result<Audited>;

    /// The signals that the events of a run were decided on, as far as they are known.
    async fn origins(&self, run: RunId) -> Result<Vec<Origin>>;

    /// Runs, newest first.
    async fn run_list(&self, filter: RunFilter) -> Result<Vec<RunSummary>>;

    // The outbox.

    /// Leases up to `slots` tasks to `worker` until `now + lease_ms`.
    ///
    /// Of one lane only the oldest unfinished task is handed out, and only while none of its lane runs: a lane is
    /// the run together with [`Work::lane`](pairbot_protocol::effect::Work::lane), and all publications of a run
    /// share one. Installations take turns. A task whose lease expired is handed out again under a larger fence.
    async fn claim(
        &self,
        kinds: TaskKinds,
        slots: usize,
        worker: &str,
        now: Timestamp,
        lease_ms: u64,
    ) -> Result<Vec<Claimed>>;

    /// Extends a lease to `now + lease_ms`.
    async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_ms: u64) -> Result<()>;

    /// Sees whether a lease still holds: [`StoreError::LeaseLost`] if the task was handed out again, ended or withdrawn.
    async fn confirm(&self, lease: &Lease) -> Result<()>;

    /// Ends a task with its results, which count only if the lease still holds.
    async fn complete(&self, lease: &Lease, done: Done, now: Timestamp) -> Result<()>;

    /// Gives a task back, to be tried again from `not_before` on; `end` says what the attempt counts as.
    async fn retry_later(
        &self,
        lease: &Lease,
        not_before: Timestamp,
        error: &str,
        end: AttemptEnd,
    ) -> Result<()>;

    /// Gives a task up for good. It is kept as a dead letter; the engine hears `signals`.
    async fn bury(&self, lease: &Lease, reason: &str, signals: Vec<Envelope>, now: Timestamp) -> Result<()>;

    /// Dead letters, oldest first, at most `limit`.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<TaskRecord>>;

    /// Signals that were set aside, oldest first, at most `limit`.
    async fn unreadable_signals(&self, limit: usize) -> Result<Vec<UnreadableSignal>>;

    /// A signal that was set aside, dropped ones included.
    async fn unreadable_signal(&self, id: InboxId) -> Result<Option<UnreadableSignal>>;

    /// Tries a dead letter again in the name of `by`. A task gets fresh attempts and keeps its history; it comes back
    /// only if its run still waits for it. A signal comes back only if it can be read now.
    async fn replay(&self, letter: DeadLetter, by: &str, now: Timestamp) -> Result<Replayed>;

    /// Drops a dead letter in the name of `by`, because of `reason`. It is kept, and listed no more.
    async fn drop_letter(&self, letter: DeadLetter, by: &str, reason: &str, now: Timestamp) -> Result<()>;

    /// A task, whatever became of it.
    async fn task(&self, id: TaskId) -> Result<Option<TaskRecord>>;

    /// All tasks of a run, oldest first.
    async fn tasks(&self, run: RunId) -> Result<Vec<TaskRecord>>;

    /// The id that something published has outside, as [`Done::receipts`] recorded it.
    async fn receipt(&self, run: RunId, key: &str) -> Result<Option<String>>;

    /// When the next delayed task is due or the next lease expires. Tasks that are ready are not in it: they are
    /// there to be claimed.
    async fn next_task_at(&self) -> Result<Option<Timestamp>>;

    // Timers.

    /// Turns timers that are due into signals, each exactly once. Answers how many; a large backlog takes several
    /// calls, so call again until it is 0.
    async fn fire_timers(&self, now: Timestamp) -> Result<usize>;

    /// When the next timer is due.
    async fn next_timer(&self) -> Result<Option<Timestamp>>;

    // Money.

    /// Sets `amount` aside for a call, or refuses with [`StoreError::BudgetExhausted`], which names the budget that has
    /// no room: the run's, the repository's of this day, or the installation's of this month. All of them are looked
    /// at and changed in one transaction, and `limits` are what holds for those that runs share.
    ///
    /// A reservation counts for the periods it was made in, whenever it is settled.
    ///
    /// When the lease ends, in whatever way, what it still has reserved is charged in full: what a call whose end
    /// nobody saw has cost is unknown.
    async fn reserve(
        &self,
        lease: &Lease,
        amount: Amount,
        limits: &SharedLimits,
        purpose: &str,
        now: Timestamp,
    ) -> Result<ReservationId>;

    /// Replaces a reservation by what the call did cost. Needs no lease: the money is gone whoever asks. Replaces a
    /// charge in full as well; settled or released once, nothing changes any more.
    async fn settle(
        &self,
        reservation: ReservationId,
        actual: Money,
        usage: Usage,
        model: &str,
    ) -> Result<()>;

    /// Gives a reservation back whose call certainly cost nothing.
    async fn release(&self, reservation: ReservationId) -> Result<()>;

    /// Where a run's money is; all zero for a run that has no budget yet.
    async fn budget(&self, run: RunId) -> Result<Budget>;

    /// Every budget that the calls of a task are paid from: its run's, and those of this day and month.
    async fn budgets(&self, lease: &Lease, now: Timestamp) -> Result<Budgets>;

    /// The budgets that runs share, of this day and month, as far as anything was reserved from them.
    async fn shared_budgets(&self, now: Timestamp) -> Result<Vec<SharedBudget>>;

    /// Reservations whose calls have not ended, of a run or of all, oldest first.
    async fn open_reservations(&self, run: Option<RunId>) -> Result<Vec<OpenReservation>>;

    /// What the newest runs of a repository have cost that are over and called a model, at most `limit` of them.
    async fn costs_of_ended(&self, repository: RepositoryId, limit: usize) -> Result<Vec<Money>>;

    /// What a task has cost so far, reservations that are still open not included.
    async fn spend_of(&self, task: TaskId) -> Result<Spend>;

    /// What a run has cost, by round, agent and model, in that order.
    async fn spend_lines(&self, run: RunId) -> Result<Vec<SpendLine>>;

    // Transcripts.

    /// Keeps a turn of an agent's conversation. Turns count from 0 without gaps; writing one again replaces it and
    /// drops all that followed it.
    async fn append_turn(&self, lease: &Lease, key: &str, turn: u32, payload: &str) -> Result<()>;

    /// The turns of a conversation, in order.
    async fn turns(&self, run: RunId, key: &str) -> Result<Vec<String>>;

    // Retention.

    /// What [`Self::prune`] would forget now.
    async fn prunable(&self, cutoff: Cutoff) -> Result<Pruned>;

    /// Forgets settled signals and runs that are over, as far as they are older than the cutoff. Of each run a
    /// tombstone is kept, and its name is never given again. Whatever waits for somebody is kept: signals that cannot
    /// be read, runs with dead letters, and runs whose ledger does not hold.
    async fn prune(&self, cutoff: Cutoff, now: Timestamp) -> Result<Pruned>;

    /// What is left of the runs that were pruned, in the order in which they were.
    async fn tombstones(&self) -> Result<Vec<Tombstone>>;

    // The store itself.

    /// Whether the store can read and write now.
    async fn ping(&self) -> Result<()>;

    /// How much it holds.
    async fn counts(&self) -> Result<Counts>;

    /// Notified after signals were stored. To miss nothing, ask for `notified()` before looking into the inbox.
    fn inbox_changed(&self) -> Arc<Notify>;

    /// Notified after tasks became ready or delayed. To miss nothing, `enable()` a `notified()` before claiming.
    fn outbox_changed(&self) -> Arc<Notify>;

    /// Notified after work was withdrawn. Who carries out a task asks then whether its lease still holds, and stops at
    /// once if it does not; the next heartbeat would tell as much, later.
    fn work_withdrawn(&self) -> Arc<Notify>;
}
