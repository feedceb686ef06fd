//! The gates of the repository, run for a creator before it hands in, on the files as they are.

use std::fmt::Write as _;
use std::path::PathBuf;

use async_trait::async_trait;
use pairbot_protocol::ids::HeadSha;
use pairbot_protocol::policy::GateKind;
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{GateReport, Verdict};

use super::workspace::Workspace;
use super::{Setback, Tools, gate};
use crate::agents::Gates;
use crate::gates::{ChangedFile, paths, size};
use crate::git::{DiffLimits, GitError, Worktree};
use crate::sandbox::{Cage, TreeAccess};

/// The gates of one creator's task.
pub(super) struct TaskGates<'a> {
    pub(super) tools: &'a Tools,
    pub(super) run: &'a Run,
    pub(super) workspace: &'a Workspace,
    pub(super) worktree: &'a Worktree,
    pub(super) start: &'a HeadSha,
    /// The home in which the policy's set-up was made; none if it has none.
    pub(super) home: Option<PathBuf>,
}

impl TaskGates<'_> {
    /// Those that say something about files; what other apps say needs a commit that they can see.
    fn gates(&self) -> impl Iterator<Item = (&str, &GateKind)> {
        let gates = self.run.policy.iter().flat_map(|policy| &policy.gates);
        gates.map(|(name, kind)| (name.as_str(), kind)).filter(|(_, kind)| match kind {
            GateKind::Size { .. } | GateKind::Paths { .. } | GateKind::Command { .. } => true,
            GateKind::Ci { .. } => false,
        })
    }

    async fn changes(&self) -> Result<Vec<ChangedFile>, GitError> {
        let staged = self.worktree.look().await?;
        let mirror = &self.workspace.mirror;
        // What the pull request will show: all that happened since it left the base.
        let Some(parted) = mirror.merge_base(&self.workspace.base, self.start).await? else {
            let what = format!("a common history of {} and {}", self.workspace.base, self.start);
            return Err(GitError::NotFound { what });
        };
        let diff = mirror.diff(&parted, &staged.tree, DiffLimits::default()).await?;
        Ok(diff.files.iter().map(gate::changed_file).collect())
    }

    async fn examine(&self, kind: &GateKind, files: &[ChangedFile]) -> Result<Option<GateReport>, Setback> {
        Ok(match kind {
            GateKind::Size { files_max, lines_max } => Some(size::examine(files, *files_max, *lines_max)),
            GateKind::Paths { protected } => Some(paths::examine(files, protected)),
            GateKind::Command { run, timeout_ms } => {
                let scratch = self.tools.scratch()?;
                let home = self.home.clone().unwrap_or_else(|| scratch.path().to_owned());
                let cage = Cage::around(self.worktree.path(), TreeAccess::Write, home);
                Some(gate::run_command(self.tools, cage, run, *timeout_ms, files).await)
            }
            GateKind::Ci { .. } => None,
        })
    }
}

#[async_trait]
impl Gates for TaskGates<'_> {
    fn names(&self) -> Vec<String> {
        self.gates().map(|(name, _)| name.to_owned()).collect()
    }

    async fn run(&self, gate: Option<&str>) -> Result<String, String> {
        let asked: Vec<_> = self.gates().filter(|(name, _)| gate.is_none_or(|gate| gate == *name)).collect();
        if asked.is_empty() {
            return Err(format!("there is no such gate to run here; there are: {}", self.names().join(", ")));
        }
        let files = self.changes().await.map_err(|error| format!("the files cannot be read: {error}"))?;
        let mut text = String::new();
        for (name, kind) in asked {
            let report = self.examine(kind, &files).await;
            let report = report.map_err(|error| format!("the gate `{name}` could not be run: {error}"))?;
            if let Some(GateReport { verdict, title, summary, .. }) = report {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "## {name}: {}: {title}\n{summary}\n", word(verdict));
            }
        }
        Ok(text)
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Green => "green",
        Verdict::Red => "red",
        Verdict::Unknown => "could not be examined",
        Verdict::Waiting => "waits",
    }
}
