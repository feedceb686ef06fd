//! The embedded store: one SQLite file, one process, one thread that writes.

mod audit;
mod backup;
mod budget;
mod claim;
mod columns;
mod dead;
mod failure;
mod inbox;
mod lease;
mod ledger;
mod lock;
mod lookup;
mod outbox;
mod prune;
mod readers;
mod schema;
mod shared_budget;
mod soundness;
mod spend;
mod tasks;
mod timers;
mod transcripts;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pairbot_protocol::budget::Amount;
use pairbot_protocol::ids::{Money, RepositoryId, RunId, TaskId, Timestamp, Usage};
use pairbot_protocol::signal::{Envelope, Spend, Target};
use rusqlite::Connection;
use tokio::sync::Notify;

use self::claim::{Claim, Turn};
use self::dead::Doing;
use self::inbox::{NewRow, RowState};
use self::lease::Results;
use self::ledger::NewDecision;
use self::lock::FileLock;
use self::readers::Readers;
use self::writer::Writer;
use super::{
    Accepted, AttemptEnd, Audited, Budget, Budgets, Claimed, Commit, Committed, Counts, Cutoff, DeadLetter,
    Delivery, Done, InboxId, InboxRow, Lease, LedgerEntry, OpenReservation, Origin, Pruned, Replayed,
    ReservationId, Result, RunFilter, RunSummary, SharedBudget, SharedLimits, SpendLine, Store, StoredRun,
    TaskKinds, TaskRecord, Tombstone, UnreadableSignal,
};

/// A store in one SQLite file, for one process.
#[derive(Debug)]
pub struct SqliteStore {
    // In the order in which they are let go: changes under way end before somebody else may open the file, and the
    // connection that writes is the last one, so that it folds the write-ahead log into the file.
    readers: Readers,
    writer: Writer,
    turn: Arc<Mutex<Turn>>,
    inbox_changed: Arc<Notify>,
    outbox_changed: Arc<Notify>,
    work_withdrawn: Arc<Notify>,
    lock: Option<FileLock>,
}

impl SqliteStore {
    /// Opens a file that a server may have open, for a command of an operator: leases stay as they are, and the
    /// schema must be this version's.
    pub fn beside(path: &Path) -> Result<Self> {
        let db = schema::open_beside(path)?;
        Self::over(db, path.to_owned(), None)
    }

    /// Copies the database at `from` to a new file, whether a server has it open or not. Waits for the disk. Gives the
    /// size of the copy in bytes.
    pub fn backup(from: &Path, to: &Path) -> Result<u64> {
        backup::copy(from, to)
    }

    fn over(db: Connection, path: PathBuf, lock: Option<FileLock>) -> Result<Self> {
        Ok(Self {
            writer: Writer::start(db)?,
            readers: Readers::new(path),
            turn: Arc::default(),
            inbox_changed: Arc::default(),
            outbox_changed: Arc::default(),
            work_withdrawn: Arc::default(),
            lock,
        })
    }

    /// Opens a file, creating or upgrading it. Refuses with [`super::StoreError::InUse`] while another process has
    /// it open. Waits for the disk: call it before anything else runs, or on a thread that may wait.
    ///
    /// Leases that were held when the file was last closed have ended: their holders are gone with their process.
    pub fn open(path: &Path) -> Result<Self> {
        // By its one true name, so that a link to the file leads to the same lock.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut lock = FileLock::take(&path)?;
        soundness::before_opening(&path, lock.was_cut_off())?;
        if !path.exists() {
            schema::create(&path)?;
        }
        let db = schema::open_writer(&path)?;
        soundness::after_opening(&db, &path)?;
        lease::end_all(&db)?;
        // Something is written, so that the log is there, on the disk, before it is noted that it must be.
        prune::tally(&db, "starts", 1)?;
        lock.note_open()?;
        Self::over(db, path, Some(lock))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Some(lock) = &mut self.lock {
            lock.note_closing();
        }
        self.readers.close();
    }
}

