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

use pairbot_protocol::budget::Forecast;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Commands of the repository and of agents run with the server's rights.
    CommandsWithoutSandbox,
    /// The models are scripted: nothing here was thought of by one.
    ScriptedModels,
}

impl Notice {
    /// Whether it bears on what a reviewer wrote, and not on what was run: a review repeats no more than that.
    fn concerns_reading(self) -> bool {
        match self {
            Self::CommandsWithoutSandbox => false,
            Self::ScriptedModels => true,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::CommandsWithoutSandbox => {
                "Commands run without a sandbox on this server, by its operator's choice \
                 (`PAIRBOT_SANDBOX=none-i-accept`)."
            }
            Self::ScriptedModels => "The agents of this server are scripted: this is a demonstration.",
        }
    }
}
