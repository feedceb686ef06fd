//! Workers: they carry out one task each, under a lease, and have no state of their own.
//!
//! One file a task. What a task takes from the world is in [`Tools`]; what it brings about is a [`Product`]; an error
//! says what is next ([`Setback`]). Everything is done so that doing it again changes nothing: a worker may die at
//! any line, and another begins from the first.

mod account;
mod agent_task;
mod create;
mod gate;
mod inspect;
mod lease_keeper;
mod open_pull_request;
mod permission;
mod pool;
mod publish;
mod review;
mod set_up;
mod setback;
mod sweep;
mod task_gates;
mod tools;
mod workspace;

pub use account::TaskAccount;
pub use pool::{PoolSettings, Workers};
pub use setback::Setback;
pub use sweep::sweep;
pub use tools::{AgentSettings, Tools};
pub use workspace::Fetches;

use pairbot_protocol::ids::{FencingToken, TaskId};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{Envelope, Signal, Target};

use crate::git::Worktree;
use crate::github::{Licence, Unconfirmed};
use crate::store::{Claimed, Done, Lease, Store, StoreError};

/// What a task brought about.
#[derive(Debug, Default)]
pub struct Product {
    /// For the store.
    pub done: Done,
    /// What is not needed any more once the store has taken the result. Before that, a crash would need it again.
    pub leftover: Option<Worktree>,
}

impl Product {
    /// Nothing that anybody must hear.
    fn nothing() -> Self {
        Self::default()
    }

    /// A signal for the task's own run.
    fn signal(run: &Run, signal: Signal) -> Self {
        Self::signals(run, [signal])
    }

    /// Signals for the task's own run, in the order in which they are to be heard.
    fn signals(run: &Run, signals: impl IntoIterator<Item = Signal>) -> Self {
        let signals = signals.into_iter().map(|signal| envelope(run, signal)).collect();
        Self { done: Done { signals, receipts: Vec::new() }, leftover: None }
    }

    /// The outside name of something that was published.
    fn receipt(key: impl Into<String>, value: &impl ToString) -> Self {
        let receipts = vec![(key.into(), value.to_string())];
        Self { done: Done { signals: Vec::new(), receipts }, leftover: None }
    }
}

/// A signal addressed to a run by its name.
fn envelope(run: &Run, signal: Signal) -> Envelope {
    Envelope { installation: run.installation, target: Target::Run { run: run.id }, signal }
}

/// A task with the run it serves, as it is now.
struct Assignment<'a> {
    claimed: &'a Claimed,
    run: Run,
    store: &'a dyn Store,
}

impl Licence for Assignment<'_> {
    fn task(&self) -> TaskId {
        self.lease().task()
    }

    async fn confirm(&self) -> Result<(), Unconfirmed> {
        self.store.confirm(self.lease()).await.map_err(|error| {
            if matches!(error, StoreError::LeaseLost { .. }) {
                Unconfirmed::Lost
            } else {
                Unconfirmed::Unknown(error.to_string())
            }
        })
    }
}

impl Assignment<'_> {
    fn lease(&self) -> &Lease {
        &self.claimed.lease
    }

    /// Whether an earlier claim may have got through without telling: look before writing again. An attempt that was
    /// put off does not count as one, and may have written all the same before it was told to wait.
    fn look_first(&self) -> bool {
        self.lease().fence() > FencingToken(1)
    }
}
