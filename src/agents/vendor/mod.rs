//! Agents that run as programs of their own, caged and metered. How they are talked with differs
//! ([`drive`]); what they are given, how they hand in, what ends them and what
//! counts as success is the same and stands here.
//!
//! Nothing is believed of such an agent (promise P5): neither its exit code nor its word that it is done. A creator's
//! success is a hand-in through the task's own tools, or a tree that changed while every model call went well; a
//! reviewer's success is a review that was submitted. What it costs is what the gateway counted.

mod attend;
mod drive;
mod narrator;
mod outfit;
mod program;
mod spec;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use self::attend::{Attended, End, Job};
pub use self::outfit::PLACEHOLDERS;
pub use self::program::find;
pub use self::spec::{AgentSpec, Manner};
use super::builtin::transcript::{TRANSCRIPT_VERSION, Turn, TurnContent};
use super::checkpoint::Checkpoint;
use super::mcp::{Counter, CreatorCounter, ReviewerCounter};
use super::outcome::{AgentFailure, CreateOutcome, HandIn, Review, ReviewOutcome, Spent};
use super::prompts::{self, Opening};
use super::task::{AgentLimits, CreateTask, ReviewTask};
use super::untrusted::line;
use super::{Agent, TaskPorts};
use crate::gateway::{Gateway, ModelChoice};
use crate::ports::{Clock, Entropy};
use crate::sandbox::{Sandbox, Standing, TreeAccess};

/// How much of a change stands in the prompt. The rest is read from the files, or asked for with `get_diff`.
const DIFF_BYTES_MAX: usize = 64 * 1024;
/// How long a title is that is made from an issue's.
const TITLE_BYTES_MAX: usize = 150;

/// What agents of all vendors share.
#[derive(Clone)]
pub struct House {
    /// The way to the models.
    pub gateway: Arc<Gateway>,
    /// The cage.
    pub sandbox: Arc<dyn Sandbox>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Where programs are looked for.
    pub search_path: String,
    /// Our own program.
    pub own_program: PathBuf,
}

/// One agent that the operator allows.
pub struct VendorAgent {
    spec: AgentSpec,
    house: House,
}

impl fmt::Debug for VendorAgent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("VendorAgent").field("spec", &self.spec.name).finish_non_exhaustive()
    }
}

impl VendorAgent {
    /// The agent of a specification.
    pub fn new(spec: AgentSpec, house: House) -> Self {
        Self { spec, house }
    }

    /// Without a cage no such agent is started, except on the operator's word.
    fn may_start(&self) -> Result<(), AgentFailure> {
        match self.house.sandbox.standing() {
            Standing::Bubblewrap { .. } | Standing::NoneAccepted => Ok(()),
            // It would have no way to its models.
            Standing::UserSlot { .. } => Err(AgentFailure::NoSandbox(format!(
                "the agent `{}` is not started: it needs a sandbox of bubblewrap, and this server has one of users of \
                 their own (user-slot)",
                self.spec.name
            ))),
            standing @ Standing::Unavailable { .. } => Err(AgentFailure::NoSandbox(format!(
                "the agent `{}` is not started: sandbox {standing}",
                self.spec.name
            ))),
        }
    }

