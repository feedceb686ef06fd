//! What a server that died left on the disk.

use std::collections::BTreeSet;

use pairbot_protocol::run::Phase;
use tracing::{info, warn};

use super::create;
use super::{Setback, Tools};
use crate::git::WorktreeName;
use crate::store::RunFilter;

/// How many open runs are looked at.
const RUNS_MAX: usize = 100_000;

/// Closes the worktrees that no task will open again, once, before any worker starts. Those of creators at work are
/// kept, with what is in them: their conversations go on where they were. Everyone else begins from a commit.
pub async fn sweep(tools: &Tools) {
    let swept = async {
        let keep = creators_at_work(tools).await?;
        Ok::<_, Setback>(tools.git.sweep(&keep, true).await?)
    };
    match swept.await {
        Ok(swept) => {
            info!(
                worktrees = swept.worktrees,
                leftovers = swept.leftovers,
                "swept what the last server left"
            );
        }
        // Leftovers cost disk and nothing else.
        Err(error) => warn!(%error, "could not sweep what the last server left"),
    }
}

async fn creators_at_work(tools: &Tools) -> Result<BTreeSet<WorktreeName>, Setback> {
    let mut keep = BTreeSet::new();
    for summary in tools.store.run_list(RunFilter { open_only: true, limit: RUNS_MAX }).await? {
        let Some(stored) = tools.store.run(summary.run).await? else { continue };
        let run = stored.run;
        if matches!(run.phase, Phase::Creating { .. }) {
            let name = WorktreeName::new(run.id, run.round, &create::role(run.attempt));
            keep.extend(name.ok());
        }
    }
    Ok(keep)
}
