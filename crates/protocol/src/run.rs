//! The state of a run: enums whose illegal combinations cannot be built.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::budget::{Exhausted, Limits};
use crate::command::Command;
use crate::effect::Publication;
use crate::finding::Finding;
use crate::ids::{
    BaseSha, FindingId, GateName, HeadSha, InstallationId, Money, ReviewerName, Round, RunId, Timestamp,
    Tokens, TreeSha,
};
use crate::policy::Policy;
use crate::signal::{
    AccessLoss, Actor, CheckButton, FeedbackSource, GateReport, IssueFacts, Permission, PullRequestFacts,
    RequestId, Verdict,
};

/// The life of one labelled issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// Whose installation it lives in.
    pub installation: InstallationId,
    /// Who set the label.
    pub labelled_by: Actor,
    /// The issue, as it was when labelled.
    pub issue: IssueFacts,
    /// When it began.
    pub opened_at: Timestamp,
    /// Until when it may work.
    pub deadline: Timestamp,
    /// The rules it follows; none before they were read.
    pub policy: Option<Policy>,
    /// Where it is.
    pub phase: Phase,
    /// Whether a person paused it. Only what works can be paused: a breaker that opens and an end lift the pause.
    pub paused: bool,
    /// The tip of the default branch when rules were last read, or that the last head is compared with.
    pub base: Option<BaseSha>,
    /// The tip of its branch as far as it knows.
    pub head: Option<HeadSha>,
    /// Its pull request.
    pub pull_request: Option<PullRequestFacts>,
    /// The round it is in.
    pub round: Round,
    /// Which attempt at that round the creator is at, or was.
    pub attempt: u32,
    /// Up to which round it may go without a person.
    pub rounds_allowed: Round,
    /// The most it may spend.
    pub budget: Money,
    /// The most tokens it may use; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<Tokens>,
    /// What the tasks that reported have spent.
    pub spent: crate::signal::Spend,
    /// Every tree a creator pushed: a repeated one is no progress.
    pub trees: BTreeSet<TreeSha>,
    /// Every gate that was ever examined: one that other apps brought into being is looked at on each later head.
    #[serde(default)]
    pub examined: BTreeSet<GateName>,
    /// What the creator last handed in.
    pub handed_in: Option<HandedIn>,
    /// Every finding, by its name.
    pub findings: BTreeMap<FindingId, Finding>,
    /// Every review that counted when it came.
    pub reviews: Vec<ReviewRecord>,
    /// What people asked for in words.
    pub feedback: Vec<Feedback>,
    /// What people asked for by command or button, by number.
    pub requests: BTreeMap<RequestId, Request>,
    /// What could not be shown on GitHub although it was tried as often as allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpublished: Vec<Unpublished>,
}

/// Something that could not be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpublished {
    /// What; none if not even that can be read.
    pub publication: Option<Publication>,
    /// Why, as whoever refused it said.
    pub detail: String,
}

/// What a creator handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedIn {
    /// In which round.
    pub round: Round,
    /// Title for the pull request.
    pub title: String,
    /// What was done.
    pub summary: String,
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum Phase {
    /// Waits for its rules and the permission of the person who asked.
    Queued {
        /// What follows.
        then: AfterInspection,
        /// What was known of the last head.
        last: Option<Validation>,
    },
    /// The creator works.
    Creating {
        /// What was known of the last head.
        last: Option<Validation>,
    },
    /// A head was pushed and its pull request is being opened.
    Opening {
        /// The head.
        head: HeadSha,
        /// The base tip it is compared with.
        base: BaseSha,
    },
    /// Reviewers read and gates examine a head.
    Validating(Validation),
    /// Every rule holds for the head; a person decides.
    AwaitingHuman(Validation),
    /// The breaker is open.
    Halted {
        /// Why.
        reason: Halt,
        /// In words.
        detail: String,
        /// The budget that is used up, if that is why; none in ledgers of older versions, which had but the run's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exhausted: Option<Exhausted>,
        /// What was known of the last head.
        last: Option<Validation>,
    },
    /// It never began.
    Refused {
        /// Why.
        reason: Refusal,
    },
    /// A person merged it.
    Merged {
        /// Who.
        by: Actor,
        /// Which head.
        head: HeadSha,
        /// What was known of the last head: evidence outlives the run.
        last: Option<Validation>,
    },
    /// It ended without a merge.
    Closed {
        /// How.
        closing: Closing,
        /// Who.
        by: Actor,
        /// What was known of the last head.
        last: Option<Validation>,
    },
}

