//! The facts of a diff, in git's form for programs: paths as they are, no quoting, no text.

use std::collections::BTreeMap;

use super::{COMPARE, ChangedFile, FileMode, FileStatus};
use crate::git::command::LISTING_BYTES_MAX;
use crate::git::{GitError, Mirror};

/// Lines added and removed; `None` for a binary file.
pub(super) type Counts = (Option<u64>, Option<u64>);

/// The changed files of two trees or commits, without their text.
pub(in crate::git) async fn raw_changes(
    mirror: &Mirror,
    from: &str,
    to: &str,
    options: &[&str],
) -> Result<Vec<ChangedFile>, GitError> {
    let call = mirror.call("diff-tree")?.args(COMPARE).args(["--raw", "-z"]).args(options.iter().copied());
    let output = call.args([from, to]).output_bytes_max(LISTING_BYTES_MAX).output().await?;
    changes(&output).ok_or_else(|| GitError::Failed {
        operation: "diff-tree",
        message: "a record is not `:<mode> <mode> <id> <id> <status>` with its paths".to_owned(),
    })
}

/// Reads records of `:<mode> <mode> <id> <id> <status>`, each followed by its path, or by the old and the new one.
fn changes(output: &[u8]) -> Option<Vec<ChangedFile>> {
    let mut fields =
        output.split(|byte| *byte == 0).map(String::from_utf8_lossy).filter(|field| !field.is_empty());
    let mut files = Vec::new();
    while let Some(facts) = fields.next() {
        let mut facts = facts.strip_prefix(':')?.split(' ');
        let (old_mode, new_mode) = (mode(facts.next()?), mode(facts.next()?));
        let letter = facts.nth(2)?.chars().next()?;
        let first = fields.next()?.into_owned();
        let (path, old_path) = if matches!(letter, 'R' | 'C') {
            (fields.next()?.into_owned(), Some(first))
        } else {
            (first, None)
        };
        let status = match letter {
            'A' | 'C' => FileStatus::Added,
            'D' => FileStatus::Deleted,
            'R' => FileStatus::Renamed,
            'T' => FileStatus::TypeChanged,
            _ => FileStatus::Modified,
        };
        files.push(ChangedFile { path, old_path, old_mode, new_mode, ..ChangedFile::empty(status) });
    }
    Some(files)
}

/// What a mode of git means; `None` for a file that is not there.
pub(super) fn mode(text: &str) -> Option<FileMode> {
    match text {
        "000000" => None,
        "100755" => Some(FileMode::Executable),
        "120000" => Some(FileMode::Symlink),
        "160000" => Some(FileMode::Submodule),
        _ => Some(FileMode::File),
    }
}

/// Reads records of `<added> <removed> <path>` with tabs; after a rename the path is empty, and both paths follow.
pub(super) fn counts(output: &[u8]) -> BTreeMap<String, Counts> {
    let mut fields = output.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let mut counted = BTreeMap::new();
    while let Some(record) = fields.next() {
        let mut parts = record.splitn(3, '\t');
        let (Some(added), Some(removed), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let path =
            if path.is_empty() { fields.nth(1).unwrap_or_default().into_owned() } else { path.to_owned() };
        counted.insert(path, (added.parse().ok(), removed.parse().ok()));
    }
    counted
}

impl ChangedFile {
    /// A file of which only the fate is known.
    pub(super) fn empty(status: FileStatus) -> Self {
        Self {
            path: String::new(),
            old_path: None,
            status,
            old_mode: Some(FileMode::File),
            new_mode: Some(FileMode::File),
            additions: 0,
            deletions: 0,
            binary: false,
            hunks: Vec::new(),
            omitted: false,
        }
    }
}
