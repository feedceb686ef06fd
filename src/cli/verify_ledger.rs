//! `pairbot verify-ledger`: proves that nothing in the ledgers was changed, and that every run is what its ledger says.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use pairbot_protocol::ids::RunId;
use serde::Serialize;

use super::operator::{Options, moment};
use super::runtime;
use crate::store::{Audited, Store, Tombstone};

/// Arguments of `verify-ledger`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only this run, such as `1296269-7-1`
    #[arg(long)]
    run: Option<RunId>,
    #[command(flatten)]
    options: Options,
}

/// What was found, as it is told.
#[derive(Debug, Serialize)]
struct Report {
    holds: bool,
    runs: u64,
    events: u64,
    pruned_runs: u64,
    pruned_events: u64,
    faults: Vec<Told>,
    pruned: Vec<Tombstone>,
}

#[derive(Debug, Serialize)]
struct Told {
    run: Option<String>,
    seq: Option<u64>,
    what: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let store = arguments.options.store()?;
    let (audited, pruned) = runtime()?.block_on(async {
        let mut pruned = store.tombstones().await?;
        pruned.retain(|tombstone| arguments.run.is_none_or(|run| run == tombstone.run));
        Ok::<_, anyhow::Error>((store.audit(arguments.run).await?, pruned))
    })?;
    let words = in_words(&audited, &pruned);
    let holds = audited.faults.is_empty();
    let report = Report {
        holds,
        runs: audited.runs,
        events: audited.events,
        pruned_runs: audited.tombstones,
        pruned_events: audited.events_pruned,
        faults: audited
            .faults
            .iter()
            .map(|fault| Told {
                run: fault.run.map(|run| run.to_string()),
                seq: fault.seq,
                what: fault.what.clone(),
            })
            .collect(),
        pruned,
    };
    arguments.options.tell(&report, &words)?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn in_words(audited: &Audited, pruned: &[Tombstone]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    for fault in &audited.faults {
        let _ = writeln!(out, "FAULT  {fault}");
    }
    for tombstone in pruned {
        let _ = writeln!(
            out,
            "pruned run {} of {}: {}, {} events up to {}, {}, ended {}, pruned {}",
            tombstone.run,
            tombstone.repository_name,
            tombstone.outcome,
            tombstone.events,
            tombstone.hash.get(..12).unwrap_or(&tombstone.hash),
            tombstone.spend.cost,
            moment(tombstone.ended_at),
            moment(tombstone.pruned_at),
        );
    }
    let Audited { runs, events, .. } = audited;
    let _ = match audited.faults.len() {
        0 => writeln!(
            out,
            "{runs} ledgers with {events} events hold: every hash follows from its predecessor, and every run is what \
             its ledger adds up to"
        ),
        faults => writeln!(
            out,
            "{faults} faults in {runs} ledgers with {events} events; stop the server and compare with a backup \
             (docs/operations.md, \"A damaged database\")"
        ),
    };
    out
}
