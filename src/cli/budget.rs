//! `pairbot budget`: what repositories and installations have spent of what they may, and what one run has cost.

use std::collections::BTreeMap;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use pairbot_protocol::budget::{Amount, Limits};
use pairbot_protocol::ids::{RepositoryId, RunId, Timestamp, Tokens};
use serde::Serialize;

use super::operator::{Options, brief, columns, dollars, limit, moment};
use super::runtime;
use crate::adapters::SystemClock;
use crate::ports::Clock as _;
use crate::store::{Budget, OpenReservation, Owner, RunFilter, SharedBudget, SharedLimits, SpendLine, Store};

/// In how many runs the names of repositories are looked for.
const RUNS_MAX: usize = 10_000;

/// Arguments of `budget`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What this run has cost, by round, agent and model; without one, what all spend together
    run: Option<RunId>,
    #[command(flatten)]
    options: Options,
}

/// Sums and limits as they are told. A limit that is null is none.
#[derive(Debug, Serialize)]
struct Sums {
    spent_usd: f64,
    reserved_usd: f64,
    limit_usd: Option<f64>,
    spent_tokens: u64,
    reserved_tokens: u64,
    limit_tokens: Option<u64>,
    calls: u64,
}

impl Sums {
    fn of(spent: Amount, reserved: Amount, limits: Limits, calls: u64) -> Self {
        Self {
            spent_usd: dollars(spent.money),
            reserved_usd: dollars(reserved.money),
            limit_usd: limits.money.map(dollars),
            spent_tokens: spent.tokens.0,
            reserved_tokens: reserved.tokens.0,
            limit_tokens: limits.tokens.map(|limit| limit.0),
            calls,
        }
    }
}

/// A limit of the server's settings.
#[derive(Debug, Serialize)]
struct Setting {
    usd: Option<f64>,
    tokens: Option<u64>,
}

impl Setting {
    fn of(limits: Limits) -> Self {
        Self { usd: limits.money.map(dollars), tokens: limits.tokens.map(|limit| limit.0) }
    }
}

#[derive(Debug, Serialize)]
struct Settings {
    repository_day: Setting,
    installation_month: Setting,
}

/// A budget that runs share.
#[derive(Debug, Serialize)]
struct Shared {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    from: String,
    until: String,
    #[serde(flatten)]
    sums: Sums,
}

/// An amount set aside for a call under way.
#[derive(Debug, Serialize)]
struct Reserved {
    id: u64,
    run: String,
    task: u64,
    usd: f64,
    tokens: u64,
    since: String,
    purpose: String,
}

impl Reserved {
    fn of(open: &OpenReservation) -> Self {
        Self {
            id: open.id.0,
            run: open.run.to_string(),
            task: open.task.0,
            usd: dollars(open.amount.money),
            tokens: open.amount.tokens.0,
            since: moment(open.since),
            purpose: open.purpose.clone(),
        }
    }
}

/// What all spend together.
#[derive(Debug, Serialize)]
struct Overview {
    at: String,
    settings: Settings,
    installations: Vec<Shared>,
    repositories: Vec<Shared>,
    reservations: Vec<Reserved>,
}

/// What one part of a run has cost.
#[derive(Debug, Serialize)]
struct Line {
    round: Option<u32>,
    agent: String,
    model: Option<String>,
    calls: u64,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    usd: f64,
}

impl Line {
    fn of(line: &SpendLine) -> Self {
        Self {
            round: line.round.map(|round| round.0),
            agent: line.agent.clone(),
            model: line.model.clone(),
            calls: line.calls,
            input_tokens: line.usage.input_total(),
            cached_tokens: line.usage.cache_read_tokens,
            output_tokens: line.usage.output_tokens,
            usd: dollars(line.cost),
        }
    }
}

/// What one run has cost.
#[derive(Debug, Serialize)]
struct Bill {
    run: String,
    repository: String,
    issue: u64,
    #[serde(flatten)]
    sums: Sums,
    lines: Vec<Line>,
    reservations: Vec<Reserved>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let limits = arguments.options.budgets()?;
    let store = arguments.options.store()?;
    runtime()?.block_on(async {
        match arguments.run {
            Some(run) => one(&store, &arguments.options, run).await,
            None => all(&store, &arguments.options, limits).await,
        }
    })
}

async fn all(store: &dyn Store, options: &Options, settings: SharedLimits) -> anyhow::Result<ExitCode> {
    let now = SystemClock.now();
    let names = names(store).await?;
    let budgets = store.shared_budgets(now).await?;
    let open = store.open_reservations(None).await?;
    let told = |budget: &SharedBudget| Shared {
        id: match budget.owner {
            Owner::Repository(id) => id.0,
            Owner::Installation(id) => id.0,
        },
        name: name_of(&names, budget.owner),
        from: moment(budget.period.starts_at),
        until: moment(budget.period.ends_at),
        sums: Sums::of(budget.spent, budget.reserved, budget.limits, budget.calls),
    };
    let (repositories, installations): (Vec<&SharedBudget>, Vec<&SharedBudget>) =
        budgets.iter().partition(|budget| matches!(budget.owner, Owner::Repository(_)));
    let overview = Overview {
        at: moment(now),
        settings: Settings {
            repository_day: Setting::of(settings.repository_day),
            installation_month: Setting::of(settings.installation_month),
        },
        installations: installations.iter().map(|budget| told(budget)).collect(),
        repositories: repositories.iter().map(|budget| told(budget)).collect(),
        reservations: open.iter().map(Reserved::of).collect(),
    };
    let words = [
        table("INSTALLATION", "MONTH", "%Y-%m", &installations, &names),
        table("REPOSITORY", "DAY", "%Y-%m-%d", &repositories, &names),
        reservations(&open),
        format!(
            "\nthis server's settings: {} a repository and day, {} an installation and month (UTC)\n",
            limit(settings.repository_day),
            limit(settings.installation_month)
        ),
    ];
    options.tell(&overview, &words.concat())?;
    Ok(ExitCode::SUCCESS)
}

