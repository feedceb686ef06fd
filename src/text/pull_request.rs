//! Title and body of the pull request.

use pairbot_protocol::run::{Phase, Run};

use super::blocks::{body, cost_table, folded, notices_for_everybody};
use super::checks::overview;
use super::findings::every;
use super::prose::prose;
use super::{RunFacts, budget, commit, phase};

/// How much of the creator's summary is shown.
const SUMMARY_BYTES_MAX: usize = 8000;
/// What GitHub shows of a title without breaking it.
const TITLE_CHARS_MAX: usize = 100;

/// The title. A squash merge makes it a commit's first line, so it is written like one.
pub fn pull_request_title(run: &Run) -> String {
    let handed_in = run.handed_in.as_ref().map(|handed_in| handed_in.title.as_str()).unwrap_or_default();
    [handed_in, &run.issue.title]
        .iter()
        .map(|title| commit::subject(title, TITLE_CHARS_MAX))
        .find(|title| !title.is_empty())
        .unwrap_or_else(|| format!("Work on issue {}", run.id.issue))
}

/// The body: what it closes, what was done, the evidence, what reviewers found and how it was settled, the cost.
pub fn pull_request_body(run: &Run, facts: &RunFacts) -> String {
    let done = match &run.handed_in {
        Some(handed_in) => prose(&handed_in.summary, SUMMARY_BYTES_MAX, &facts.home),
        None => String::new(),
    };
    let done =
        if done.is_empty() { "The creator left no summary; see the commits.".to_owned() } else { done };
    let evidence = evidence(run);
    let cost = folded(&format!("Cost: {}", budget::line(facts)), &cost_table(facts));
    body(&[
        format!("Closes #{}", run.id.issue),
        "## What was done".to_owned(),
        done,
        "## Evidence".to_owned(),
        evidence,
        "## What reviewers found".to_owned(),
        every(run),
        cost,
        notices_for_everybody(facts),
        footer(run, facts),
    ])
}

/// What the gates say of the last head. What ended before a head was examined has only what is on the commit.
fn evidence(run: &Run) -> String {
    let results = overview(run);
    match &run.phase {
        _ if !results.is_empty() => results,
        Phase::Merged { head, .. } => {
            format!("The check runs called `pairbot / …` on `{head}`, the commit that was merged.")
        }
        Phase::Closed { .. } | Phase::Refused { .. } => match &run.head {
            Some(head) => format!("The check runs called `pairbot / …` on `{head}`."),
            None => "Nothing was checked.".to_owned(),
        },
        Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Validating(_)
        | Phase::AwaitingHuman(_)
        | Phase::Halted { .. } => "Nothing has been checked yet.".to_owned(),
    }
}

fn footer(run: &Run, facts: &RunFacts) -> String {
    let details = facts.run_url.as_ref().map_or_else(String::new, |url| format!(" Details: {url}"));
    let state = match &run.phase {
        Phase::AwaitingHuman(_) => "A person decides: Pairbot never merges.".to_owned(),
        Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Validating(_)
        | Phase::Halted { .. }
        | Phase::Refused { .. }
        | Phase::Merged { .. }
        | Phase::Closed { .. } => format!("State: {}.", phase::headline(run)),
    };
    format!(
        "---\n{state} Round {}. Run `{}`, asked for by `{}`. Push to this branch, comment, or request changes: people \
         with write access are heard.{details}",
        run.round, run.id, run.labelled_by.login
    )
}
