//! `pairbot demo`: the main job on this machine, for a person in a browser or, with `--once`, for nobody.

use std::fmt::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use pairbot_model_sim::{DEFAULT_STORY, STORIES, Story, story};
use pairbot_protocol::ids::{IssueNumber, RepositoryId, RunId};
use pairbot_protocol::policy::LABEL;

use super::{complain, runtime, say};
use crate::adapters::{SystemClock, SystemEntropy, SystemSpawner};
use crate::config::{LogConfig, LogFormat, ModelsConfig, Sandbox, Source};
use crate::demo::{MAINTAINER, Models, REPOSITORY, Stage, StageSettings, Summary, play, summarise};
use crate::ports::Clock as _;
use crate::redact::Redactor;
use crate::sandbox::{self, SandboxPorts, SandboxSettings, SlotUids, Standing};
use crate::server::{self, Tuning};
use crate::telemetry;

/// How long the simulated person waits for scripted models, and for real ones.
const PATIENCE: [Duration; 2] = [Duration::from_mins(2), Duration::from_mins(30)];
/// How long the merge may take to be heard of.
const ECHO: Duration = Duration::from_secs(10);

const NO_SANDBOX: &str =
    "Commands of agents and gates run on this machine without a sandbox (PAIRBOT_SANDBOX=none-i-accept).";

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Play one story without a person, the merge included, and end
    #[arg(long)]
    once: bool,
    /// With `--once`: print one JSON document
    #[arg(long, requires = "once")]
    json: bool,
    /// Which story `--once` plays
    #[arg(long, requires = "once", value_name = "NAME")]
    story: Option<String>,
    /// Port of the simulated GitHub; any free one if not given
    #[arg(long, default_value_t = 0)]
    port: u16,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let name = arguments.story.as_deref().unwrap_or(DEFAULT_STORY);
    let Some(chosen) = story(name) else { bail!("there is no story `{name}`; there are:\n{}", stories()) };
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "warn".to_owned());
    telemetry::init(&LogConfig { level, format: LogFormat::Auto }, Redactor::for_logs(&[]))?;
    runtime()?.block_on(async {
        if arguments.once { once(arguments, chosen).await } else { watch(arguments).await }
    })
}

fn stories() -> String {
    let mut list = String::new();
    for story in STORIES {
        // Writing to a string cannot fail.
        let _ = writeln!(list, "  {:<10} {}", story.name, story.about);
    }
    list
}

/// Which sandbox this machine has. Where there is none the demo plays without: it is this person's own machine, and the
/// commands are those of the demo's repository.
async fn standing() -> anyhow::Result<Standing> {
    let ports = SandboxPorts {
        spawner: Arc::new(SystemSpawner),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let scratch = tempfile::tempdir().context("no temporary directory for the demo")?;
    let settings = SandboxSettings {
        choice: Sandbox::Auto,
        scratch_dir: scratch.path().to_owned(),
        search_path: server::search_path(),
        read_only: Vec::new(),
        program: None,
        slots: SlotUids::default(),
        control_groups: true,
    };
    Ok(sandbox::establish(ports, settings).await.standing())
}

async fn set(port: u16) -> anyhow::Result<(Stage, Introduction)> {
    let standing = standing().await?;
    let sandbox = if standing.runs_programs() { Sandbox::Auto } else { Sandbox::NoneAccepted };
    let mut settings = StageSettings { github_port: port, sandbox, ..StageSettings::default() };
    let providers = ModelsConfig::load(&Source::of_environment(std::env::vars()))?;
    let real = providers.anthropic.is_some() || providers.openai.is_some();
    if real {
        settings.models = Models::Real(providers);
        settings.tuning = Tuning::default();
    }
    Ok((Stage::set(settings).await?, Introduction { real, standing }))
}

/// What a person must know before the demo begins.
#[derive(Debug)]
struct Introduction {
    real: bool,
    standing: Standing,
}

impl Introduction {
    fn models(&self) -> &'static str {
        if self.real {
            "Real models play, with the key from your environment: this costs money, at most the policy's budget a run."
        } else {
            "Scripted models play: no key is needed and nothing is spent."
        }
    }

    fn commands(&self) -> String {
        match &self.standing {
            Standing::Bubblewrap { .. } => {
                "Commands of agents and gates run in a sandbox (bubblewrap), without network.".to_owned()
            }
            Standing::UserSlot { .. } => {
                "Commands of agents and gates run in a sandbox (users of their own), without network."
                    .to_owned()
            }
            Standing::NoneAccepted => NO_SANDBOX.to_owned(),
            Standing::Unavailable { probe, why } => format!("{NO_SANDBOX} It has none: {probe}: {why}."),
        }
    }
}

