//! `pairbot dlq`: what was given up, and what to do about it.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pairbot_protocol::awaits::Unwanted;
use serde::Serialize;
use serde_json::Value;

use super::operator::{Options, brief, columns, moment, who};
use super::runtime;
use crate::adapters::SystemClock;
use crate::ports::Clock as _;
use crate::store::{
    Act, DeadLetter, Intervention, Replayed, Store, StoreError, TaskEffect, TaskRecord, UnreadableSignal,
};
use crate::wire;

/// How many dead letters are read at once. Whoever has more begins with these.
const LETTERS_MAX: usize = 10_000;

/// Arguments of `dlq`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    act: Letters,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Letters {
    /// Tasks that were given up and signals that cannot be read, oldest first
    List,
    /// One of them, with every failed attempt and what is stored
    Show {
        /// Its name, such as `task-12` or `signal-7`
        letter: DeadLetter,
    },
    /// Tries again: with fresh attempts, if its run still waits for it
    Replay {
        /// Its name
        #[arg(required_unless_present = "all")]
        letter: Option<DeadLetter>,
        /// Every one there is
        #[arg(long, conflicts_with = "letter")]
        all: bool,
    },
    /// Gives it up for good; what it was, who dropped it and why is kept
    Drop {
        /// Its name
        letter: DeadLetter,
        /// Why, for whoever asks later
        #[arg(long)]
        reason: String,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let store = arguments.options.store()?;
    let options = &arguments.options;
    runtime()?.block_on(async {
        match &arguments.act {
            Letters::List => list(&store, options).await,
            Letters::Show { letter } => show(&store, options, *letter).await,
            Letters::Replay { letter, .. } => {
                let letters = match letter {
                    Some(letter) => vec![*letter],
                    None => all(&store).await?.iter().map(|told| told.letter).collect(),
                };
                replay(&store, options, &letters, letter.is_some()).await
            }
            Letters::Drop { letter, reason } => drop_letter(&store, options, *letter, reason).await,
        }
    })
}

/// A dead letter as it is told.
#[derive(Debug, Serialize)]
struct Told {
    id: String,
    #[serde(skip)]
    letter: DeadLetter,
    state: String,
    run: Option<String>,
    what: String,
    reason: String,
    since: String,
    attempts: u32,
    outages: u32,
    payload: Value,
    history: Vec<Attempt>,
    interventions: Vec<Done>,
}

#[derive(Debug, Serialize)]
struct Attempt {
    began_at: String,
    worker: String,
    fence: u64,
    outage: bool,
    error: String,
}

#[derive(Debug, Serialize)]
struct Done {
    act: &'static str,
    at: String,
    by: String,
    reason: Option<String>,
}

impl Told {
    fn task(record: &TaskRecord) -> Self {
        let letter = DeadLetter::Task(record.task);
        Self {
            id: letter.to_string(),
            letter,
            state: record.state.as_str().to_owned(),
            run: Some(record.run.to_string()),
            what: what(&record.payload),
            reason: record.reason.clone().unwrap_or_default(),
            since: moment(record.finished_at.unwrap_or(record.created_at)),
            attempts: record.attempts,
            outages: record.outages,
            payload: payload(&record.payload),
            history: record
                .history
                .iter()
                .map(|attempt| Attempt {
                    began_at: moment(attempt.claimed_at),
                    worker: attempt.worker.clone(),
                    fence: attempt.fence.0,
                    outage: attempt.outage,
                    error: attempt.error.clone(),
                })
                .collect(),
            interventions: done(&record.interventions),
        }
    }

    fn signal(row: &UnreadableSignal) -> Self {
        let letter = DeadLetter::Signal(row.id);
        Self {
            id: letter.to_string(),
            letter,
            state: if row.dropped { "dropped" } else { "unreadable" }.to_owned(),
            run: None,
            what: format!("{} ({})", row.event, row.guid),
            reason: row.reason.clone(),
            since: moment(row.received_at),
            attempts: 0,
            outages: 0,
            payload: payload(&row.payload),
            history: Vec::new(),
            interventions: done(&row.interventions),
        }
    }

    fn in_full(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(out, "{name:<10} {value}");
        };
        line("id", &self.id);
        line("state", &self.state);
        line("run", self.run.as_deref().unwrap_or("-"));
        line("what", &self.what);
        line("reason", &self.reason);
        line("since", &self.since);
        line("attempts", &format!("{}, and {} that met an outage", self.attempts, self.outages));
        for attempt in &self.history {
            let kind = if attempt.outage { "outage" } else { "failed" };
            line(kind, &format!("{} by {}: {}", attempt.began_at, attempt.worker, attempt.error));
        }
        for done in &self.interventions {
            let reason = done.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            line(done.act, &format!("{} by {}{reason}", done.at, done.by));
        }
        line("payload", &self.payload.to_string());
        out
    }
}