impl Phase {
    /// Whether something is to be done in it, unless the run is paused.
    pub fn is_work(&self) -> bool {
        match self {
            Self::Queued { .. } | Self::Creating { .. } | Self::Opening { .. } | Self::Validating(_) => true,
            Self::AwaitingHuman(_)
            | Self::Halted { .. }
            | Self::Refused { .. }
            | Self::Merged { .. }
            | Self::Closed { .. } => false,
        }
    }
}

/// What follows once the rules were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterInspection {
    /// A round of the creator.
    Create,
    /// Reviews and gates of the present head.
    Validate,
    /// The same, but for the reviews that are in: whoever has read this head under the same instruction has read it.
    Complete,
}

/// What is known of one head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validation {
    /// The head.
    pub head: HeadSha,
    /// The base tip it is compared with.
    pub base: BaseSha,
    /// How far each reviewer is.
    pub reviews: BTreeMap<ReviewerName, ReviewProgress>,
    /// How far each gate is, `review` and `ready` excepted: those follow from the rest.
    pub gates: BTreeMap<GateName, GateProgress>,
}

/// How far a reviewer is with a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "review", rename_all = "kebab-case")]
pub enum ReviewProgress {
    /// It reads.
    Pending,
    /// It handed in.
    Done,
    /// It failed, which is not an approval.
    Failed {
        /// Why.
        detail: String,
    },
}

/// How far a gate is with a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gate", rename_all = "kebab-case")]
pub enum GateProgress {
    /// It is being examined.
    Pending,
    /// It reported.
    Reported(GateReport),
}

impl GateProgress {
    /// Whether it has not come to a verdict.
    pub fn is_unsettled(&self) -> bool {
        match self {
            Self::Pending => true,
            Self::Reported(report) => report.verdict == Verdict::Waiting,
        }
    }
}

/// A review that counted when it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewRecord {
    /// Whose.
    pub reviewer: ReviewerName,
    /// In which round.
    pub round: Round,
    /// Of which head.
    pub head: HeadSha,
    /// Against which base tip.
    pub base: BaseSha,
    /// Its words.
    pub summary: String,
    /// What it raised.
    pub raised: Vec<FindingId>,
    /// What it saw fixed.
    pub fixed: Vec<FindingId>,
}

/// Something a person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Who.
    pub by: Actor,
    /// Where.
    pub source: FeedbackSource,
    /// What.
    pub text: String,
    /// The round whose creator was told; none as long as nobody was.
    pub told_in: Option<Round>,
}

impl Feedback {
    /// Whether it keeps the pull request from being ready until a creator has heard it.
    pub fn holds(&self) -> bool {
        let asks = match self.source {
            FeedbackSource::Review { changes_requested, .. } => changes_requested,
            FeedbackSource::Comment { .. } | FeedbackSource::LineComment { .. } => false,
        };
        asks && self.told_in.is_none()
    }
}

/// Something a person asked for, which needs a permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who.
    pub by: Actor,
    /// What.
    pub wish: Wish,
    /// What became of it.
    pub state: RequestState,
}

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "kebab-case")]
pub enum Wish {
    /// Commands in a comment.
    Commands {
        /// The comment.
        comment: crate::ids::CommentId,
        /// The commands, or what was wrong with them.
        commands: Vec<Result<Command, String>>,
    },
    /// To be heard by the creator.
    Feedback {
        /// Where.
        source: FeedbackSource,
        /// What was said.
        text: String,
    },
    /// A button on a check run.
    Button {
        /// On which gate's.
        gate: GateName,
        /// Which.
        button: CheckButton,
    },
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RequestState {
    /// The permission is being read.
    Pending,
    /// It was carried out.
    Granted {
        /// What is answered to it.
        answer: Option<AnswerText>,
    },
    /// It was refused.
    Refused {
        /// Why.
        answer: Option<AnswerText>,
    },
}

/// What is said to someone who asked; its sentences are written where all sentences are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum AnswerText {
    /// The list of commands.
    Help,
    /// The person may not.
    NotPermitted {
        /// What was found.
        found: Permission,
    },
    /// Some commands were refused; each with its reason.
    Problems {
        /// The reasons.
        reasons: Vec<Problem>,
    },
}

