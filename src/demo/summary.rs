//! What a story came to, as one JSON document.

use pairbot_github_sim::GitHubSim;
use pairbot_protocol::ids::{Money, RunId};
use pairbot_protocol::run::{Phase, Run};
use serde::Serialize;

use super::REPOSITORY;
use crate::store::{Store, StoreError};

/// The outcome of a run, with everything it left.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The run's phase; `merged` is the good end.
    pub outcome: String,
    /// The run.
    pub run: String,
    /// The issue.
    pub issue: u64,
    /// The pull request, if one was opened.
    pub pull_request: Option<u64>,
    /// How many rounds it took.
    pub rounds: u32,
    /// The reviews that counted.
    pub reviews: Vec<ReviewLine>,
    /// What was found, and what became of it.
    pub findings: Vec<FindingLine>,
    /// The check runs on the last head.
    pub checks: Vec<CheckLine>,
    /// What it cost.
    pub cost: Cost,
    /// Webhooks that were delivered and stored.
    pub deliveries: u64,
    /// Entries of the run's ledger.
    pub events: u64,
}

/// One review.
#[derive(Debug, Serialize)]
pub struct ReviewLine {
    reviewer: String,
    round: u32,
    head_sha: String,
    findings: usize,
    fixed: usize,
}

/// One finding.
#[derive(Debug, Serialize)]
pub struct FindingLine {
    id: String,
    severity: &'static str,
    state: &'static str,
    path: Option<String>,
    line: Option<u32>,
    title: String,
}

/// One check run.
#[derive(Debug, Serialize)]
pub struct CheckLine {
    name: String,
    conclusion: Option<String>,
    head_sha: String,
}

/// Money and tokens.
#[derive(Debug, Serialize)]
pub struct Cost {
    usd: f64,
    input_tokens: u64,
    output_tokens: u64,
}

/// Why no summary could be made.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The simulated GitHub did not answer.
    #[error(transparent)]
    GitHub(#[from] pairbot_github_sim::SimError),
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(RunId),
}

/// Sums a run up.
pub async fn summarise(store: &dyn Store, github: &GitHubSim, run: RunId) -> Result<Summary, SummaryError> {
    let stored = store.run(run).await?.ok_or(SummaryError::NoRun(run))?;
    let budget = store.budget(run).await?;
    let counts = store.counts().await?;
    let run = stored.run;
    let checks = match &run.head {
        Some(head) => github.check_runs(REPOSITORY, head.as_str())?,
        None => Vec::new(),
    };
    Ok(Summary {
        outcome: outcome(&run),
        run: run.id.to_string(),
        issue: run.id.issue.0,
        pull_request: run.pull_request.as_ref().map(|pull_request| pull_request.number.0),
        rounds: run.round.0,
        reviews: reviews(&run),
        findings: findings(&run),
        checks: checks
            .into_iter()
            .map(|check| CheckLine {
                name: check.name,
                conclusion: check.conclusion,
                head_sha: check.head_sha,
            })
            .collect(),
        cost: Cost {
            usd: dollars(budget.spent),
            input_tokens: budget.usage.input_total(),
            output_tokens: budget.usage.output_tokens,
        },
        deliveries: counts.deliveries,
        events: stored.version,
    })
}

fn outcome(run: &Run) -> String {
    match &run.phase {
        Phase::Halted { reason, .. } => format!("halted({})", reason.as_str()),
        Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Validating(_)
        | Phase::AwaitingHuman(_)
        | Phase::Refused { .. }
        | Phase::Merged { .. }
        | Phase::Closed { .. } => run.phase_name().to_owned(),
    }
}

fn reviews(run: &Run) -> Vec<ReviewLine> {
    let line = |record: &pairbot_protocol::run::ReviewRecord| ReviewLine {
        reviewer: record.reviewer.to_string(),
        round: record.round.0,
        head_sha: record.head.to_string(),
        findings: record.raised.len(),
        fixed: record.fixed.len(),
    };
    run.reviews.iter().map(line).collect()
}

fn findings(run: &Run) -> Vec<FindingLine> {
    let line = |finding: &pairbot_protocol::finding::Finding| FindingLine {
        id: finding.id.to_string(),
        severity: finding.remark.severity.as_str(),
        state: finding.state.as_str(),
        path: finding.remark.place.as_ref().map(|place| place.path.clone()),
        line: finding.remark.place.as_ref().and_then(|place| place.line),
        title: finding.remark.title.clone(),
    };
    run.findings.values().map(line).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a sum for people; below nine billion dollars it is exact")]
fn dollars(money: Money) -> f64 {
    money.microdollars as f64 / 1_000_000.0
}
