//! The default bus: the outbox itself.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::Bus;
use crate::ports::Clock;
use crate::store::{AttemptEnd, Claimed, Result, Store, StoreError, TaskKinds};

/// How long a task may be ready unheard of, in milliseconds.
const UNHEARD_MS_MAX: u64 = 5_000;

/// Takes tasks straight from the store's outbox, and waits without asking again and again.
#[derive(Debug)]
pub struct EmbeddedBus {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    worker: String,
    lease_ms: u64,
}

impl EmbeddedBus {
    /// A bus that claims in the name of `worker`, for `lease_ms` from one heartbeat to the next.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, worker: String, lease_ms: u64) -> Self {
        Self { store, clock, worker, lease_ms }
    }

    /// Claims on a task of its own: a claim whose caller goes away in the middle has its tasks given back, where they
    /// would otherwise wait for their leases to expire.
    async fn claim(&self, kinds: TaskKinds, slots: NonZeroUsize) -> Result<Vec<Claimed>> {
        let (sender, receiver) = oneshot::channel();
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let (worker, lease_ms) = (self.worker.clone(), self.lease_ms);
        tokio::spawn(async move {
            let now = clock.now();
            let claimed = store.claim(kinds, slots.get(), &worker, now, lease_ms).await;
            let hand = claimed.map(|tasks| Hand { tasks, store, clock });
            // If nobody receives it, the hand is dropped here or in the channel.
            drop(sender.send(hand));
        });
        match receiver.await {
            Ok(hand) => hand.map(Hand::take),
            Err(_) => Err(StoreError::Unavailable { detail: "the claim was abandoned".to_owned() }),
        }
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn next(&self, kinds: TaskKinds, free_slots: NonZeroUsize) -> Result<Vec<Claimed>> {
        let changed = self.store.outbox_changed();
        loop {
            // Listening begins before looking, so that nothing can happen unheard in between.
            let mut heard = pin!(changed.notified());
            heard.as_mut().enable();
            let claimed = self.claim(kinds, free_slots).await?;
            if !claimed.is_empty() {
                return Ok(claimed);
            }
            // Another process may make tasks ready, as an operator's replay does: nobody tells of that here.
            let look_again = self.clock.now().plus_ms(UNHEARD_MS_MAX);
            let due = self.store.next_task_at().await?.map_or(look_again, |due| due.min(look_again));
            tokio::select! {
                biased;
                () = heard => {}
                () = self.clock.sleep_until(due) => {}
            }
        }
    }
}

/// Claimed tasks on their way. Those that nobody takes go back.
struct Hand {
    tasks: Vec<Claimed>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Hand {
    fn take(mut self) -> Vec<Claimed> {
        std::mem::take(&mut self.tasks)
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut self.tasks);
        // Without a runtime the program is ending, and the leases end with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        if tasks.is_empty() {
            return;
        }
        runtime.spawn(async move {
            for claimed in tasks {
                if let Err(error) = store.retry_later(&claimed.lease, now, "nobody took it", AttemptEnd::Snoozed).await {
                    tracing::warn!(task = %claimed.lease.task(), %error, "could not give a task back; its lease will expire");
                }
            }
        });
    }
}
