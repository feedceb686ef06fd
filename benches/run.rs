//! What a run costs beside models, git and network: time to the first sign of life, CPU, start and memory of the real
//! server as a child process, against the simulated GitHub and scripted models.
//!
//! Numbers are printed with their targets and judged by people: they depend on the machine.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what a benchmark says is its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real processes in real time")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pairbot::adapters::SystemClock;
use pairbot::config::ProviderConfig;
use pairbot::demo::{MAINTAINER, REPOSITORY, Stage, StageSettings, play};
use pairbot_model_sim::story;
use secrecy::ExposeSecret as _;

/// Few enough that a minute's allowance of writes to GitHub is not used up, which would measure waiting.
const RUNS: u32 = 3;
const STARTS: usize = 11;
/// `CLK_TCK`, which Linux fixes at 100 for programs: `man proc_pid_stat`.
const TICKS_PER_SECOND: f64 = 100.0;
const GLANCE: Duration = Duration::from_micros(200);

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let build = if cfg!(debug_assertions) {
        "development build: targets are for an optimised one"
    } else {
        "optimised build"
    };
    println!("run ({build})");
    runtime.block_on(async {
        let mut stage = Stage::set(StageSettings::default()).await.unwrap();
        stage.stop_server().await;
        starts(&stage).await;
        runs(&stage).await;
    });
}

/// The server as a child, ended when it is dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Serving {
    fn start(stage: &Stage) -> Self {
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
            .env("LOG_LEVEL", "warn");
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Returns at the first 2xx.
    async fn is_up(&self, stage: &Stage) {
        let (client, url) = (reqwest::Client::new(), format!("http://{}/healthz", stage.config.listen));
        while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(GLANCE).await;
        }
    }

    fn of_proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap()
    }

    /// CPU of the process itself; that of git and other children is counted apart by the kernel.
    fn cpu_ms(&self) -> f64 {
        let stat = self.of_proc("stat");
        // The name in brackets may hold spaces; utime and stime are the 12th and 13th fields after it.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks =
            |position: usize| fields.split_whitespace().nth(position).unwrap().parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / TICKS_PER_SECOND * 1_000.0
    }

    fn resident_mib(&self) -> f64 {
        let status = self.of_proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches("kB").trim().parse::<f64>().unwrap() / 1_024.0
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn starts(stage: &Stage) {
    let (mut cold_ms, mut resident_mib) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let begin = Instant::now();
        let serving = Serving::start(stage);
        serving.is_up(stage).await;
        cold_ms.push(begin.elapsed().as_secs_f64() * 1_000.0);
        // What it asks at the start is asked and answered by then.
        tokio::time::sleep(Duration::from_millis(300)).await;
        resident_mib.push(serving.resident_mib());
    }
    println!(
        "  start to the first 2xx, median of {STARTS}    {:7.1} ms   (target: below 50)",
        median(cold_ms)
    );
    println!(
        "  resident memory when idle, median        {:7.1} MiB  (target: below 25)",
        median(resident_mib)
    );
}

async fn runs(stage: &Stage) {
    let serving = Serving::start(stage);
    serving.is_up(stage).await;
    let story = story("findings").unwrap();
    let (mut first_call_ms, mut cpu_ms) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let issue = stage.open_issue(story.issue_title, story.issue_body).unwrap();
        stage.github.settled().await;
        let (cpu_before, begin_ms) = (serving.cpu_ms(), stage.github.now_ms());
        let before = stage.github.requests().len();
        play(stage, &SystemClock, issue, Duration::from_mins(2)).await.unwrap();
        while !is_told(stage, issue) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answered_ms = stage.github.requests()[before].at_ms;
        first_call_ms.push(std::time::Duration::from_millis(answered_ms - begin_ms).as_secs_f64() * 1_000.0);
        cpu_ms.push(serving.cpu_ms() - cpu_before);
        // The scripts know one repository: each run begins from what the first began from.
        restore(stage);
    }
    println!("  label to the first call to GitHub, median {:6.1} ms", median(first_call_ms));
    println!("  CPU a run of two rounds, first           {:7.1} ms   (aim: below 50)", cpu_ms[0]);
    println!("  CPU a run of two rounds, median of {RUNS}     {:7.1} ms   (aim: below 50)", median(cpu_ms));
}

fn is_told(stage: &Stage, issue: u64) -> bool {
    let comments = stage.github.comments(REPOSITORY, issue).unwrap();
    comments.iter().any(|comment| comment.body.contains("merged at"))
}

/// Takes back what the last run merged.
fn restore(stage: &Stage) {
    let files = StageSettings::default().files;
    let mut changes: Vec<(&str, Option<&str>)> =
        files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
    changes.extend([("tests/test-volume.sh", None), ("tests/data/volume.csv", None)]);
    let person = stage.github.person(MAINTAINER);
    stage.github.protect(REPOSITORY, "main", pairbot_github_sim::Protection::default()).unwrap();
    person.push(REPOSITORY, "main", &changes).unwrap();
}
