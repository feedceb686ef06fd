//! Merges without a worktree.

use super::command::{Git, GitError};
use super::commit::Ident;

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MergeMethod {
    /// A commit with two parents.
    Merge,
    /// One new commit on the base.
    Squash,
    /// Each commit again on the base.
    Rebase,
}

impl Git {
    /// The tree of `head` merged into `base`, or `None` where they conflict.
    pub(crate) fn merged_tree(&self, base: &str, head: &str) -> Result<Option<String>, GitError> {
        self.merged_tree_from(None, base, head)
    }

    fn merged_tree_from(
        &self,
        ancestor: Option<&str>,
        base: &str,
        head: &str,
    ) -> Result<Option<String>, GitError> {
        let ancestor = ancestor.map(|ancestor| format!("--merge-base={ancestor}"));
        let mut arguments = vec!["merge-tree", "--write-tree", "--no-messages"];
        arguments.extend(ancestor.as_deref());
        arguments.extend_from_slice(&[base, head]);
        let output = self.output(&arguments, &[], &[])?;
        let text = String::from_utf8_lossy(&output.stdout);
        match output.status.code() {
            Some(0) => Ok(text.lines().next().map(str::to_owned)),
            Some(1) => Ok(None),
            Some(_) | None => Err(self.error("merge-tree", &String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// The commit that merging would put on the base, or `None` where they conflict.
    pub(crate) fn merge(
        &self,
        method: MergeMethod,
        base: &str,
        head: &str,
        author: &Ident,
        at_s: u64,
        message: &str,
    ) -> Result<Option<String>, GitError> {
        let Some(tree) = self.merged_tree(base, head)? else { return Ok(None) };
        match method {
            MergeMethod::Merge => self.commit_tree(&tree, &[base, head], author, at_s, message).map(Some),
            MergeMethod::Squash => self.commit_tree(&tree, &[base], author, at_s, message).map(Some),
            MergeMethod::Rebase => self.rebase(base, head, at_s),
        }
    }

    fn rebase(&self, base: &str, head: &str, at_s: u64) -> Result<Option<String>, GitError> {
        let mut tip = base.to_owned();
        let range = format!("{base}..{head}");
        for commit in self.log(&["--reverse", "--no-merges", &range], 250)? {
            let parent = commit.parents.first().map(String::as_str);
            let Some(tree) = self.merged_tree_from(parent, &tip, &commit.sha)? else { return Ok(None) };
            tip = self.commit_tree(&tree, &[&tip], &commit.author, at_s, &commit.message)?;
        }
        Ok(Some(tip))
    }
}
