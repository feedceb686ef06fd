//! The pool: claims tasks, keeps their leases, carries them out side by side, and says what is next when one fails.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pairbot_protocol::effect::Work;
use pairbot_protocol::ids::Timestamp;
use pairbot_protocol::run::Unpublished;
use pairbot_protocol::signal::{Failure, Signal, WorkKind};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, warn};

use super::{
    Assignment, Product, Setback, Tools, create, envelope, gate, inspect, lease_keeper, open_pull_request,
    permission, publish, review,
};
use crate::bus::Bus;
use crate::store::{AttemptEnd, Claimed, StoreError, TaskEffect, TaskKinds};
use crate::telemetry::spans;

/// How much is done at once, and how patiently.
#[derive(Debug, Clone, Copy)]
pub struct PoolSettings {
    /// Agents and gates at a time.
    pub agent_slots: usize,
    /// Work that only asks GitHub, at a time. It waits for answers and little else, so many wait beside one another; GitHub's own limits
    /// are kept elsewhere.
    pub errand_slots: usize,
    /// Writes to GitHub at a time.
    pub publication_slots: usize,
    /// How long a lease lasts without a heartbeat, in milliseconds.
    pub lease_ms: u64,
    /// How often a task is tried before it is given up. A claim by a worker that died counts too.
    pub attempts_max: u32,
    /// The same for a task that only lacks GitHub, counted apart. With the pauses below, some two hours: as long as a run may work by
    /// default before its deadline ends it.
    pub outage_attempts_max: u32,
    /// The pause after the first failed attempt, in milliseconds; each further one doubles it.
    pub retry_ms: u64,
    /// The longest pause, in milliseconds.
    pub retry_ms_max: u64,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            agent_slots: 8,
            errand_slots: 32,
            publication_slots: 4,
            lease_ms: 30_000,
            attempts_max: 10,
            outage_attempts_max: 60,
            retry_ms: 1_000,
            retry_ms_max: 120_000,
        }
    }
}

/// Workers of one process.
#[derive(Clone)]
pub struct Workers {
    tools: Tools,
    bus: Arc<dyn Bus>,
    settings: PoolSettings,
}

impl Workers {
    /// Workers that take their tasks from a bus.
    pub fn new(tools: Tools, bus: Arc<dyn Bus>, settings: PoolSettings) -> Self {
        Self { tools, bus, settings }
    }

    /// Works until told to stop; then takes nothing new and gives what is running `drain` to end. What has not ended
    /// then is cut off and handed back, so that the next server need not wait for its lease to expire.
    pub async fn run(&self, drain: Duration) {
        tokio::join!(
            self.lane(TaskKinds::Errand, self.settings.errand_slots, drain),
            self.lane(TaskKinds::Agent, self.settings.agent_slots, drain),
            self.lane(TaskKinds::Publication, self.settings.publication_slots, drain),
        );
    }