/// Wakes everybody who waits, and the next who would have begun to wait a moment too late.
fn notify(changed: &Notify) {
    changed.notify_waiters();
    changed.notify_one();
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, delivery: Delivery) -> Result<Accepted> {
        let row = NewRow::of_delivery(delivery)?;
        let accepted = self.writer.offer(move |db| inbox::accept(db, &row)).await?;
        match accepted {
            Accepted::New => notify(&self.inbox_changed),
            Accepted::SameDelivery | Accepted::SameMeaning => {}
        }
        Ok(accepted)
    }

    async fn inbox_pending(&self, limit: usize) -> Result<Vec<InboxRow>> {
        loop {
            let found = self.readers.read(move |db| inbox::pending(db, limit)).await?;
            let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
            for row in found {
                match row {
                    Ok(row) => rows.push(row),
                    Err(row) => unreadable.push(row),
                }
            }
            if unreadable.is_empty() {
                return Ok(rows);
            }
            for (id, error) in &unreadable {
                tracing::error!(inbox = %id, %error, "set aside a signal that this version cannot read");
            }
            self.writer.write(move |db| inbox::set_aside(db, &unreadable)).await?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    async fn inbox_settle(&self, id: InboxId, note: &str, now: Timestamp) -> Result<()> {
        let note = note.to_owned();
        self.writer.write(move |db| inbox::settle(db, id, RowState::Ignored, Some(&note), Some(now))).await
    }

    async fn inbox_set_aside(&self, id: InboxId, why: &str) -> Result<()> {
        let why = why.to_owned();
        self.writer.write(move |db| inbox::settle(db, id, RowState::Unreadable, Some(&why), None)).await
    }

    async fn run(&self, id: RunId) -> Result<Option<StoredRun>> {
        self.readers.read(move |db| ledger::run(db, id)).await
    }

    async fn runs_for(&self, target: &Target) -> Result<Vec<RunId>> {
        let target = target.clone();
        self.readers.read(move |db| lookup::runs_for(db, &target)).await
    }

    async fn commit(&self, decision: Commit) -> Result<Committed> {
        let decision = NewDecision::of(decision)?;
        let withdraws = decision.withdraws_work();
        let committed = self.writer.write(move |db| ledger::commit(db, &decision)).await?;
        if !committed.tasks.is_empty() {
            notify(&self.outbox_changed);
        }
        if withdraws {
            self.work_withdrawn.notify_waiters();
        }
        Ok(committed)
    }

    async fn ledger(&self, run: RunId) -> Result<Vec<LedgerEntry>> {
        self.readers.read(move |db| ledger::entries(db, run)).await
    }

    async fn audit(&self, run: Option<RunId>) -> Result<Audited> {
        if let Some(run) = run {
            return self.readers.read(move |db| audit::run(db, run)).await;
        }
        // One snapshot a run: whoever writes meanwhile is not held up by a long one.
        let mut total = self.readers.read(audit::tombstones).await?;
        for run in self.readers.read(audit::runs).await? {
            let one = self.readers.read(move |db| audit::run(db, run)).await?;
            total.runs += one.runs;
            total.events += one.events;
            total.faults.extend(one.faults);
        }
        total.faults.extend(self.readers.read(audit::shared_budgets).await?);
        Ok(total)
    }

    async fn origins(&self, run: RunId) -> Result<Vec<Origin>> {
        self.readers.read(move |db| audit::origins(db, run)).await
    }

    async fn run_list(&self, filter: RunFilter) -> Result<Vec<RunSummary>> {
        self.readers.read(move |db| lookup::list(db, filter)).await
    }

    async fn claim(
        &self,
        kinds: TaskKinds,
        slots: usize,
        worker: &str,
        now: Timestamp,
        lease_ms: u64,
    ) -> Result<Vec<Claimed>> {
        let claim = Claim { kinds, slots, worker: worker.to_owned(), now, lease_ms };
        let turn = Arc::clone(&self.turn);
        let hand = self
            .writer
            .write(move |db| claim.make(db, &mut turn.lock().unwrap_or_else(PoisonError::into_inner)))
            .await?;
        if hand.buried > 0 {
            notify(&self.inbox_changed);
        }
        if hand.promoted > hand.claimed.len() {
            // What became ready may be for somebody who waits for the other kind.
            notify(&self.outbox_changed);
        }
        Ok(hand.claimed)
    }

    async fn heartbeat(&self, lease: &Lease, now: Timestamp, lease_ms: u64) -> Result<()> {
        let (lease, until) = (lease.clone(), now.plus_ms(lease_ms));
        self.writer.write(move |db| lease::heartbeat(db, &lease, until)).await
    }

    async fn confirm(&self, lease: &Lease) -> Result<()> {
        let lease = lease.clone();
        self.readers.read(move |db| lease::check(db, &lease).map(drop)).await
    }

    async fn complete(&self, lease: &Lease, done: Done, now: Timestamp) -> Result<()> {
        let signalled = !done.signals.is_empty();
        let results = Results::of(lease.task(), done, now)?;
        let lease = lease.clone();
        self.writer.write(move |db| lease::complete(db, &lease, &results, now)).await?;
        if signalled {
            notify(&self.inbox_changed);
        }
        notify(&self.outbox_changed);
        Ok(())
    }

    async fn retry_later(
        &self,
        lease: &Lease,
        not_before: Timestamp,
        error: &str,
        end: AttemptEnd,
    ) -> Result<()> {
        let (lease, error) = (lease.clone(), error.to_owned());
        self.writer.write(move |db| lease::retry_later(db, &lease, not_before, &error, end)).await?;
        notify(&self.outbox_changed);
        Ok(())
    }

    async fn bury(&self, lease: &Lease, reason: &str, signals: Vec<Envelope>, now: Timestamp) -> Result<()> {
        let rows = lease::signals(lease.task(), &signals, now)?;
        let (lease, reason, signalled) = (lease.clone(), reason.to_owned(), !rows.is_empty());
        self.writer.write(move |db| lease::bury(db, &lease, &reason, &rows, now)).await?;
        if signalled {
            notify(&self.inbox_changed);
        }
        notify(&self.outbox_changed);
        Ok(())
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<TaskRecord>> {
        self.readers.read(move |db| tasks::dead(db, limit)).await
    }

    async fn unreadable_signals(&self, limit: usize) -> Result<Vec<UnreadableSignal>> {
        self.readers.read(move |db| dead::signals(db, limit)).await
    }

    async fn unreadable_signal(&self, id: InboxId) -> Result<Option<UnreadableSignal>> {
        self.readers.read(move |db| dead::signal(db, id)).await
    }

    async fn replay(&self, letter: DeadLetter, by: &str, now: Timestamp) -> Result<Replayed> {
        let doing = Doing { at: now, by: by.to_owned(), reason: None };
        let replayed = self.writer.write(move |db| dead::replay(db, letter, &doing)).await?;
        match letter {
            DeadLetter::Task(_) => notify(&self.outbox_changed),
            DeadLetter::Signal(_) => notify(&self.inbox_changed),
        }
        Ok(replayed)
    }

    async fn drop_letter(&self, letter: DeadLetter, by: &str, reason: &str, now: Timestamp) -> Result<()> {
        let doing = Doing { at: now, by: by.to_owned(), reason: Some(reason.to_owned()) };
        self.writer.write(move |db| dead::drop_letter(db, letter, &doing)).await
    }

    async fn task(&self, id: TaskId) -> Result<Option<TaskRecord>> {
        self.readers.read(move |db| tasks::one(db, id)).await
    }

    async fn tasks(&self, run: RunId) -> Result<Vec<TaskRecord>> {
        self.readers.read(move |db| tasks::of_run(db, run)).await
    }

    async fn receipt(&self, run: RunId, key: &str) -> Result<Option<String>> {
        let key = key.to_owned();
        self.readers.read(move |db| lease::receipt(db, run, &key)).await
    }

    async fn next_task_at(&self) -> Result<Option<Timestamp>> {
        self.readers.read(tasks::next_at).await
    }

    async fn fire_timers(&self, now: Timestamp) -> Result<usize> {
        let fired = self.writer.write(move |db| timers::fire(db, now)).await?;
        if fired > 0 {
            notify(&self.inbox_changed);
        }
        Ok(fired)
    }

    async fn next_timer(&self) -> Result<Option<Timestamp>> {
        self.readers.read(timers::next_at).await
    }

    async fn reserve(
        &self,
        lease: &Lease,
        amount: Amount,
        limits: &SharedLimits,
        purpose: &str,
        now: Timestamp,
    ) -> Result<ReservationId> {
        let (lease, limits, purpose) = (lease.clone(), *limits, purpose.to_owned());
        self.writer.write(move |db| budget::reserve(db, &lease, amount, &limits, &purpose, now)).await
    }

    async fn settle(
        &self,
        reservation: ReservationId,
        actual: Money,
        usage: Usage,
        model: &str,
    ) -> Result<()> {
        let model = model.to_owned();
        self.writer.write(move |db| budget::settle(db, reservation, actual, usage, &model)).await
    }

    async fn release(&self, reservation: ReservationId) -> Result<()> {
        self.writer.write(move |db| budget::release(db, reservation)).await
    }

    async fn budget(&self, run: RunId) -> Result<Budget> {
        self.readers.read(move |db| budget::of_run(db, run)).await
    }

    async fn budgets(&self, lease: &Lease, now: Timestamp) -> Result<Budgets> {
        let lease = lease.clone();
        self.readers.read(move |db| budget::of_task(db, &lease, now)).await
    }

    async fn shared_budgets(&self, now: Timestamp) -> Result<Vec<SharedBudget>> {
        self.readers.read(move |db| shared_budget::of_moment(db, now)).await
    }

    async fn open_reservations(&self, run: Option<RunId>) -> Result<Vec<OpenReservation>> {
        self.readers.read(move |db| spend::open(db, run)).await
    }

    async fn costs_of_ended(&self, repository: RepositoryId, limit: usize) -> Result<Vec<Money>> {
        self.readers.read(move |db| spend::of_ended(db, repository, limit)).await
    }

    async fn spend_of(&self, task: TaskId) -> Result<Spend> {
        self.readers.read(move |db| spend::of_task(db, task)).await
    }

    async fn spend_lines(&self, run: RunId) -> Result<Vec<SpendLine>> {
        self.readers.read(move |db| spend::lines(db, run)).await
    }

    async fn append_turn(&self, lease: &Lease, key: &str, turn: u32, payload: &str) -> Result<()> {
        let (lease, key, payload) = (lease.clone(), key.to_owned(), payload.to_owned());
        self.writer.write(move |db| transcripts::append(db, &lease, &key, turn, &payload)).await
    }

    async fn turns(&self, run: RunId, key: &str) -> Result<Vec<String>> {
        let key = key.to_owned();
        self.readers.read(move |db| transcripts::read(db, run, &key)).await
    }

    async fn prunable(&self, cutoff: Cutoff) -> Result<Pruned> {
        let found = self.readers.read(move |db| {
            let deliveries = prune::count_deliveries(db, prune::first_young(db, cutoff)?)?;
            Ok((deliveries, prune::runs(db, cutoff)?))
        });
        let (deliveries, runs) = found.await?;
        let mut pruned = Pruned { deliveries, ..Pruned::default() };
        for (run, kept) in runs {
            match kept {
                Some(why) => pruned.kept.push((run, why)),
                None => pruned.runs.push(run),
            }
        }
        Ok(pruned)
    }

    async fn prune(&self, cutoff: Cutoff, now: Timestamp) -> Result<Pruned> {
        // In many small transactions: deliveries are taken in meanwhile.
        let Pruned { runs, kept, .. } = self.prunable(cutoff).await?;
        let mut pruned = Pruned { kept, ..Pruned::default() };
        let bounds = move |db: &Connection| Ok((prune::first_young(db, cutoff)?, prune::hearing(db)?));
        let (young, hearing) = self.readers.read(bounds).await?;
        loop {
            let hearing = hearing.clone();
            match self.writer.write(move |db| prune::deliveries(db, young, &hearing)).await? {
                0 => break,
                gone => pruned.deliveries += gone,
            }
        }
        for run in runs {
            match self.writer.write(move |db| prune::run(db, run, cutoff, now)).await? {
                Some(why) => pruned.kept.push((run, why)),
                None => pruned.runs.push(run),
            }
        }
        Ok(pruned)
    }

    async fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.readers.read(prune::tombstones).await
    }

    async fn ping(&self) -> Result<()> {
        self.writer.write(|_| Ok(())).await
    }

    async fn counts(&self) -> Result<Counts> {
        self.readers.read(tasks::counts).await
    }

    fn inbox_changed(&self) -> Arc<Notify> {
        Arc::clone(&self.inbox_changed)
    }

    fn outbox_changed(&self) -> Arc<Notify> {
        Arc::clone(&self.outbox_changed)
    }

    fn work_withdrawn(&self) -> Arc<Notify> {
        Arc::clone(&self.work_withdrawn)
    }
}
