//! What differs between two commits: for the gates as facts, for reviewers as text, and for remarks as places.

mod parse;
mod place;
mod raw;
mod render;

use std::sync::Arc;

use pairbot_protocol::ids::{BaseSha, HeadSha};

use super::command::LISTING_BYTES_MAX;
use super::known::Comparison;
use super::{GitError, Mirror, Treeish};
use raw::counts;
pub(super) use raw::raw_changes;

/// The differences between two commits or trees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// The changed files, in git's order.
    pub files: Vec<ChangedFile>,
}

/// One changed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path now, or its last path if it was deleted. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Its path before, if that was another.
    pub old_path: Option<String>,
    /// What happened to it.
    pub status: FileStatus,
    /// What it was, `None` if it was not there.
    pub old_mode: Option<FileMode>,
    /// What it is, `None` if it is not there.
    pub new_mode: Option<FileMode>,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// Whether git sees no text in it, or it is larger than [`DiffLimits::file_bytes_max`].
    pub binary: bool,
    /// The changed places, in order; empty for a binary file.
    pub hunks: Vec<Hunk>,
    /// Whether a limit kept the hunks out.
    pub omitted: bool,
}

/// What happened to a file. A change of the executable bit alone is a modification without hunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStatus {
    /// It is new.
    Added,
    /// Its content or its executable bit changed.
    Modified,
    /// It is gone.
    Deleted,
    /// It has another path, and perhaps other content.
    Renamed,
    /// It became something else: a link, a file, a submodule.
    TypeChanged,
}

/// What git records a file as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A link.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

/// One changed place with the lines around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// First line of the old file, from 1; 0 if the old side is empty.
    pub old_start: u32,
    /// Lines of the old file.
    pub old_lines: u32,
    /// First line of the new file, from 1; 0 if the new side is empty.
    pub new_start: u32,
    /// Lines of the new file.
    pub new_lines: u32,
    /// What git found to stand above it, such as the name of a function.
    pub section: String,
    /// The lines.
    pub lines: Vec<HunkLine>,
}

/// One line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HunkLine {
    /// Whether it stayed, came or went.
    pub kind: LineKind,
    /// Its number in the old file, from 1.
    pub old: Option<u32>,
    /// Its number in the new file, from 1.
    pub new: Option<u32>,
    /// Its text without the line feed; a carriage return stays.
    pub text: String,
    /// Whether the file ends here without a line feed.
    pub unterminated: bool,
}

/// What happened to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// It is in both.
    Context,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

/// A side of a diff, as GitHub's reviews name it.
/// <https://docs.github.com/en/rest/pulls/comments#create-a-review-comment-for-a-pull-request>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The file as it was.
    Left,
    /// The file as it is.
    Right,
}

/// A place that GitHub accepts a review comment at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommentPlace {
    /// The side the line number counts on.
    pub side: Side,
    /// Which of the file's hunks it lies in. A comment over several lines must not leave it.
    pub hunk: usize,
}

/// Text that is not a diff of two versions as git writes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the diff {problem}")]
pub struct MalformedDiff {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// How much of a diff is looked at. What is beyond is listed with [`ChangedFile::omitted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffLimits {
    /// With more files than this, none is rendered.
    pub files_max: usize,
    /// A file with more bytes than this counts as binary.
    pub file_bytes_max: usize,
    /// Bytes of the whole text; files beyond are not rendered.
    pub bytes_max: usize,
}

impl Default for DiffLimits {
    fn default() -> Self {
        Self { files_max: 3_000, file_bytes_max: 1024 * 1024, bytes_max: 8 * 1024 * 1024 }
    }
}

/// How git compares: with renames, three lines of context, and no word of configuration or attributes. Attributes
/// are taken from no tree at all, so that a pull request cannot hide its files from its reviewers by `-diff`: git 2.43
/// to 2.45 would read them from the `HEAD` of a bare repository.
const COMPARE: [&str; 9] = [
    "-r",
    "-M",
    "-l1000",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--full-index",
    "--ignore-submodules=none",
    "--diff-algorithm=myers",
];

/// The id of the tree without files; git knows it without storing it.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

