//! What merging would give, without a tree on disk and without moving anything.

use pairbot_protocol::ids::TreeSha;

use super::commit::parsed;
use super::{Commitish, GitError, Mirror, Treeish};

/// The result of a merge that nobody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeResult {
    /// The two fit together.
    Clean {
        /// The files of the merge.
        tree: TreeSha,
    },
    /// They do not.
    Conflicts {
        /// The files on which they disagree, sorted.
        paths: Vec<String>,
    },
}

impl Mirror {
    /// Merges two commits in memory.
    pub async fn merge_tree(
        &self,
        base: &impl Commitish,
        head: &impl Commitish,
    ) -> Result<MergeResult, GitError> {
        let arguments = ["--write-tree", "-z", "--name-only", "--no-messages"];
        let call =
            self.call("merge-tree")?.args(arguments).args([Treeish::as_str(base), Treeish::as_str(head)]);
        let outcome = call.run().await?;
        let mut parts = outcome.finished.stdout.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        match outcome.code() {
            Some(0) => {
                let tree = parts.next().unwrap_or_default();
                Ok(MergeResult::Clean { tree: parsed("merge-tree", tree.trim())? })
            }
            Some(1) => {
                let mut paths: Vec<String> =
                    parts.skip(1).filter(|path| !path.is_empty()).map(std::borrow::Cow::into_owned).collect();
                paths.sort();
                paths.dedup();
                Ok(MergeResult::Conflicts { paths })
            }
            Some(_) | None => Err(outcome.into_error()),
        }
    }
}
