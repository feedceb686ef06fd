//! `pairbot prune --older-than 90d`: forgets what has ended, and keeps the proof of it.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::operator::Options;
use super::runtime;
use crate::adapters::SystemClock;
use crate::ports::Clock as _;
use crate::store::{Cutoff, Pruned, Store};

/// Arguments of `prune`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many days are kept, such as `90d`; at least 7
    #[arg(long, value_name = "DAYS", value_parser = days)]
    older_than: u32,
    /// Only say what would be forgotten
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: Options,
}

fn days(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('d').unwrap_or(text);
    let days: u32 = number.parse().map_err(|_| format!("`{text}` is not a number of days, such as `90d`"))?;
    if days < Cutoff::DAYS_MIN {
        return Err(format!(
            "{days} days are fewer than {}, for which a delivery may come again and must be known",
            Cutoff::DAYS_MIN
        ));
    }
    Ok(days)
}

#[derive(Debug, Serialize)]
struct Told {
    dry_run: bool,
    deliveries: u64,
    runs: Vec<String>,
    kept: Vec<Spared>,
}

#[derive(Debug, Serialize)]
struct Spared {
    run: String,
    reason: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let store = arguments.options.store()?;
    let now = SystemClock.now();
    let cutoff = Cutoff::days_before(now, arguments.older_than).context("--older-than is too small")?;
    let pruned = runtime()?.block_on(async {
        if arguments.dry_run { store.prunable(cutoff).await } else { store.prune(cutoff, now).await }
    })?;
    let told = Told {
        dry_run: arguments.dry_run,
        deliveries: pruned.deliveries,
        runs: pruned.runs.iter().map(ToString::to_string).collect(),
        kept: pruned
            .kept
            .iter()
            .map(|(run, why)| Spared { run: run.to_string(), reason: why.to_string() })
            .collect(),
    };
    arguments.options.tell(&told, &in_words(&pruned, arguments.dry_run))?;
    Ok(ExitCode::SUCCESS)
}

fn in_words(pruned: &Pruned, dry_run: bool) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    for (run, why) in &pruned.kept {
        let _ = writeln!(out, "kept run {run}: {why}");
    }
    let verb = if dry_run { "would be" } else { "were" };
    let Pruned { deliveries, runs, .. } = pruned;
    let _ = writeln!(
        out,
        "{deliveries} deliveries and {} runs {verb} forgotten; of each run a tombstone {}",
        runs.len(),
        if dry_run { "would stay" } else { "stays, which `pairbot verify-ledger` shows" }
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_given_in_days_and_never_too_young() {
        assert_eq!((days("90d"), days("7")), (Ok(90), Ok(7)));
        for text in ["6d", "0", "-9d", "3w", "", "d"] {
            assert!(days(text).is_err(), "{text}");
        }
    }
}
