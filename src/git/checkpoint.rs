//! A worktree's files as a tree that can be returned to.

use pairbot_protocol::ids::TreeSha;

use super::commit::parsed;
use super::{GitError, Treeish, Worktree, tree_files};

impl Worktree {
    /// Records the files as they are: all but those that `.gitignore` names.
    pub async fn checkpoint(&self) -> Result<TreeSha, GitError> {
        self.settle().await?;
        tree_files::remove_git_entries(&self.path()).await?;
        self.call("add")?.args(["--all", "--", "."]).output().await?;
        parsed("write-tree", &self.call("write-tree")?.text().await?)
    }

    /// Makes the files what they were at a checkpoint. What `.gitignore` names stays as it is: caches of a build are
    /// worth keeping, and belong to no commit.
    pub async fn go_back(&self, checkpoint: &TreeSha) -> Result<(), GitError> {
        self.settle().await?;
        tree_files::remove_git_entries(&self.path()).await?;
        self.call("read-tree")?.args(["--reset", "-u", Treeish::as_str(checkpoint)]).output().await?;
        self.call("clean")?.args(["-ffdq"]).output().await.map(drop)
    }
}
