//! `pairbot doctor`: checks everything the server needs, one line each, and says how to mend what is wrong.

mod app;
mod machine;
mod models;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{runtime, say};
use crate::adapters::{SystemClock, SystemEntropy, SystemSpawner};
use crate::config::{Config, Source, default_file};
use crate::gateway::ProviderClient;
use crate::github::HttpTransport;
use crate::server::{self, Machine};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Settings file; the environment wins over it
    #[arg(long)]
    config: Option<PathBuf>,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// As it should be.
    Ok,
    /// The server works, but somebody should know.
    Warn,
    /// The server cannot do its work.
    Fail,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    verdict: Verdict,
    what: String,
    /// How to mend it; empty where nothing is to be mended.
    mend: String,
}

impl Line {
    fn ok(what: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, what: what.into(), mend: String::new() }
    }

    fn warn(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, what: what.into(), mend: mend.into() }
    }

    fn fail(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        write!(out, "{verdict}  {}", self.what)?;
        if self.mend.is_empty() { Ok(()) } else { write!(out, "  -> {}", self.mend) }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let file = arguments.config.as_deref().unwrap_or(default_file());
    let lines = match Config::load(&Source::of_process(file)) {
        Ok(config) => runtime()?.block_on(examine(&config))?,
        // Without settings nothing else can be looked at.
        Err(error) => {
            let line = |problem: &crate::config::Problem| {
                Line::fail(format!("settings: {problem}"), "set it in the environment or in pairbot.toml")
            };
            error.problems.iter().map(line).collect()
        }
    };
    for line in &lines {
        say(&format!("{line}\n"));
    }
    let failed = lines.iter().any(|line| line.verdict == Verdict::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(config: &Config) -> anyhow::Result<Vec<Line>> {
    let machine = Machine {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        spawner: Arc::new(SystemSpawner),
        transport: Arc::new(HttpTransport::new(&config.github.api_url)),
        models: Arc::new(ProviderClient::default()),
    };
    let mut lines = vec![Line::ok("settings: complete")];
    match server::github(config, &machine) {
        Ok(github) => lines.extend(app::examine(&github).await?),
        Err(error) => lines.push(Line::fail(
            format!("credentials: {error:#}"),
            "take APP_ID and a private key from the App's settings page",
        )),
    }
    lines.extend(machine::examine(config, &machine).await);
    lines.extend(models::examine(&config.models).await?);
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_to_mend_what_is_wrong_and_no_more() {
        assert_eq!(Line::ok("git: 2.47.0").to_string(), "ok    git: 2.47.0");
        assert_eq!(
            Line::fail("git: not found", "install it").to_string(),
            "fail  git: not found  -> install it"
        );
    }
}
