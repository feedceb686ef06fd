//! A state of a small world: the store, and GitHub as far as a run can tell.

use std::collections::{BTreeMap, BTreeSet};

use pairbot_protocol::checks::CheckState;
use pairbot_protocol::effect::{Publication, Work};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::Signal;

use crate::intern::Name;
use crate::names::{self, Commit};

/// What an agent's task sets aside before it begins.
pub(crate) const RESERVED: u64 = 2;
/// What it turns out to cost.
pub(crate) const COST: u64 = 1;

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) issues: Vec<Issue>,
    /// Signals that wait, in no order: none is promised, and of the orders the engine takes none may break anything.
    pub(crate) inbox: Vec<Post>,
    /// What was accepted, where redelivery is looked at.
    pub(crate) accepted: Vec<Post>,
    /// How often the default branch has moved.
    pub(crate) base: u8,
    /// Which of the outside acts have happened.
    pub(crate) used: u32,
    pub(crate) faults_left: u8,
}

/// An issue with its branch, its pull request, and its runs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Issue {
    pub(crate) open: bool,
    pub(crate) labelled: bool,
    /// How often the label was set.
    pub(crate) labels: u8,
    pub(crate) branch: Option<Commit>,
    pub(crate) pull: Option<Pull>,
    pub(crate) lives: Vec<Life>,
}

/// The newest pull request of a branch.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pull {
    /// Also how many there were.
    pub(crate) number: u8,
    pub(crate) open: bool,
    pub(crate) draft: bool,
}

/// A run, what the store keeps of it, and what of it GitHub shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Life {
    pub(crate) run: Name<Run>,
    /// Oldest first.
    pub(crate) work: Vec<Task>,
    /// Creators whose work was withdrawn and who have not noticed.
    pub(crate) ghosts: Vec<Name<Work>>,
    /// Oldest first; they share one lane.
    pub(crate) postings: Vec<Posting>,
    pub(crate) deadline: bool,
    pub(crate) ci_waits: BTreeSet<Commit>,
    pub(crate) limit: u64,
    pub(crate) spent: u64,
    pub(crate) shown: BTreeMap<(u8, Commit), Shown>,
    /// Reviews on GitHub by their markers: reviewer, head, reading.
    pub(crate) posted: Vec<(u8, Commit, usize)>,
    /// Answers on GitHub.
    pub(crate) answered: Vec<u32>,
    /// What workers have really seen.
    pub(crate) seen: BTreeSet<Seen>,
}

/// A task of the outbox.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Task {
    pub(crate) work: Name<Work>,
    pub(crate) stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Waiting,
    /// Its money is set aside.
    Paid,
    /// Its commit is on the branch, and nobody was told.
    Pushed,
    /// Whoever opened its pull request died before telling.
    Opened,
}

/// A publication of the outbox.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Posting {
    pub(crate) publication: Name<Publication>,
    /// Somebody carries it out and has not read the run yet: one that is equal is queued behind it.
    pub(crate) claimed: bool,
    /// An earlier attempt may have got through: look before writing.
    pub(crate) again: bool,
}

/// Something that a worker has seen with its own eyes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Seen {
    /// A reviewer has read a commit.
    Read(u8, Commit),
    /// A gate was examined on a commit.
    Examined(u8, Commit),
    /// A gate was found to hold on a commit.
    Green(u8, Commit),
}

impl Seen {
    pub(crate) fn commit(self) -> Commit {
        match self {
            Self::Read(_, commit) | Self::Examined(_, commit) | Self::Green(_, commit) => commit,
        }
    }
}

/// What a check run shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shown {
    InProgress,
    Success,
    Failure,
    ActionRequired,
    Withdrawn,
}

impl Shown {
    /// Whether this must not stay on a commit that is no longer in question.
    pub(crate) fn misleads(self, gate: u8) -> bool {
        self == Self::InProgress || (self == Self::Success && gate == names::READY)
    }
}

impl From<CheckState> for Shown {
    fn from(state: CheckState) -> Self {
        match state {
            CheckState::InProgress => Self::InProgress,
            CheckState::Success => Self::Success,
            CheckState::Failure => Self::Failure,
            CheckState::ActionRequired => Self::ActionRequired,
            CheckState::Withdrawn => Self::Withdrawn,
        }
    }
}

/// A signal with its address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Post {
    pub(crate) to: To,
    pub(crate) signal: Name<Signal>,
}

/// How a signal names its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum To {
    /// The newest run of an issue.
    Issue(usize),
    /// The run with this position among those of an issue.
    Run(usize, usize),
    /// Whichever owns the pull request, else the newest run of its branch.
    Pull(usize, u8),
    /// The run of an issue that is not over and has this head.
    Head(usize, Commit),
}

impl World {
    pub(crate) fn new(issues: usize, faults: u8) -> Self {
        let issue =
            Issue { open: true, labelled: false, labels: 0, branch: None, pull: None, lives: Vec::new() };
        Self {
            issues: vec![issue; issues],
            inbox: Vec::new(),
            accepted: Vec::new(),
            base: 0,
            used: 0,
            faults_left: faults,
        }
    }

    pub(crate) fn post(&mut self, post: Post) {
        let at = self.inbox.partition_point(|other| *other <= post);
        self.inbox.insert(at, post);
    }
}

impl Issue {
    pub(crate) fn has_open_pull(&self) -> bool {
        self.pull.as_ref().is_some_and(|pull| pull.open)
    }
}

impl Life {
    pub(crate) fn new(run: Name<Run>) -> Self {
        Self {
            run,
            work: Vec::new(),
            ghosts: Vec::new(),
            postings: Vec::new(),
            deadline: false,
            ci_waits: BTreeSet::new(),
            limit: 0,
            spent: 0,
            shown: BTreeMap::new(),
            posted: Vec::new(),
            answered: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// What is set aside for tasks that have not ended.
    pub(crate) fn reserved(&self) -> u64 {
        self.work.iter().map(|task| if task.stage == Stage::Paid { RESERVED } else { 0 }).sum()
    }
}
