//! Trees that agents work in, warm: a used one is cleaned and kept, and the next user gets it with only the files
//! changed that differ.
//!
//! ```text
//! workspaces/<repository>/<n>/   warm, clean, nobody's      ─ open ─▶   worktrees/<name>/   in use
//!                                                           ◀─ close ─
//!     tree/    the files, all that an agent ever sees; no `.git` in it
//!     index    git's list of them, outside of the tree
//!     at       the repository, and the commit that the tree started from
//! ```
//!
//! Every step between the two ends in one rename, so after a crash a worktree is whole, or it is under a name with a
//! leading dot and swept away.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use pairbot_protocol::ids::{MalformedId, RepositoryId, Round, RunId};

use super::command::{Call, LISTING_BYTES_MAX};
use super::tree_files::entries;
use super::{Commitish, Git, GitError, Mirror, tree_files};
use crate::adapters::on_disk;

/// The name of a worktree, by which a task finds it again after a crash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorktreeName(String);

impl WorktreeName {
    /// `<run>-<round>-<role>`; a role is `creator`, or the name of a reviewer or a gate.
    pub fn new(run: RunId, round: Round, role: &str) -> Result<Self, MalformedId> {
        format!("{run}-{round}-{role}").parse()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WorktreeName {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !text.is_empty() && text.len() <= 150 && text.chars().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            let found = text.chars().take(80).collect();
            Err(MalformedId { expected: "a worktree's name: 1 to 150 of `a-z`, `0-9` and `-`", found })
        }
    }
}

impl fmt::Display for WorktreeName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A tree in use. Dropping it leaves it where it is, to be opened again by its name; [`Worktree::close`] ends it.
#[derive(Debug)]
pub struct Worktree {
    pub(super) mirror: Mirror,
    name: WorktreeName,
    place: Place,
    start: String,
}

/// A worktree that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The tree.
    pub worktree: Worktree,
    /// Whether it was there already, at the same commit: what an earlier attempt wrote is still in it.
    pub resumed: bool,
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Worktrees that nobody needs any more.
    pub worktrees: usize,
    /// Halves that a crash left.
    pub leftovers: usize,
}

impl Mirror {
    /// Opens the worktree of a name at a commit that the mirror holds.
    ///
    /// If it is there at that very commit, it is given as it is, changes included: that is how a task goes on after
    /// a crash. If it is there at another commit, it is closed first. Two tasks must not open one name at a time;
    /// their leases see to that.
    pub async fn open(&self, name: &WorktreeName, commit: &impl Commitish) -> Result<Opened, GitError> {
        let place = Place(self.git.directory("worktrees").join(name.as_str()));
        let known = self.has_commit(commit).await?;
        let commit = super::Treeish::as_str(commit);
        if !known {
            return Err(GitError::NotFound { what: format!("the commit {commit}") });
        }
        let worktree =
            |place| Worktree { mirror: self.clone(), name: name.clone(), place, start: commit.to_owned() };
        match place.read_at().await {
            Some((repository, start)) if repository == self.repository() && start == commit => {
                self.resume(&place, commit).await?;
                return Ok(Opened { worktree: worktree(place), resumed: true });
            }
            Some((repository, start)) => {
                let other = self.git.mirror(repository).await?;
                other.retire(&place, &start).await?;
            }
            None => place.remove().await?,
        }
        let staging = Place(self.git.directory("worktrees").join(format!(".{name}.opening")));
        staging.remove().await?;
        if !self.take_warm(&staging, commit).await? {
            self.check_out_cold(&staging, commit).await?;
        }
        staging.write_at(self.repository(), commit).await?;
        staging.rename(&place).await?;
        Ok(Opened { worktree: worktree(place), resumed: false })
    }

    /// Takes a warm workspace and switches it. Says whether there was one that could be used.
    async fn take_warm(&self, staging: &Place, commit: &str) -> Result<bool, GitError> {
        for warm in self.warm_places().await? {
            if warm.rename(staging).await.is_err() {
                // Another task was faster.
                continue;
            }
            // Only what this process cleaned itself is known to be clean: a machine that lost power may have kept
            // the index and lost the files.
            let sealed = self.git.sealed().remove(&warm.0);
            let start = staging.read_at().await.map(|(_, start)| start);
            let switched = match start {
                Some(start) if sealed => self.switch(staging, &start, commit).await,
                Some(_) | None => self.restore(staging, commit).await,
            };
            match switched {
                Ok(()) => return Ok(true),
                Err(_unusable) => staging.remove().await?,
            }
        }
        Ok(false)
    }