    async fn lane(&self, kinds: TaskKinds, slots: usize, drain: Duration) {
        let (stop, cut) = (&self.tools.stop, CancellationToken::new());
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            while running.try_join_next().is_some() {}
            let Some(free) = NonZeroUsize::new(slots.saturating_sub(running.len())) else {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    _ = running.join_next() => {}
                }
                continue;
            };
            let claimed = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                claimed = self.bus.next(kinds, free) => claimed,
                Some(_) = running.join_next() => continue,
            };
            match claimed {
                Ok(tasks) => {
                    for task in tasks {
                        let (workers, cut) = (self.clone(), cut.clone());
                        running.spawn(async move { workers.carry_out(task, &cut).await });
                    }
                }
                Err(error) => {
                    error!(%error, "no tasks could be claimed; the worker tries again");
                    self.tools.clock.sleep(Duration::from_millis(self.settings.retry_ms)).await;
                }
            }
        }
        tokio::select! {
            biased;
            () = all(&mut running) => {}
            () = self.tools.clock.sleep(drain) => {
                warn!(tasks = running.len(), "tasks still run although the time to end is over; they are handed back");
                cut.cancel();
                all(&mut running).await;
            }
        }
    }

    /// Carries out one task to whatever end, or until it is cut off.
    async fn carry_out(&self, claimed: Claimed, cut: &CancellationToken) {
        let (lease, attempt) = (claimed.lease.clone(), claimed.attempt);
        let kind = kind_of(&claimed.effect);
        let span = spans::task(&lease.run(), lease.task(), &kind, attempt);
        let result = async {
            let outcome = tokio::select! {
                biased;
                ended = self.keep_lease(&claimed) => Err(ended),
                outcome = self.perform(&claimed) => outcome,
                () = cut.cancelled() => Err(Setback::HandedBack),
            };
            self.conclude(&claimed, outcome).await
        };
        if let Err(error) = result.instrument(span).await {
            // The lease expires and the task is tried again: nothing is lost but time.
            error!(%error, task = %lease.task(), "the end of a task could not be stored");
        }
    }

    async fn perform(&self, claimed: &Claimed) -> Result<Product, Setback> {
        let Some(stored) = self.tools.store.run(claimed.lease.run()).await? else {
            return Err(Setback::Cancelled);
        };
        let assignment = Assignment { claimed, run: stored.run, store: &*self.tools.store };
        let tools = &self.tools;
        match &claimed.effect {
            TaskEffect::Work(work) => match work {
                Work::Inspect { by } => inspect::inspect(tools, &assignment, by).await,
                Work::ReadPermission { request, of } => {
                    permission::read(tools, &assignment, *request, of).await
                }
                Work::Create { round, attempt, onto } => {
                    create::create(tools, &assignment, *round, *attempt, onto.as_ref()).await
                }
                Work::OpenPullRequest { head } => open_pull_request::open(tools, &assignment, head).await,
                Work::Review { reviewer, round, head } => {
                    review::review(tools, &assignment, reviewer, *round, head).await
                }
                Work::Gate { gate, head } => gate::examine(tools, &assignment, gate, head).await,
            },
            TaskEffect::Publication(publication) => {
                let mut product = publish::publish(tools, &assignment, publication).await?;
                let lacked = |missing: &Unpublished| missing.publication.as_ref() == Some(publication);
                if assignment.run.unpublished.iter().any(lacked) {
                    let signal = Signal::Published { publication: publication.clone() };
                    product.done.signals.push(envelope(&assignment.run, signal));
                }
                Ok(product)
            }
        }
    }

    async fn keep_lease(&self, claimed: &Claimed) -> Setback {
        let (tools, lease_ms) = (&self.tools, self.settings.lease_ms);
        let extend = |now| tools.store.heartbeat(&claimed.lease, now, lease_ms);
        let withdrawn = tools.store.work_withdrawn();
        lease_keeper::keep(&*tools.clock, claimed.lease.until(), lease_ms, &withdrawn, extend).await
    }

    async fn conclude(&self, claimed: &Claimed, outcome: Result<Product, Setback>) -> Result<(), StoreError> {
        let (store, lease, now) = (&self.tools.store, &claimed.lease, self.tools.clock.now());
        let stored = match outcome {
            Ok(product) => {
                let stored = store.complete(lease, product.done, now).await;
                if let (Ok(()), Some(worktree)) = (&stored, product.leftover)
                    && let Err(error) = worktree.close().await
                {
                    warn!(%error, "a worktree was left behind; the next sweep removes it");
                }
                stored
            }
            Err(Setback::Snooze { until, why }) => {
                info!(until = until.unix_ms, why, "a task waits");
                let until = until.max(now.plus_ms(1));
                store.retry_later(lease, until, &why, AttemptEnd::Snoozed).await
            }
            Err(Setback::HandedBack) => {
                info!("a task is handed back: the server stops");
                store.retry_later(lease, now, "the server stopped", AttemptEnd::Snoozed).await
            }
            Err(Setback::Retry(why)) if claimed.attempt < self.settings.attempts_max => {
                self.try_again(claimed, &why, AttemptEnd::Failed, claimed.attempt, now).await
            }
            Err(Setback::Outage(why)) if claimed.outages + 1 < self.settings.outage_attempts_max => {
                self.try_again(claimed, &why, AttemptEnd::Outage, claimed.outages + 1, now).await
            }
            Err(Setback::Retry(why) | Setback::Outage(why)) => {
                let attempts = claimed.attempt.saturating_add(claimed.outages);
                let detail = format!("given up after {attempts} attempts: {why}");
                self.bury(claimed, Failure::Agent, detail, now).await
            }
            Err(Setback::GiveUp { failure, detail }) => self.bury(claimed, failure, detail, now).await,
            Err(Setback::Cancelled) => {
                debug!("a task is no longer wanted");
                store.complete(lease, Product::nothing().done, now).await
            }
        };
        match stored {
            // Whoever took the lease, or withdrew the work, decides what becomes of the task.
            Err(StoreError::LeaseLost { .. }) => {
                // The pull request may be there all the same, and no result can say so any more.
                if matches!(claimed.effect, TaskEffect::Work(Work::OpenPullRequest { .. })) {
                    self.tools.reconciler.ask();
                }
                Ok(())
            }
            other => other,
        }
    }

    async fn try_again(
        &self,
        claimed: &Claimed,
        why: &str,
        end: AttemptEnd,
        number: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let at = self.again_at(now, number);
        warn!(attempt = claimed.attempt, outages = claimed.outages, why, "a task is tried again");
        self.tools.store.retry_later(&claimed.lease, at, why, end).await
    }

    async fn bury(
        &self,
        claimed: &Claimed,
        failure: Failure,
        detail: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        warn!(%detail, "a task is given up");
        let lease = &claimed.lease;
        let signals = match self.tools.store.run(lease.run()).await {
            Ok(Some(stored)) => vec![envelope(&stored.run, failed(&claimed.effect, failure, &detail))],
            Ok(None) => Vec::new(),
            // Nobody can be told; the dead letter is what is left to say it.
            Err(error @ StoreError::Unreadable { .. }) => {
                error!(%error, "a run cannot be read, so it does not hear of a task that was given up");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        self.tools.store.bury(lease, &detail, signals, now).await
    }

    /// Exponential, with up to half of it again at random, so that tasks that failed together do not return together.
    fn again_at(&self, now: Timestamp, attempt: u32) -> Timestamp {
        let doubled = self.settings.retry_ms.saturating_mul(1_u64 << attempt.saturating_sub(1).min(20));
        let pause = doubled.min(self.settings.retry_ms_max).max(1);
        now.plus_ms(pause.saturating_add(self.tools.entropy.bits() % (pause / 2 + 1)))
    }
}

/// Returns once every one of them has ended.
async fn all(running: &mut JoinSet<()>) {
    while running.join_next().await.is_some() {}
}

fn failed(effect: &TaskEffect, failure: Failure, detail: &str) -> Signal {
    let work = match effect {
        TaskEffect::Work(Work::Inspect { .. }) => WorkKind::Inspect,
        TaskEffect::Work(Work::ReadPermission { request, .. }) => {
            WorkKind::ReadPermission { request: *request }
        }
        TaskEffect::Work(Work::Create { .. }) => WorkKind::Create,
        TaskEffect::Work(Work::OpenPullRequest { .. }) => WorkKind::OpenPullRequest,
        TaskEffect::Work(Work::Review { reviewer, head, .. }) => {
            WorkKind::Review { reviewer: reviewer.clone(), head: head.clone() }
        }
        TaskEffect::Work(Work::Gate { gate, head }) => {
            WorkKind::Gate { gate: gate.clone(), head: head.clone() }
        }
        TaskEffect::Publication(publication) => WorkKind::Publish { publication: Some(publication.clone()) },
    };
    let detail = detail.chars().take(2_000).collect();
    Signal::TaskFailed { work, failure, detail }
}

fn kind_of(effect: &TaskEffect) -> String {
    match effect {
        TaskEffect::Work(work) => work.lane(),
        TaskEffect::Publication(publication) => publication.key(),
    }
}
