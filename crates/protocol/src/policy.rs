//! What a repository may decide about its runs. Reading and validating `.github/pairbot.yml` happens outside; here
//! it is only a value, adopted by an event so that a ledger explains itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::budget::Limits;
use crate::ids::{AgentName, GateName, Money, ReviewerName, Tokens};

/// The label that asks for a run.
pub const LABEL: &str = "agent:pair";

/// The rules of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Who writes the change.
    pub creator: AgentChoice,
    /// Who reads it, each with an own instruction, all at once.
    pub reviewers: BTreeMap<ReviewerName, ReviewerPolicy>,
    /// How many rounds a run may take before its breaker opens.
    pub rounds_max: u32,
    /// What a run may cost.
    pub run_budget: Money,
    /// How many tokens a run may use; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_tokens: Option<Tokens>,
    /// What all runs of the repository may spend together in a day, where that is less than the operator allows.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub day_budget: Limits,
    /// How long a run may work between two decisions of a person, in milliseconds.
    pub run_ms_max: u64,
    /// How long one task of an agent may take, in milliseconds.
    pub task_ms_max: u64,
    /// What makes a worktree ready for commands; none if nothing must. Policies of before there was one do not have the
    /// field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<Setup>,
    /// The gates besides `review` and `ready`, which every run has.
    pub gates: BTreeMap<GateName, GateKind>,
}

impl Policy {
    /// Why no run can follow these rules; none if one can. Reading the file refuses all of this with its line: what
    /// stands here is what `ready` would be wrong without (promise P5).
    pub fn unfit(&self) -> Option<&'static str> {
        let derived = |name: &GateName| matches!(name.as_str(), crate::checks::REVIEW | crate::checks::READY);
        if self.reviewers.is_empty() {
            Some("`reviewers` names nobody: a change that nobody reads is never ready")
        } else if self.gates.keys().any(derived) {
            Some("`gates` names `review` or `ready`, which every run has and no policy defines")
        } else {
            None
        }
    }
}

/// A command that is run in a worktree before any other, and that alone may reach the hosts the operator named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// What `sh -c` is given.
    pub run: String,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// Which agent plays a part, and with which model.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentChoice {
    /// Which of the agents that the operator allows; none is the builtin one. Policies of before there were others do
    /// not have the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// Whose API to call; none leaves it to the operator.
    pub provider: Option<Provider>,
    /// The model's name as the provider knows it; none leaves it to the operator.
    pub model: Option<String>,
}

/// Whose wire protocol a model is reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions, and servers compatible with it.
    Openai,
}

/// One reviewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewerPolicy {
    /// What this reviewer looks for, in the words given to it.
    pub focus: String,
    /// Which model it is.
    pub agent: AgentChoice,
}

/// What a gate examines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum GateKind {
    /// The change is small enough to be read.
    Size {
        /// Most files changed.
        files_max: u32,
        /// Most lines added and removed together.
        lines_max: u32,
    },
    /// The change stays away from protected paths.
    Paths {
        /// Globs that no run may touch.
        protected: Vec<String>,
    },
    /// A command of the repository ends with code 0 in the worktree.
    Command {
        /// What `sh -c` is given.
        run: String,
        /// How long it may take, in milliseconds.
        timeout_ms: u64,
    },
    /// Other apps' check runs and commit statuses on the head are green.
    Ci {
        /// Which of them count.
        rule: CiRule,
        /// How long to wait for them, in milliseconds.
        timeout_ms: u64,
    },
}

/// Which of the other apps' results count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum CiRule {
    /// Whatever reports on the head must be green; nothing is claimed where nothing reports.
    Observed,
    /// These names must all report and be green, and whatever else reports too.
    Required {
        /// Names of check runs or contexts of commit statuses.
        names: Vec<String>,
    },
}