    /// Changes a clean tree from one commit to another: only files that differ are touched.
    async fn switch(&self, place: &Place, from: &str, to: &str) -> Result<(), GitError> {
        self.tree_call("read-tree", place)?.args(["-m", "-u", from, to]).output().await.map(drop)
    }

    /// Makes a tree equal to a commit, whatever was done to it: every file is looked at, what git does not know is
    /// removed, ignored files included.
    async fn restore(&self, place: &Place, commit: &str) -> Result<(), GitError> {
        place.settle().await?;
        tree_files::remove(&place.aside()).await?;
        tree_files::remove_git_entries(&place.tree()).await?;
        self.tree_call("read-tree", place)?.args(["--reset", "-u", commit]).output().await?;
        self.tree_call("clean", place)?.args(["-ffdxq"]).output().await?;
        // Git leaves the place of a submodule alone, so what was written there would reach the next user.
        let listing = self.tree_call("ls-files", place)?.args(["--stage", "-z"]);
        let listing = listing.output_bytes_max(LISTING_BYTES_MAX).output().await?;
        for line in listing.split(|byte| *byte == 0).filter(|line| line.starts_with(b"160000 ")) {
            let path =
                line.splitn(2, |byte| *byte == b'\t').nth(1).and_then(|path| std::str::from_utf8(path).ok());
            let Some(path) = path else {
                let what = "a submodule whose path is not UTF-8".to_owned();
                return Err(GitError::Unsafe { what });
            };
            tree_files::empty(&place.tree().join(path)).await?;
        }
        Ok(())
    }

    async fn check_out_cold(&self, staging: &Place, commit: &str) -> Result<(), GitError> {
        let tree = staging.tree();
        tree_files::make_directory(&tree).await?;
        let call = self.tree_call("read-tree", staging)?.config("checkout.workers", "0");
        call.args(["-m", "-u", commit]).output().await.map(drop)
    }

    /// Readies a tree that an earlier attempt left.
    async fn resume(&self, place: &Place, commit: &str) -> Result<(), GitError> {
        place.settle().await?;
        let index = place.index();
        if !tree_files::exists(&index).await? {
            self.tree_call("read-tree", place)?.args([commit]).output().await?;
        }
        Ok(())
    }

    /// Cleans a tree and puts it with the warm ones; removes it if it cannot be cleaned or if there are enough.
    async fn retire(&self, place: &Place, start: &str) -> Result<(), GitError> {
        let name = place.0.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let pool = self.pool();
        tree_files::make_directory(&pool).await?;
        let closing = Place(pool.join(format!(".{name}.closing")));
        closing.remove().await?;
        place.rename(&closing).await?;
        let warm = self.warm_places().await?.len();
        if warm >= self.git.inner.settings.warm_workspaces_max || self.restore(&closing, start).await.is_err()
        {
            return closing.remove().await;
        }
        for position in 0..=warm {
            let free = Place(pool.join(position.to_string()));
            if closing.rename(&free).await.is_ok() {
                self.git.sealed().insert(free.0);
                return Ok(());
            }
        }
        closing.remove().await
    }

    /// Forgets what the objects of this mirror were relied on for, after they were lost. Files stay.
    pub(super) async fn forget_indexes(&self) -> Result<(), GitError> {
        tree_files::remove(&self.pool()).await?;
        for path in entries(&self.git.directory("worktrees"), |_| true).await? {
            let place = Place(path);
            if place.read_at().await.is_some_and(|(repository, _)| repository == self.repository()) {
                tree_files::remove(&place.index()).await?;
            }
        }
        Ok(())
    }

    fn tree_call(&self, operation: &'static str, place: &Place) -> Result<Call<'_>, GitError> {
        self.call(operation)?.in_tree(&place.tree(), &place.index())
    }

    fn pool(&self) -> PathBuf {
        self.git.directory("workspaces").join(self.repository().to_string())
    }

    async fn warm_places(&self) -> Result<Vec<Place>, GitError> {
        let warm = entries(&self.pool(), |name| !name.starts_with('.')).await?;
        Ok(warm.into_iter().map(Place).collect())
    }
}

impl Worktree {
    /// The directory with the files: all that an agent may see. It holds no `.git`.
    pub fn path(&self) -> PathBuf {
        self.place.tree()
    }

