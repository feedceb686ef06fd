//! A gate's task: its facts, read for exactly one head, and its verdict on them.

use pairbot_protocol::ids::{GateName, HeadSha};
use pairbot_protocol::policy::GateKind;
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
    let policy = run.policy.as_ref().filter(|_| wanted);
    let Some((policy, kind)) = policy.and_then(|policy| Some((policy, policy.gates.get(gate)?))) else {
        return Err(Setback::Cancelled);
    };
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
            let scratch = tools.scratch()?;
            let cage = Cage::around(opened.worktree.path(), TreeAccess::Write, scratch.path().to_owned());
            let command = run_command(tools, cage, line, *timeout_ms, &files);
            let report =
                set_up::before_gate(tools, policy, &opened.worktree, scratch.path(), command).await?;
            leftover = Some(opened.worktree);
            report
        }
    };
    let signal = Signal::GateReported { gate: gate.clone(), head: head.clone(), report };
    let mut product = Product::signal(run, signal);
    product.leftover = leftover;
    Ok(product)
}

pub(super) async fn run_command(
    tools: &Tools,
    cage: Cage,
    line: &str,
    timeout_ms: u64,
    files: &[ChangedFile],
) -> GateReport {
    let run = command::CommandRun {
        run: line.to_owned(),
        timeout: std::time::Duration::from_millis(timeout_ms),
        egress: None,
        cage,
        search_path: tools.agents.search_path.clone(),
    };
    command::CommandGate::new(tools.sandbox.clone()).examine(&run, files).await
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
