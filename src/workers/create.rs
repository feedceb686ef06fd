//! The creator's task: a worktree, an agent in it, a commit of what it left, a push that is compare-and-set.
//!
//! Every step can be repeated. The worktree and the conversation survive a crash, the commit is a function of the
//! task and the files, and the push finds itself already done.

use std::time::Duration;

use pairbot_protocol::effect::Publication;
use pairbot_protocol::finding::FindingState;
use pairbot_protocol::ids::{HeadSha, MalformedId, Round};
use pairbot_protocol::run::{GateProgress, Phase, Run};
use pairbot_protocol::signal::{CreateOutcome, Failure, Signal, Verdict};

use super::account::TaskFiles;
use super::agent_task::{self, Ended};
use super::set_up::SetUp;
use super::task_gates::TaskGates;
use super::tools::Home;
use super::workspace::Workspace;
use super::{Assignment, Product, Setback, Tools, set_up};
use crate::agents::{AgentFailure, CreateTask, Feedback, HandIn, TaskPorts};
use crate::git::{CommitRequest, GitError, Identity, Staged, Worktree};
use crate::github::{BotAccount, GitAccess};
use crate::store::{TaskEffect, TaskRecord, TaskState};
use crate::wire;

/// Files that run with the repository's own rights once they are on a branch. GitHub refuses to take them from an App
/// without the `workflows` permission, which Pairbot does not ask for; refusing earlier says so more clearly.
const WORKFLOWS: &str = ".github/workflows/";

/// How long a finished change waits for the reviews of the last head to be posted.
const REVIEWS_WAIT_MAX: Duration = Duration::from_mins(2);

pub(super) async fn create(
    tools: &Tools,
    task: &Assignment<'_>,
    round: Round,
    attempt: u32,
    onto: Option<&HeadSha>,
) -> Result<Product, Setback> {
    let run = &task.run;
    let wanted = matches!(run.phase, Phase::Creating { .. }) && (run.round, run.attempt) == (round, attempt);
    if !wanted {
        return Err(Setback::Cancelled);
    }
    let home = tools.home(run).await?;
    // Known before anything is pushed, so that ingress tells this push from one of a stranger.
    let bot = tools.own.resolve(&tools.github, run.installation).await?;
    let issue = home.client.issue(run.id.issue).await?;
    let workspace = Workspace::fetch(tools, &home, run.id).await?;
    let start = start(run, &workspace, onto)?;
    workspace.have(&home, &start).await?;
    let opened = workspace.worktree(run.id, round, &role(attempt), &start).await?;
    let (agent, model) = tools.choose(&policy(run)?.creator)?;
    let transcript = agent_task::transcript(tools, task, "create", round, attempt, opened.resumed);
    let account = agent_task::account(tools, task);
    let scratch = tools.scratch()?;
    // Where the commands of every agent have their home.
    let commands_home = scratch.path().join("home");
    let set_up = set_up::before_creator(tools, policy(run)?, &opened.worktree, &commands_home).await?;
    let order = CreateTask {
        repository: home.facts.full_name.to_string(),
        issue: run.id.issue,
        title: issue.title.clone(),
        body: issue.body.clone(),
        round,
        guidance: agent_task::guidance(&home).await?,
        set_up: set_up.as_ref().map(SetUp::for_agent),
        open_findings: open_findings(run),
        gate_reports: gate_reports(run),
        feedback: feedback(run, round),
        root: opened.worktree.path(),
        scratch: scratch.path().to_owned(),
        model,
        limits: agent_task::limits(tools, run),
    };
    let files = TaskFiles { worktree: &opened.worktree };
    let gates = TaskGates {
        tools,
        run,
        workspace: &workspace,
        worktree: &opened.worktree,
        start: &start,
        home: set_up.is_some().then_some(commands_home),
    };
    let ports = TaskPorts {
        account: &account,
        transcript: &transcript,
        files: Some(&files),
        repository: &files,
        gates: Some(&gates),
        stop: &tools.stop,
    };
    let made = agent.create(order, ports).await;
    let spend = agent_task::spend(tools, task).await?;
    let outcome = match made.result {
        Ok(hand_in) => {
            let creation = Creation { tools, task, home: &home, workspace: &workspace, bot, start, onto };
            creation.deliver(&opened.worktree, hand_in).await?
        }
        Err(failure) => nothing_made(&failure)?,
    };
    let ran = set_up.map(|SetUp { report, contacts }| Signal::SetUpRan { round, attempt, report, contacts });
    let created = Signal::Created { round, attempt, outcome, spend };
    let mut product = Product::signals(run, ran.into_iter().chain([created]));
    product.leftover = Some(opened.worktree);
    Ok(product)
}

