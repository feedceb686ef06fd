//! What can happen: one normalised fact each, whether a person, GitHub, a worker or a clock brought it.

use serde::{Deserialize, Serialize};

use crate::budget::Exhausted;
use crate::command::Command;
use crate::effect::Publication;
use crate::finding::{Answer, Remark, Verification};
use crate::ids::{
    BaseSha, CommentId, GateName, HeadSha, InstallationId, IssueNumber, Login, Money, PullRequestNumber,
    RepositoryId, ReviewId, ReviewerName, Round, RunId, TreeSha, Usage, UserId,
};
use crate::policy::Policy;

/// A signal with what the engine needs to find its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Whose installation it concerns.
    pub installation: InstallationId,
    /// Which run it is for.
    pub target: Target,
    /// What happened.
    pub signal: Signal,
}

/// How a signal names its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Target {
    /// The newest run of an issue.
    Issue {
        /// Where.
        repository: RepositoryId,
        /// Which issue.
        issue: IssueNumber,
    },
    /// The run that owns a pull request; by its branch where its number is not known yet.
    PullRequest {
        /// Where.
        repository: RepositoryId,
        /// Which pull request.
        number: PullRequestNumber,
        /// The head branch, if the delivery says it and it lives in the same repository.
        branch: Option<String>,
    },
    /// Every open run whose current head this is.
    Head {
        /// Where.
        repository: RepositoryId,
        /// The commit.
        head: HeadSha,
    },
    /// A run by its name.
    Run {
        /// Its name.
        run: RunId,
    },
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The account.
    pub id: UserId,
    /// Its name at that time.
    pub login: Login,
    /// What kind of account it is.
    pub kind: ActorKind,
}

/// What kind of account acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    /// A person.
    Person,
    /// Another program.
    Bot,
    /// This App itself.
    Own,
}

/// A level of access to a repository, as GitHub's role names order them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// None, or not to be found out: unknown counts as none (promise P5).
    None,
    /// May read.
    Read,
    /// May label.
    Triage,
    /// May push.
    Write,
    /// May manage the repository.
    Maintain,
    /// May do everything.
    Admin,
}

/// What an issue is, at the moment it was labelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueFacts {
    /// Owner and name of the repository at that time, for links and clones; the id is what counts.
    pub repository_name: String,
    /// The issue's title.
    pub title: String,
}

