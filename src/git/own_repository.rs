//! A git repository for an agent, and looking at the files while the agent has them.

use super::command::Call;
use super::{GitError, Staged, Worktree, tree_files};

impl Worktree {
    /// Gives the files a fresh `.git` of their own, with the one commit they started from: an agent's git works there
    /// and has nothing of ours, neither configuration nor history. To be called while no agent is in the tree.
    pub async fn begin_repository(&self) -> Result<(), GitError> {
        self.settle().await?;
        tree_files::remove_git_entries(&self.path()).await?;
        let git_dir = self.path().join(".git");
        let call = |operation| Call::new(&self.mirror.git, &git_dir, operation);
        call("init")?.args(["--quiet", "--template=", "--initial-branch=work"]).output().await?;
        let mirror = super::settings::path_text(self.mirror.path())?;
        // Objects are copied, not shared: the mirror is not in the cage.
        let fetch = call("fetch")?.config("protocol.file.allow", "always");
        fetch.args(["--quiet", "--no-tags", "--depth=1", "--", &mirror, self.start()]).output().await?;
        call("update-ref")?.args(["refs/heads/work", self.start()]).output().await?;
        call("read-tree")?.in_tree(&self.path(), &git_dir.join("index"))?.args(["HEAD"]).output().await?;
        Ok(())
    }

    /// What the files are now, while an agent works in them: like [`stage`](Self::stage), and the agent keeps its
    /// `.git`, which lies beside the tree meanwhile.
    pub async fn look(&self) -> Result<Staged, GitError> {
        let (own, aside) = (self.path().join(".git"), self.aside());
        tree_files::remove(&aside).await?;
        let moved = tree_files::rename(&own, &aside).await.is_ok();
        let staged = self.stage().await;
        if moved {
            // If the agent has made another meanwhile, it has that one.
            let _made_another = tree_files::rename(&aside, &own).await;
        }
        staged
    }
}
