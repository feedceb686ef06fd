//! One agent at work: started, watched, ended.

use std::path::Path;
use std::time::Duration;

use pairbot_protocol::budget::{Exhausted, Measure};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::narrator::Narrator;
use super::outfit::{Needs, Outfit};
use super::spec::{AgentSpec, Manner};
use super::{House, beside, drive, handed_in};
use crate::agents::TaskPorts;
use crate::agents::mcp::{Counter, TaskDesk};
use crate::agents::outcome::{AgentFailure, Spent};
use crate::agents::task::AgentLimits;
use crate::gateway::ModelChoice;
use crate::gateway::door::{CallOutcome, Door, Visit};
use crate::sandbox::TreeAccess;

/// How long an agent that handed in may take to end its turn. What it says then is not needed.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(20);
/// How long a cancelled turn may take to end before the cage is. Shorter than the five seconds within which a spent
/// budget ends everything (promise P3).
const CANCELLED_WITHIN: Duration = Duration::from_secs(2);

/// How long calls are waited for whose agent has ended, so that they cost what they did and not what they might.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// One agent's work.
pub(super) struct Job<'a> {
    pub(super) spec: &'a AgentSpec,
    pub(super) house: &'a House,
    pub(super) limits: AgentLimits,
    pub(super) model: &'a ModelChoice,
    pub(super) root: &'a Path,
    pub(super) scratch: &'a Path,
    pub(super) access: TreeAccess,
    pub(super) prompt: &'a str,
    pub(super) purpose: String,
}

/// What ended an agent.
#[derive(Debug)]
pub(super) enum End {
    /// It ended its turn, or itself.
    Turn,
    /// It handed in and said no more, or too long.
    HandedIn,
    /// The model declined.
    Refused,
    /// It broke the rules, or could not be started.
    Failed(AgentFailure),
    /// A call did not fit the budget.
    BudgetExhausted(Exhausted, String),
    /// Its time was over.
    TimedOut,
    /// The server stops.
    Stopped,
}

/// An agent that ended.
#[derive(Debug)]
pub(super) struct Attended {
    pub(super) end: End,
    /// How the last call that it made to a model went, if it made any.
    pub(super) last_call: Option<Result<(), String>>,
    pub(super) last_words: String,
}

