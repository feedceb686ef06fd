//! What did happen: the entries of a run's ledger. A run is the fold of its events, and nothing else.

use serde::{Deserialize, Serialize};

use crate::budget::Exhausted;
use crate::effect::Publication;
use crate::finding::Finding;
use crate::ids::{
    BaseSha, FindingId, GateName, HeadSha, InstallationId, Money, ReviewerName, Round, RunId, Timestamp,
    Tokens, TreeSha,
};
use crate::policy::Policy;
use crate::run::{Closing, Feedback, Halt, Refusal, Request};
use crate::signal::{Actor, Contact, GateReport, IssueFacts, PullRequestFacts, RequestId, Spend};

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began.
    Opened {
        /// Its name.
        run: RunId,
        /// Whose installation it lives in.
        installation: InstallationId,
        /// Who set the label.
        by: Actor,
        /// On what.
        issue: IssueFacts,
        /// When.
        at: Timestamp,
    },
    /// The run was not allowed to begin.
    Refused {
        /// Why.
        reason: Refusal,
    },
    /// The repository's rules hold from here on.
    PolicyAdopted {
        /// The rules.
        policy: Box<Policy>,
        /// Tip of the default branch they were read from.
        base: BaseSha,
    },
    /// Work left by an earlier run of the issue was taken over.
    WorkAdopted {
        /// Tip of its branch.
        head: Option<HeadSha>,
        /// Its pull request.
        pull_request: Option<PullRequestFacts>,
    },
    /// How long the run may work from here.
    DeadlineSet {
        /// Until when.
        at: Timestamp,
    },
    /// The run's budget was set.
    BudgetSet {
        /// The most the run may spend.
        limit: Money,
        /// The most tokens it may use; none for no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens: Option<Tokens>,
    },
    /// Intake begins, for the first time or again.
    InspectionStarted {
        /// What follows once the rules are read.
        then: crate::run::AfterInspection,
    },
    /// The creator's turn begins.
    RoundStarted {
        /// Which round.
        round: Round,
        /// Which attempt at it.
        attempt: u32,
        /// Up to which round the run may go without a person.
        rounds_allowed: Round,
    },
    /// The set-up before a creator's turn ran. It decides nothing: the ledger keeps which hosts it reached, as a gate's
    /// report does for the set-up before a gate.
    SetUpRan {
        /// Before which round.
        round: Round,
        /// Before which attempt at it.
        attempt: u32,
        /// How it went.
        report: GateReport,
        /// What it asked for outside the sandbox.
        contacts: Vec<Contact>,
    },
    /// The creator pushed a commit.
    Pushed {
        /// In which round.
        round: Round,
        /// The commit.
        head: HeadSha,
        /// The base tip it is compared with.
        base: BaseSha,
        /// Its files.
        tree: TreeSha,
        /// Title for the pull request.
        title: String,
        /// What was done.
        summary: String,
        /// What the creator says of open findings.
        answers: Vec<crate::finding::Answer>,
        /// What it cost.
        spend: Spend,
    },
    /// A task of an agent ended without a result, having cost something.
    Spent {
        /// What.
        spend: Spend,
    },
    /// Someone else pushed to the branch.
    HeadTaken {
        /// Who; none where GitHub only showed the new head.
        by: Option<Actor>,
        /// The new head.
        head: HeadSha,
        /// The base tip it is compared with.
        base: BaseSha,
    },
    /// The pull request exists.
    PullRequestOpened {
        /// What is known of it.
        pull_request: PullRequestFacts,
    },
    /// Reviews and gates of a head begin.
    ValidationStarted {
        /// The head.
        head: HeadSha,
        /// The base tip it is compared with.
        base: BaseSha,
        /// Who shall review it.
        reviewers: Vec<ReviewerName>,
        /// What shall be examined.
        gates: Vec<GateName>,
    },
    /// A review of the present head was handed in.
    ReviewRecorded {
        /// Whose.
        reviewer: ReviewerName,
        /// Of which head.
        head: HeadSha,
        /// Its words.
        summary: String,
        /// What it raised.
        raised: Vec<Finding>,
        /// Earlier findings it saw fixed.
        fixed: Vec<FindingId>,
        /// What it cost.
        spend: Spend,
    },
    /// A review failed: it counts as no review.
    ReviewFailed {
        /// Whose.
        reviewer: ReviewerName,
        /// Of which head.
        head: HeadSha,
        /// Why, in words.
        detail: String,
        /// What it cost.
        spend: Spend,
    },
    /// A verdict came for a head that is no longer the one in question, and does not count (promise P2).
    VerdictVoided {
        /// Whose: a reviewer or a gate.
        of: String,
        /// The head it is about.
        head: HeadSha,
        /// What it cost.
        spend: Spend,
    },
    /// Reviewers are asked again about the present head.
    ReviewsRestarted {
        /// Which.
        reviewers: Vec<ReviewerName>,
    },
    /// A gate of the present head is examined (again).
    GateStarted {
        /// Which.
        gate: GateName,
        /// The head.
        head: HeadSha,
    },
    /// A gate of the present head reported.
    GateRecorded {
        /// Which.
        gate: GateName,
        /// The head.
        head: HeadSha,
        /// What it found.
        report: GateReport,
    },
    /// Every rule holds for this head: a person may merge.
    BecameReady {
        /// The head.
        head: HeadSha,
    },
    /// What was ready no longer is; its head is examined again.
    ReadyWithdrawn {
        /// The head.
        head: HeadSha,
    },
    /// The breaker opened.
    Halted {
        /// Why.
        reason: Halt,
        /// In words, for a person.
        detail: String,
        /// The budget that is used up, if that is why; none in ledgers of older versions, which had but the run's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exhausted: Option<Exhausted>,
    },
    /// Someone asked for something.
    RequestReceived {
        /// Its number.
        id: RequestId,
        /// What was asked.
        request: Request,
    },
    /// The request was carried out or refused.
    RequestSettled {
        /// Its number.
        id: RequestId,
        /// Whether it was carried out.
        granted: bool,
        /// What is answered to it, if anything has to be said.
        answer: Option<crate::run::AnswerText>,
    },
    /// A person with write access said something the creator shall hear.
    FeedbackGiven {
        /// What.
        feedback: Feedback,
    },
    /// Nothing new starts until resumed.
    Paused {
        /// Who asked for it.
        by: Actor,
    },
    /// Work goes on.
    Resumed {
        /// Who asked for it.
        by: Actor,
    },
    /// The pull request was merged.
    Merged {
        /// Who merged it.
        by: Actor,
        /// Which head.
        head: HeadSha,
    },
    /// The run ended without a merge.
    Closed {
        /// How.
        closing: Closing,
        /// Who.
        by: Actor,
    },
    /// Something could not be written on GitHub although it was tried as often as allowed.
    PublicationFailed {
        /// Why it failed.
        detail: String,
        /// What was tried; none in ledgers of older versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        publication: Option<Publication>,
    },
    /// What could not be written on GitHub was written after all.
    PublicationMade {
        /// What.
        publication: Publication,
    },
    /// Something that was to be done is stored in a form that this version cannot read, and was given up.
    TaskUnreadable {
        /// The lane it waited in.
        lane: String,
        /// Why it cannot be read.
        detail: String,
    },
}
