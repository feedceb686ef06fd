//! The one status comment of a run, kept up to date in place.

use pairbot_protocol::checks;
use pairbot_protocol::ids::GateName;
use pairbot_protocol::run::{Phase, ReviewProgress, Run, Validation};

use super::blocks::{body, check_name, cost_table, counted, folded, notices_for_everybody, table};
use super::checks::word;
use super::findings::{every, holding};
use super::prose::cell;
use super::{RunFacts, answer, budget, halts, phase, unpublished};

/// The status comment: where the run is, what each reviewer and gate says of the present head, what is open, what it
/// cost, and what a person can do.
pub fn status_comment(run: &Run, facts: &RunFacts) -> String {
    let mut parts =
        vec![format!("### Pairbot: {}", phase::headline(run)), phase::next(run), halt_detail(run, facts)];
    parts.push(budget::warning(run, facts));
    if let Some(pull_request) = run.pull_request.as_ref() {
        parts.push(format!("Pull request: #{}", pull_request.number));
    }
    if let Some(validation) = run.validation() {
        parts.push(progress(run, validation));
    }
    let open = run.holding().count();
    if open > 0 {
        parts.push(format!("**{} open**\n\n{}", counted(open, "finding"), holding(run)));
    }
    parts.push(unpublished::part(run));
    parts.push(notices_for_everybody(facts));
    if !run.findings.is_empty() {
        let title = format!("All findings ({})", run.findings.len());
        parts.push(folded(&title, &every(run)));
    }
    parts.push(budget::forecast(run, facts));
    parts.push(folded(&format!("Cost: {}", budget::line(facts)), &cost_table(facts)));
    parts.push(folded("Commands", &answer::commands()));
    parts.push(folded("About this run", &about(run, facts)));
    body(&parts)
}

fn halt_detail(run: &Run, facts: &RunFacts) -> String {
    match &run.phase {
        Phase::Halted { reason, detail, .. } => halts::detail(*reason, detail, &facts.home),
        Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Validating(_)
        | Phase::AwaitingHuman(_)
        | Phase::Refused { .. }
        | Phase::Merged { .. }
        | Phase::Closed { .. } => String::new(),
    }
}

/// What is known of the head.
fn progress(run: &Run, validation: &Validation) -> String {
    let reviewers = validation.reviews.iter().map(|(name, progress)| {
        let said = match progress {
            ReviewProgress::Pending if run.phase.is_work() => "is reading".to_owned(),
            ReviewProgress::Pending => "did not hand in".to_owned(),
            ReviewProgress::Done => {
                let open = run.holding().filter(|finding| finding.reviewer == *name).count();
                if open == 0 {
                    "nothing open".to_owned()
                } else {
                    format!("{} open", counted(open, "finding"))
                }
            }
            ReviewProgress::Failed { detail } => format!("failed: {}", cell(detail, 160)),
        };
        vec![format!("reviewer `{name}`"), said]
    });
    let gates = validation.gates.keys().map(|name| vec![check_name(name), gate(run, name, validation)]);
    let rows: Vec<Vec<String>> = reviewers.chain(gates).collect();
    let of = format!("`{}`", validation.head.short());
    table(&[&format!("on {of}"), "says"], &rows)
}

/// What a gate says of a head, in a cell.
pub(super) fn gate(run: &Run, name: &GateName, validation: &Validation) -> String {
    word(&checks::found(run, name, validation))
}

fn about(run: &Run, facts: &RunFacts) -> String {
    let mut rows = vec![
        vec!["branch".to_owned(), format!("`{}`", run.id.branch())],
        vec!["started by".to_owned(), format!("`{}`", run.labelled_by.login)],
    ];
    if let Some(head) = &run.head {
        rows.push(vec!["head".to_owned(), format!("`{head}`")]);
    }
    if let Some(base) = &run.base {
        rows.push(vec!["compared with".to_owned(), format!("`{base}`")]);
    }
    if let Some(policy) = &run.policy {
        let tokens = policy.run_tokens.map_or_else(String::new, |tokens| format!(" and {tokens}"));
        let limits = format!(
            "{} rounds, {}{tokens} a run, {} of work",
            policy.rounds_max,
            policy.run_budget,
            crate::policy::duration(policy.run_ms_max)
        );
        rows.push(vec!["policy".to_owned(), limits]);
    }
    if let Some(url) = &facts.run_url {
        rows.push(vec!["details".to_owned(), url.replace('|', "%7C")]);
    }
    // A table must have a header: a row of it is better than an empty one.
    table(&["run", &format!("`{}`", run.id)], &rows)
}
