//! Agents: who writes a change and who reads it.
//!
//! An [`Agent`] gets a task with everything in it and gives back a product or a failure that says what ended it. It
//! holds no key and no token of GitHub, it decides nothing about a run, and what it costs is reserved before it is
//! spent, through the account it is given.
//!
//! There are three kinds: [`builtin`], whose loop is ours; and, as programs of others in a cage ([`vendor`]), those that
//! speak the Agent Client Protocol ([`acp`]) and those that only have a command line. Which of them exist here is the
//! operator's word ([`roster`]).
//!
//! Reading order: [`task`], [`outcome`], [`untrusted`], [`prompts`], [`desk`], [`builtin`], [`mcp`], [`acp`], [`vendor`],
//! [`presets`], [`roster`].

mod acp;
pub mod builtin;
pub mod checkpoint;
mod desk;
mod lines;
pub mod mcp;
pub mod outcome;
pub mod presets;
pub mod prompts;
pub mod roster;
pub mod task;
pub mod untrusted;
pub mod vendor;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use builtin::BuiltinAgent;
pub use builtin::transcript::{TranscriptError, TranscriptStore, Turn};
pub use checkpoint::{Checkpoint, CheckpointError, Repository};
pub use outcome::{AgentFailure, CreateOutcome, HandIn, ReportedFinding, Review, ReviewOutcome, Spent};
pub use roster::Roster;
pub use task::{AgentLimits, CreateTask, Feedback, OpenFinding, ReviewTask};

use crate::gateway::BudgetAccount;

/// What a task needs beside its own data: who pays, where its conversation is kept, and who may end it early.
#[derive(Clone, Copy)]
pub struct TaskPorts<'a> {
    /// Who pays for its model calls.
    pub account: &'a Arc<dyn BudgetAccount>,
    /// Where its conversation is kept, so that a crash costs at most one call.
    pub transcript: &'a dyn TranscriptStore,
    /// What its files can be brought back to; none for who only reads.
    pub files: Option<&'a dyn Checkpoint>,
    /// A git repository in the files, for agents that want one.
    pub repository: &'a dyn Repository,
    /// The gates of the repository; none for who only reads.
    pub gates: Option<&'a dyn Gates>,
    /// Cancelled when the server stops. The task then ends before its next turn, and goes on there in another life.
    pub stop: &'a CancellationToken,
}

/// The gates of the repository, for a creator that wants to know before others do.
#[async_trait]
pub trait Gates: Send + Sync {
    /// What can be asked for.
    fn names(&self) -> Vec<String>;

    /// Runs one gate, or all of them, on the files as they are now, and says what they said. Nothing of it counts: the
    /// gates run again on what is handed in.
    async fn run(&self, gate: Option<&str>) -> Result<String, String>;
}

/// Something that can write a change and read one.
#[async_trait]
pub trait Agent: Send + Sync {
    /// Works on an issue inside `task.root` until it hands in. What it changed there is the product; the answer only
    /// describes it.
    async fn create(&self, task: CreateTask, ports: TaskPorts<'_>) -> CreateOutcome;

    /// Reads a change and says what is wrong with it. Writes nothing.
    async fn review(&self, task: ReviewTask, ports: TaskPorts<'_>) -> ReviewOutcome;
}
