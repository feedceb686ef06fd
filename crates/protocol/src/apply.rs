//! How an event changes a run. Total: whatever the ledger holds can be folded, so a restart always finds its runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::effect::{PUBLICATIONS_LANE, Publication};
use crate::event::Event;
use crate::finding::{Answer, Finding, FindingState};
use crate::ids::{
    BaseSha, FindingId, GateName, HeadSha, InstallationId, Money, ReviewerName, Round, RunId, Timestamp,
};
use crate::run::{
    AfterInspection, GateProgress, HandedIn, Phase, RequestState, ReviewProgress, ReviewRecord, Run,
    Unpublished, Validation,
};
use crate::signal::{Actor, IssueFacts, Spend};

/// How long a run may work before its policy was read, in milliseconds. Intake is a handful of requests.
pub const INTAKE_MS_MAX: u64 = 2 * 60 * 60 * 1000;

/// The run that an [`Event::Opened`] begins; none for any other event.
pub fn begin(event: &Event) -> Option<Run> {
    let Event::Opened { run, installation, by, issue, at } = event else { return None };
    Some(opened(*run, *installation, by, issue, *at))
}

/// A run that has just begun.
pub fn opened(
    run: RunId,
    installation: InstallationId,
    by: &Actor,
    issue: &IssueFacts,
    at: Timestamp,
) -> Run {
    Run {
        id: run,
        installation,
        labelled_by: by.clone(),
        issue: issue.clone(),
        opened_at: at,
        deadline: at.plus_ms(INTAKE_MS_MAX),
        policy: None,
        phase: Phase::Queued { then: AfterInspection::Create, last: None },
        paused: false,
        base: None,
        head: None,
        pull_request: None,
        round: Round::FIRST,
        attempt: 0,
        rounds_allowed: Round::FIRST,
        budget: Money::ZERO,
        budget_tokens: None,
        spent: Spend::default(),
        trees: BTreeSet::new(),
        examined: BTreeSet::new(),
        handed_in: None,
        findings: BTreeMap::new(),
        reviews: Vec::new(),
        feedback: Vec::new(),
        requests: BTreeMap::new(),
        unpublished: Vec::new(),
    }
}

/// Folds a ledger. None if it does not begin with [`Event::Opened`].
pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Option<Run> {
    let mut events = events.into_iter();
    let run = begin(events.next()?)?;
    Some(events.fold(run, apply))
}

