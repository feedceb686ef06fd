//! The set-up of a worktree: the policy's command that fetches what later commands need, such as packages.
//!
//! It alone has a way out of the cage, to the hosts that the operator named: agents and gates run after it, without one.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pairbot_protocol::policy::{Policy, Setup};
use pairbot_protocol::signal::{Contact, GateReport, Verdict};

use super::{Setback, Tools};
use crate::gates::{command, connections};
use crate::git::Worktree;
use crate::sandbox::egress::Egress;
use crate::sandbox::{Cage, RUNTIME, Socket, Standing, TreeAccess};

/// How a set-up went.
pub(super) struct SetUp {
    /// As a gate would report.
    pub(super) report: GateReport,
    /// What it asked for outside the sandbox. The report tells of it, too.
    pub(super) contacts: Vec<Contact>,
}

impl SetUp {
    /// What an agent must know of the set-up before it.
    pub(super) fn for_agent(&self) -> String {
        let GateReport { verdict, title, summary, .. } = &self.report;
        match verdict {
            Verdict::Green => format!("It succeeded.\n{summary}"),
            Verdict::Red | Verdict::Unknown | Verdict::Waiting => {
                format!("It did not succeed: {title}.\n{summary}")
            }
        }
    }
}

/// Runs the set-up, and reports as a gate would. What it leaves in `home` is there for the commands that get the same
/// home.
///
/// What it changed of files that belong to a change is undone. A creator would push it; and a gate's verdict on it would be
/// none on the head (promise P2), a test that was rewritten passes.
async fn run(tools: &Tools, setup: &Setup, worktree: &Worktree, home: &Path) -> Result<SetUp, Setback> {
    std::fs::create_dir_all(home)
        .map_err(|error| Setback::Retry(format!("the home of the commands cannot be made: {error}")))?;
    let before = worktree.look().await?.tree;
    let mut made = execute(tools, setup, worktree.path(), home.to_owned()).await?;
    if worktree.look().await?.tree != before {
        worktree.go_back(&before).await?;
        made.report.summary.push_str(
            "\n\nIt changed files that are not ignored by git. Those changes were undone, since they are no part of the \
             task.",
        );
    }
    Ok(made)
}

async fn execute(tools: &Tools, setup: &Setup, worktree: PathBuf, home: PathBuf) -> Result<SetUp, Setback> {
    let way_out = WayOut::open(tools)?;
    let mut cage = Cage::around(worktree, TreeAccess::Write, home);
    cage.sockets.extend(way_out.iter().map(WayOut::socket));
    let run = command::CommandRun {
        run: setup.run.clone(),
        timeout: Duration::from_millis(setup.timeout_ms),
        egress: cage.sockets.first().cloned(),
        cage,
        search_path: tools.agents.search_path.clone(),
    };
    let mut report = command::CommandGate::new(tools.sandbox.clone()).examine(&run, &[]).await;
    let mut contacts = Vec::new();
    if let Some(way_out) = way_out {
        contacts = connections::contacts(&way_out.egress.records());
        // Part of the report, so that whoever reads of the set-up reads of this.
        report.summary.push_str(&connections::told(&contacts));
    } else if !tools.egress.is_empty() && matches!(tools.sandbox.standing(), Standing::UserSlot { .. }) {
        report.summary.push_str(connections::NO_WAY_OUT);
        // What could not be fetched for that is not the change's fault (promise P5).
        report.verdict = match report.verdict {
            Verdict::Red => Verdict::Unknown,
            verdict @ (Verdict::Green | Verdict::Unknown | Verdict::Waiting) => verdict,
        };
    }
    Ok(SetUp { report, contacts })
}

/// Makes a creator's worktree ready, with the home of its agent's commands. Gives how that went; nothing where the policy
/// has no set-up.
pub(super) async fn before_creator(
    tools: &Tools,
    policy: &Policy,
    worktree: &Worktree,
    home: &Path,
) -> Result<Option<SetUp>, Setback> {
    let Some(setup) = &policy.setup else { return Ok(None) };
    let made = run(tools, setup, worktree, home).await?;
    if made.report.verdict != Verdict::Green {
        tracing::warn!(title = made.report.title, "the set-up of a worktree did not succeed");
    }
    Ok(Some(made))
}

/// Runs what a gate's command needs, if the policy has a set-up, and then the command itself.
pub(super) async fn before_gate(
    tools: &Tools,
    policy: &Policy,
    worktree: &Worktree,
    home: &Path,
    command: impl Future<Output = GateReport>,
) -> Result<GateReport, Setback> {
    let Some(setup) = &policy.setup else { return Ok(command.await) };
    let made = run(tools, setup, worktree, home).await?.report;
    match made.verdict {
        Verdict::Green => {
            let mut report = command.await;
            // Part of the report, so that the ledger holds which hosts were reached.
            report.summary.push_str("\n\n**Before it, the set-up**\n\n");
            report.summary.push_str(&made.summary);
            Ok(report)
        }
        Verdict::Red | Verdict::Unknown | Verdict::Waiting => {
            let title = format!("the set-up did not succeed: {}", made.title);
            Ok(GateReport { title, ..made })
        }
    }
}

/// The way out of one set-up's cage, where the operator opened one. Its socket is short enough for a socket's name only
/// in the system's own directory for temporary files.
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