impl Mirror {
    /// What differs from one commit or tree to another.
    pub async fn diff(
        &self,
        from: &impl Treeish,
        to: &impl Treeish,
        limits: DiffLimits,
    ) -> Result<Arc<Diff>, GitError> {
        let comparison = self.comparison(from.as_str(), to.as_str(), false, limits);
        if let Some(diff) = self.git.inner.known.diff(&comparison) {
            return Ok(diff);
        }
        let diff = Arc::new(self.compared(from.as_str(), to.as_str(), limits).await?);
        self.git.inner.known.compared(comparison, &diff);
        Ok(diff)
    }

    fn comparison(&self, from: &str, to: &str, since_parting: bool, limits: DiffLimits) -> Comparison {
        let (from, to) = (from.to_owned(), to.to_owned());
        Comparison { repository: self.repository(), from, to, since_parting, limits }
    }

    async fn compared(&self, from: &str, to: &str, limits: DiffLimits) -> Result<Diff, GitError> {
        let mut files = raw_changes(self, from, to, &[]).await?;
        if files.len() > limits.files_max {
            for file in &mut files {
                file.omitted = true;
            }
            return Ok(Diff { files });
        }
        let numbers = self.compare(&["--numstat", "-z"], from, to, limits)?;
        let numbers = numbers.output_bytes_max(LISTING_BYTES_MAX).output().await?;
        let counted = counts(&numbers);
        let patch = self.compare(&["-p", "-U3", "--inter-hunk-context=0"], from, to, limits)?.run().await?;
        if !patch.finished.succeeded() {
            return Err(patch.into_error());
        }
        let whole = if patch.finished.truncated {
            whole_files(&patch.finished.stdout)
        } else {
            &patch.finished.stdout
        };
        let parsed = Diff::parse(whole)
            .map_err(|error| GitError::Failed { operation: "diff-tree", message: error.to_string() })?;
        let mut rendered = parsed.files.into_iter().peekable();
        for file in &mut files {
            if let Some((additions, deletions)) = counted.get(&file.path) {
                file.binary = additions.is_none();
                file.additions = additions.unwrap_or_default();
                file.deletions = deletions.unwrap_or_default();
            }
            // Both lists are in git's order. A change of type is written as a deletion and an addition.
            file.omitted = true;
            while let Some(part) = rendered.next_if(|part| part.path == file.path) {
                file.omitted = false;
                file.hunks.extend(part.hunks);
            }
        }
        Ok(Diff { files })
    }

    /// What a pull request shows: the differences from where head and base parted. [`GitError::NotFound`] if they
    /// share no history.
    pub async fn pull_request_diff(
        &self,
        base: &BaseSha,
        head: &HeadSha,
        limits: DiffLimits,
    ) -> Result<Arc<Diff>, GitError> {
        let comparison = self.comparison(Treeish::as_str(base), Treeish::as_str(head), true, limits);
        if let Some(diff) = self.git.inner.known.diff(&comparison) {
            return Ok(diff);
        }
        let Some(parted) = self.merge_base(base, head).await? else {
            return Err(GitError::NotFound { what: format!("a common history of {base} and {head}") });
        };
        let diff = self.diff(&parted, head, limits).await?;
        self.git.inner.known.compared(comparison, &diff);
        Ok(diff)
    }

    fn compare(
        &self,
        options: &[&str],
        from: &str,
        to: &str,
        limits: DiffLimits,
    ) -> Result<super::command::Call<'_>, GitError> {
        let call = self.call("diff-tree")?.env("GIT_ATTR_SOURCE", EMPTY_TREE);
        let call = call.config("core.bigFileThreshold", &limits.file_bytes_max.to_string());
        let call = call.args(COMPARE).args(options.iter().copied()).args([from, to]);
        Ok(call.output_bytes_max(limits.bytes_max))
    }
}

/// A cut text up to the last file that is whole. A line of content never starts with `d`, so this finds a header.
fn whole_files(text: &[u8]) -> &[u8] {
    const HEADER: &[u8] = b"\ndiff --git ";
    let last = text.windows(HEADER.len()).rposition(|window| window == HEADER);
    last.and_then(|last| text.get(..=last)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