/// The run after an event.
#[must_use]
#[expect(clippy::too_many_lines, reason = "one arm a fact: the whole ledger is read in one place")]
pub fn apply(mut run: Run, event: &Event) -> Run {
    match event {
        // A ledger has one beginning, which `begin` read. What a set-up did is told for people; no rule asks for it.
        Event::Opened { .. } | Event::SetUpRan { .. } => {}
        Event::Refused { reason } => run.phase = Phase::Refused { reason: *reason },
        Event::PolicyAdopted { policy, base } => {
            run.policy = Some((**policy).clone());
            run.base = Some(base.clone());
        }
        Event::WorkAdopted { head, pull_request } => {
            run.head.clone_from(head);
            run.pull_request.clone_from(pull_request);
        }
        Event::DeadlineSet { at } => run.deadline = *at,
        Event::BudgetSet { limit, tokens } => {
            run.budget = *limit;
            run.budget_tokens = *tokens;
        }
        Event::InspectionStarted { then } => {
            run.phase = Phase::Queued { then: *then, last: take_validation(&mut run) };
        }
        Event::RoundStarted { round, attempt, rounds_allowed } => {
            run.round = *round;
            run.attempt = *attempt;
            run.rounds_allowed = *rounds_allowed;
            run.phase = Phase::Creating { last: take_validation(&mut run) };
            for feedback in &mut run.feedback {
                feedback.told_in.get_or_insert(*round);
            }
        }
        Event::Pushed { round, head, base, tree, title, summary, answers, spend } => {
            add_spend(&mut run, *spend);
            run.head = Some(head.clone());
            run.base = Some(base.clone());
            run.trees.insert(tree.clone());
            run.handed_in = Some(HandedIn { round: *round, title: title.clone(), summary: summary.clone() });
            record_answers(&mut run, answers);
            run.phase = Phase::Opening { head: head.clone(), base: base.clone() };
        }
        Event::HeadTaken { head, base, .. } => {
            untell(&mut run);
            take_head(&mut run, head, base);
        }
        Event::PullRequestOpened { pull_request } => run.pull_request = Some(pull_request.clone()),
        Event::ValidationStarted { head, base, reviewers, gates } => {
            run.examined.extend(gates.iter().cloned());
            // Who is not asked again keeps what it said of this very head.
            let last = take_validation(&mut run).filter(|last| last.head == *head && last.base == *base);
            let mut reviews = last.map(|last| last.reviews).unwrap_or_default();
            let wanted = run.policy.as_ref().map(|policy| &policy.reviewers);
            reviews.retain(|name, _| wanted.is_some_and(|wanted| wanted.contains_key(name)));
            reviews.extend(reviewers.iter().map(|name| (name.clone(), ReviewProgress::Pending)));
            let gates = gates.iter().map(|name| (name.clone(), GateProgress::Pending)).collect();
            run.phase =
                Phase::Validating(Validation { head: head.clone(), base: base.clone(), reviews, gates });
        }
        Event::ReviewRecorded { reviewer, head, summary, raised, fixed, spend } => {
            add_spend(&mut run, *spend);
            record_findings(&mut run, head, raised, fixed);
            let record = |base| ReviewRecord {
                reviewer: reviewer.clone(),
                round: run.round,
                head: head.clone(),
                base,
                summary: summary.clone(),
                raised: raised.iter().map(|finding| finding.id.clone()).collect(),
                fixed: fixed.clone(),
            };
            if let Some(record) = run.base.clone().map(record) {
                run.reviews.push(record);
            }
            progress(&mut run, reviewer, ReviewProgress::Done);
        }
        Event::ReviewFailed { reviewer, detail, spend, .. } => {
            add_spend(&mut run, *spend);
            progress(&mut run, reviewer, ReviewProgress::Failed { detail: detail.clone() });
        }
        Event::ReviewsRestarted { reviewers } => {
            for reviewer in reviewers {
                progress(&mut run, reviewer, ReviewProgress::Pending);
            }
        }
        Event::GateStarted { gate, .. } => examine(&mut run, gate, GateProgress::Pending),
        Event::GateRecorded { gate, report, .. } => {
            examine(&mut run, gate, GateProgress::Reported(report.clone()));
        }
        Event::BecameReady { .. } => {
            if let Some(validation) = take_validation(&mut run) {
                run.phase = Phase::AwaitingHuman(validation);
            }
        }
        Event::ReadyWithdrawn { .. } => {
            if let Some(validation) = take_validation(&mut run) {
                run.phase = Phase::Validating(validation);
            }
        }
        Event::Halted { reason, detail, exhausted } => {
            // An open breaker holds all that a pause would, and is closed by a command of its own.
            run.paused = false;
            untell(&mut run);
            run.phase = Phase::Halted {
                reason: *reason,
                detail: detail.clone(),
                exhausted: *exhausted,
                last: take_validation(&mut run),
            };
        }
        Event::RequestReceived { id, request } => {
            run.requests.insert(*id, request.clone());
        }
        Event::RequestSettled { id, granted, answer } => {
            if let Some(request) = run.requests.get_mut(id) {
                let answer = answer.clone();
                request.state = if *granted {
                    RequestState::Granted { answer }
                } else {
                    RequestState::Refused { answer }
                };
            }
        }
        Event::FeedbackGiven { feedback } => run.feedback.push(feedback.clone()),
        Event::Spent { spend } | Event::VerdictVoided { spend, .. } => add_spend(&mut run, *spend),
        Event::Paused { .. } => run.paused = true,
        Event::Resumed { .. } => run.paused = false,
        Event::Merged { by, head } => {
            run.paused = false;
            run.phase = Phase::Merged { by: by.clone(), head: head.clone(), last: take_validation(&mut run) };
        }
        Event::Closed { closing, by } => {
            run.paused = false;
            run.phase = Phase::Closed { closing: *closing, by: by.clone(), last: take_validation(&mut run) };
        }
        Event::PublicationFailed { detail, publication } => {
            if let Some(publication) = publication {
                run.unpublished.retain(|missing| missing.publication.as_ref() != Some(publication));
                lack(&mut run, Some(publication.clone()), detail);
            }
        }
        Event::PublicationMade { publication } => {
            run.unpublished.retain(|missing| missing.publication.as_ref() != Some(publication));
        }
        Event::TaskUnreadable { lane, detail } => {
            if lane == PUBLICATIONS_LANE {
                lack(&mut run, None, detail);
            }
        }
    }
    run
}

