//! How commits and branches lie to each other.

use pairbot_protocol::ids::{BaseSha, HeadSha};

use super::commit::parsed;
use super::{BranchName, Commitish, GitError, Mirror, Remote, Treeish};

impl Mirror {
    /// Where a branch is on the server now, `None` if it does not exist.
    pub async fn remote_branch(
        &self,
        remote: &Remote,
        branch: &BranchName,
    ) -> Result<Option<HeadSha>, GitError> {
        let name = branch.full();
        let call = self.call("ls-remote")?.to(remote);
        let text = call.args(["--quiet", "--end-of-options", remote.url(), &name]).text().await?;
        // The name is matched as a tail: `refs/heads/a` finds `refs/heads/refs/heads/a` as well.
        let mut found =
            text.lines().filter_map(|line| line.split_once('\t')).filter(|(_, full)| *full == name);
        found.next().map(|(id, _)| parsed("ls-remote", id)).transpose()
    }

    /// The commit that a branch was at when it was last fetched, `None` if it was not.
    pub async fn branch<C: Commitish>(&self, branch: &BranchName) -> Result<Option<C>, GitError> {
        let name = format!("{}^{{commit}}", branch.full());
        let outcome =
            self.call("rev-parse")?.args(["--quiet", "--verify", "--end-of-options", &name]).run().await?;
        match outcome.code() {
            Some(0) => parsed("rev-parse", outcome.shown_stdout().trim()).map(Some),
            Some(1) => Ok(None),
            Some(_) | None => Err(outcome.into_error()),
        }
    }

    /// The commit from which two lines of work parted: what a pull request is compared with. `None` if they share
    /// no history.
    pub async fn merge_base(
        &self,
        one: &impl Commitish,
        other: &impl Commitish,
    ) -> Result<Option<BaseSha>, GitError> {
        let outcome =
            self.call("merge-base")?.args([Treeish::as_str(one), Treeish::as_str(other)]).run().await?;
        match outcome.code() {
            Some(0) => parsed("merge-base", outcome.shown_stdout().trim()).map(Some),
            Some(1) => Ok(None),
            Some(_) | None => Err(outcome.into_error()),
        }
    }

    /// Whether `older` is in the history of `newer`; a commit is in its own.
    pub async fn is_ancestor(
        &self,
        older: &impl Commitish,
        newer: &impl Commitish,
    ) -> Result<bool, GitError> {
        let arguments = ["--is-ancestor", Treeish::as_str(older), Treeish::as_str(newer)];
        let outcome = self.call("merge-base")?.args(arguments).run().await?;
        match outcome.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            Some(_) | None => Err(outcome.into_error()),
        }
    }

    /// How many commits `newer` has that `older` has not.
    pub async fn commits_between(
        &self,
        older: &impl Commitish,
        newer: &impl Commitish,
    ) -> Result<u64, GitError> {
        let range = format!("{older}..{newer}");
        let text = self.call("rev-list")?.args(["--count", &range]).text().await?;
        text.parse()
            .map_err(|_| GitError::Failed { operation: "rev-list", message: format!("not a count: {text}") })
    }
}
