//! What the tasks of agents have in common: limits, who pays, and what their failures mean.

use std::sync::Arc;

use pairbot_protocol::finding::{Claim, Finding};
use pairbot_protocol::ids::{Round, Timestamp};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{Failure, Spend};

use super::account::{TaskAccount, TaskTranscript};
use super::tools::Home;
use super::{Assignment, Setback, Tools};
use crate::agents::{AgentFailure, AgentLimits, OpenFinding};
use crate::gateway::BudgetAccount;

/// Most bytes of `AGENTS.md` that an agent is given.
const GUIDANCE_BYTES_MAX: usize = 64 * 1024;
/// Most tokens that a model may write in one answer.
const OUTPUT_TOKENS_MAX: u64 = 16_384;

/// How an agent's task ended without a product.
pub(super) enum Ended {
    /// The run must hear of it.
    Failed(Failure, String),
    /// The task is put off or withdrawn.
    Setback(Setback),
}

pub(super) fn ended(failure: &AgentFailure) -> Ended {
    let detail = failure.to_string();
    match failure {
        AgentFailure::BudgetExhausted { exhausted, .. } => {
            Ended::Failed(Failure::Exhausted(*exhausted), detail)
        }
        AgentFailure::TimedOut => Ended::Failed(Failure::Time, detail),
        AgentFailure::ProviderUnavailable { until, .. } => {
            Ended::Setback(Setback::Snooze { until: *until, why: detail })
        }
        AgentFailure::LeaseLost => Ended::Setback(Setback::Cancelled),
        AgentFailure::Stopped => Ended::Setback(Setback::HandedBack),
        AgentFailure::Store(_) => Ended::Setback(Setback::Retry(detail)),
        AgentFailure::Refused(_)
        | AgentFailure::TurnsExhausted(_)
        | AgentFailure::NeverHandedIn(_)
        | AgentFailure::ContextExhausted(_)
        | AgentFailure::Misconfigured(_)
        | AgentFailure::Workspace(_)
        | AgentFailure::Vendor(_)
        | AgentFailure::NoSandbox(_)
        | AgentFailure::Provider(_) => Ended::Failed(Failure::Agent, detail),
    }
}

/// Limits of a task that begins now.
pub(super) fn limits(tools: &Tools, run: &Run) -> AgentLimits {
    let task_ms = run.policy.as_ref().map_or(0, |policy| policy.task_ms_max);
    let deadline: Timestamp = tools.clock.now().plus_ms(task_ms).min(run.deadline);
    AgentLimits {
        turns_max: tools.agents.turns_max,
        deadline,
        output_tokens_max: OUTPUT_TOKENS_MAX,
        command_timeout: tools.agents.command_timeout,
    }
}

/// The budgets that this task's calls are paid from. The repository may lower what the operator allows it, and no more.
pub(super) fn account(tools: &Tools, task: &Assignment<'_>) -> Arc<dyn BudgetAccount> {
    let mut limits = tools.agents.budgets;
    if let Some(policy) = &task.run.policy {
        limits.repository_day = limits.repository_day.lowered_by(policy.day_budget);
    }
    let (store, clock) = (tools.store.clone(), tools.clock.clone());
    Arc::new(TaskAccount::new(store, clock, task.lease().clone(), limits))
}

/// The conversation of a role in a round.
pub(super) fn transcript(
    tools: &Tools,
    task: &Assignment<'_>,
    role: &str,
    round: Round,
    attempt: u32,
    resumes: bool,
) -> TaskTranscript {
    let key = format!("{role}:{round}:{attempt}");
    TaskTranscript { store: tools.store.clone(), lease: task.lease().clone(), key, resumes }
}

/// What the task has cost, by the store's word and not the agent's.
pub(super) async fn spend(tools: &Tools, task: &Assignment<'_>) -> Result<Spend, Setback> {
    Ok(tools.store.spend_of(task.lease().task()).await?)
}

/// The repository's guidance for agents, of the default branch only: a change cannot instruct its own reviewers.
pub(super) async fn guidance(home: &Home) -> Result<Option<String>, Setback> {
    let branch = &home.facts.default_branch;
    let file = home.client.read_file("AGENTS.md", branch, GUIDANCE_BYTES_MAX).await;
    match file {
        Ok(file) => Ok(file.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        // Guidance too long to give is guidance not given, which is no reason not to work.
        Err(crate::github::GitHubError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A finding as an agent is shown it.
pub(super) fn open_finding(finding: &Finding) -> OpenFinding {
    let place = finding.remark.place.as_ref();
    OpenFinding {
        id: finding.id.clone(),
        severity: finding.remark.severity,
        path: place.map(|place| place.path.clone()),
        line: place.and_then(|place| place.line),
        title: finding.remark.title.clone(),
        body: finding.remark.body.clone(),
        answer: finding.answer.as_ref().map(|answer| {
            let claim = match answer.claim {
                Claim::Fixed => "fixed",
                Claim::Rebutted => "rebutted",
            };
            format!("{claim}: {}", answer.reason)
        }),
    }
}
