//! From a tree that an agent wrote to a commit that anyone can trust to be what it says.

use std::fmt::Write as _;

use pairbot_protocol::ids::{HeadSha, Timestamp, TreeSha, UserId};

use super::diff::{ChangedFile, FileMode, raw_changes};
use super::{GitError, Mirror, Treeish, Worktree};

/// Who a commit says it is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    name: String,
    email: String,
}

impl Identity {
    /// A name and an address. Characters that would end the field they stand in are left out.
    pub fn new(name: &str, email: &str) -> Self {
        let plain = |text: &str| -> String {
            text.chars()
                .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
                .collect::<String>()
                .trim()
                .to_owned()
        };
        let (mut name, email) = (plain(name), plain(email));
        if name.is_empty() {
            name.clone_from(&email);
        }
        Self { name, email }
    }

    /// The App's bot, as GitHub recognises it: `<slug>[bot]` with its noreply address.
    pub fn bot(slug: &str, user: UserId) -> Self {
        Self::new(&format!("{slug}[bot]"), &format!("{user}+{slug}[bot]@users.noreply.github.com"))
    }

    /// A person, by the noreply address that GitHub gives each account.
    pub fn person(login: &str, user: UserId) -> Self {
        Self::new(login, &format!("{user}+{login}@users.noreply.github.com"))
    }
}

/// A link in the tree. Git keeps its target as text; it is never followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symlink {
    /// Where it lies in the tree.
    pub path: String,
    /// What it points to, as written; it may lead out of the tree.
    pub target: String,
}

/// What a worktree holds, recorded.
#[derive(Debug, Clone)]
pub struct Staged {
    /// The tree; equal to the start's tree if nothing changed.
    pub tree: TreeSha,
    /// What differs from the commit the worktree started from; renames are told as deletion and addition.
    pub changes: Vec<ChangedFile>,
    /// The links among what was added or changed.
    pub symlinks: Vec<Symlink>,
}

/// Everything that goes into a commit. The same request gives the same commit, so a repeated task makes nothing new.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// The files.
    pub tree: TreeSha,
    /// The commits it follows.
    pub parents: Vec<HeadSha>,
    /// Author and committer.
    pub author: Identity,
    /// When, as the ledger has it: never the clock's answer at the time of the call. Git keeps seconds.
    pub date: Timestamp,
    /// Subject and body.
    pub message: String,
    /// Whom the commit credits with `Co-authored-by`.
    pub co_authors: Vec<Identity>,
}

/// Bytes of the longest target of a link that is read; Linux takes no longer path.
const LINK_BYTES_MAX: usize = 4096;

impl Worktree {
    /// Records the files of the worktree: all but those that `.gitignore` names.
    ///
    /// [`GitError::Unsafe`] if a submodule or `.gitmodules` is touched: what such a change brings in, no reviewer
    /// would see.
    pub async fn stage(&self) -> Result<Staged, GitError> {
        let tree = self.checkpoint().await?;
        let changes = raw_changes(&self.mirror, self.start(), tree.as_str(), &["--no-renames"]).await?;
        for change in &changes {
            let touches_submodule = [change.old_mode, change.new_mode].contains(&Some(FileMode::Submodule));
            if touches_submodule || change.path.eq_ignore_ascii_case(".gitmodules") {
                let what = format!("the change to `{}`: submodules are not handled", change.path);
                return Err(GitError::Unsafe { what });
            }
        }
        let mut symlinks = Vec::new();
        for change in changes.iter().filter(|change| change.new_mode == Some(FileMode::Symlink)) {
            let blob = self.mirror.read_blob(&tree, &change.path, LINK_BYTES_MAX).await?;
            let target =
                blob.map(|blob| String::from_utf8_lossy(&blob.bytes).into_owned()).unwrap_or_default();
            symlinks.push(Symlink { path: change.path.clone(), target });
        }
        Ok(Staged { tree, changes, symlinks })
    }
}

impl Mirror {
    /// Makes a commit of a tree. No branch is moved.
    pub async fn commit_tree(&self, request: &CommitRequest) -> Result<HeadSha, GitError> {
        let seconds = request.date.unix_ms / 1000;
        let mut call = self
            .call("commit-tree")?
            .args([Treeish::as_str(&request.tree), "-F", "-"])
            .config("commit.gpgSign", "false")
            .config("i18n.commitEncoding", "UTF-8")
            .stdin(message(request).into_bytes());
        for role in ["AUTHOR", "COMMITTER"] {
            call = call
                .env(&format!("GIT_{role}_NAME"), &request.author.name)
                .env(&format!("GIT_{role}_EMAIL"), &request.author.email)
                .env(&format!("GIT_{role}_DATE"), format!("@{seconds} +0000"));
        }
        for parent in &request.parents {
            call = call.args(["-p", parent.as_str()]);
        }
        parsed("commit-tree", &call.text().await?)
    }
}

/// The message with its trailers, in the form GitHub reads: a blank line, then one line for each.
fn message(request: &CommitRequest) -> String {
    let mut text = request.message.replace('\0', "").trim().to_owned();
    if text.is_empty() {
        text.push_str("Update");
    }
    text.push('\n');
    for (position, who) in request.co_authors.iter().enumerate() {
        let separator = if position == 0 { "\n" } else { "" };
        // Writing to a string does not fail.
        let _written = writeln!(text, "{separator}Co-authored-by: {} <{}>", who.name, who.email);
    }
    text
}

/// An id as git printed it.
pub(super) fn parsed<T: std::str::FromStr>(operation: &'static str, text: &str) -> Result<T, GitError> {
    text.parse().map_err(|_| GitError::Failed {
        operation,
        message: format!("expected an object id, found `{}`", text.chars().take(80).collect::<String>()),
    })
}