impl Job<'_> {
    /// Starts the agent and sees it to its end. What it spent is in `spent`, however it ends.
    pub(super) async fn attend<T: Clone + Send + Sync>(
        &self,
        counter: &dyn Counter,
        product: watch::Receiver<Option<T>>,
        ports: TaskPorts<'_>,
        spent: &mut Spent,
    ) -> Result<Attended, AgentFailure> {
        let unusable = |error: String| AgentFailure::Workspace(format!("the task's sockets: {error}"));
        let desk = TaskDesk::open(self.scratch).map_err(|error| unusable(error.to_string()))?;
        let door = self.open_door(ports).await.map_err(unusable)?;
        let now = self.house.clock.now();
        let outfit = Outfit::make(&Needs {
            spec: self.spec,
            sandbox: self.house.sandbox.as_ref(),
            own_program: &self.house.own_program,
            search_path: &self.house.search_path,
            worktree: self.root,
            access: self.access,
            scratch: self.scratch,
            gateway_socket: door.socket(),
            task_socket: desk.socket(),
            shared_port: shared_port(self.house.entropy.bits()),
            token: door.token(),
            model: &self.model.model,
            prompt: self.prompt,
            timeout: Duration::from_millis(self.limits.deadline.ms_since(now)),
        })
        .await?;
        let mut narrator = Narrator::new(ports.transcript, door.token().expose_secret().to_owned());
        let end = beside(&desk, counter, self.watch(&outfit, &door, &mut narrator, product, ports)).await;
        narrator.flush().await?;
        let last_words = narrator.last_words();
        // What it heard last, and what it did not wait for, is still being paid.
        let paid = door.close(SETTLED_WITHIN).await;
        let last_call = last_call(&door);
        let calls = u32::try_from(paid.calls).unwrap_or(u32::MAX);
        *spent = spent.plus(Spent { usage: paid.usage, cost: paid.cost, calls });
        Ok(Attended { end, last_call, last_words })
    }

    async fn open_door(&self, ports: TaskPorts<'_>) -> Result<Door, String> {
        let visit = Visit {
            account: ports.account.clone(),
            models: vec![self.model.clone()],
            output_tokens_max: self.limits.output_tokens_max,
            deadline: Some(self.limits.deadline),
            purpose: self.purpose.clone(),
        };
        self.house.gateway.open_door(self.scratch, visit).await.map_err(|error| error.to_string())
    }

    /// Waits for the first thing that ends the agent, and then for the agent, but not for long.
    async fn watch<T: Clone + Send + Sync>(
        &self,
        outfit: &Outfit,
        door: &Door,
        narrator: &mut Narrator<'_>,
        product: watch::Receiver<Option<T>>,
        ports: TaskPorts<'_>,
    ) -> End {
        let clock = &self.house.clock;
        let cancel = CancellationToken::new();
        // Dropping it ends the cage, and with it whatever the agent started.
        let mut working = Box::pin(self.drive(outfit, narrator, &cancel));
        let satisfied = async {
            handed_in(product).await;
            clock.sleep(LAST_WORDS_WITHIN).await;
        };
        let why = tokio::select! {
            biased;
            // First, because an agent that hears of it may end at once, and say that it failed.
            () = door.refused() => budget_exhausted(door),
            ended = &mut working => return ended,
            () = ports.stop.cancelled() => End::Stopped,
            () = satisfied => End::HandedIn,
            () = clock.sleep_until(self.limits.deadline) => End::TimedOut,
        };
        cancel.cancel();
        tokio::select! {
            _ended = &mut working => {}
            () = clock.sleep(CANCELLED_WITHIN) => {}
        }
        why
    }

    async fn drive(&self, outfit: &Outfit, narrator: &mut Narrator<'_>, cancel: &CancellationToken) -> End {
        let (house, spec) = (self.house, self.spec);
        match spec.manner {
            Manner::Acp => drive::by_acp(house, spec, outfit, self.prompt, narrator, cancel).await,
            Manner::Command => drive::by_command(house, spec, outfit, narrator, cancel).await,
        }
    }
}

/// How the last call went that an agent made, if it made any.
fn last_call(door: &Door) -> Option<Result<(), String>> {
    door.calls().pop().map(|call| match call.outcome {
        CallOutcome::Answered { .. } if call.heard => Ok(()),
        // The agent was ended, or went away, while it was answered.
        CallOutcome::Answered { .. } | CallOutcome::UnderWay => Err("it was not waited for".to_owned()),
        CallOutcome::Rejected { status, reason } => Err(format!("status {status}: {reason}")),
        CallOutcome::Estimated { reason, .. }
        | CallOutcome::Unsettled { reason }
        | CallOutcome::OverBudget { reason, .. }
        | CallOutcome::NotSent { reason } => Err(reason),
    })
}

fn budget_exhausted(door: &Door) -> End {
    let over = door.calls().into_iter().rev().find_map(|call| match call.outcome {
        CallOutcome::OverBudget { exhausted, reason } => Some(End::BudgetExhausted(exhausted, reason)),
        CallOutcome::Answered { .. }
        | CallOutcome::UnderWay
        | CallOutcome::Estimated { .. }
        | CallOutcome::Unsettled { .. }
        | CallOutcome::Rejected { .. }
        | CallOutcome::NotSent { .. } => None,
    });
    over.unwrap_or_else(|| {
        let run = Exhausted::Run { measure: Measure::Money };
        End::BudgetExhausted(run, "a call did not fit".to_owned())
    })
}

/// A port of our own choice where the network is shared with other agents and everybody else.
fn shared_port(bits: u64) -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u64 = 10_000;
    FIRST + u16::try_from(bits % COUNT).unwrap_or_default()
}
