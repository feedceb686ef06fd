//! A gate's task: its facts, read for exactly one head, and its verdict on them.

use std::path::Path;

use pairbot_protocol::ids::{GateName, HeadSha};
use pairbot_protocol::policy::GateKind;
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{GateReport, Signal};

use super::tools::Home;
use super::workspace::Workspace;
use super::{Assignment, Product, Setback, Tools};
use crate::gates::{ChangedFile, ci, command, connections, paths, size};
use crate::git::{self, DiffLimits};
use crate::github::{ForeignCheck, ForeignState};
use crate::sandbox::egress::Egress;
use crate::sandbox::{Cage, RUNTIME, Socket, Standing, TreeAccess};

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
            let report = run_command(tools, opened.worktree.path(), line, *timeout_ms, &files).await?;
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
    worktree: std::path::PathBuf,
    line: &str,
    timeout_ms: u64,
    files: &[ChangedFile],
) -> Result<GateReport, Setback> {
    let scratch = tempfile::tempdir_in(&tools.scratch_dir)
        .map_err(|error| Setback::Retry(format!("no scratch directory: {error}")))?;
    let way_out = WayOut::open(tools)?;
    let mut cage = Cage::around(worktree, TreeAccess::Write, scratch.path().to_owned());
    cage.sockets.extend(way_out.iter().map(WayOut::socket));
    let run = command::CommandRun {
        run: line.to_owned(),
        timeout: std::time::Duration::from_millis(timeout_ms),
        egress: cage.sockets.first().cloned(),
        cage,
        search_path: tools.agents.search_path.clone(),
    };
    let gate = command::CommandGate::new(tools.sandbox.clone());
    let mut report = gate.examine(&run, files).await;
    if let Some(way_out) = way_out {
        // Part of the report, so that the ledger holds it.
        report.summary.push_str(&connections::told(&way_out.egress.records()));
    } else if !tools.egress.is_empty() && matches!(tools.sandbox.standing(), Standing::UserSlot { .. }) {
        report.summary.push_str(connections::NO_WAY_OUT);
    }
    Ok(report)
}

/// The way out of one gate's cage, where the operator opened one. Its socket is short enough for a socket's name only in
/// the system's own directory for temporary files.
struct WayOut {
    egress: Egress,
    _directory: tempfile::TempDir,
}

impl WayOut {
    fn open(tools: &Tools) -> Result<Option<Self>, Setback> {
        // Without a cage there is nothing to let anybody out of.
        if tools.egress.is_empty() || !matches!(tools.sandbox.standing(), Standing::Bubblewrap { .. }) {
            return Ok(None);
        }
        let failed = |error: std::io::Error| Setback::Retry(format!("no way out of the sandbox: {error}"));
        let directory = tempfile::Builder::new().prefix("pairbot-").tempdir().map_err(failed)?;
        let egress = Egress::open(directory.path(), tools.egress.clone()).map_err(failed)?;
        Ok(Some(Self { egress, _directory: directory }))
    }

    fn socket(&self) -> Socket {
        Socket { host: self.egress.socket().to_owned(), inside: Path::new(RUNTIME).join("egress.sock") }
    }
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
