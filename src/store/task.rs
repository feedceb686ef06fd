//! The one door out: tasks, and the leases under which they are carried out.

use pairbot_protocol::effect::{Publication, Work};
use pairbot_protocol::ids::{FencingToken, InstallationId, RunId, TaskId, Timestamp};
use pairbot_protocol::signal::Envelope;
use serde::{Deserialize, Serialize};

use super::Intervention;

/// An effect that a worker carries out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum TaskEffect {
    /// Something that ends in a signal.
    Work(Work),
    /// Something that people see.
    Publication(Publication),
}

/// Which kinds of task to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKinds {
    /// Only errands: work that asks GitHub for a few things and is over. What a person may do who wants a run stopped is
    /// asked by one, so none may wait behind agents that take as long as they take.
    Errand,
    /// Only agents and gates.
    Agent,
    /// Only publications.
    Publication,
    /// Whatever there is.
    All,
}

/// The exclusive right to carry out a task, until it expires or its work is withdrawn.
///
/// Only a store grants one, so whatever asks for a lease cannot be reached without a recorded intention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    run: RunId,
    task: TaskId,
    installation: InstallationId,
    fence: FencingToken,
    until: Timestamp,
}

impl Lease {
    pub(in crate::store) fn grant(
        run: RunId,
        task: TaskId,
        installation: InstallationId,
        fence: FencingToken,
        until: Timestamp,
    ) -> Self {
        Self { run, task, installation, fence, until }
    }

    /// The run it serves.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The task it is for.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// Whose installation the run lives in.
    pub fn installation(&self) -> InstallationId {
        self.installation
    }

    /// Grows with every grant for this task.
    pub fn fence(&self) -> FencingToken {
        self.fence
    }

    /// Until when it was granted; every heartbeat extends it in the store.
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

/// A task that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The right to carry it out.
    pub lease: Lease,
    /// What to do.
    pub effect: TaskEffect,
    /// Which attempt this is, from 1. An attempt that was put off or met an outage does not count.
    pub attempt: u32,
    /// How many attempts met an outage.
    pub outages: u32,
    /// When it was decided upon.
    pub created_at: Timestamp,
}

/// What an attempt counts as that ends without a result and without an end of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    /// Nothing: it was told to wait.
    Snoozed,
    /// A failure of the task.
    Failed,
    /// An outage, which says nothing about the task. Counted apart, so that a long outage does not use up the attempts
    /// that failures have.
    Outage,
}

/// What a task brought about.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// What the engine shall hear.
    pub signals: Vec<Envelope>,
    /// Names of what now exists outside: key and the id it has there. A later value replaces an earlier one.
    pub receipts: Vec<(String, String)>,
}

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskState {
    /// An older task of its lane comes first.
    Waiting,
    /// It can be claimed.
    Ready,
    /// It is tried again later.
    Delayed,
    /// Somebody holds its lease.
    Running,
    /// It was done.
    Done,
    /// It failed for good and is kept as a dead letter.
    Dead,
    /// It was withdrawn.
    Cancelled,
    /// It was a dead letter, and an operator dropped it.
    Dropped,
}

impl TaskState {
    /// The word for lists and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Delayed => "delayed",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Dropped => "dropped",
        }
    }
}

/// A task as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRecord {
    /// Its identity.
    pub task: TaskId,
    /// The run it serves.
    pub run: RunId,
    /// Whose installation the run lives in.
    pub installation: InstallationId,
    /// The stored effect, as text: a dead letter may be one that this version cannot read.
    pub payload: String,
    /// Where it is.
    pub state: TaskState,
    /// Attempts that counted.
    pub attempts: u32,
    /// Attempts that met an outage.
    pub outages: u32,
    /// How many events its run had once it was decided upon; none for tasks of older versions.
    pub version: Option<u64>,
    /// When it was decided upon.
    pub created_at: Timestamp,
    /// When it ended, if it has.
    pub finished_at: Option<Timestamp>,
    /// Why it is dead.
    pub reason: Option<String>,
    /// The attempts that did not succeed, oldest first.
    pub history: Vec<FailedAttempt>,
    /// What operators did about it, oldest first.
    pub interventions: Vec<Intervention>,
}

/// An attempt at a task that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAttempt {
    /// The token under which it was made.
    pub fence: FencingToken,
    /// Who made it.
    pub worker: String,
    /// When it began.
    pub claimed_at: Timestamp,
    /// How it ended.
    pub error: String,
    /// Whether it met an outage.
    pub outage: bool,
}
