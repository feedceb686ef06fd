//! Runs as they are stored: the ledger, the state that follows from it, and the decision that extends both.

use pairbot_protocol::effect::Effect;
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{
    HeadSha, InstallationId, Money, PullRequestNumber, Round, RunId, TaskId, Timestamp,
};
use pairbot_protocol::run::Run;

use super::InboxId;

/// A run with the number of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun {
    /// The run.
    pub run: Run,
    /// How many events its ledger has: what a decision on this state names as `version_before`.
    pub version: u64,
}

/// A decision, with everything that must become true together with it.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The row of the inbox that is done by it.
    pub inbox: Option<InboxId>,
    /// Which run it is about.
    pub run: RunId,
    /// How many events the ledger had when it was decided; 0 for a run that does not exist yet.
    pub version_before: u64,
    /// What happened.
    pub events: Vec<Event>,
    /// The run after these events.
    pub run_after: Run,
    /// What shall happen, in this order.
    pub effects: Vec<Effect>,
    /// When it was decided.
    pub at: Timestamp,
}

/// What a commit brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The task of each effect that has one, in the order of the effects. A publication that already waited
    /// is named by the task it waits in.
    pub tasks: Vec<TaskId>,
}

/// One entry of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its position, from 1.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// SHA-256 of the predecessor's hash (32 zero bytes for the first) followed by the stored payload.
    pub hash: [u8; 32],
}

/// Which runs to list.
#[derive(Debug, Clone, Copy)]
pub struct RunFilter {
    /// Leave out runs that are over.
    pub open_only: bool,
    /// At most this many, newest first.
    pub limit: usize,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Its name.
    pub run: RunId,
    /// Whose installation it lives in.
    pub installation: InstallationId,
    /// Owner and name of its repository when it began.
    pub repository_name: String,
    /// Title of its issue.
    pub title: String,
    /// The name of its phase.
    pub phase: &'static str,
    /// Whether something can still happen to it.
    pub open: bool,
    /// The round it is in.
    pub round: Round,
    /// Its pull request.
    pub pull_request: Option<PullRequestNumber>,
    /// The tip of its branch.
    pub head: Option<HeadSha>,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it was last decided upon.
    pub updated_at: Timestamp,
    /// The most it may spend.
    pub limit: Money,
    /// What it has spent.
    pub spent: Money,
}