fn done(interventions: &[Intervention]) -> Vec<Done> {
    let done = |intervention: &Intervention| Done {
        act: match intervention.act {
            Act::Replayed => "replayed",
            Act::Dropped => "dropped",
        },
        at: moment(intervention.at),
        by: intervention.by.clone(),
        reason: intervention.reason.clone(),
    };
    interventions.iter().map(done).collect()
}

/// What a task is for, in a word.
fn what(payload: &str) -> String {
    match wire::decode::<TaskEffect>(payload) {
        Ok(TaskEffect::Work(work)) => work.lane(),
        Ok(TaskEffect::Publication(publication)) => format!("show {}", publication.key()),
        Err(error) => error.to_string(),
    }
}

/// What is stored, as JSON if it is any.
fn payload(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

async fn all(store: &dyn Store) -> anyhow::Result<Vec<Told>> {
    let mut letters: Vec<_> = store.dead_letters(LETTERS_MAX).await?.iter().map(Told::task).collect();
    letters.extend(store.unreadable_signals(LETTERS_MAX).await?.iter().map(Told::signal));
    Ok(letters)
}

async fn list(store: &dyn Store, options: &Options) -> anyhow::Result<ExitCode> {
    let letters = all(store).await?;
    let rows: Vec<Vec<String>> = letters
        .iter()
        .map(|told| {
            let run = told.run.clone().unwrap_or_else(|| "-".to_owned());
            vec![told.id.clone(), run, told.since.clone(), brief(&told.what, 48), brief(&told.reason, 80)]
        })
        .collect();
    let words = if rows.is_empty() {
        "no dead letters\n".to_owned()
    } else {
        columns(&["ID", "RUN", "SINCE", "WHAT", "REASON"], &rows)
    };
    options.tell(&letters, &words)?;
    Ok(ExitCode::SUCCESS)
}

async fn told(store: &dyn Store, letter: DeadLetter) -> anyhow::Result<Option<Told>> {
    Ok(match letter {
        DeadLetter::Task(task) => store.task(task).await?.as_ref().map(Told::task),
        DeadLetter::Signal(inbox) => store.unreadable_signal(inbox).await?.as_ref().map(Told::signal),
    })
}

async fn show(store: &dyn Store, options: &Options, letter: DeadLetter) -> anyhow::Result<ExitCode> {
    let Some(told) = told(store, letter).await? else {
        anyhow::bail!("there is no {letter}; `pairbot dlq list` shows what there is")
    };
    options.tell(&told, &told.in_full())?;
    Ok(ExitCode::SUCCESS)
}

/// What came of one replay, as it is told.
#[derive(Debug, Serialize)]
struct Outcome {
    id: String,
    replayed: bool,
    detail: String,
}

async fn replay(
    store: &dyn Store,
    options: &Options,
    letters: &[DeadLetter],
    asked_for: bool,
) -> anyhow::Result<ExitCode> {
    let (mut outcomes, mut words) = (Vec::new(), String::new());
    for letter in letters {
        let (replayed, detail) = match store.replay(*letter, &who(), SystemClock.now()).await {
            Ok(outcome) => in_words(outcome),
            // Of this one alone; the others may go on.
            Err(error @ (StoreError::Unreadable { .. } | StoreError::NotDead { .. })) => {
                (false, error.to_string())
            }
            Err(error) => return Err(error.into()),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(words, "{letter}: {detail}");
        outcomes.push(Outcome { id: letter.to_string(), replayed, detail });
    }
    if letters.is_empty() {
        words.push_str("no dead letters\n");
    }
    let refused = asked_for && outcomes.iter().any(|outcome| !outcome.replayed);
    options.tell(&outcomes, &words)?;
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn in_words(outcome: Replayed) -> (bool, String) {
    match outcome {
        Replayed::Queued => {
            (true, "is tried again; a running server takes it up within ten seconds".to_owned())
        }
        Replayed::QueuedAlready(task) => (
            false,
            format!("the same is queued already as task {task}; drop this one, it has nothing to add"),
        ),
        Replayed::Unwanted(why) => {
            let why = match why {
                Unwanted::Over => "its run is over; drop it".to_owned(),
                Unwanted::Halted(halt) => format!(
                    "its run is halted ({}); someone with write access comments `/retry` on the issue, which does \
                     this again; then drop it",
                    halt.as_str()
                ),
                Unwanted::Paused => {
                    "its run is paused; someone with write access comments `/resume`, which asks for what is missing"
                        .to_owned()
                }
                Unwanted::WentOn => "its run went on without it; drop it".to_owned(),
            };
            (false, format!("not replayed: {why}"))
        }
    }
}

async fn drop_letter(
    store: &dyn Store,
    options: &Options,
    letter: DeadLetter,
    reason: &str,
) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(!reason.trim().is_empty(), "--reason is empty; say why, for whoever asks later");
    store.drop_letter(letter, &who(), reason.trim(), SystemClock.now()).await?;
    let words = format!("{letter}: dropped; `pairbot dlq show {letter}` still tells what it was\n");
    options.tell(&told(store, letter).await?, &words)?;
    Ok(ExitCode::SUCCESS)
}
