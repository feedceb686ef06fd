//! What an agent gives back.

use pairbot_protocol::budget::Exhausted;
use pairbot_protocol::finding::{Answer, Severity, Verification};
use pairbot_protocol::ids::{Money, Timestamp, Usage};
use serde::{Deserialize, Serialize};

use crate::gateway::CallError;

/// What was spent, in calls that were charged.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The tokens.
    pub usage: Usage,
    /// The money.
    pub cost: Money,
    /// The calls.
    pub calls: u32,
}

impl Spent {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            usage: self.usage.plus(other.usage),
            cost: self.cost.plus(other.cost),
            calls: self.calls.saturating_add(other.calls),
        }
    }
}

/// What a creator says about the change it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandIn {
    /// One line, for the pull request and the commit.
    pub title: String,
    /// What was done and why, in Markdown.
    pub summary: String,
    /// What it says about each open finding.
    pub answers: Vec<Answer>,
}

/// One remark of a reviewer, as it was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedFinding {
    /// How much it weighs.
    pub severity: Severity,
    /// The file, if it is about one.
    pub path: Option<String>,
    /// The line on the new side, from 1. Not yet held against the diff.
    pub line: Option<u32>,
    /// One line.
    pub title: String,
    /// The reasoning, in Markdown.
    pub body: String,
    /// Text that would replace the line.
    pub suggestion: Option<String>,
}

/// What a reviewer says about a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The review as a whole, in Markdown.
    pub summary: String,
    /// What is wrong.
    pub findings: Vec<ReportedFinding>,
    /// What became of its earlier findings. One that is missing here is still open.
    pub verified: Vec<Verification>,
}

/// How a task of creating ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateOutcome {
    /// The product, or what ended the task.
    pub result: Result<HandIn, AgentFailure>,
    /// Tokens of the whole task, earlier lives before a crash included.
    pub usage: Usage,
    /// Money, likewise.
    pub cost: Money,
    /// Charged calls, likewise.
    pub calls: u32,
}

/// How a task of reviewing ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewOutcome {
    /// The product, or what ended the task. A failure is never an approval.
    pub result: Result<Review, AgentFailure>,
    /// Tokens of the whole task, earlier lives before a crash included.
    pub usage: Usage,
    /// Money, likewise.
    pub cost: Money,
    /// Charged calls, likewise.
    pub calls: u32,
}

/// What ended a task without a product.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentFailure {
    /// The next call does not fit a budget. More room in it lets the task go on where it was.
    #[error("the budget does not pay for the next call: {why}")]
    BudgetExhausted {
        /// Which budget, and when it opens again.
        exhausted: Exhausted,
        /// What is missing.
        why: String,
    },
    /// The provider is down or asked for a pause. The task goes on where it was, not before `until`.
    #[error("the model's provider is not available: {reason}")]
    ProviderUnavailable {
        /// When to try again.
        until: Timestamp,
        /// What the provider said.
        reason: String,
    },
    /// The model declined the task. A person must look.
    #[error("the model declined: {0}")]
    Refused(String),
    /// The model had all its turns.
    #[error("the model did not finish in {0} turns")]
    TurnsExhausted(u32),
    /// The task's time is over.
    #[error("the task's time is over")]
    TimedOut,
    /// The model stopped and did not hand in, although it was reminded.
    #[error("the model stopped without handing in; it last said: {0}")]
    NeverHandedIn(String),
    /// The task belongs to another worker now; nothing may be done for it here.
    #[error("the task's lease was lost")]
    LeaseLost,
    /// The task does not fit the model's window.
    #[error("the task does not fit the model's context window: {0}")]
    ContextExhausted(String),
    /// The server's settings name a model or a provider that cannot be used. An operator must mend them.
    #[error("the server's model settings are not usable: {0}")]
    Misconfigured(String),
    /// The worktree or scratch directory cannot be used.
    #[error("the worktree is not usable: {0}")]
    Workspace(String),
    /// The server stops. The task goes on where it was.
    #[error("the server stops")]
    Stopped,
    /// The account or the transcript could not be reached. The task goes on where it was.
    #[error("the store could not be reached: {0}")]
    Store(String),
    /// An agent of another vendor failed, in words that name the agent and what it did.
    #[error("{0}")]
    Vendor(String),
    /// There is no sandbox, and without one no agent of another vendor is started.
    #[error("{0}")]
    NoSandbox(String),
    /// The provider refused the request in a way that repeating does not change.
    #[error("{0}")]
    Provider(String),
}

impl From<CallError> for AgentFailure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::UnknownModel(_) | CallError::NoProvider { .. } | CallError::NotSpoken { .. } => {
                Self::Misconfigured(error.to_string())
            }
            CallError::BudgetExhausted { exhausted, .. } => {
                Self::BudgetExhausted { exhausted, why: error.to_string() }
            }
            CallError::LeaseLost => Self::LeaseLost,
            CallError::Account(why) => Self::Store(why),
            CallError::Snooze { until, reason } | CallError::ProviderDown { until, reason, .. } => {
                Self::ProviderUnavailable { until, reason }
            }
            CallError::DeadlinePassed => Self::TimedOut,
            CallError::Provider(error) => Self::Provider(error.to_string()),
        }
    }
}
