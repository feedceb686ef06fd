//! The real server as a child process of a benchmark.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pairbot::config::ProviderConfig;
use pairbot::demo::Stage;
use secrecy::ExposeSecret as _;

/// `CLK_TCK`, which Linux fixes at 100 for programs: `man proc_pid_stat`.
const TICKS_PER_SECOND: f64 = 100.0;
const GLANCE: Duration = Duration::from_micros(200);

/// The server as a child, ended when it is dropped.
pub(crate) struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Serving {
    /// Starts it on the stage's data, at the stage's address.
    pub(crate) fn start(stage: &Stage) -> Self {
        let config = &stage.config;
        let key = config.storage.data_dir.join("key.pem");
        std::fs::write(&key, config.app.private_key.expose_secret()).unwrap();
        let base = |provider: &Option<ProviderConfig>| provider.as_ref().unwrap().base_url.clone();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pairbot"));
        command
            .arg("serve")
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("APP_ID", config.app.id.to_string())
            .env("PRIVATE_KEY_PATH", key)
            .env("WEBHOOK_SECRET", config.app.webhook_secret.expose_secret())
            .env("GITHUB_API_URL", &config.github.api_url)
            .env("GITHUB_SERVER_URL", &config.github.server_url)
            .env("PORT", config.listen.port.to_string())
            .env("PAIRBOT_DATA_DIR", &config.storage.data_dir)
            .env("PAIRBOT_SANDBOX", "none-i-accept")
            .env("ANTHROPIC_API_KEY", "scripted")
            .env("ANTHROPIC_BASE_URL", base(&config.models.anthropic))
            .env("OPENAI_API_KEY", "scripted")
            .env("OPENAI_BASE_URL", base(&config.models.openai))
            .env("LOG_LEVEL", std::env::var("LOG_LEVEL").unwrap_or_else(|_| "warn".to_owned()));
        // Whoever asks for a level wants to read it.
        let log = if std::env::var_os("LOG_LEVEL").is_some() { Stdio::inherit() } else { Stdio::null() };
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// Returns at the first 2xx.
    pub(crate) async fn is_up(&self, stage: &Stage) {
        let (client, url) = (reqwest::Client::new(), format!("http://{}/healthz", stage.config.listen));
        while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(GLANCE).await;
        }
    }

    fn of_proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap()
    }

    /// CPU of the process itself; that of git and other children is counted apart by the kernel.
    pub(crate) fn cpu_ms(&self) -> f64 {
        let stat = self.of_proc("stat");
        // The name in brackets may hold spaces; utime and stime are the 12th and 13th fields after it.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks =
            |position: usize| fields.split_whitespace().nth(position).unwrap().parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / TICKS_PER_SECOND * 1_000.0
    }

    /// Its resident memory, in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = self.of_proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1_024.0
    }
}
