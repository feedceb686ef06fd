//! Why a task did not succeed, in the words of what is next.

use pairbot_protocol::ids::Timestamp;
use pairbot_protocol::signal::Failure;

use crate::git::GitError;
use crate::github::{GitHubError, Next, Unconfirmed};
use crate::store::StoreError;

/// What is next after a task did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Setback {
    /// It may succeed later; the attempt counts.
    #[error("{0}")]
    Retry(String),
    /// GitHub cannot be reached, which says nothing about the task: it is tried for as long as an outage lasts.
    #[error("{0}")]
    Outage(String),
    /// It was told to wait; the attempt does not count.
    #[error("waits until {}: {why}", until.unix_ms)]
    Snooze {
        /// Until when.
        until: Timestamp,
        /// Who said so.
        why: String,
    },
    /// Trying again is in vain: a person must hear of it.
    #[error("{detail}")]
    GiveUp {
        /// What kind of failure it is to the run.
        failure: Failure,
        /// In words, for a person.
        detail: String,
    },
    /// The server stops: the next one goes on with the task at once, and the attempt does not count.
    #[error("the server stops")]
    HandedBack,
    /// The task is no longer wanted, or no longer ours.
    #[error("the task is no longer wanted")]
    Cancelled,
}

impl Setback {
    /// Gives up because the agent, or what it needs, failed.
    pub fn agent(detail: impl Into<String>) -> Self {
        Self::GiveUp { failure: Failure::Agent, detail: detail.into() }
    }
}

impl From<StoreError> for Setback {
    fn from(error: StoreError) -> Self {
        if let StoreError::LeaseLost { .. } = error {
            Self::Cancelled
        } else {
            Self::Retry(error.to_string())
        }
    }
}

impl From<GitHubError> for Setback {
    fn from(error: GitHubError) -> Self {
        let detail = error.to_string();
        if matches!(error, GitHubError::Unlicensed { why: Unconfirmed::Lost, .. }) {
            return Self::Cancelled;
        }
        if matches!(error, GitHubError::Unavailable { .. }) {
            return Self::Outage(detail);
        }
        match error.next() {
            // Every write looks for what an earlier attempt may have left, so retrying is looking.
            Next::Retry | Next::LookThenRetry => Self::Retry(detail),
            Next::Snooze(until) => Self::Snooze { until, why: detail },
            Next::GiveUp => Self::GiveUp { failure: Failure::Permission, detail },
        }
    }
}

impl From<GitError> for Setback {
    fn from(error: GitError) -> Self {
        let detail = error.to_string();
        match error {
            GitError::PushRefused { .. } => Self::GiveUp { failure: Failure::Permission, detail },
            GitError::Unsafe { .. } | GitError::TooLarge { .. } => {
                Self::GiveUp { failure: Failure::Agent, detail }
            }
            GitError::Unavailable { .. } => Self::Outage(detail),
            // A token may have expired under way, a read may lag behind a write, a disk may have been full: each
            // attempt begins with a new token and a new look, and the attempts are counted.
            GitError::AuthenticationFailed { .. }
            | GitError::Moved { .. }
            | GitError::HeadMoved { .. }
            | GitError::NotFound { .. }
            | GitError::Timeout { .. }
            | GitError::Corrupt { .. }
            | GitError::Failed { .. }
            | GitError::Disk { .. }
            | GitError::Spawn(_) => Self::Retry(detail),
        }
    }
}
