//! A child process, its words, and its end.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pairbot::adapters::SystemClock;
use pairbot::config::ProviderConfig;
use pairbot::demo::{Stage, StageSettings};
use pairbot::ports::Clock as _;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long anything may take before it counts as stuck.
const STUCK: Duration = Duration::from_mins(1);
/// How long to look elsewhere between two glances at what can only be seen from outside.
const GLANCE: Duration = Duration::from_millis(30);

/// The binary with an environment of nothing but these settings.
#[expect(clippy::disallowed_methods, reason = "the process itself is what is tested")]
pub(super) fn pairbot(arguments: &[&str], settings: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pairbot"));
    command.args(arguments).env_clear().envs(settings.iter().cloned());
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").kill_on_drop(true).stdin(Stdio::null());
    command
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs a command to its end.
pub(super) async fn ended(mut command: Command) -> Ended {
    let output = tokio::time::timeout(STUCK, command.output()).await.unwrap().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A stage without a server of the test's own: the child takes its place, at its address and on its data.
pub(super) async fn stage() -> Stage {
    let mut stage = Stage::set(StageSettings::default()).await.unwrap();
    stage.stop_server().await;
    stage
}

/// What the stage's server is set up with, as environment.
pub(super) fn settings(stage: &Stage) -> Vec<(String, String)> {
    let config = &stage.config;
    let key_path = config.storage.data_dir.join("key.pem");
    std::fs::write(&key_path, config.app.private_key.expose_secret()).unwrap();
    let provider = |provider: &Option<ProviderConfig>| provider.as_ref().unwrap().base_url.clone();
    let pairs = [
        ("APP_ID", config.app.id.to_string()),
        ("PRIVATE_KEY_PATH", key_path.display().to_string()),
        ("WEBHOOK_SECRET", config.app.webhook_secret.expose_secret().to_owned()),
        ("GITHUB_API_URL", config.github.api_url.clone()),
        ("GITHUB_SERVER_URL", config.github.server_url.clone()),
        ("HOST", config.listen.host.clone()),
        ("PORT", config.listen.port.to_string()),
        ("PAIRBOT_DATA_DIR", config.storage.data_dir.display().to_string()),
        ("PAIRBOT_SANDBOX", "none-i-accept".to_owned()),
        ("ANTHROPIC_API_KEY", "scripted".to_owned()),
        ("ANTHROPIC_BASE_URL", provider(&config.models.anthropic)),
        ("OPENAI_API_KEY", "scripted".to_owned()),
        ("OPENAI_BASE_URL", provider(&config.models.openai)),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The same settings with one of them changed.
pub(super) fn changed(stage: &Stage, name: &str, value: &str) -> Vec<(String, String)> {
    let mut settings = settings(stage);
    settings.retain(|(existing, _)| existing != name);
    settings.push((name.to_owned(), value.to_owned()));
    settings
}

/// `pairbot serve` at work.
pub(super) struct Serving {
    child: Child,
    said: Arc<Mutex<String>>,
    listening: watch::Receiver<bool>,
}

impl Serving {
    /// Starts it, and returns once it listens.
    pub(super) async fn start(stage: &Stage) -> Self {
        let serving = Self::spawn(&settings(stage));
        serving.listens().await;
        serving
    }

    /// Starts it with these settings, and returns at once.
    pub(super) fn spawn(settings: &[(String, String)]) -> Self {
        let mut child =
            pairbot(&["serve"], settings).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (rings, listening) = watch::channel(false);
        let said = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let heard = said.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                writeln!(heard.lock().unwrap(), "{line}").unwrap();
                if line.contains("\"listening\"") {
                    rings.send_replace(true);
                }
            }
        });
        Self { child, said, listening }
    }

    /// Returns once it listens.
    pub(super) async fn listens(&self) {
        let mut listening = self.listening.clone();
        let up = tokio::time::timeout(STUCK, listening.wait_for(|up| *up)).await;
        assert!(matches!(up, Ok(Ok(_))), "it does not listen:\n{}", self.said());
    }

    /// Its log so far.
    pub(super) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Its resident memory.
    pub(super) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap()
    }

    /// `kill -9`.
    pub(super) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM; gives how it ended, and its log.
    pub(super) async fn terminate(self) -> (ExitStatus, String) {
        self.signal_to_stop();
        self.ended().await
    }

    /// SIGTERM.
    pub(super) fn signal_to_stop(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Waits for its end; gives how it ended, and its log.
    pub(super) async fn ended(mut self) -> (ExitStatus, String) {
        let status = tokio::time::timeout(STUCK, self.child.wait()).await;
        (status.unwrap_or_else(|_| panic!("it does not stop:\n{}", self.said())).unwrap(), self.said())
    }
}

/// Looks until `holds`, from outside, as people do.
pub(super) async fn until(what: &str, serving: &Serving, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            SystemClock.sleep(GLANCE).await;
        }
    };
    let came = tokio::time::timeout(STUCK, waiting).await;
    assert!(came.is_ok(), "in vain for: {what}\n{}", serving.said());
}

/// The address of a path of the stage's server.
pub(super) fn address(stage: &Stage, path: &str) -> String {
    format!("http://{}{path}", stage.config.listen)
}

/// The file of the stage's database.
pub(super) fn database(stage: &Stage) -> &Path {
    let pairbot::config::Database::Sqlite { path } = &stage.config.storage.database;
    path
}
