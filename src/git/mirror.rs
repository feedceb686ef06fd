//! One bare mirror per repository, that only ever fetches what is new.

use std::fs::File;
use std::path::{Path, PathBuf};

use pairbot_protocol::ids::RepositoryId;

use super::command::{Call, LISTING_BYTES_MAX};
use super::tree_files::{self, entries};
use super::{BranchName, Commitish, Git, GitError, Remote, Treeish};
use crate::adapters::on_disk;

/// The local copy of a repository: `mirrors/<repository id>.git`.
///
/// Named by GitHub's numeric id, so a renamed or transferred repository keeps its copy. It holds no address and no
/// token; both come with each call.
#[derive(Debug, Clone)]
pub struct Mirror {
    pub(super) git: Git,
    repository: RepositoryId,
    path: PathBuf,
}

/// The right to change a mirror: among the tasks of this process, and among processes on this machine.
struct MirrorGuard {
    _tasks: tokio::sync::OwnedMutexGuard<()>,
    _processes: File,
}

impl Git {
    /// The mirror of a repository, made empty if there is none or if what is there is not a repository.
    pub async fn mirror(&self, repository: RepositoryId) -> Result<Mirror, GitError> {
        let path = self.directory("mirrors").join(format!("{repository}.git"));
        let mirror = Mirror { git: self.clone(), repository, path };
        if !mirror.is_usable().await? {
            let _guard = mirror.lock().await?;
            if !mirror.is_usable().await? {
                mirror.create().await?;
            }
        }
        Ok(mirror)
    }
}