    /// Its name.
    pub fn name(&self) -> &WorktreeName {
        &self.name
    }

    /// The commit it started from.
    pub fn start(&self) -> &str {
        &self.start
    }

    /// Ends it: whatever was written is gone, and the cleaned tree waits for its next user.
    pub async fn close(self) -> Result<(), GitError> {
        self.mirror.retire(&self.place, &self.start).await
    }

    pub(super) async fn settle(&self) -> Result<(), GitError> {
        self.place.settle().await
    }

    pub(super) fn aside(&self) -> PathBuf {
        self.place.aside()
    }

    pub(super) fn call(&self, operation: &'static str) -> Result<Call<'_>, GitError> {
        self.mirror.tree_call(operation, &self.place)
    }
}

impl Git {
    /// Ends every worktree that is not kept, and removes what crashes left half done. To be called at start, before
    /// any worktree is opened, and then whenever tasks have ended.
    ///
    /// `at_start` says that no task is running in this process or another, so a half is nobody's.
    pub async fn sweep(&self, keep: &BTreeSet<WorktreeName>, at_start: bool) -> Result<Swept, GitError> {
        let mut swept = Swept::default();
        let worktrees = self.directory("worktrees");
        for path in entries(&worktrees, |name| !name.starts_with('.')).await? {
            let name = path.file_name().and_then(|name| name.to_str()).map(str::parse::<WorktreeName>);
            if matches!(name, Some(Ok(name)) if keep.contains(&name)) {
                continue;
            }
            let place = Place(path);
            match place.read_at().await {
                Some((repository, start)) => self.mirror(repository).await?.retire(&place, &start).await?,
                None => place.remove().await?,
            }
            swept.worktrees += 1;
        }
        if at_start {
            let mut halves = entries(&worktrees, |name| name.starts_with('.')).await?;
            for pool in entries(&self.directory("workspaces"), |_| true).await? {
                halves.extend(entries(&pool, |name| name.starts_with('.')).await?);
            }
            swept.leftovers = halves.len();
            for half in halves {
                tree_files::remove(&half).await?;
            }
        }
        Ok(swept)
    }
}

/// The directory of one tree with its index.
#[derive(Debug, Clone)]
struct Place(PathBuf);

impl Place {
    fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }

    fn index(&self) -> PathBuf {
        self.0.join("index")
    }

    /// Where an agent's own `.git` lies while its files are looked at.
    fn aside(&self) -> PathBuf {
        self.0.join("aside")
    }

    /// The repository and commit it is at; `None` if there is no whole tree.
    async fn read_at(&self) -> Option<(RepositoryId, String)> {
        let path = self.0.join("at");
        let text = on_disk(move || std::fs::read_to_string(path)).await.ok()?;
        let (repository, commit) = text.trim_end().split_once(' ')?;
        let commit: pairbot_protocol::ids::HeadSha = commit.parse().ok()?;
        Some((RepositoryId(repository.parse().ok()?), commit.to_string()))
    }

    async fn write_at(&self, repository: RepositoryId, commit: &str) -> Result<(), GitError> {
        let path = self.0.join("at");
        let (text, written) = (format!("{repository} {commit}\n"), path.clone());
        on_disk(move || std::fs::write(written, text)).await.map_err(GitError::disk(&path))
    }

    async fn rename(&self, to: &Self) -> Result<(), GitError> {
        tree_files::rename(&self.0, &to.0).await
    }

    async fn remove(&self) -> Result<(), GitError> {
        tree_files::remove(&self.0).await
    }

    /// Makes sure that git can work here: the tree is a directory and not a way out of it, and the lock of a git
    /// that was killed is gone. The place has one user, so nobody holds that lock.
    async fn settle(&self) -> Result<(), GitError> {
        let tree = self.tree();
        let looked_at = tree.clone();
        let metadata =
            on_disk(move || std::fs::symlink_metadata(looked_at)).await.map_err(GitError::disk(&tree))?;
        if !metadata.is_dir() {
            return Err(GitError::Unsafe { what: format!("{} is no directory any more", tree.display()) });
        }
        tree_files::remove(&self.0.join("index.lock")).await
    }
}