/// Why a command was refused although the person may give it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Problem {
    /// It was not written as the command wants it.
    Malformed {
        /// What it wants.
        text: String,
    },
    /// The run is over.
    Over,
    /// What was asked for is under way.
    UnderWay,
    /// Someone paused the run, and a pause ends by its own command only.
    Paused,
    /// There is no head yet.
    NoHead,
    /// It is not paused.
    NotPaused,
    /// It is paused already, or rests anyway.
    NothingToPause,
    /// It has no limit in tokens that could be raised.
    NoTokenBudget,
}

/// Why a breaker opened (section 4 of the design; exhaustive).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Halt {
    /// Findings are open and no round is left.
    RoundsExhausted,
    /// The next call does not fit the budget.
    BudgetExhausted,
    /// A gate is red and no round is left, or it could not be examined.
    GateFailing,
    /// The tree repeats an earlier one, or nothing changed.
    NoProgress,
    /// The two sides need a person.
    DisputeEscalated,
    /// The change does not fit onto the branch.
    MergeConflict,
    /// An agent failed.
    AgentFailed,
    /// The policy file is not valid.
    PolicyInvalid,
    /// GitHub refused.
    PermissionMissing,
    /// The time is over.
    TimedOut,
}

impl Halt {
    /// The word used in text and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundsExhausted => "rounds-exhausted",
            Self::BudgetExhausted => "budget-exhausted",
            Self::GateFailing => "gate-failing",
            Self::NoProgress => "no-progress",
            Self::DisputeEscalated => "dispute-escalated",
            Self::MergeConflict => "merge-conflict",
            Self::AgentFailed => "agent-failed",
            Self::PolicyInvalid => "policy-invalid",
            Self::PermissionMissing => "permission-missing",
            Self::TimedOut => "timed-out",
        }
    }
}

/// Why a run did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refused", rename_all = "kebab-case")]
pub enum Refusal {
    /// The person who set the label may not start runs.
    NotPermitted {
        /// What that person may do.
        found: Permission,
    },
}

/// How a run ended without a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closing {
    /// The label was removed.
    LabelRemoved,
    /// The issue was closed.
    IssueClosed,
    /// The pull request was closed.
    PullRequestClosed,
    /// Someone said stop.
    Stopped,
    /// The App can no longer act there, so nobody is told: nothing can be written.
    AccessLost {
        /// How.
        loss: AccessLoss,
    },
}

impl Run {
    /// Whether nothing can happen to it any more.
    pub fn is_over(&self) -> bool {
        match &self.phase {
            Phase::Refused { .. } | Phase::Merged { .. } | Phase::Closed { .. } => true,
            Phase::Queued { .. }
            | Phase::Creating { .. }
            | Phase::Opening { .. }
            | Phase::Validating(_)
            | Phase::AwaitingHuman(_)
            | Phase::Halted { .. } => false,
        }
    }

    /// Whether it ended because the App lost its access: then nothing of it can be shown.
    pub fn lost_access(&self) -> bool {
        matches!(self.phase, Phase::Closed { closing: Closing::AccessLost { .. }, .. })
    }

    /// Whether it works: it is neither over nor waits for a person.
    pub fn is_working(&self) -> bool {
        self.phase.is_work() && !self.paused
    }

    /// What is known of the head that is, or was last, validated.
    pub fn validation(&self) -> Option<&Validation> {
        match &self.phase {
            Phase::Validating(validation) | Phase::AwaitingHuman(validation) => Some(validation),
            Phase::Queued { last, .. }
            | Phase::Creating { last }
            | Phase::Halted { last, .. }
            | Phase::Merged { last, .. }
            | Phase::Closed { last, .. } => last.as_ref(),
            Phase::Opening { .. } | Phase::Refused { .. } => None,
        }
    }

    /// What it may spend.
    pub fn limits(&self) -> Limits {
        Limits { money: Some(self.budget), tokens: self.budget_tokens }
    }

    /// The findings that keep the pull request from being ready.
    pub fn holding(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values().filter(|finding| finding.holds())
    }

    /// The name of the phase, for lists and logs.
    pub fn phase_name(&self) -> &'static str {
        match &self.phase {
            Phase::Queued { .. } => "queued",
            Phase::Creating { .. } => "creating",
            Phase::Opening { .. } => "opening",
            Phase::Validating(_) => "validating",
            Phase::AwaitingHuman(_) => "awaiting-human",
            Phase::Halted { .. } => "halted",
            Phase::Refused { .. } => "refused",
            Phase::Merged { .. } => "merged",
            Phase::Closed { .. } => "closed",
        }
    }
}