impl fmt::Display for Introduction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n{}", self.models(), self.commands())
    }
}

async fn watch(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (mut stage, introduction) = set(arguments.port).await?;
    let mut issues = String::new();
    for story in STORIES {
        let number = stage.open_issue(story.issue_title, story.issue_body)?;
        // Writing to a string cannot fail.
        let _ = writeln!(issues, "  #{number} {}", story.issue_title);
        if !introduction.real {
            let _ = writeln!(issues, "     {}", story.about);
        }
    }
    let server = stage.server()?.address;
    say(&format!(
        "{}\n  GitHub, simulated   {}/{REPOSITORY}/issues\n  Pairbot             http://{server}/\n\n\
         Open the first, choose an issue or write one, press \"Set label {LABEL}\" as `{MAINTAINER}`, watch its pull \
         request, and merge it.\n\n{issues}\nCtrl-C ends it; nothing is kept.\n",
        introduction,
        stage.github.url(),
    ));
    tokio::signal::ctrl_c().await.context("cannot listen for Ctrl-C")?;
    say("\nEnded.\n");
    // Nothing of the stage outlives it, so nobody has to wait for tasks under way to end in order.
    stage.kill_server().await;
    Ok(ExitCode::SUCCESS)
}

async fn once(arguments: &Arguments, story: &Story) -> anyhow::Result<ExitCode> {
    let (mut stage, introduction) = set(arguments.port).await?;
    if !arguments.json {
        say(&introduction.to_string());
    } else if !matches!(introduction.standing, Standing::Bubblewrap { .. } | Standing::UserSlot { .. }) {
        complain(&format!("pairbot: {}\n", introduction.commands()));
    }
    let issue = stage.open_issue(story.issue_title, story.issue_body)?;
    let played = play(&stage, &SystemClock, issue, PATIENCE[usize::from(introduction.real)]).await;
    let summary = the_end(&stage, issue, played.is_ok()).await;
    stage.stop_server().await;
    if let Err(error) = &played {
        complain(&format!("pairbot: {error}\n"));
    }
    let summary = summary?;
    if arguments.json {
        say(&format!("{}\n", serde_json::to_string_pretty(&summary)?));
    } else {
        say(&in_words(&summary));
    }
    let merged = played.is_ok() && summary.outcome == "merged";
    Ok(if merged { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The run as it is once it has heard of the merge.
async fn the_end(stage: &Stage, issue: u64, merged: bool) -> anyhow::Result<Summary> {
    let store = &stage.server()?.store;
    let repository = stage.github.person(MAINTAINER).request(
        "GET",
        &format!("/repos/{REPOSITORY}"),
        serde_json::Value::Null,
    )?;
    let repository =
        repository.get("id").and_then(serde_json::Value::as_u64).context("the repository has no id")?;
    let run = RunId { repository: RepositoryId(repository), issue: IssueNumber(issue), ordinal: 1 };
    let until = SystemClock.now().plus_ms(u64::try_from(ECHO.as_millis()).unwrap_or(u64::MAX));
    while merged
        && SystemClock.now() < until
        && !store.run(run).await?.is_some_and(|stored| stored.run.is_over())
    {
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    Ok(summarise(store.as_ref(), &stage.github, run).await?)
}

fn in_words(summary: &Summary) -> String {
    format!(
        "\n{} after {} round(s), {} review(s), {} finding(s), {} check run(s) on the last commit.\n\
         Run `pairbot demo` to watch it in a browser, `--json` for everything.\n",
        summary.outcome,
        summary.rounds,
        summary.reviews.len(),
        summary.findings.len(),
        summary.checks.len(),
    )
}
