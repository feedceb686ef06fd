//! `pairbot explain RUN`: the life of a run in words: what came, what was decided, what was done about it, what it cost.

mod words;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use pairbot_protocol::ids::RunId;
use serde::Serialize;

use super::operator::{Options, brief, moment};
use super::runtime;
use crate::store::{Budget, LedgerEntry, Origin, SpendLine, Store, StoredRun, TaskEffect, TaskRecord};
use crate::wire;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run, such as `1296269-7-1`; `pairbot runs --all` lists them
    run: RunId,
    #[command(flatten)]
    options: Options,
}

/// Everything that is known of a run.
struct Known {
    stored: StoredRun,
    ledger: Vec<LedgerEntry>,
    origins: Vec<Origin>,
    tasks: Vec<TaskRecord>,
    spend: Vec<SpendLine>,
    budget: Budget,
}

/// A decision with what led to it and what it asked for.
#[derive(Debug, Serialize)]
struct Step {
    at: String,
    signal: Option<String>,
    events: Vec<Told>,
    tasks: Vec<Asked>,
}

#[derive(Debug, Serialize)]
struct Told {
    seq: u64,
    what: String,
}

#[derive(Debug, Serialize)]
struct Asked {
    task: u64,
    what: String,
    state: &'static str,
    attempts: u32,
    outages: u32,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Share {
    round: Option<u32>,
    agent: String,
    model: Option<String>,
    cost: String,
    calls: u64,
}

#[derive(Debug, Serialize)]
struct Explained {
    run: String,
    repository: String,
    title: String,
    phase: &'static str,
    steps: Vec<Step>,
    cost: Vec<Share>,
    spent: String,
    limit: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let store = arguments.options.store()?;
    let known = runtime()?.block_on(known(&store, arguments.run))?;
    let explained = explained(&known);
    arguments.options.tell(&explained, &in_words(&explained))?;
    Ok(ExitCode::SUCCESS)
}

async fn known(store: &dyn Store, run: RunId) -> anyhow::Result<Known> {
    let Some(stored) = store.run(run).await? else {
        let pruned = store.tombstones().await?.into_iter().find(|tombstone| tombstone.run == run);
        match pruned {
            Some(tombstone) => anyhow::bail!(
                "run {run} was pruned at {}; it ended as {}, after {} events and {}",
                moment(tombstone.pruned_at),
                tombstone.outcome,
                tombstone.events,
                tombstone.spend.cost
            ),
            None => anyhow::bail!("there is no run {run}; `pairbot runs --all` lists those there are"),
        }
    };
    Ok(Known {
        stored,
        ledger: store.ledger(run).await?,
        origins: store.origins(run).await?,
        tasks: store.tasks(run).await?,
        spend: store.spend_lines(run).await?,
        budget: store.budget(run).await?,
    })
}

fn explained(known: &Known) -> Explained {
    let run = &known.stored.run;
    let cost = |line: &SpendLine| Share {
        round: line.round.map(|round| round.0),
        agent: line.agent.clone(),
        model: line.model.clone(),
        cost: line.cost.to_string(),
        calls: line.calls,
    };
    Explained {
        run: run.id.to_string(),
        repository: run.issue.repository_name.clone(),
        title: run.issue.title.clone(),
        phase: run.phase_name(),
        steps: steps(known),
        cost: known.spend.iter().map(cost).collect(),
        spent: known.budget.spent.to_string(),
        limit: known.budget.limit.to_string(),
    }
}

/// Events of one decision have its moment and its signal in common; a task belongs to the decision after which the
/// ledger was as long as when the task was asked for.
fn steps(known: &Known) -> Vec<Step> {
    let origin = |seq| known.origins.iter().find(|origin| origin.seq == seq);
    let mut steps: Vec<Step> = Vec::new();
    let mut last = None;
    let mut tasks = known.tasks.iter().peekable();
    for entry in &known.ledger {
        let key = (entry.at, origin(entry.seq).map(|origin| origin.inbox));
        if last != Some(key) {
            let signal = origin(entry.seq).map(words::signal);
            steps.push(Step { at: moment(entry.at), signal, events: Vec::new(), tasks: Vec::new() });
            last = Some(key);
        }
        let Some(step) = steps.last_mut() else { continue };
        step.events.push(Told { seq: entry.seq, what: words::event(&entry.event) });
        // Tasks of versions that did not record it are placed by their moment.
        let asked_for = |task: &&TaskRecord| match task.version {
            Some(version) => version <= entry.seq,
            None => task.created_at <= entry.at,
        };
        while let Some(task) = tasks.next_if(|task| asked_for(task)) {
            step.tasks.push(told(task));
        }
    }
    if let Some(step) = steps.last_mut() {
        step.tasks.extend(tasks.map(told));
    }
    steps
}

fn told(task: &TaskRecord) -> Asked {
    let what = match wire::decode(&task.payload) {
        Ok(TaskEffect::Work(work)) => work.lane(),
        Ok(TaskEffect::Publication(publication)) => format!("show {}", publication.key()),
        Err(error) => error.to_string(),
    };
    Asked {
        task: task.task.0,
        what,
        state: task.state.as_str(),
        attempts: task.attempts,
        outages: task.outages,
        reason: task.reason.clone().or_else(|| task.history.last().map(|attempt| attempt.error.clone())),
    }
}

fn in_words(explained: &Explained) -> String {
    let mut out = String::new();
    let Explained { run, repository, title, phase, .. } = explained;
    // Writing to a string cannot fail.
    let _ = writeln!(out, "run {run} of {repository}: {}\nnow {phase}\n", brief(title, 120));
    for step in &explained.steps {
        let signal = step.signal.as_deref().unwrap_or("not recorded");
        let _ = writeln!(out, "{}  {signal}", step.at);
        for event in &step.events {
            let _ = writeln!(out, "  {:>4}  {}", event.seq, event.what);
        }
        for task in &step.tasks {
            let mut line = format!("        -> task {} {}: {}", task.task, task.what, task.state);
            if task.attempts > 1 || task.outages > 0 {
                let _ = write!(line, " after {} attempts and {} outages", task.attempts, task.outages);
            }
            if let Some(reason) = &task.reason {
                let _ = write!(line, " ({})", brief(reason, 160));
            }
            let _ = writeln!(out, "{line}");
        }
    }
    let _ = writeln!(out, "\ncost {} of {}", explained.spent, explained.limit);
    for line in &explained.cost {
        let round = line.round.map_or_else(String::new, |round| format!(", round {round}"));
        let model = line.model.as_deref().unwrap_or("no answer");
        let _ = writeln!(out, "  {} {}{round}, {model}, {} calls", line.cost, line.agent, line.calls);
    }
    out
}