/// Keeps what could not be shown. The status comment is where that is said, so its own failure is not: to say so would
/// be to fail again, without end (promise P4).
fn lack(run: &mut Run, publication: Option<Publication>, detail: &str) {
    if publication != Some(Publication::Status) {
        run.unpublished.push(Unpublished { publication, detail: detail.to_owned() });
    }
}

fn add_spend(run: &mut Run, spend: Spend) {
    run.spent.cost = run.spent.cost.plus(spend.cost);
    run.spent.usage = run.spent.usage.plus(spend.usage);
}

/// What was known of the last head, taken out of whatever phase the run leaves.
fn take_validation(run: &mut Run) -> Option<Validation> {
    match &mut run.phase {
        Phase::Validating(validation) | Phase::AwaitingHuman(validation) => Some(validation.clone()),
        Phase::Queued { last, .. }
        | Phase::Creating { last }
        | Phase::Halted { last, .. }
        | Phase::Merged { last, .. }
        | Phase::Closed { last, .. } => last.take(),
        Phase::Opening { .. } | Phase::Refused { .. } => None,
    }
}

/// Where a verdict is written down. What ended keeps what was known at its end.
fn validation_mut(run: &mut Run) -> Option<&mut Validation> {
    match &mut run.phase {
        Phase::Validating(validation) | Phase::AwaitingHuman(validation) => Some(validation),
        Phase::Queued { last, .. } | Phase::Creating { last } | Phase::Halted { last, .. } => last.as_mut(),
        Phase::Opening { .. } | Phase::Refused { .. } | Phase::Merged { .. } | Phase::Closed { .. } => None,
    }
}

fn progress(run: &mut Run, reviewer: &ReviewerName, progress: ReviewProgress) {
    if let Some(validation) = validation_mut(run) {
        validation.reviews.insert(reviewer.clone(), progress);
    }
}

fn examine(run: &mut Run, gate: &GateName, progress: GateProgress) {
    run.examined.insert(gate.clone());
    if let Some(validation) = validation_mut(run) {
        validation.gates.insert(gate.clone(), progress);
    }
}

/// A creator that does not come to hand in was told in vain: what people asked for is still to be told, and what holds
/// the pull request holds it again.
fn untell(run: &mut Run) {
    if matches!(run.phase, Phase::Creating { .. }) {
        let round = run.round;
        for feedback in run.feedback.iter_mut().filter(|feedback| feedback.told_in == Some(round)) {
            feedback.told_in = None;
        }
    }
}

fn take_head(run: &mut Run, head: &HeadSha, base: &BaseSha) {
    run.head = Some(head.clone());
    run.base = Some(base.clone());
    if let Phase::Opening { head: opening, base: against } = &mut run.phase {
        opening.clone_from(head);
        against.clone_from(base);
    }
}

fn record_answers(run: &mut Run, answers: &[Answer]) {
    for answer in answers {
        if let Some(finding) = run.findings.get_mut(&answer.finding) {
            finding.answer = Some(answer.clone());
        }
    }
}

fn record_findings(run: &mut Run, head: &HeadSha, raised: &[Finding], fixed: &[FindingId]) {
    for finding in raised {
        run.findings.insert(finding.id.clone(), finding.clone());
    }
    for id in fixed {
        if let Some(finding) = run.findings.get_mut(id) {
            finding.state = FindingState::Fixed { head: head.clone() };
        }
    }
}
