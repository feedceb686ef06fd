//! A reviewer's remarks and what became of them (section 5 of the design).

use serde::{Deserialize, Serialize};

use crate::ids::{FindingId, HeadSha, ReviewerName, Round};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The change must not be merged like this.
    Blocking,
    /// The change should not be merged like this.
    Major,
    /// Worth a change, not a round.
    Minor,
    /// Taste.
    Nit,
}

impl Severity {
    /// Whether an open finding of this weight holds the pull request.
    pub const fn holds(self) -> bool {
        match self {
            Self::Blocking | Self::Major => true,
            Self::Minor | Self::Nit => false,
        }
    }

    /// The word used in text and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Nit => "nit",
        }
    }
}

/// Where a finding points, and what the diff says of that place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Path inside the repository, on the new side.
    pub path: String,
    /// Line of the new side, from 1.
    pub line: Option<u32>,
    /// What the worker found when it held the place against the diff of the head under review.
    pub standing: Standing,
}

/// What a place is in the diff that was reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The line changed since this reviewer last looked (in its first look: anywhere in the diff).
    Changed,
    /// GitHub takes a comment there, but the line did not change since this reviewer last looked.
    Unchanged,
    /// Outside the diff: GitHub refuses a whole review for one such comment, so it goes into the review's body.
    Outside,
}

/// A remark as a reviewer handed it in, before the rules have spoken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// How much it weighs for its reviewer.
    pub severity: Severity,
    /// Where; none for a remark on the whole change.
    pub place: Option<Place>,
    /// One line.
    pub title: String,
    /// The reasoning, in Markdown.
    pub body: String,
    /// Text that would replace the line.
    pub suggestion: Option<String>,
}

/// A finding of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable across rounds.
    pub id: FindingId,
    /// Who raised it, and alone may call it fixed.
    pub reviewer: ReviewerName,
    /// When it was raised.
    pub round: Round,
    /// The head it was raised on.
    pub head: HeadSha,
    /// What was said.
    pub remark: Remark,
    /// What became of it.
    pub state: FindingState,
    /// What the creator last answered.
    pub answer: Option<Answer>,
}

impl Finding {
    /// Whether this finding keeps the pull request from being ready.
    pub fn holds(&self) -> bool {
        match &self.state {
            FindingState::Open => self.remark.severity.holds(),
            FindingState::Fixed { .. } | FindingState::FollowUp => false,
        }
    }
}

/// What became of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum FindingState {
    /// Not settled.
    Open,
    /// Its reviewer saw it fixed.
    Fixed {
        /// The head on which it was seen fixed.
        head: HeadSha,
    },
    /// Raised after the first round on lines that did not change: said once, holds nothing (rule 5.2).
    FollowUp,
}

impl FindingState {
    /// The word used in text and on the wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Fixed { .. } => "fixed",
            Self::FollowUp => "follow-up",
        }
    }
}

/// What the creator says about a finding when it hands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which finding.
    pub finding: FindingId,
    /// What is claimed.
    pub claim: Claim,
    /// Why.
    pub reason: String,
}

/// What a creator may claim of a finding. Only its reviewer decides whether it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// The new head mends it.
    Fixed,
    /// The finding is mistaken.
    Rebutted,
}

/// What a reviewer says of an earlier finding of its own on the new head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Which finding.
    pub finding: FindingId,
    /// Whether it is settled now.
    pub fixed: bool,
    /// Why.
    pub reason: String,
}
