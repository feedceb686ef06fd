//! Where git keeps its things and how it is found on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pairbot_protocol::ids::RepositoryId;

use super::GitError;
use super::known::Known;
use crate::ports::{Entropy, Spawner};

/// Settings of Pairbot's own git.
#[derive(Debug, Clone)]
pub struct GitSettings {
    /// Under it lie `mirrors/`, `worktrees/`, `workspaces/` (warm ones waiting to be used) and `home/` (empty).
    pub data_directory: PathBuf,
    /// The git program, a name on `search_path` or a full path.
    pub program: String,
    /// `PATH` for git; its own helpers are found without it.
    pub search_path: String,
    /// What git's network calls need of the operator's environment, such as `HTTPS_PROXY` or `GIT_SSL_CAINFO`.
    pub network_environment: BTreeMap<String, String>,
    /// How long a fetch or a push may take.
    pub network_timeout: Duration,
    /// How long anything else may take.
    pub local_timeout: Duration,
    /// How many warm workspaces are kept per repository while nobody uses them.
    pub warm_workspaces_max: usize,
}

impl GitSettings {
    /// The defaults for a data directory, which must be an absolute path.
    pub fn new(data_directory: PathBuf) -> Self {
        Self {
            data_directory,
            program: "git".to_owned(),
            search_path: "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin".to_owned(),
            network_environment: BTreeMap::new(),
            network_timeout: Duration::from_mins(10),
            local_timeout: Duration::from_mins(5),
            warm_workspaces_max: 3,
        }
    }
}

/// Pairbot's own git. Cloning it is cheap; one is made per process, because it holds the locks of the mirrors.
#[derive(Clone)]
pub struct Git {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) spawner: Arc<dyn Spawner>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) settings: GitSettings,
    mirror_locks: Mutex<BTreeMap<RepositoryId, Arc<tokio::sync::Mutex<()>>>>,
    sealed: Mutex<BTreeSet<PathBuf>>,
    pub(super) known: Known,
}

impl fmt::Debug for Git {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Git({})", self.inner.settings.data_directory.display())
    }
}

impl Git {
    /// Git over a data directory, whose parts are made if they are missing.
    pub async fn new(
        spawner: Arc<dyn Spawner>,
        entropy: Arc<dyn Entropy>,
        settings: GitSettings,
    ) -> Result<Self, GitError> {
        let data = &settings.data_directory;
        if !data.is_absolute() {
            let what = format!("the data directory {} is not an absolute path", data.display());
            return Err(GitError::Unsafe { what });
        }
        path_text(data)?;
        for part in ["mirrors", "worktrees", "workspaces", "home"] {
            let path = data.join(part);
            super::tree_files::make_directory(&path).await?;
        }
        let inner = Inner {
            spawner,
            entropy,
            settings,
            mirror_locks: Mutex::default(),
            sealed: Mutex::default(),
            known: Known::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(super) fn directory(&self, part: &str) -> PathBuf {
        self.inner.settings.data_directory.join(part)
    }

    /// The lock of a mirror among the tasks of this process.
    pub(super) fn mirror_lock(&self, repository: RepositoryId) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.inner.mirror_locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(repository).or_default())
    }

    /// The workspaces that this very process cleaned and put away.
    pub(super) fn sealed(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.inner.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A path as an argument of git.
pub(super) fn path_text(path: &Path) -> Result<String, GitError> {
    let what = || format!("the path {} is not UTF-8", path.display());
    path.to_str().map(str::to_owned).ok_or_else(|| GitError::Unsafe { what: what() })
}
