//! The agent that comes with the program: a small loop of a model and tools.
//!
//! Creator and reviewer differ only in their prompt, their tools and the tool that ends the task. The loop is in
//! [`conversation`], what it keeps in [`transcript`], how it stays inside a model's window in [`window`], what the
//! model can do in [`tools`].

mod conversation;
mod meter;
#[cfg(test)]
mod tests;
pub(crate) mod tools;
pub mod transcript;
mod window;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use self::conversation::{Conversation, Ended};
use self::meter::Meter;
use self::tools::place::Root;
use self::tools::{Toolbox, WriteAccess};
use super::desk::{HandInDesk, ReviewDesk, Submission};
use super::outcome::{AgentFailure, CreateOutcome, ReviewOutcome, Spent};
use super::prompts::{self, Opening};
use super::task::{AgentLimits, CreateTask, ReviewTask};
use super::{Agent, TaskPorts};
use crate::gateway::{Gateway, ModelChoice};
use crate::ports::Clock;
use crate::sandbox::Sandbox;

/// The share of a model's window that a change may fill at the beginning of a review.
const DIFF_WINDOW_SHARE: u64 = 2;

/// The builtin agent.
pub struct BuiltinAgent {
    gateway: Arc<Gateway>,
    clock: Arc<dyn Clock>,
    sandbox: Arc<dyn Sandbox>,
    stream: bool,
}

impl fmt::Debug for BuiltinAgent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("BuiltinAgent").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

/// What a task tells the loop, whoever's task it is.
struct Job {
    model: ModelChoice,
    limits: AgentLimits,
    purpose: String,
    opening: Opening,
}

impl BuiltinAgent {
    /// An agent that streams the model's answers.
    pub fn new(gateway: Arc<Gateway>, clock: Arc<dyn Clock>, sandbox: Arc<dyn Sandbox>) -> Self {
        Self { gateway, clock, sandbox, stream: true }
    }

    /// Asks for whole answers instead, for servers that cannot stream.
    #[must_use]
    pub fn without_streaming(self) -> Self {
        Self { stream: false, ..self }
    }

    async fn converse<S: Submission>(
        &self,
        job: Job,
        toolbox: Toolbox,
        submission: S,
        ports: TaskPorts<'_>,
    ) -> Ended<S::Product> {
        let Job { model, limits, purpose, opening } = job;
        let conversation = Conversation {
            gateway: &self.gateway,
            clock: self.clock.as_ref(),
            transcript: ports.transcript,
            files: ports.files,
            stop: ports.stop,
            meter: Meter::new(ports.account.as_ref()),
            model,
            limits,
            purpose,
            stream: self.stream,
            toolbox,
            submission,
        };
        conversation.run(opening).await
    }

    fn create_toolbox(&self, task: &CreateTask) -> Result<Toolbox, AgentFailure> {
        let runs = self.sandbox.standing().runs_programs();
        let commands = runs.then(|| (Arc::clone(&self.sandbox), task.limits.command_timeout));
        let access = WriteAccess { scratch: task.scratch.clone(), commands };
        Ok(Toolbox::writing(open(&task.root)?, access))
    }

    /// How much of a change is shown: half of the window, at the three bytes a token that code has at the least.
    fn diff_bytes_max(&self, model: &ModelChoice) -> usize {
        let window = self.gateway.sizes(model).context_tokens;
        let bytes = window / DIFF_WINDOW_SHARE * conversation::BYTES_PER_TOKEN;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    fn review_parts(&self, task: &ReviewTask) -> Result<(Toolbox, Opening), AgentFailure> {
        let opening = prompts::reviewer(task, self.diff_bytes_max(&task.model));
        Ok((Toolbox::reading(open(&task.root)?), opening))
    }
}

fn open(root: &std::path::Path) -> Result<Root, AgentFailure> {
    Root::open(root).map_err(|error| AgentFailure::Workspace(error.to_string()))
}

#[async_trait]
impl Agent for BuiltinAgent {
    async fn create(&self, task: CreateTask, ports: TaskPorts<'_>) -> CreateOutcome {
        let ended = match self.create_toolbox(&task) {
            Ok(toolbox) => {
                let purpose = format!("creator, round {}, {}#{}", task.round, task.repository, task.issue);
                let opening = prompts::creator(&task);
                let job = Job { model: task.model, limits: task.limits, purpose, opening };
                self.converse(job, toolbox, HandInDesk::new(task.open_findings), ports).await
            }
            Err(failure) => Ended { result: Err(failure), spent: Spent::default() },
        };
        let Spent { usage, cost, calls } = ended.spent;
        CreateOutcome { result: ended.result, usage, cost, calls }
    }

    async fn review(&self, task: ReviewTask, ports: TaskPorts<'_>) -> ReviewOutcome {
        let ended = match self.review_parts(&task) {
            Ok((toolbox, opening)) => {
                let purpose = format!(
                    "reviewer {}, round {}, {}#{}",
                    task.reviewer, task.round, task.repository, task.issue
                );
                let job = Job { model: task.model, limits: task.limits, purpose, opening };
                self.converse(job, toolbox, ReviewDesk::new(task.to_verify), ports).await
            }
            Err(failure) => Ended { result: Err(failure), spent: Spent::default() },
        };
        let Spent { usage, cost, calls } = ended.spent;
        ReviewOutcome { result: ended.result, usage, cost, calls }
    }
}