/// What an agent that handed nothing in leaves, unless its task is to be tried again.
fn nothing_made(failure: &AgentFailure) -> Result<CreateOutcome, Setback> {
    match agent_task::ended(failure) {
        Ended::Failed(failure, detail) => Ok(CreateOutcome::Failed { failure, detail }),
        Ended::Setback(setback) => Err(setback),
    }
}

/// What the change begins with.
fn start(run: &Run, workspace: &Workspace, onto: Option<&HeadSha>) -> Result<HeadSha, Setback> {
    if let Some(head) = onto {
        return Ok(head.clone());
    }
    // The base that intake read, and not a newer one, so that a repeated task makes the same commit.
    let base = run.base.as_ref().unwrap_or(&workspace.base);
    base.as_str().parse().map_err(|error: MalformedId| Setback::agent(error.to_string()))
}

/// The name of a creator's worktree within its round: an attempt that failed leaves nothing to the next.
pub(super) fn role(attempt: u32) -> String {
    format!("create-{attempt}")
}

fn policy(run: &Run) -> Result<&pairbot_protocol::policy::Policy, Setback> {
    run.policy.as_ref().ok_or_else(|| Setback::agent("the run has no policy yet"))
}

fn open_findings(run: &Run) -> Vec<crate::agents::OpenFinding> {
    run.findings
        .values()
        .filter(|finding| finding.state == FindingState::Open)
        .map(agent_task::open_finding)
        .collect()
}

fn gate_reports(run: &Run) -> Vec<String> {
    let gates = run.validation().into_iter().flat_map(|validation| &validation.gates);
    gates
        .filter_map(|(name, progress)| match progress {
            GateProgress::Reported(report) if report.verdict == Verdict::Red => {
                Some(format!("{name}: {}\n{}", report.title, report.summary))
            }
            GateProgress::Reported(_) | GateProgress::Pending => None,
        })
        .collect()
}

fn feedback(run: &Run, round: Round) -> Vec<Feedback> {
    let told_now = run.feedback.iter().filter(|feedback| feedback.told_in == Some(round));
    told_now
        .map(|feedback| Feedback { author: feedback.by.login.clone(), body: feedback.text.clone() })
        .collect()
}

/// A change that was handed in and is on its way to the branch.
struct Creation<'a> {
    tools: &'a Tools,
    task: &'a Assignment<'a>,
    home: &'a Home,
    workspace: &'a Workspace,
    bot: &'a BotAccount,
    start: HeadSha,
    onto: Option<&'a HeadSha>,
}