    fn job<'a>(
        &'a self,
        limits: AgentLimits,
        model: &'a ModelChoice,
        place: &Place<'a>,
        prompt: &'a str,
        purpose: String,
    ) -> Job<'a> {
        let Place { root, scratch, access } = *place;
        Job { spec: &self.spec, house: &self.house, limits, model, root, scratch, access, prompt, purpose }
    }

    async fn make(
        &self,
        task: &CreateTask,
        ports: TaskPorts<'_>,
        spent: &mut Spent,
    ) -> Result<HandIn, AgentFailure> {
        self.may_start()?;
        let files = ports
            .files
            .ok_or_else(|| AgentFailure::Workspace("there is nothing to return the files to".to_owned()))?;
        let opening = prompts::creator(task);
        let start = begin(&opening, Some(files), ports).await?;
        let counter = CreatorCounter::new(task, ports.gates);
        let prompt = prompts::whole(&opening);
        let purpose = format!("creator, round {}, {}#{}", task.round, task.repository, task.issue);
        let place = Place { root: &task.root, scratch: &task.scratch, access: TreeAccess::Write };
        let job = self.job(task.limits, &task.model, &place, &prompt, purpose);
        let attended = job.attend(&counter, counter.handed_in(), ports, spent).await?;
        let handed_in = counter.handed_in().borrow().clone();
        if let Some(hand_in) = handed_in {
            return Ok(hand_in);
        }
        self.ended_well(&attended)?;
        // Success that was only claimed is none: the tree decides.
        if start.as_deref() == Some(files.keep().await?.as_str()) {
            return Err(AgentFailure::NeverHandedIn(attended.last_words));
        }
        Ok(HandIn {
            title: format!("Resolve: {}", line(&task.title, TITLE_BYTES_MAX)),
            summary: format!(
                "The agent `{}` changed these files and ended without handing in, so nothing is said here about what \
                 was done and why.",
                self.spec.name
            ),
            answers: counter.answered(),
        })
    }

    async fn read(
        &self,
        task: &ReviewTask,
        ports: TaskPorts<'_>,
        spent: &mut Spent,
    ) -> Result<Review, AgentFailure> {
        self.may_start()?;
        let opening = prompts::reviewer(task, DIFF_BYTES_MAX);
        begin(&opening, None, ports).await?;
        let counter = ReviewerCounter::new(task);
        let prompt = prompts::whole(&opening);
        let purpose =
            format!("reviewer {}, round {}, {}#{}", task.reviewer, task.round, task.repository, task.issue);
        let place = Place { root: &task.root, scratch: &task.scratch, access: TreeAccess::Read };
        let job = self.job(task.limits, &task.model, &place, &prompt, purpose);
        let attended = job.attend(&counter, counter.submitted(), ports, spent).await?;
        let submitted = counter.submitted().borrow().clone();
        if let Some(review) = submitted {
            return Ok(review);
        }
        self.ended_well(&attended)?;
        // A reviewer that says nothing has not approved (promise P5).
        Err(AgentFailure::NeverHandedIn(attended.last_words))
    }

    /// Whether a task that was not handed in ended by itself, with nothing gone wrong that the gateway saw.
    fn ended_well(&self, attended: &Attended) -> Result<(), AgentFailure> {
        let name = &self.spec.name;
        match &attended.end {
            End::Stopped => return Err(AgentFailure::Stopped),
            End::TimedOut => return Err(AgentFailure::TimedOut),
            End::BudgetExhausted(exhausted, why) => {
                return Err(AgentFailure::BudgetExhausted { exhausted: *exhausted, why: why.clone() });
            }
            End::Refused => return Err(AgentFailure::Refused(attended.last_words.clone())),
            End::Failed(failure) => return Err(failure.clone()),
            End::Turn | End::HandedIn => {}
        }
        match &attended.last_call {
            None => Err(AgentFailure::Vendor(format!(
                "the agent `{name}` ended without a single call to a model; it last said: {}",
                attended.last_words
            ))),
            Some(Err(why)) => Err(AgentFailure::Provider(format!(
                "the last model call of the agent `{name}` failed: {why}"
            ))),
            Some(Ok(())) => Ok(()),
        }
    }
}

/// Where an agent works.
struct Place<'a> {
    root: &'a Path,
    scratch: &'a Path,
    access: TreeAccess,
}

/// Begins a conversation, which no vendor's agent can take up where a crash left it: the files are brought back to what
/// they were, and everything is told anew. Gives the name of the files as they are.
async fn begin(
    opening: &Opening,
    files: Option<&dyn Checkpoint>,
    ports: TaskPorts<'_>,
) -> Result<Option<String>, AgentFailure> {
    let kept = ports.transcript.load().await?;
    let earlier = kept.into_iter().next().and_then(|turn| match turn.content {
        TurnContent::Opening { files, .. } => files,
        TurnContent::Model { .. } | TurnContent::Ours { .. } | TurnContent::Reported { .. } => None,
    });
    let now = match (files, earlier) {
        (Some(files), Some(earlier)) => {
            files.go_back(&earlier).await?;
            Some(earlier)
        }
        (Some(files), None) => Some(files.keep().await?),
        (None, _) => None,
    };
    let content = TurnContent::Opening {
        system: opening.system.clone(),
        text: opening.text.clone(),
        files: now.clone(),
    };
    ports.transcript.append(&Turn { version: TRANSCRIPT_VERSION, position: 0, content }).await?;
    // After this the tree has a `.git` of the agent's own, which is no part of any change.
    ports.repository.begin().await?;
    Ok(now)
}

#[async_trait]
impl Agent for VendorAgent {
    async fn create(&self, task: CreateTask, ports: TaskPorts<'_>) -> CreateOutcome {
        let mut spent = Spent::default();
        let result = self.make(&task, ports, &mut spent).await;
        let Spent { usage, cost, calls } = spent;
        CreateOutcome { result, usage, cost, calls }
    }

    async fn review(&self, task: ReviewTask, ports: TaskPorts<'_>) -> ReviewOutcome {
        let mut spent = Spent::default();
        let result = self.read(&task, ports, &mut spent).await;
        let Spent { usage, cost, calls } = spent;
        ReviewOutcome { result, usage, cost, calls }
    }
}

/// Resolves once something was handed in.
async fn handed_in<T: Clone + Send + Sync>(mut product: watch::Receiver<Option<T>>) {
    if product.wait_for(Option::is_some).await.is_err() {
        // Nobody can hand in any more.
        std::future::pending::<()>().await;
    }
}

/// Serves a counter for as long as something else goes on.
async fn beside<T>(desk: &super::mcp::TaskDesk, counter: &dyn Counter, work: impl Future<Output = T>) -> T {
    tokio::select! {
        done = work => done,
        never = desk.serve(counter) => match never {},
    }
}
