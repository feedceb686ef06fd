//! Load, decide, commit: the one place where signals become decisions.
//!
//! The engine takes signals from the inbox in the order they were stored, asks the protocol, and makes the answer
//! true in one transaction with the settling of the signal. A crash at any point leaves the signal in the inbox or
//! the decision in the ledger, never neither and never half of it (promise P1).

pub mod retention;
mod route;
mod strands;

use std::sync::Arc;

use futures_util::future::join_all;
use pairbot_protocol::decide::{Decision, decide, open};
use pairbot_protocol::ids::{RunId, Timestamp};
use pairbot_protocol::invariants;
use pairbot_protocol::signal::Signal;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info_span, warn};

use crate::ports::Clock;
use crate::store::{Commit, InboxId, InboxRow, Store, StoreError};
use route::Route;
use strands::Strand;

/// How many signals are loaded at once. Each is decided and committed on its own, those of different runs side by side.
const BATCH: usize = 64;
/// How long the engine waits after the store failed, in milliseconds.
const STORE_FAILURE_PAUSE_MS: u64 = 500;
/// The longest the engine rests without showing that it is alive, in milliseconds.
const IDLE_MS_MAX: u64 = 10_000;
/// How often a decision is made anew because its run went on meanwhile.
const CONFLICTS_MAX: u32 = 16;

/// Turns signals into decisions.
#[derive(Debug, Clone)]
pub struct Engine {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Engine {
    /// An engine over a store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Works until told to stop, calling `alive` after every pass over the inbox.
    pub async fn run(&self, stop: CancellationToken, alive: impl Fn(Timestamp) + Send) {
        let changed = self.store.inbox_changed();
        while !stop.is_cancelled() {
            // Asked for before looking, so that what is stored while we look wakes us.
            let notified = changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let wake_at = self.pass_and_next().await.unwrap_or_else(|error| {
                error!(%error, "the engine could not work; it tries again");
                self.clock.now().plus_ms(STORE_FAILURE_PAUSE_MS)
            });
            alive(self.clock.now());
            if wake_at <= self.clock.now() {
                // More may be waiting; let other tasks of the runtime have their turn first.
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = &mut notified => {}
                () = self.clock.sleep_until(wake_at) => {}
            }
        }
    }

    /// One pass, and when the next is due: now if there was something to do, else when a timer is due, and never later
    /// than a sign of life is.
    async fn pass_and_next(&self) -> Result<Timestamp, StoreError> {
        if self.pass().await? > 0 {
            return Ok(self.clock.now());
        }
        let sign_of_life = self.clock.now().plus_ms(IDLE_MS_MAX);
        Ok(self.store.next_timer().await?.map_or(sign_of_life, |timer| timer.min(sign_of_life)))
    }

    /// Fires timers that are due and decides what waits in the inbox, once. Answers how many signals it settled.
    pub async fn pass(&self) -> Result<usize, StoreError> {
        while self.store.fire_timers(self.clock.now()).await? > 0 {}
        let rows = self.store.inbox_pending(BATCH).await?;
        let count = rows.len();
        let strands = strands::part(rows).into_iter().map(|strand| self.settle_in_order(strand));
        // All of them come to an end even if one fails: what a failure in one run costs others is nothing.
        join_all(strands).await.into_iter().collect::<Result<(), _>>()?;
        Ok(count)
    }

    async fn settle_in_order(&self, strand: Strand) -> Result<(), StoreError> {
        for row in strand {
            let span = info_span!("decide", inbox = %row.id, delivery = %row.guid);
            let id = row.id;
            match self.settle(row).instrument(span).await {
                // Of this one run, for ever: it must not keep all others waiting. The signal is kept, and an operator
                // can replay it once its cause is mended.
                Err(error @ (StoreError::Unreadable { .. } | StoreError::Contradiction { .. })) => {
                    error!(inbox = %id, %error, "set aside a signal that cannot be decided");
                    self.set_aside(id, &error.to_string()).await?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn settle(&self, row: InboxRow) -> Result<(), StoreError> {
        match route::route(self.store.as_ref(), &row.envelope).await? {
            Route::Nobody(why) => {
                debug!(why, "a signal is for nobody");
                self.settle_unneeded(row.id, &why).await
            }
            Route::Open(run) => self.open(run, &row).await,
            Route::Runs(runs) => {
                let last = runs.len().saturating_sub(1);
                for (position, run) in runs.into_iter().enumerate() {
                    // The signal is settled with the last of its runs: deciding it twice for one changes nothing.
                    let inbox = (position == last).then_some(row.id);
                    self.decide(run, &row.envelope.signal, inbox).await?;
                }
                Ok(())
            }
        }
    }

    async fn open(&self, run: RunId, row: &InboxRow) -> Result<(), StoreError> {
        let Signal::LabelSet { by, issue } = &row.envelope.signal else {
            return self.settle_unneeded(row.id, "only a label begins a run").await;
        };
        let decision = open(run, row.envelope.installation, by, issue, self.clock.now());
        match self.commit(run, 0, Some(row.id), decision).await {
            // Somebody else opened it with another telling of the same label: it is decided as a signal of that run.
            Err(StoreError::Conflict { .. }) => self.decide(run, &row.envelope.signal, Some(row.id)).await,
            other => other,
        }
    }

    async fn decide(&self, run: RunId, signal: &Signal, inbox: Option<InboxId>) -> Result<(), StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let Some(stored) = self.store.run(run).await? else {
                return match inbox {
                    Some(inbox) => self.settle_unneeded(inbox, "its run does not exist").await,
                    None => Ok(()),
                };
            };
            let decision = decide(&stored.run, signal, self.clock.now());
            match self.commit(run, stored.version, inbox, decision).await {
                Err(StoreError::Conflict { .. }) => {}
                other => return other,
            }
        }
        Err(StoreError::Busy { detail: format!("run {run} changed faster than it could be decided") })
    }

    async fn commit(
        &self,
        run: RunId,
        version_before: u64,
        inbox: Option<InboxId>,
        decision: Decision,
    ) -> Result<(), StoreError> {
        if let Err(violation) = invariants::check(&decision.run) {
            error!(%violation, "a decision breaks a promise");
            debug_assert!(false, "{violation}");
        }
        debug!(%run, phase = decision.run.phase_name(), events = decision.events.len(), "decided");
        let at = self.clock.now();
        let Decision { events, effects, run: run_after } = decision;
        let commit = Commit { inbox, run, version_before, events, run_after, effects, at };
        match self.store.commit(commit).await {
            Ok(_) => Ok(()),
            Err(StoreError::AlreadySettled { inbox }) => {
                warn!(%inbox, "a signal was settled by somebody else");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn set_aside(&self, inbox: InboxId, why: &str) -> Result<(), StoreError> {
        match self.store.inbox_set_aside(inbox, why).await {
            Err(StoreError::AlreadySettled { .. }) => Ok(()),
            other => other,
        }
    }

    async fn settle_unneeded(&self, inbox: InboxId, note: &str) -> Result<(), StoreError> {
        match self.store.inbox_settle(inbox, note, self.clock.now()).await {
            Err(StoreError::AlreadySettled { .. }) => Ok(()),
            other => other,
        }
    }
}
