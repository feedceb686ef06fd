//! Issues, pull requests, comments, reviews and reactions as they are kept.

use std::collections::BTreeSet;

use crate::git::diff::Side;

/// A label of a repository.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) color: String,
    pub(crate) description: String,
}

/// An issue; a pull request is an issue with more to it.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) author: u64,
    pub(crate) open: bool,
    pub(crate) state_reason: Option<String>,
    /// Keys into the repository's labels.
    pub(crate) labels: BTreeSet<String>,
    pub(crate) assignees: Vec<u64>,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) closed_ms: Option<u64>,
    pub(crate) closed_by: Option<u64>,
    pub(crate) pull: Option<Pull>,
}

/// Something that happened to an issue, as its history shows it.
#[derive(Debug, Clone)]
pub(crate) struct IssueEvent {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) actor: u64,
    pub(crate) event: &'static str,
    /// Key of the label that was set or taken off.
    pub(crate) label: Option<String>,
    pub(crate) created_ms: u64,
}

/// Whether a pull request can be merged, computed only after someone asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mergeable {
    Unknown,
    Conflicting,
    Clean { merge_sha: String },
}

/// What a pull request has beyond an issue.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) head_repo: u64,
    pub(crate) head_branch: String,
    pub(crate) head_sha: String,
    pub(crate) base_branch: String,
    pub(crate) base_sha: String,
    pub(crate) draft: bool,
    /// Heads it ever had: a review may name any of them.
    pub(crate) heads: BTreeSet<String>,
    pub(crate) mergeable: Mergeable,
    pub(crate) merged_ms: Option<u64>,
    pub(crate) merged_by: Option<u64>,
    pub(crate) merge_sha: Option<String>,
    pub(crate) requested_reviewers: Vec<u64>,
}

/// A comment of an issue or of a pull request's conversation.
#[derive(Debug, Clone)]
pub(crate) struct IssueComment {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) author: u64,
    pub(crate) body: String,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    /// Why it is hidden, in GitHub's words.
    pub(crate) minimized: Option<String>,
}

/// A review.
#[derive(Debug, Clone)]
pub(crate) struct Review {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) author: u64,
    pub(crate) body: String,
    /// `PENDING`, `COMMENTED`, `APPROVED`, `CHANGES_REQUESTED` or `DISMISSED`.
    pub(crate) state: String,
    pub(crate) commit_sha: String,
    pub(crate) submitted_ms: Option<u64>,
}

/// A comment at a line of a diff.
#[derive(Debug, Clone)]
pub(crate) struct ReviewComment {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) review: u64,
    pub(crate) thread: u64,
    pub(crate) in_reply_to: Option<u64>,
    pub(crate) author: u64,
    pub(crate) body: String,
    pub(crate) path: String,
    pub(crate) side: Side,
    /// Where the line is in the newest head; `None` once the comment is outdated.
    pub(crate) line: Option<u64>,
    pub(crate) original_line: Option<u64>,
    pub(crate) start_line: Option<u64>,
    pub(crate) original_start_line: Option<u64>,
    pub(crate) start_side: Option<Side>,
    pub(crate) position: Option<u64>,
    pub(crate) original_position: Option<u64>,
    pub(crate) commit_sha: String,
    pub(crate) original_commit_sha: String,
    pub(crate) diff_hunk: String,
    /// Whether it is about the file and not a line.
    pub(crate) whole_file: bool,
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) minimized: Option<String>,
}

/// A conversation that began with a review comment.
#[derive(Debug, Clone)]
pub(crate) struct ReviewThread {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) resolved_by: Option<u64>,
}

/// What a reaction is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ReactionTarget {
    Issue(u64),
    IssueComment(u64),
    ReviewComment(u64),
}

/// A reaction.
#[derive(Debug, Clone)]
pub(crate) struct Reaction {
    pub(crate) id: u64,
    pub(crate) target: ReactionTarget,
    pub(crate) author: u64,
    pub(crate) content: String,
    pub(crate) created_ms: u64,
}