/// What repositories were called when their newest run began.
async fn names(store: &dyn Store) -> anyhow::Result<BTreeMap<RepositoryId, String>> {
    let runs = store.run_list(RunFilter { open_only: false, limit: RUNS_MAX }).await?;
    let mut names = BTreeMap::new();
    for run in runs {
        names.entry(run.run.repository).or_insert(run.repository_name);
    }
    Ok(names)
}

fn name_of(names: &BTreeMap<RepositoryId, String>, owner: Owner) -> Option<String> {
    match owner {
        Owner::Repository(id) => names.get(&id).cloned(),
        Owner::Installation(_) => None,
    }
}

fn table(
    owner: &str,
    period: &str,
    form: &str,
    budgets: &[&SharedBudget],
    names: &BTreeMap<RepositoryId, String>,
) -> String {
    if budgets.is_empty() {
        return format!("no {} has spent anything in this {}\n", owner.to_lowercase(), period.to_lowercase());
    }
    let rows: Vec<Vec<String>> = budgets
        .iter()
        .map(|budget| {
            let id = match budget.owner {
                Owner::Repository(id) => id.to_string(),
                Owner::Installation(id) => id.to_string(),
            };
            vec![
                name_of(names, budget.owner).unwrap_or(id),
                date(budget.period.starts_at, form),
                of_limit(&budget.spent.money.to_string(), budget.limits.money.map(|limit| limit.to_string())),
                budget.reserved.money.to_string(),
                of_limit(&number(budget.spent.tokens), budget.limits.tokens.map(number)),
                number(budget.reserved.tokens),
                budget.calls.to_string(),
            ]
        })
        .collect();
    columns(&[owner, period, "SPENT", "RESERVED", "TOKENS", "RESERVED", "CALLS"], &rows)
}

fn reservations(open: &[OpenReservation]) -> String {
    if open.is_empty() {
        return "no call is under way\n".to_owned();
    }
    let rows: Vec<Vec<String>> = open
        .iter()
        .map(|open| {
            vec![
                open.run.to_string(),
                open.task.to_string(),
                open.amount.money.to_string(),
                number(open.amount.tokens),
                moment(open.since),
                brief(&open.purpose, 60),
            ]
        })
        .collect();
    columns(&["RUN", "TASK", "SET ASIDE", "TOKENS", "SINCE", "FOR"], &rows)
}

async fn one(store: &dyn Store, options: &Options, run: RunId) -> anyhow::Result<ExitCode> {
    let Some(stored) = store.run(run).await? else {
        anyhow::bail!(
            "there is no run {run}; `pairbot runs --all` lists those there are, `pairbot explain {run}` tells of one that was pruned"
        );
    };
    let budget = store.budget(run).await?;
    let lines = store.spend_lines(run).await?;
    let open = store.open_reservations(Some(run)).await?;
    let reserved = Amount { money: budget.reserved, tokens: budget.reserved_tokens };
    let bill = Bill {
        run: run.to_string(),
        repository: stored.run.issue.repository_name.clone(),
        issue: run.issue.0,
        sums: Sums::of(budget.spent(), reserved, budget.limits(), budget.calls),
        lines: lines.iter().map(Line::of).collect(),
        reservations: open.iter().map(Reserved::of).collect(),
    };
    options.tell(&bill, &[summary(&bill, &budget), spent_on(&lines), reservations(&open)].concat())?;
    Ok(ExitCode::SUCCESS)
}

fn summary(bill: &Bill, budget: &Budget) -> String {
    let tokens = of_limit(&number(budget.spent_tokens), budget.limit_tokens.map(number));
    format!(
        "run {} of {}#{}: {} of {} spent, {tokens} tokens used\n\n",
        bill.run, bill.repository, bill.issue, budget.spent, budget.limit
    )
}

fn spent_on(lines: &[SpendLine]) -> String {
    if lines.is_empty() {
        return "no model has been called yet\n".to_owned();
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![
                line.round.map_or("-".to_owned(), |round| round.to_string()),
                brief(&line.agent, 40),
                line.model.as_deref().map_or("no answer".to_owned(), |model| brief(model, 60)),
                line.calls.to_string(),
                number(Tokens(line.usage.input_total())),
                number(Tokens(line.usage.cache_read_tokens)),
                number(Tokens(line.usage.output_tokens)),
                line.cost.to_string(),
            ]
        })
        .collect();
    columns(&["ROUND", "AGENT", "MODEL", "CALLS", "TOKENS IN", "CACHED", "TOKENS OUT", "COST"], &rows)
}

fn of_limit(spent: &str, limit: Option<String>) -> String {
    limit.map_or_else(|| spent.to_owned(), |limit| format!("{spent} of {limit}"))
}

/// A number of tokens without the word.
fn number(tokens: Tokens) -> String {
    tokens.to_string().trim_end_matches(" tokens").to_owned()
}

fn date(at: Timestamp, form: &str) -> String {
    i64::try_from(at.unix_ms)
        .ok()
        .and_then(DateTime::<Utc>::from_timestamp_millis)
        .map_or_else(|| at.unix_ms.to_string(), |at| at.format(form).to_string())
}