impl Creation<'_> {
    async fn deliver(&self, worktree: &Worktree, hand_in: HandIn) -> Result<CreateOutcome, Setback> {
        let staged = match worktree.stage().await {
            Ok(staged) => staged,
            Err(GitError::Unsafe { what }) => {
                return Ok(failed(Failure::Agent, format!("refused as unsafe: {what}")));
            }
            Err(error) => return Err(error.into()),
        };
        let start_tree = self.workspace.mirror.tree_of(&self.start).await?;
        if staged.tree == start_tree || self.task.run.trees.contains(&staged.tree) {
            return Ok(CreateOutcome::NoProgress);
        }
        if let Some(path) = workflow_touched(&staged) {
            let detail = format!(
                "The change touches `{path}`. Workflow files run with the repository's rights, and Pairbot has no \
                 permission to push them; a person has to make this part of the change."
            );
            return Ok(failed(Failure::Permission, detail));
        }
        let head = self.workspace.mirror.commit_tree(&self.commit(&staged, &hand_in)).await?;
        let reach = self.home.reach(GitAccess::Push).await?;
        // Last of all before the push: it sees that the task is still ours.
        reviews_are_out(self.tools, self.task).await?;
        let pushed =
            self.workspace.mirror.push(&reach.remote, &self.workspace.branch, &head, self.onto).await;
        match self.home.heard(&reach, pushed).await {
            Ok(_) => Ok(CreateOutcome::Pushed {
                head,
                base: self.workspace.base.clone(),
                tree: staged.tree,
                title: hand_in.title,
                summary: hand_in.summary,
                answers: hand_in.answers,
            }),
            Err(GitError::HeadMoved { actual, .. }) => Ok(CreateOutcome::HeadMoved { actual }),
            Err(error @ GitError::PushRefused { .. }) => Ok(failed(Failure::Permission, error.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// A commit that depends on the task and the files alone, so that a repeated task makes it again and no other.
    fn commit(&self, staged: &Staged, hand_in: &HandIn) -> CommitRequest {
        let run = &self.task.run;
        let labeller = &run.labelled_by;
        let message = crate::text::commit_message(run, &hand_in.title, &hand_in.summary);
        CommitRequest {
            tree: staged.tree.clone(),
            parents: vec![self.start.clone()],
            author: Identity::bot(&self.bot.slug, self.bot.id),
            date: self.task.claimed.created_at,
            message: self.tools.github.without_secrets(&message),
            co_authors: vec![Identity::person(labeller.login.as_str(), labeller.id)],
        }
    }
}

/// Waits until the reviews of the last head are posted. A push would make them stale, and a stale review is not posted
/// (promise P2): people would never read what this very commit answers. Not for ever, since GitHub may have told us
/// to write nothing for an hour; and not for a push that nobody wants any more.
async fn reviews_are_out(tools: &Tools, task: &Assignment<'_>) -> Result<(), Setback> {
    let changed = tools.store.outbox_changed();
    let patience = tools.clock.sleep(REVIEWS_WAIT_MAX);
    tokio::pin!(patience);
    loop {
        let notified = changed.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        // The keeper of the lease would notice at its next heartbeat. A push cannot be taken back, so look now.
        tools.store.confirm(task.lease()).await?;
        let tasks = tools.store.tasks(task.run.id).await?;
        if !tasks.iter().any(is_unposted_review) {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = &mut patience => return Ok(()),
            // Nobody posts them any more; the next server pushes the same commit.
            () = tools.stop.cancelled() => return Err(Setback::HandedBack),
            () = notified => {}
        }
    }
}

fn is_unposted_review(task: &TaskRecord) -> bool {
    let open = match task.state {
        TaskState::Waiting | TaskState::Ready | TaskState::Delayed | TaskState::Running => true,
        TaskState::Done | TaskState::Dead | TaskState::Cancelled | TaskState::Dropped => false,
    };
    let is_review = || {
        wire::decode::<TaskEffect>(&task.payload)
            .is_ok_and(|effect| matches!(effect, TaskEffect::Publication(Publication::Review { .. })))
    };
    open && is_review()
}

fn failed(failure: Failure, detail: String) -> CreateOutcome {
    CreateOutcome::Failed { failure, detail }
}

fn workflow_touched(staged: &Staged) -> Option<&str> {
    let paths = staged.changes.iter().flat_map(|change| [Some(&change.path), change.old_path.as_ref()]);
    paths
        .flatten()
        .map(String::as_str)
        .find(|path| path.get(..WORKFLOWS.len()).is_some_and(|start| start.eq_ignore_ascii_case(WORKFLOWS)))
}
