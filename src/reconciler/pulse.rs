//! What others know of the reconciler: when it last looked, and a way to ask it to look now.

use std::sync::Arc;

use pairbot_protocol::ids::Timestamp;
use tokio::sync::{Notify, watch};

/// A pass that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPass {
    /// When it ended.
    pub at: Timestamp,
    /// How many things it told that had been missed.
    pub told: usize,
    /// What could not be looked at, and why. The next pass tries again.
    pub failures: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Passes {
    begun: u64,
    ended: u64,
    last: Option<LastPass>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: Notify,
    passes: watch::Sender<Passes>,
}

/// The reconciler's pulse. Clones share one.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Shared>);

impl Pulse {
    /// Asks for a pass as soon as can be: something happened of which only looking tells what it means.
    pub fn ask(&self) {
        self.0.asked.notify_one();
    }

    /// The last pass that ended.
    pub fn last(&self) -> Option<LastPass> {
        self.0.passes.borrow().last.clone()
    }

    /// Asks for a pass and returns once one has ended that began after this.
    pub async fn look_now(&self) -> Option<LastPass> {
        let mut passes = self.0.passes.subscribe();
        let wanted = passes.borrow().begun.saturating_add(1);
        self.ask();
        // The sender lives in `self`, so waiting cannot fail.
        passes.wait_for(|passes| passes.ended >= wanted).await.ok().and_then(|passes| passes.last.clone())
    }

    pub(super) async fn asked(&self) {
        self.0.asked.notified().await;
    }

    pub(super) fn begin(&self) {
        self.0.passes.send_modify(|passes| passes.begun += 1);
    }

    pub(super) fn end(&self, pass: LastPass) {
        self.0.passes.send_modify(|passes| {
            passes.ended = passes.begun;
            passes.last = Some(pass);
        });
    }
}
