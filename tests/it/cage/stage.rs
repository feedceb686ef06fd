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
    Cage, CageError, CageLimits, Gap, Limit, Sandbox, SandboxPorts, SandboxSettings, SlotUids, Standing,
    TreeAccess, establish,
};
use tempfile::TempDir;

/// What stands in the file that nobody in a cage may read.
pub(super) const SECRET: &str = "the secret of the host";

/// A kind of sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Bubblewrap,
    UserSlot,
}

impl Layer {
    /// Whether it can be tried by this user; says so where it cannot.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says why")]
    pub(crate) fn is_possible(self) -> bool {
        match self {
            Self::Bubblewrap => true,
            Self::UserSlot => {
                let root = rustix::process::geteuid().is_root();
                if !root {
                    println!("skipped: only root gives each cage a user of its own");
                }
                root
            }
        }
    }

    /// What counts as holding here.
    fn holds(self, standing: &Standing) -> bool {
        let limits = |gaps: &[Gap]| gaps.iter().map(|gap| gap.limit).collect::<Vec<_>>();
        match (self, standing) {
            (Self::Bubblewrap, Standing::Bubblewrap { gaps }) => gaps.is_empty(),
            // Where no control group can be made, that is told besides.
            (Self::UserSlot, Standing::UserSlot { gaps }) => {
                limits(gaps).starts_with(&[Limit::TemporaryFiles, Limit::Metadata])
                    && !limits(gaps).contains(&Limit::Memory)
                    && !limits(gaps).contains(&Limit::Processes)
            }
            (Self::Bubblewrap | Self::UserSlot, _) => false,
        }
    }
}

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
    pub(super) async fn set(layer: Layer) -> Self {
        Self::bounded(layer, |_| {}).await
    }

    pub(super) async fn bounded(layer: Layer, limit: impl FnOnce(&mut CageLimits)) -> Self {
        Self::with(layer, |_| {}, limit).await
    }

    /// With a sandbox that is made in another way than usual.
    pub(super) async fn with(
        layer: Layer,
        change: impl FnOnce(&mut SandboxSettings),
        limit: impl FnOnce(&mut CageLimits),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        for folder in ["tree", "home", "scratch"] {
            std::fs::create_dir(place(folder)).unwrap();
        }
        let secret = place("secret");
        std::fs::write(&secret, SECRET).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut settings = settings(layer, place("scratch"));
        change(&mut settings);
        let sandbox = sandbox(settings).await;
        let standing = sandbox.standing();
        assert!(layer.holds(&standing), "what a test needs is missing: {standing}");
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

    fn inside(&self, host: &std::path::Path) -> String {
        self.sandbox.inside(&self.cage, host).display().to_string()
    }

    /// The worktree, as it is seen from inside.
    pub(super) fn tree(&self) -> String {
        self.inside(&self.cage.worktree)
    }

    /// Our own binary, as it is seen from inside.
    pub(super) fn program(&self) -> String {
        self.inside(env!("CARGO_BIN_EXE_pairbot").as_ref())
    }

    /// What the kernel tells, outside, about a shell that waits in the cage.
    pub(super) async fn status_of(&self, script: &str) -> String {
        let mut started =
            self.sandbox.start(self.shell(&format!("echo ready; {script}")), &self.cage).await.unwrap();
        let mut word = [0; 6];
        tokio::io::AsyncReadExt::read_exact(&mut started.stdout, &mut word).await.unwrap();
        let marked = self.marked();
        assert_eq!(marked.len(), 1, "{marked:?}");
        std::fs::read_to_string(format!("/proc/{}/status", marked[0])).unwrap()
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

/// A sandbox of this machine, with the real binary for its probes.
pub(super) fn settings(layer: Layer, scratch_dir: PathBuf) -> SandboxSettings {
    SandboxSettings {
        choice: match layer {
            Layer::Bubblewrap => config::Sandbox::Auto,
            Layer::UserSlot => config::Sandbox::UserSlot,
        },
        scratch_dir,
        search_path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
        read_only: Vec::new(),
        program: Some(env!("CARGO_BIN_EXE_pairbot").into()),
        slots: SlotUids::default(),
        control_groups: true,
    }
}

pub(super) async fn sandbox(settings: SandboxSettings) -> Arc<dyn Sandbox> {
    let ports = SandboxPorts {
        spawner: Arc::new(SystemSpawner),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    establish(ports, settings).await
}
