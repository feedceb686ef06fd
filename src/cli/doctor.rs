//! `pairbot doctor`: checks everything the server needs, one line each, and says how to mend what is wrong.

mod app;
mod machine;
mod models;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::operator::limit;
use super::{runtime, say};
use crate::adapters::{SystemClock, SystemEntropy, SystemSpawner};
use crate::config::{Config, Source, default_file};
use crate::gateway::ProviderClient;
use crate::github::HttpTransport;
use crate::server::{self, Machine};
use crate::store::SharedLimits;

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
    lines.push(budgets(&config.budgets));
    Ok(lines)
}

/// What bounds the bill. A run's own budget is the policy's.
fn budgets(limits: &SharedLimits) -> Line {
    let SharedLimits { repository_day, installation_month } = *limits;
    let what = format!(
        "budgets: {} a repository and day, {} an installation and month",
        limit(repository_day),
        limit(installation_month)
    );
    if repository_day.is_none() || installation_month.is_none() {
        let mend = "set PAIRBOT_REPOSITORY_DAY_USD and PAIRBOT_INSTALLATION_MONTH_USD, or what people label decides \
                    the bill";
        Line::warn(what, mend)
    } else {
        Line::ok(what)
    }
}

#[cfg(test)]
mod tests {
    use pairbot_protocol::budget::Limits;

    use super::*;

    #[test]
    fn a_bill_without_a_bound_is_warned_of() {
        let limits = crate::config::budgets::defaults();
        let line = budgets(&limits).to_string();
        assert_eq!(line, "ok    budgets: $50.00 a repository and day, $500.00 an installation and month");
        let unbound = SharedLimits { installation_month: Limits::NONE, ..limits };
        assert!(
            budgets(&unbound).to_string().starts_with("warn  budgets: $50.00 a repository and day, no limit")
        );
    }

    #[test]
    fn a_line_says_how_to_mend_what_is_wrong_and_no_more() {
        assert_eq!(Line::ok("git: 2.47.0").to_string(), "ok    git: 2.47.0");
        assert_eq!(
            Line::fail("git: not found", "install it").to_string(),
            "fail  git: not found  -> install it"
        );
    }
}
