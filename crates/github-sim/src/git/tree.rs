//! Reads files and folders of a commit.

use super::command::{Git, GitError};

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    pub(crate) kind: String,
    pub(crate) sha: String,
    pub(crate) size: u64,
    /// Path from the root of the repository.
    pub(crate) path: String,
}

fn parse(record: &str) -> Option<TreeEntry> {
    let (head, path) = record.split_once('\t')?;
    let mut words = head.split_whitespace();
    let _mode = words.next()?;
    Some(TreeEntry {
        kind: words.next()?.to_owned(),
        sha: words.next()?.to_owned(),
        size: words.next()?.parse().unwrap_or_default(),
        path: path.to_owned(),
    })
}

impl Git {
    /// The entry at `path` itself.
    pub(crate) fn entry(&self, commit: &str, path: &str) -> Result<Option<TreeEntry>, GitError> {
        let output =
            self.run_with(&["--literal-pathspecs", "ls-tree", "-z", "-l", commit, "--", path], &[], &[])?;
        Ok(String::from_utf8_lossy(&output).split('\0').filter_map(parse).next())
    }

    /// What the folder `path` holds; the root is the empty path.
    pub(crate) fn folder(&self, commit: &str, path: &str) -> Result<Vec<TreeEntry>, GitError> {
        let folder = format!("{path}/");
        let mut arguments = vec!["--literal-pathspecs", "ls-tree", "-z", "-l", commit];
        if !path.is_empty() {
            arguments.extend_from_slice(&["--", &folder]);
        }
        let output = self.run_with(&arguments, &[], &[])?;
        Ok(String::from_utf8_lossy(&output).split('\0').filter_map(parse).collect())
    }

    /// The bytes of a blob.
    pub(crate) fn blob(&self, sha: &str) -> Result<Vec<u8>, GitError> {
        self.run_with(&["cat-file", "blob", sha], &[], &[])
    }
}
