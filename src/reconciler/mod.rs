//! Level-triggered: what GitHub shows is compared with what the ledgers know, and what was missed is told.
//!
//! GitHub does not repeat a webhook that did not arrive. At the start and on a timer, each pass asks for those that failed
//! ([`redeliver`]), then reads every repository ([`repository`]) and tells the difference ([`compare`], pure) through the
//! inbox, under the same keys as webhooks: whichever comes first counts, and once (promise P1). So a lost webhook costs
//! time and nothing else.
//!
//! The ledgers are always read before GitHub. What GitHub shows is then the newer of the two, and a difference is a
//! fact that was not heard of, or one that is being heard of just now and will be known already when it is told.

mod access;
mod compare;
mod conversation;
mod ledger;
mod pass;
mod pulse;
mod redeliver;
mod repository;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use pairbot_protocol::ids::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::github::{GitHub, GitHubError, OwnAccount};
use crate::ports::{Clock, Entropy};
use crate::store::{Store, StoreError};

pub use pulse::{LastPass, Pulse};

/// How often the reconciler looks by default.
const PAUSE: Duration = Duration::from_mins(5);

/// When the reconciler looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rhythm {
    /// At the start, when asked, and again and again after about this long.
    Every(Duration),
    /// Only when asked, as a story wants it that counts requests.
    WhenAsked,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self::Every(PAUSE)
    }
}

/// Why a part of a pass could not be carried out. The next pass tries again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    #[error("the store: {0}")]
    Store(#[from] StoreError),
}

/// What the reconciler works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The durable state.
    pub store: Arc<dyn Store>,
    /// GitHub, as the App.
    pub github: GitHub,
    /// The account under which the App acts.
    pub own: OwnAccount,
    /// The App's id.
    pub app_id: u64,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// Finds out what was missed.
#[derive(Debug)]
pub struct Reconciler {
    parts: Parts,
    pulse: Pulse,
    memory: pass::Memory,
}

impl Reconciler {
    /// A reconciler that has not looked yet.
    pub fn new(parts: Parts, pulse: Pulse) -> Self {
        Self { parts, pulse, memory: pass::Memory::default() }
    }

    /// Looks until told to stop.
    pub async fn run(mut self, rhythm: Rhythm, stop: CancellationToken) {
        let mut due = match rhythm {
            Rhythm::Every(_) => Some(self.parts.clock.now()),
            Rhythm::WhenAsked => None,
        };
        while !stop.is_cancelled() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.pulse.asked() => {}
                () = until(self.parts.clock.as_ref(), due) => {}
            }
            // What a pass has told is stored; the rest of one that is cut short is for the next.
            let held_until = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                held_until = self.pass() => held_until,
            };
            due =
                match rhythm {
                    Rhythm::Every(pause) => {
                        let regular = self.parts.clock.now().plus_ms(self.jittered(pause));
                        Some(held_until.map_or(regular, |held| {
                            held.max(self.parts.clock.now().plus_ms(1_000)).min(regular)
                        }))
                    }
                    Rhythm::WhenAsked => None,
                };
        }
    }

    /// Between nine and eleven tenths: servers that were started together do not ask together for ever.
    fn jittered(&self, pause: Duration) -> u64 {
        let ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        let tenth = ms / 10;
        ms - tenth + self.parts.entropy.bits() % (2 * tenth + 1)
    }
}

async fn until(clock: &dyn Clock, due: Option<Timestamp>) {
    match due {
        Some(due) => clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}
