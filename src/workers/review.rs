//! A reviewer's task: the change as a diff, the files to look around in, and findings held against the diff.

use std::path::Path;
use std::sync::Arc;

use pairbot_protocol::finding::{FindingState, Place, Remark, Standing};
use pairbot_protocol::ids::{HeadSha, ReviewerName, Round};
use pairbot_protocol::policy::ReviewerPolicy;
use pairbot_protocol::run::{Phase, ReviewProgress, Run};
use pairbot_protocol::signal::{ReviewOutcome, Signal};

use super::account::TaskFiles;
use super::agent_task::{self, Ended};
use super::tools::Home;
use super::workspace::Workspace;
use super::{Assignment, Product, Setback, Tools};
use crate::agents::{ReportedFinding, ReviewTask, TaskPorts};
use crate::git::{Diff, DiffLimits, LineKind};

/// Most bytes of a diff that a reviewer is given; beyond, it is told which files are missing and can read them.
const DIFF_BYTES_MAX: usize = 256 * 1024;

pub(super) async fn review(
    tools: &Tools,
    task: &Assignment<'_>,
    reviewer: &ReviewerName,
    round: Round,
    head: &HeadSha,
) -> Result<Product, Setback> {
    let run = &task.run;
    let Some(rules) = awaited(run, reviewer, head) else { return Err(Setback::Cancelled) };
    let home = tools.home(run).await?;
    let issue = home.client.issue(run.id.issue).await?;
    let workspace = Workspace::at_head(tools, &home, run.id, head).await?;
    let change = Change::read(run, reviewer, head, &home, &workspace).await?;
    let role = format!("review-{reviewer}");
    let opened = workspace.worktree(run.id, round, &role, head).await?;
    // The task's own number is part of the key: a review that is asked for again is a new conversation.
    let key = format!("review-{reviewer}-{}", task.lease().task());
    let transcript = agent_task::transcript(tools, task, &key, round, 1, true);
    let account = agent_task::account(tools, task);
    let (agent, model) = tools.choose(&rules.agent)?;
    let scratch = tools.scratch()?;
    let order = ReviewTask {
        repository: home.facts.full_name.to_string(),
        issue: run.id.issue,
        title: issue.title.clone(),
        body: issue.body.clone(),
        round,
        guidance: agent_task::guidance(&home).await?,
        reviewer: reviewer.clone(),
        focus: rules.focus.clone(),
        diff: change.whole.render(DIFF_BYTES_MAX),
        delta: change.delta.as_ref().map(|delta| delta.render(DIFF_BYTES_MAX)),
        to_verify: run
            .findings
            .values()
            .filter(|finding| finding.reviewer == *reviewer && finding.state == FindingState::Open)
            .map(agent_task::open_finding)
            .collect(),
        root: opened.worktree.path(),
        scratch: scratch.path().to_owned(),
        model,
        limits: agent_task::limits(tools, run),
    };
    let files = TaskFiles { worktree: &opened.worktree };
    let ports = TaskPorts {
        account: &account,
        transcript: &transcript,
        files: None,
        repository: &files,
        gates: None,
        stop: &tools.stop,
    };
    let read = agent.review(order, ports).await;
    let spend = agent_task::spend(tools, task).await?;
    let outcome = match read.result {
        Ok(review) => ReviewOutcome::Submitted {
            summary: review.summary,
            remarks: review.findings.into_iter().map(|finding| change.place(finding)).collect(),
            verified: review.verified,
        },
        Err(failure) => match agent_task::ended(&failure) {
            Ended::Failed(failure, detail) => ReviewOutcome::Failed { failure, detail },
            Ended::Setback(setback) => return Err(setback),
        },
    };
    let signal = Signal::Reviewed { reviewer: reviewer.clone(), head: head.clone(), outcome, spend };
    let mut product = Product::signal(run, signal);
    product.leftover = Some(opened.worktree);
    Ok(product)
}

/// What the policy says of a reviewer that is still waited for.
fn awaited<'a>(run: &'a Run, reviewer: &ReviewerName, head: &HeadSha) -> Option<&'a ReviewerPolicy> {
    let Phase::Validating(validation) = &run.phase else { return None };
    let pending =
        validation.head == *head && validation.reviews.get(reviewer) == Some(&ReviewProgress::Pending);
    run.policy.as_ref()?.reviewers.get(reviewer).filter(|_| pending)
}

/// What a reviewer reads.
struct Change {
    whole: Arc<Diff>,
    /// What changed since the reviewer last looked; none in its first look.
    delta: Option<Arc<Diff>>,
}

impl Change {
    async fn read(
        run: &Run,
        reviewer: &ReviewerName,
        head: &HeadSha,
        home: &Home,
        workspace: &Workspace,
    ) -> Result<Self, Setback> {
        let limits = DiffLimits::default();
        let whole = workspace.mirror.pull_request_diff(&workspace.base, head, limits).await?;
        let last_look = run.reviews.iter().rev().find(|record| record.reviewer == *reviewer);
        let delta = match last_look {
            Some(record) => {
                workspace.have(home, &record.head).await?;
                Some(workspace.mirror.diff(&record.head, head, limits).await?)
            }
            None => None,
        };
        Ok(Self { whole, delta })
    }

    /// Holds a finding against the diff of exactly this head: a comment outside it would cost the whole review.
    fn place(&self, finding: ReportedFinding) -> Remark {
        let place = finding.path.filter(|path| is_inside(path)).map(|path| {
            let standing = self.standing(&path, finding.line);
            Place { path, line: finding.line, standing }
        });
        Remark {
            severity: finding.severity,
            place,
            title: finding.title,
            body: finding.body,
            suggestion: finding.suggestion,
        }
    }

    fn standing(&self, path: &str, line: Option<u32>) -> Standing {
        let Some(line) = line.filter(|line| self.whole.comment_place(path, *line).is_some()) else {
            return Standing::Outside;
        };
        let changed = |delta: &Diff| {
            let hunks = delta.file(path).into_iter().flat_map(|file| &file.hunks);
            hunks.flat_map(|hunk| &hunk.lines).any(|l| l.kind == LineKind::Added && l.new == Some(line))
        };
        match &self.delta {
            Some(delta) if !changed(delta) => Standing::Unchanged,
            Some(_) | None => Standing::Changed,
        }
    }
}

/// Whether a path that a model named could be one of the repository.
fn is_inside(path: &str) -> bool {
    let path = Path::new(path);
    path.is_relative() && path.components().all(|part| matches!(part, std::path::Component::Normal(_)))
}
