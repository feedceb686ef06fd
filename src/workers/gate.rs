//! A gate's task: its facts, read for exactly one head, and its verdict on them.

use std::path::PathBuf;

use pairbot_protocol::ids::{GateName, HeadSha};
use pairbot_protocol::policy::{GateKind, Setup};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{GateReport, Signal};

use super::tools::Home;
use super::workspace::Workspace;
use super::{Assignment, Product, Setback, Tools, set_up};
use crate::gates::{ChangedFile, ci, command, paths, size};
use crate::git::{self, DiffLimits};
use crate::github::{ForeignCheck, ForeignState};
use crate::sandbox::{Cage, TreeAccess};

pub(super) async fn examine(
    tools: &Tools,
    task: &Assignment<'_>,
    gate: &GateName,
    head: &HeadSha,
) -> Result<Product, Setback> {
    let run = &task.run;
    let wanted = run.validation().is_some_and(|validation| validation.head == *head);
    let kind = run.policy.as_ref().and_then(|policy| policy.gates.get(gate)).filter(|_| wanted);
    let Some(kind) = kind else { return Err(Setback::Cancelled) };
    let home = tools.home(run).await?;
    let mut leftover = None;
    let report = match kind {
        GateKind::Ci { rule, .. } => {
            let checks = home.client.list_foreign_checks(head).await?;
            ci::examine(rule, &checks.into_iter().map(foreign).collect::<Vec<_>>(), false)
        }
        GateKind::Size { files_max, lines_max } => {
            let (_, files) = changes(tools, run, &home, head).await?;
            size::examine(&files, *files_max, *lines_max)
        }
        GateKind::Paths { protected } => {
            let (_, files) = changes(tools, run, &home, head).await?;
            paths::examine(&files, protected)
        }
        GateKind::Command { run: line, timeout_ms } => {
            let (workspace, files) = changes(tools, run, &home, head).await?;
            let role = format!("gate-{gate}");
            let opened = workspace.worktree(run.id, run.round, &role, head).await?;
            let place = Place::New(run.policy.as_ref().and_then(|policy| policy.setup.as_ref()));
            let path = opened.worktree.path();
            let report = run_command(tools, path, place, line, *timeout_ms, &files).await?;
            leftover = Some(opened.worktree);
            report
        }
    };
    let signal = Signal::GateReported { gate: gate.clone(), head: head.clone(), report };
    let mut product = Product::signal(run, signal);
    product.leftover = leftover;
    Ok(product)
}

/// Where a gate's command runs.
pub(super) enum Place<'a> {
    /// In a home of its own, after the policy's set-up.
    New(Option<&'a Setup>),
    /// In this home, in which the set-up was made already.
    Ready(PathBuf),
}

pub(super) async fn run_command(
    tools: &Tools,
    worktree: PathBuf,
    place: Place<'_>,
    line: &str,
    timeout_ms: u64,
    files: &[ChangedFile],
) -> Result<GateReport, Setback> {
    let scratch = tempfile::tempdir_in(&tools.scratch_dir)
        .map_err(|error| Setback::Retry(format!("no scratch directory: {error}")))?;
    let (home, before) = match place {
        Place::Ready(home) => (home, None),
        Place::New(None) => (scratch.path().to_owned(), None),
        Place::New(Some(setup)) => {
            let home = scratch.path().to_owned();
            let report = set_up::run(tools, setup, worktree.clone(), home.clone()).await?;
            let said = report.summary.clone();
            if let Some(failed) = set_up::failed(report) {
                return Ok(failed);
            }
            (home, Some(said))
        }
    };
    let run = command::CommandRun {
        run: line.to_owned(),
        timeout: std::time::Duration::from_millis(timeout_ms),
        egress: None,
        cage: Cage::around(worktree, TreeAccess::Write, home),
        search_path: tools.agents.search_path.clone(),
    };
    let mut report = command::CommandGate::new(tools.sandbox.clone()).examine(&run, files).await;
    if let Some(said) = before {
        // Part of the report, so that the ledger holds which hosts were reached.
        report.summary.push_str("\n\n**Before it, the set-up**\n\n");
        report.summary.push_str(&said);
    }
    Ok(report)
}

async fn changes(
    tools: &Tools,
    run: &Run,
    home: &Home,
    head: &HeadSha,
) -> Result<(Workspace, Vec<ChangedFile>), Setback> {
    let workspace = Workspace::at_head(tools, home, run.id, head).await?;
    let diff = workspace.mirror.pull_request_diff(&workspace.base, head, DiffLimits::default()).await?;
    let files = diff.files.iter().map(changed_file).collect();
    Ok((workspace, files))
}

pub(super) fn changed_file(file: &git::ChangedFile) -> ChangedFile {
    let count = |lines: u64| u32::try_from(lines).unwrap_or(u32::MAX);
    ChangedFile {
        path: file.path.clone(),
        old_path: file.old_path.clone(),
        additions: count(file.additions),
        deletions: count(file.deletions),
        binary: file.binary,
    }
}

fn foreign(check: ForeignCheck) -> ci::ForeignCheck {
    ci::ForeignCheck {
        name: check.name,
        app: check.app_slug.unwrap_or_else(|| "commit status".to_owned()),
        state: match check.state {
            ForeignState::Pending => ci::ForeignState::Pending,
            ForeignState::Passed => ci::ForeignState::Passed,
            ForeignState::Failed => ci::ForeignState::Failed,
            ForeignState::Unclear(word) => ci::ForeignState::of_conclusion(&word),
        },
    }
}