impl Mirror {
    /// The repository it copies.
    pub fn repository(&self) -> RepositoryId {
        self.repository
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fetches branches under their own names, and forgets locally what is gone on the server.
    ///
    /// [`GitError::NotFound`] if one of them does not exist; then nothing was changed. A damaged mirror is set aside
    /// and fetched anew once.
    pub async fn fetch(&self, remote: &Remote, branches: &[BranchName]) -> Result<(), GitError> {
        let refspecs: Vec<_> = branches.iter().map(|branch| format!("+{0}:{0}", branch.full())).collect();
        self.fetch_refspecs(remote, &refspecs).await
    }

    /// Makes sure that a commit is here; asks the server only if it is not.
    ///
    /// GitHub gives any commit that a branch or a pull request can reach. It is kept under a ref of its own, so that
    /// the next fetch builds on it.
    pub async fn fetch_commit(&self, remote: &Remote, commit: &impl Commitish) -> Result<(), GitError> {
        if self.has_commit(commit).await? {
            return Ok(());
        }
        let commit = Treeish::as_str(commit);
        self.fetch_refspecs(remote, &[format!("+{commit}:refs/pairbot/commits/{commit}")]).await
    }

    /// Whether a commit is here.
    pub async fn has_commit(&self, commit: &impl Commitish) -> Result<bool, GitError> {
        let known = &self.git.inner.known;
        if known.has_commit(self.repository, Treeish::as_str(commit)) {
            return Ok(true);
        }
        let object = format!("{commit}^{{commit}}");
        let outcome = self.call("cat-file")?.args(["-e", &object]).asks().run().await?;
        let found = outcome.finished.succeeded();
        if found {
            known.found_commit(self.repository, Treeish::as_str(commit));
        }
        Ok(found)
    }

    /// Packs what many small fetches and commits left behind. Nothing is dropped, so it is safe at any time.
    pub async fn compact(&self) -> Result<(), GitError> {
        let _guard = self.lock().await?;
        self.call("repack")?.args(["-d", "-l", "-q", "--geometric=2"]).output().await.map(drop)
    }

    /// A call of git inside the mirror.
    pub(super) fn call(&self, operation: &'static str) -> Result<Call<'_>, GitError> {
        Call::new(&self.git, &self.path, operation)
    }

    async fn fetch_refspecs(&self, remote: &Remote, refspecs: &[String]) -> Result<(), GitError> {
        let _guard = self.lock().await?;
        self.remove_leftovers(refspecs).await?;
        match self.fetch_once(remote, refspecs).await {
            Err(GitError::Corrupt { .. }) => {
                self.create().await?;
                self.forget_indexes().await?;
                self.fetch_once(remote, refspecs).await
            }
            Err(GitError::Failed { message, .. }) if message.contains("cannot lock ref") => {
                self.forget_branches().await?;
                self.fetch_once(remote, refspecs).await
            }
            result => result,
        }
    }

    /// Forgets where branches were, which is only remembered to know what is new. Needed when `a` was deleted on the
    /// server and `a/b` created: both cannot be remembered at once.
    async fn forget_branches(&self) -> Result<(), GitError> {
        let orders = self.call("for-each-ref")?.args(["--format=delete %(refname)", "refs/heads"]);
        let orders = orders.output_bytes_max(LISTING_BYTES_MAX).output().await?;
        self.call("update-ref")?.args(["--stdin"]).stdin(orders).output().await.map(drop)
    }

    async fn fetch_once(&self, remote: &Remote, refspecs: &[String]) -> Result<(), GitError> {
        let options = [
            "--quiet",
            "--no-tags",
            "--prune",
            "--atomic",
            "--no-auto-maintenance",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--end-of-options",
            remote.url(),
        ];
        self.call("fetch")?.to(remote).args(options).args(refspecs.iter().cloned()).output().await.map(drop)
    }

    async fn is_usable(&self) -> Result<bool, GitError> {
        if !tree_files::exists(&self.path.join("HEAD")).await? {
            return Ok(false);
        }
        let known = &self.git.inner.known;
        if known.is_usable(self.repository) {
            return Ok(true);
        }
        let outcome = self.call("rev-parse")?.args(["--is-bare-repository"]).run().await?;
        let usable = outcome.finished.succeeded();
        if usable {
            known.found_usable(self.repository);
        }
        Ok(usable)
    }

    /// Builds an empty repository beside its place and moves it there in one step, so that a crash leaves either
    /// a whole mirror or none. What stood in its place is set aside first and then removed.
    async fn create(&self) -> Result<(), GitError> {
        self.git.inner.known.forget();
        let mirrors = self.git.directory("mirrors");
        let suffix = self.git.inner.entropy.bits();
        let fresh = mirrors.join(format!("{}.new-{suffix:016x}", self.repository));
        let aside = mirrors.join(format!("{}.old-{suffix:016x}", self.repository));
        let options = ["--quiet", "--bare", "--template=", "--initial-branch=main"];
        Call::new(&self.git, &fresh, "init")?.args(options).output().await?;
        if tree_files::rename(&self.path, &aside).await.is_ok() {
            tree_files::remove(&aside).await?;
        }
        tree_files::rename(&fresh, &self.path).await
    }

    /// Removes what fetches and builds that were killed left behind. Held under the lock, so nobody is using it.
    async fn remove_leftovers(&self, refspecs: &[String]) -> Result<(), GitError> {
        let packs = self.path.join("objects/pack");
        let mirrors = self.git.directory("mirrors");
        let own = [format!("{}.new-", self.repository), format!("{}.old-", self.repository)];
        let mut leftovers = entries(&packs, |name| name.starts_with("tmp_")).await?;
        leftovers.extend(entries(&mirrors, |name| own.iter().any(|own| name.starts_with(own))).await?);
        leftovers.push(self.path.join("packed-refs.lock"));
        let targets = refspecs.iter().filter_map(|refspec| refspec.split_once(':'));
        leftovers.extend(targets.map(|(_, target)| self.path.join(format!("{target}.lock"))));
        for leftover in leftovers {
            tree_files::remove(&leftover).await?;
        }
        Ok(())
    }

    async fn lock(&self) -> Result<MirrorGuard, GitError> {
        let tasks = self.git.mirror_lock(self.repository).lock_owned().await;
        let path = self.git.directory("mirrors").join(format!("{}.lock", self.repository));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(GitError::disk(&path))?;
        // The kernel gives the lock up when its holder dies, however it dies, and hands it on by itself: no looking
        // again and again. A holder may be a child of ours between its fork and its exec, so waiting is common and
        // short; it is as long as a fetch where two processes share a data directory.
        let locked = on_disk(move || file.lock().map(|()| file)).await;
        match locked {
            Ok(file) => Ok(MirrorGuard { _tasks: tasks, _processes: file }),
            Err(source) => Err(GitError::Disk { path, source }),
        }
    }
}
