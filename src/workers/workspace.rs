//! The commits a task reads or changes: the mirror, fetched, and a worktree in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pairbot_protocol::ids::{BaseSha, HeadSha, RepositoryId, Round, RunId, Timestamp};

use super::tools::Home;
use super::{Setback, Tools};
use crate::git::{BranchName, Commitish, Mirror, Opened, WorktreeName};
use crate::github::GitAccess;

/// For how long the default branch counts as fetched for whoever reads a head that was here by then. The reviewers and
/// gates of a head begin together, and what they compare it with was settled when it was made.
const FRESH_MS: u64 = 2 * 60 * 1_000;

/// A default branch as it was fetched.
#[derive(Debug, Clone)]
struct Fetched {
    branch: BranchName,
    base: BaseSha,
    at: Timestamp,
}

/// When this process last fetched the default branch of each repository.
#[derive(Debug, Clone, Default)]
pub struct Fetches(Arc<Mutex<BTreeMap<RepositoryId, Slot>>>);

/// Held while fetching: who comes meanwhile waits, and finds it done.
type Slot = Arc<tokio::sync::Mutex<Option<Fetched>>>;

impl Fetches {
    fn of(&self, repository: RepositoryId) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(repository).or_default().clone()
    }
}

/// A mirror that holds what a task needs.
pub(super) struct Workspace {
    pub(super) mirror: Mirror,
    /// Tip of the default branch when it was fetched.
    pub(super) base: BaseSha,
    pub(super) branch: BranchName,
}

impl Workspace {
    /// Fetches what is new of the default branch. Commits of the run's own branch are fetched by their names, in
    /// [`have`](Self::have): the branch may not exist yet, and may have moved on.
    pub(super) async fn fetch(tools: &Tools, home: &Home, run: RunId) -> Result<Self, Setback> {
        let mirror = tools.git.mirror(run.repository).await?;
        let slot = tools.fetches.of(run.repository);
        let base = fetch_default(tools, home, &mirror, &mut *slot.lock().await).await?;
        Ok(Self { mirror, base, branch: branch_name(&run.branch())? })
    }

    /// Makes sure that a head is there, and a default branch that is not older than what the head grew from.
    pub(super) async fn at_head(
        tools: &Tools,
        home: &Home,
        run: RunId,
        head: &HeadSha,
    ) -> Result<Self, Setback> {
        let mirror = tools.git.mirror(run.repository).await?;
        let slot = tools.fetches.of(run.repository);
        let mut fetched = slot.lock().await;
        let was_here = mirror.has_commit(head).await?;
        if !was_here {
            fetch_commit(home, &mirror, head).await?;
        }
        let default = branch_name(&home.facts.default_branch)?;
        let now = tools.clock.now();
        let is_fresh =
            |fetched: &&Fetched| was_here && fetched.branch == default && now.ms_since(fetched.at) < FRESH_MS;
        let base = match fetched.as_ref().filter(is_fresh) {
            Some(fetched) if mirror.has_commit(&fetched.base).await? => fetched.base.clone(),
            Some(_) | None => fetch_default(tools, home, &mirror, &mut fetched).await?,
        };
        Ok(Self { mirror, base, branch: branch_name(&run.branch())? })
    }

    /// Makes sure that a commit is there; it may have been pushed over since.
    pub(super) async fn have(&self, home: &Home, commit: &impl Commitish) -> Result<(), Setback> {
        if !self.mirror.has_commit(commit).await? {
            fetch_commit(home, &self.mirror, commit).await?;
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

async fn fetch_default(
    tools: &Tools,
    home: &Home,
    mirror: &Mirror,
    fetched: &mut Option<Fetched>,
) -> Result<BaseSha, Setback> {
    let reach = home.reach(GitAccess::Fetch).await?;
    let default = branch_name(&home.facts.default_branch)?;
    // The branch is at least as new as the moment before it is asked for.
    let at = tools.clock.now();
    home.heard(&reach, mirror.fetch(&reach.remote, std::slice::from_ref(&default)).await).await?;
    let Some(base) = mirror.branch::<BaseSha>(&default).await? else {
        return Err(Setback::agent(format!("the default branch `{default}` has no commit to build on")));
    };
    *fetched = Some(Fetched { branch: default, base: base.clone(), at });
    Ok(base)
}

async fn fetch_commit(home: &Home, mirror: &Mirror, commit: &impl Commitish) -> Result<(), Setback> {
    let reach = home.reach(GitAccess::Fetch).await?;
    home.heard(&reach, mirror.fetch_commit(&reach.remote, commit).await).await?;
    Ok(())
}

fn branch_name(name: &str) -> Result<BranchName, Setback> {
    name.parse().map_err(|error| Setback::agent(format!("the branch `{name}` cannot be used: {error}")))
}