/// What can happen to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "signal", rename_all = "kebab-case")]
pub enum Signal {
    /// Someone set the label on the issue.
    LabelSet {
        /// Who.
        by: Actor,
        /// On what.
        issue: IssueFacts,
    },
    /// Someone took the label away.
    LabelRemoved {
        /// Who.
        by: Actor,
    },
    /// Someone closed the issue (GitHub also does, on merge).
    IssueClosed {
        /// Who.
        by: Actor,
    },
    /// A new comment holds commands.
    Commanded {
        /// Who wrote it.
        by: Actor,
        /// The comment, for the reaction.
        comment: CommentId,
        /// The commands in order; what did not parse is kept as it was written, to be answered.
        commands: Vec<Result<Command, String>>,
    },
    /// A new comment or review without commands.
    Remarked {
        /// Who wrote it.
        by: Actor,
        /// Where.
        source: FeedbackSource,
        /// What it says, bounded by ingress.
        text: String,
    },
    /// The pull request's branch has a new head.
    HeadMoved {
        /// Who pushed.
        by: Actor,
        /// The new head.
        head: HeadSha,
        /// The tip of the base as the delivery gives it.
        base: BaseSha,
    },
    /// The App can no longer act where the run lives.
    AccessLost {
        /// Who took it away.
        by: Actor,
        /// How.
        loss: AccessLoss,
    },
    /// The pull request was merged or closed.
    PullRequestClosed {
        /// Who.
        by: Actor,
        /// Whether it was merged.
        merged: bool,
        /// The head at that time.
        head: HeadSha,
    },
    /// Another app's check run or a commit status on the head changed. What it says now is read from GitHub.
    ForeignCheckChanged {
        /// The commit it is about.
        head: HeadSha,
    },
    /// Someone pressed a button on one of our check runs.
    CheckPressed {
        /// Who.
        by: Actor,
        /// Which gate's check run.
        gate: GateName,
        /// The commit the check run is about.
        head: HeadSha,
        /// Which button.
        button: CheckButton,
    },
    /// The intake task ended.
    Inspected(Inspection),
    /// The permission of someone who asked for something was read.
    PermissionRead {
        /// Which request.
        request: RequestId,
        /// The level; none where it could not be found out.
        permission: Permission,
    },
    /// The creator's task ended.
    Created {
        /// Which round it worked on.
        round: Round,
        /// Which attempt at that round.
        attempt: u32,
        /// How it ended.
        outcome: CreateOutcome,
        /// What it cost.
        spend: Spend,
    },
    /// The pull request exists.
    PullRequestOpened {
        /// Its number.
        number: PullRequestNumber,
        /// Its id in GraphQL, which alone can change the draft state.
        node_id: String,
        /// Whether it is a draft.
        draft: bool,
        /// Its head when it was read.
        head: HeadSha,
    },
    /// A reviewer's task ended.
    Reviewed {
        /// Who reviewed.
        reviewer: ReviewerName,
        /// The head that was read.
        head: HeadSha,
        /// How it ended.
        outcome: ReviewOutcome,
        /// What it cost.
        spend: Spend,
    },
    /// A gate was examined.
    GateReported {
        /// Which gate.
        gate: GateName,
        /// The head that was examined.
        head: HeadSha,
        /// What came out.
        report: GateReport,
    },
    /// The set-up before a creator's turn ran.
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
    /// A review was not posted, because GitHub's head was no longer the one it read.
    ReviewWithheld {
        /// Whose review.
        reviewer: ReviewerName,
        /// The head it read.
        head: HeadSha,
        /// The head GitHub shows now.
        actual: Option<HeadSha>,
    },
    /// A task can not be done, now or by trying again.
    TaskFailed {
        /// What was to be done.
        work: WorkKind,
        /// Why it failed.
        failure: Failure,
        /// In words, for a person.
        detail: String,
    },
    /// Something was written on GitHub after all that had been given up.
    Published {
        /// What.
        publication: Publication,
    },
    /// A timer of the run went off.
    TimerFired {
        /// Which one.
        timer: Timer,
    },
}

/// How the App lost its access to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessLoss {
    /// The App was taken off the account.
    InstallationDeleted,
    /// Its installation was suspended.
    InstallationSuspended,
    /// The repository was taken out of the installation, transferred to another account, or deleted.
    RepositoryRemoved,
}

/// Where feedback was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "kebab-case")]
pub enum FeedbackSource {
    /// A comment on the issue or the pull request's conversation.
    Comment {
        /// Which.
        id: CommentId,
    },
    /// A comment at a line of the diff.
    LineComment {
        /// Which.
        id: CommentId,
    },
    /// A submitted review.
    Review {
        /// Which.
        id: ReviewId,
        /// Whether it asks for changes.
        changes_requested: bool,
    },
}

/// A button on a check run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckButton {
    /// GitHub's own "Re-run".
    Rerun,
    /// Our action "Retry".
    Retry,
    /// Our action "Stop".
    Stop,
}

/// Number of a request of a person inside its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u32);

/// What intake read from GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "kebab-case")]
pub enum Inspection {
    /// Everything a run needs.
    Fit {
        /// What the person who set the label may do.
        permission: Permission,
        /// The rules on the default branch.
        policy: Box<Policy>,
        /// Tip of the default branch.
        base: BaseSha,
        /// Tip of the run's branch, if an earlier run left one.
        branch_head: Option<HeadSha>,
        /// The open pull request of that branch, if an earlier run left one.
        pull_request: Option<PullRequestFacts>,
    },
    /// The policy file says something that is not allowed.
    PolicyInvalid {
        /// What, with line, key and what is allowed.
        problems: Vec<String>,
    },
    /// The issue is closed or no longer labelled: there is nothing to do.
    Gone,
}

/// What is known of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestFacts {
    /// Its number.
    pub number: PullRequestNumber,
    /// Its id in GraphQL.
    pub node_id: String,
    /// Whether it is a draft.
    pub draft: bool,
}

