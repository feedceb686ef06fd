//! What an agent is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use pairbot_protocol::finding::Severity;
use pairbot_protocol::ids::{FindingId, IssueNumber, Login, ReviewerName, Round, Timestamp};

use crate::gateway::ModelChoice;

/// How much an agent may do, beside the money in its account.
#[derive(Debug, Clone, Copy)]
pub struct AgentLimits {
    /// How many answers of the model one task may have.
    pub turns_max: u32,
    /// When the task must have ended.
    pub deadline: Timestamp,
    /// How many tokens the model may write in one answer.
    pub output_tokens_max: u64,
    /// How long one command of the agent may run.
    pub command_timeout: Duration,
}

/// A finding that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFinding {
    /// Its name.
    pub id: FindingId,
    /// How much it weighs.
    pub severity: Severity,
    /// The file it is about, if it is about one.
    pub path: Option<String>,
    /// The line of that file on the head it was raised on.
    pub line: Option<u32>,
    /// One line.
    pub title: String,
    /// The reasoning, in Markdown.
    pub body: String,
    /// What the creator said about it last, if it did.
    pub answer: Option<String>,
}

/// What a person with write access said for the next round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// Who.
    pub author: Login,
    /// What.
    pub body: String,
}

/// Work on an issue.
#[derive(Debug, Clone)]
pub struct CreateTask {
    /// `owner/name`.
    pub repository: String,
    /// The issue.
    pub issue: IssueNumber,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Which pass this is.
    pub round: Round,
    /// The repository's `AGENTS.md` of the default branch.
    pub guidance: Option<String>,
    /// What came of the repository's set-up in this worktree; none if there is none.
    pub set_up: Option<String>,
    /// What reviewers found and was not settled.
    pub open_findings: Vec<OpenFinding>,
    /// What red gates printed, one text a gate.
    pub gate_reports: Vec<String>,
    /// What people said since the last round.
    pub feedback: Vec<Feedback>,
    /// The worktree; the agent changes files only in it.
    pub root: PathBuf,
    /// An empty directory outside the worktree, for temporary files; on the same file system, writes are atomic.
    pub scratch: PathBuf,
    /// Which model.
    pub model: ModelChoice,
    /// How much it may do.
    pub limits: AgentLimits,
}

/// Read a change.
#[derive(Debug, Clone)]
pub struct ReviewTask {
    /// `owner/name`.
    pub repository: String,
    /// The issue.
    pub issue: IssueNumber,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Which pass this is.
    pub round: Round,
    /// The repository's `AGENTS.md` of the default branch.
    pub guidance: Option<String>,
    /// Who reads.
    pub reviewer: ReviewerName,
    /// What this reviewer looks for; from the policy, or [`super::prompts::default_focus`].
    pub focus: String,
    /// The whole change, as a unified diff from base to head.
    pub diff: String,
    /// What changed since this reviewer last looked, if it did.
    pub delta: Option<String>,
    /// This reviewer's own findings that are not settled.
    pub to_verify: Vec<OpenFinding>,
    /// A worktree at the head, only read.
    pub root: PathBuf,
    /// An empty directory outside the worktree.
    pub scratch: PathBuf,
    /// Which model.
    pub model: ModelChoice,
    /// How much it may do.
    pub limits: AgentLimits,
}
