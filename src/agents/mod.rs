//! Agents: who writes a change and who reads it.
//!
//! An [`Agent`] gets a task with everything in it and gives back a product or a failure that says what ended it. It
//! holds no key and no token of GitHub, it decides nothing about a run, and what it costs is reserved before it is
//! spent, through the account it is given.
//!
//! Reading order: [`task`], [`outcome`], [`untrusted`], [`prompts`], [`builtin`].

pub mod builtin;
pub mod checkpoint;
pub mod outcome;
pub mod prompts;
pub mod task;
pub mod untrusted;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use builtin::BuiltinAgent;
pub use builtin::transcript::{TranscriptError, TranscriptStore, Turn};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use outcome::{AgentFailure, CreateOutcome, HandIn, ReportedFinding, Review, ReviewOutcome, Spent};
pub use task::{AgentLimits, CreateTask, Feedback, OpenFinding, ReviewTask};

use crate::gateway::BudgetAccount;

/// What a task needs beside its own data: who pays, where its conversation is kept, and who may end it early.
#[derive(Clone, Copy)]
pub struct TaskPorts<'a> {
    /// Who pays for its model calls.
    pub account: &'a dyn BudgetAccount,
    /// Where its conversation is kept, so that a crash costs at most one call.
    pub transcript: &'a dyn TranscriptStore,
    /// What its files can be brought back to; none for who only reads.
    pub files: Option<&'a dyn Checkpoint>,
    /// Cancelled when the server stops. The task then ends before its next turn, and goes on there in another life.
    pub stop: &'a CancellationToken,
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