/// How a creator's task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum CreateOutcome {
    /// A commit was pushed.
    Pushed {
        /// The commit.
        head: HeadSha,
        /// The base tip it is compared with.
        base: BaseSha,
        /// Its files.
        tree: TreeSha,
        /// Title for the pull request.
        title: String,
        /// What was done, in Markdown.
        summary: String,
        /// What the creator says of open findings.
        answers: Vec<Answer>,
    },
    /// Nothing changed, or the tree is one this run already had. Nothing was pushed.
    NoProgress,
    /// Someone else pushed first. Nothing was pushed.
    HeadMoved {
        /// What the branch points to; none if it is gone.
        actual: Option<HeadSha>,
    },
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
        /// In words, for a person.
        detail: String,
    },
}

/// How a reviewer's task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum ReviewOutcome {
    /// A review was handed in.
    Submitted {
        /// The reviewer's words.
        summary: String,
        /// What it found.
        remarks: Vec<Remark>,
        /// What it says of its earlier findings.
        verified: Vec<Verification>,
    },
    /// None was: never an approval (promise P5).
    Failed {
        /// Why.
        failure: Failure,
        /// In words, for a person.
        detail: String,
    },
}

/// Why work could not be done. Each is a halt of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The agent, or the model behind it.
    Agent,
    /// The run's money ran out, as older versions told it.
    Budget,
    /// A budget has no room for the next call.
    Exhausted(Exhausted),
    /// The time ran out.
    Time,
    /// GitHub refused for want of a permission, or by a rule of the repository.
    Permission,
    /// The change does not fit onto the branch.
    Conflict,
}

/// What kind of work failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "kebab-case")]
pub enum WorkKind {
    /// Reading the issue, the policy and the labeller's permission.
    Inspect,
    /// Reading someone's permission.
    ReadPermission {
        /// For which request.
        request: RequestId,
    },
    /// The creator.
    Create,
    /// A reviewer.
    Review {
        /// Which.
        reviewer: ReviewerName,
        /// Of which head.
        head: HeadSha,
    },
    /// A gate.
    Gate {
        /// Which.
        gate: GateName,
        /// On which head.
        head: HeadSha,
    },
    /// Opening the pull request.
    OpenPullRequest,
    /// Writing something on GitHub.
    Publish {
        /// What; none where an older version told of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        publication: Option<Publication>,
    },
    /// Something that this version cannot read.
    Unreadable {
        /// The lane it waited in, which alone is known of it: see [`Work::lane`](crate::effect::Work::lane).
        lane: String,
    },
}

/// What a task cost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// In money.
    pub cost: Money,
    /// In tokens.
    pub usage: Usage,
}

/// What a gate found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReport {
    /// The verdict.
    pub verdict: Verdict,
    /// One line that says what was found or what it waits for.
    pub title: String,
    /// More, in Markdown, bounded by the gate and harmless already.
    pub summary: String,
    /// What whoever failed said of it, as it was said: to be quoted, never read as Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Places in files.
    pub annotations: Vec<Annotation>,
}

/// What a command asked for of one host outside its sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// `host:port` as it was asked for, or what was wrong with the request.
    pub asked: String,
    /// Why it was refused; nothing where it was let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// How often.
    pub times: u32,
    /// Bytes that went out.
    pub sent: u64,
    /// Bytes that came in.
    pub received: u64,
}

/// A gate's verdict. There is no "skipped": GitHub counts that as passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Green,
    /// It does not hold, and a new round may mend it.
    Red,
    /// It could not be found out: a person must look.
    Unknown,
    /// What it depends on has not ended; it will be examined again.
    Waiting,
}

/// A remark of a gate at a place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// Path inside the repository.
    pub path: String,
    /// First line, from 1.
    pub line_start: u32,
    /// Last line.
    pub line_end: u32,
    /// What is wrong there.
    pub message: String,
}

/// A timer of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "timer", rename_all = "kebab-case")]
pub enum Timer {
    /// The run has worked as long as it may (promise P4).
    Deadline,
    /// The `ci` gate has waited as long as it may for this head.
    CiWait {
        /// Which head.
        head: HeadSha,
    },
}
