//! A sandbox as the server would establish it, a worktree and a home in it, and a secret beside them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pairbot::adapters::{SystemClock, SystemEntropy, SystemSpawner};
use pairbot::config;
use pairbot::ports::{CommandSpec, Entropy as _, Finished};
use pairbot::sandbox::{
    Cage, CageError, CageLimits, Sandbox, SandboxPorts, SandboxSettings, Standing, TreeAccess, establish,
};
use tempfile::TempDir;

/// What stands in the file that nobody in a cage may read.
pub(super) const SECRET: &str = "the secret of the host";

/// A sandbox that holds, and the files around it.
pub(super) struct Stage {
    pub(super) sandbox: Arc<dyn Sandbox>,
    pub(super) cage: Cage,
    pub(super) secret: PathBuf,
    /// A word that no other process on this machine has among its arguments.
    pub(super) mark: String,
    _directory: TempDir,
}

impl Stage {
    pub(super) async fn set() -> Self {
        Self::bounded(|_| {}).await
    }

    pub(super) async fn bounded(limit: impl FnOnce(&mut CageLimits)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        for folder in ["tree", "home", "scratch"] {
            std::fs::create_dir(place(folder)).unwrap();
        }
        let secret = place("secret");
        std::fs::write(&secret, SECRET).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
        let sandbox = sandbox(place("scratch")).await;
        assert_eq!(
            sandbox.standing(),
            Standing::Bubblewrap { gaps: Vec::new() },
            "what a test needs is missing"
        );
        let mut cage = Cage::around(place("tree"), TreeAccess::Write, place("home"));
        limit(&mut cage.limits);
        let mark = format!("mark-{:016x}", SystemEntropy.bits());
        Self { sandbox, cage, secret, mark, _directory: directory }
    }

    /// A shell in the cage. Its `$0` is the mark, so that it and what it forks can be told from everything else.
    pub(super) fn shell(&self, script: &str) -> CommandSpec {
        CommandSpec {
            program: "sh".to_owned(),
            arguments: ["-c", script, &self.mark].map(str::to_owned).to_vec(),
            directory: self.cage.worktree.clone(),
            environment: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
            stdin: Vec::new(),
            timeout: Duration::from_secs(30),
            output_bytes_max: 64 * 1024,
        }
    }

    pub(super) async fn run(&self, script: &str) -> Finished {
        self.try_run(script).await.unwrap()
    }

    pub(super) async fn try_run(&self, script: &str) -> Result<Finished, CageError> {
        self.sandbox.run(self.shell(script), &self.cage).await
    }

    /// What a script prints on either stream.
    pub(super) async fn says(&self, script: &str) -> String {
        let finished = self.run(script).await;
        String::from_utf8([finished.stdout, finished.stderr].concat()).unwrap()
    }

    /// Processes of the whole machine that have the mark among their arguments, or inherited it.
    pub(super) fn marked(&self) -> Vec<String> {
        processes_with(&self.mark)
    }
}

/// Processes of the whole machine that have a word among their arguments.
pub(crate) fn processes_with(word: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let alive = entries.filter(|entry| {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(word)
    });
    alive.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The sandbox of this machine, with the real binary for its probes.
pub(super) async fn sandbox(scratch_dir: PathBuf) -> Arc<dyn Sandbox> {
    let ports = SandboxPorts {
        spawner: Arc::new(SystemSpawner),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let settings = SandboxSettings {
        choice: config::Sandbox::Auto,
        scratch_dir,
        search_path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
        read_only: Vec::new(),
        program: Some(env!("CARGO_BIN_EXE_pairbot").into()),
    };
    establish(ports, settings).await
}
