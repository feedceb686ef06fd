//! Every sentence that a person reads on GitHub: pure functions of the run and of facts about its money.
//!
//! Whatever a model, a person or another program wrote passes through [`prose`] or [`untrusted`] before it is shown.
//! Commands never stand at the start of a line: who reads our comments for commands must find none.

mod answer;
mod blocks;
mod budget;
mod checks;
mod commit;
mod findings;
mod halts;
mod phase;
pub mod prose;
mod pull_request;
mod review;
mod status;
mod stray;
mod unpublished;
pub mod untrusted;

#[cfg(test)]
mod tests;

pub use answer::answer;
pub(crate) use blocks::counted;
pub use checks::{CheckText, check};
pub use commit::commit_message;
pub use prose::Home;
pub use pull_request::{pull_request_body, pull_request_title};
pub use review::{finding_comment, review_body};
pub use status::status_comment;
pub use stray::stray;

use std::fmt::Write as _;

use pairbot_protocol::budget::Forecast;

use crate::sandbox::{Limit, Probe};
use crate::store::{Budget, SpendLine};

/// What the texts need besides the run.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// Where the run's repository is on GitHub.
    pub home: Home,
    /// A page about the run, if the server has one.
    pub run_url: Option<String>,
    /// Where the run's money is.
    pub budget: Budget,
    /// What each part of the run has cost.
    pub spend: Vec<SpendLine>,
    /// What runs of the repository usually cost, if enough have ended.
    pub forecast: Option<Forecast>,
    /// What people must know about this server.
    pub notices: Vec<Notice>,
}

/// Something about this server that belongs on every verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Commands of the repository and of agents run with the server's rights.
    CommandsWithoutSandbox,
    /// They run in a sandbox.
    CommandsInSandbox {
        /// What it does not bound on this server.
        unbounded: Vec<Limit>,
        /// Whether the set-up reaches hosts that the operator named.
        egress: bool,
    },
    /// They run in a sandbox of the other kind: as users of their own, without namespaces.
    CommandsAsOwnUsers {
        /// What it does not bound on this server.
        unbounded: Vec<Limit>,
    },
    /// They do not run at all.
    NoCommands {
        /// Why no sandbox holds.
        probe: Probe,
    },
    /// The models are scripted: nothing here was thought of by one.
    ScriptedModels,
}

impl Notice {
    /// Whether it bears on what a reviewer wrote, and not on what was run: a review repeats no more than that.
    fn concerns_reading(&self) -> bool {
        match self {
            Self::CommandsWithoutSandbox
            | Self::CommandsInSandbox { .. }
            | Self::CommandsAsOwnUsers { .. }
            | Self::NoCommands { .. } => false,
            Self::ScriptedModels => true,
        }
    }

    /// Whether people must know it before they look at any verdict; the rest stands on the check runs alone.
    fn concerns_everybody(&self) -> bool {
        match self {
            Self::CommandsWithoutSandbox | Self::ScriptedModels => true,
            Self::CommandsInSandbox { .. } | Self::CommandsAsOwnUsers { .. } | Self::NoCommands { .. } => {
                false
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::CommandsWithoutSandbox => {
                "Commands run without a sandbox on this server, by its operator's choice \
                 (`PAIRBOT_SANDBOX=none-i-accept`)."
                    .to_owned()
            }
            Self::CommandsInSandbox { unbounded, egress } => {
                let network = if *egress {
                    "no network, but for the set-up hosts that its operator named"
                } else {
                    "no network"
                };
                let words = format!(
                    "Commands run in a sandbox on this server (bubblewrap): {network}, no file and no process of the \
                     server."
                );
                with_unbounded(words, unbounded)
            }
            Self::CommandsAsOwnUsers { unbounded } => {
                let words = "Commands run in a sandbox on this server (user-slot: users of their own): no network, not even \
                             a loopback, no file and no process of the server.";
                with_unbounded(words.to_owned(), unbounded)
            }
            Self::NoCommands { probe } => {
                format!(
                    "No command of agents or of the repository runs on this server, for no sandbox holds there: {probe}."
                )
            }
            Self::ScriptedModels => {
                "The agents of this server are scripted: this is a demonstration.".to_owned()
            }
        }
    }
}

fn with_unbounded(mut words: String, unbounded: &[Limit]) -> String {
    for limit in unbounded {
        // Writing to a string cannot fail.
        let _ = write!(words, " Not bounded there: {limit}.");
    }
    words
}
