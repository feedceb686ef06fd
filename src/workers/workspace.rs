//! The commits a task reads or changes: the mirror, fetched, and a worktree in it.

use pairbot_protocol::ids::{BaseSha, Round, RunId};

use super::tools::Home;
use super::{Setback, Tools};
use crate::git::{BranchName, Commitish, Mirror, Opened, WorktreeName};
use crate::github::GitAccess;

/// A mirror that was just fetched.
pub(super) struct Workspace {
    pub(super) mirror: Mirror,
    /// Tip of the default branch at that moment.
    pub(super) base: BaseSha,
    pub(super) branch: BranchName,
}

impl Workspace {
    /// Fetches what is new of the default branch and of the run's own.
    pub(super) async fn fetch(tools: &Tools, home: &Home, run: RunId) -> Result<Self, Setback> {
        let mirror = tools.git.mirror(run.repository).await?;
        let reach = home.reach(GitAccess::Fetch).await?;
        let branch = branch_name(&run.branch())?;
        let default = branch_name(&home.facts.default_branch)?;
        home.heard(&reach, mirror.fetch(&reach.remote, &[default.clone(), branch.clone()]).await).await?;
        let Some(base) = mirror.branch(&default).await? else {
            return Err(Setback::agent(format!("the default branch `{default}` has no commit to build on")));
        };
        Ok(Self { mirror, base, branch })
    }

    /// Makes sure that a commit is there; it may have been pushed over since.
    pub(super) async fn have(&self, home: &Home, commit: &impl Commitish) -> Result<(), Setback> {
        if !self.mirror.has_commit(commit).await? {
            let reach = home.reach(GitAccess::Fetch).await?;
            home.heard(&reach, self.mirror.fetch_commit(&reach.remote, commit).await).await?;
        }
        Ok(())
    }

    /// The worktree of a role at a commit.
    pub(super) async fn worktree(
        &self,
        run: RunId,
        round: Round,
        role: &str,
        commit: &impl Commitish,
    ) -> Result<Opened, Setback> {
        let name = WorktreeName::new(run, round, role).map_err(|error| Setback::agent(error.to_string()))?;
        Ok(self.mirror.open(&name, commit).await?)
    }
}

fn branch_name(name: &str) -> Result<BranchName, Setback> {
    name.parse().map_err(|error| Setback::agent(format!("the branch `{name}` cannot be used: {error}")))
}
