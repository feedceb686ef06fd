//! `pairbot runs`: the runs there are.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::operator::{Options, brief, columns, dollars, moment};
use super::runtime;
use crate::store::{RunFilter, RunSummary, Store};

/// How many runs are listed, the newest first.
const RUNS_MAX: usize = 10_000;

/// Arguments of `runs`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Also those that are over
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    options: Options,
}

/// A run as it is told.
#[derive(Debug, Serialize)]
struct Told {
    run: String,
    repository: String,
    issue: u64,
    title: String,
    phase: &'static str,
    open: bool,
    round: u32,
    pull_request: Option<u64>,
    head: Option<String>,
    spent_usd: f64,
    limit_usd: f64,
    opened_at: String,
    updated_at: String,
}

impl Told {
    fn of(summary: &RunSummary) -> Self {
        Self {
            run: summary.run.to_string(),
            repository: summary.repository_name.clone(),
            issue: summary.run.issue.0,
            title: summary.title.clone(),
            phase: summary.phase,
            open: summary.open,
            round: summary.round.0,
            pull_request: summary.pull_request.map(|number| number.0),
            head: summary.head.as_ref().map(ToString::to_string),
            spent_usd: dollars(summary.spent),
            limit_usd: dollars(summary.limit),
            opened_at: moment(summary.opened_at),
            updated_at: moment(summary.updated_at),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let store = arguments.options.store()?;
    let filter = RunFilter { open_only: !arguments.all, limit: RUNS_MAX };
    let runs = runtime()?.block_on(store.run_list(filter))?;
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let pull_request = run.pull_request.map_or("-".to_owned(), |number| format!("#{number}"));
            vec![
                run.run.to_string(),
                run.phase.to_owned(),
                run.round.0.to_string(),
                format!("{}#{}", run.repository_name, run.run.issue),
                pull_request,
                format!("{} of {}", run.spent, run.limit),
                moment(run.updated_at),
                brief(&run.title, 60),
            ]
        })
        .collect();
    let header = ["RUN", "PHASE", "ROUND", "ISSUE", "PR", "SPENT", "UPDATED", "TITLE"];
    let words = match (rows.is_empty(), arguments.all) {
        (false, _) => columns(&header, &rows),
        (true, true) => "no runs\n".to_owned(),
        (true, false) => "no open runs; --all lists those that are over\n".to_owned(),
    };
    let told: Vec<Told> = runs.iter().map(Told::of).collect();
    arguments.options.tell(&told, &words)?;
    Ok(ExitCode::SUCCESS)
}
