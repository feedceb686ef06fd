//! How a task can end. What a worker looks at before it begins is what the server's workers look at.

use pairbot_protocol::budget::{Exhausted, Measure};
use pairbot_protocol::effect::Work;
use pairbot_protocol::finding::{FindingState, Place, Remark, Severity, Standing, Verification};
use pairbot_protocol::ids::{FindingId, HeadSha, Money, PullRequestNumber, ReviewerName, Usage};
use pairbot_protocol::run::{Phase, ReviewProgress, Run};
use pairbot_protocol::signal::{
    CreateOutcome, Failure, GateReport, Inspection, PullRequestFacts, ReviewOutcome, Signal, Spend, Verdict,
    WorkKind,
};

use crate::names::{self, Commit, Gate, Rules, Who, report};
use crate::world::{COST, Issue, Pull, Seen};

/// What can go wrong, and what is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chances {
    /// Agents and tasks fail for good.
    pub(crate) failures: bool,
    /// Reviewers find something.
    pub(crate) findings: bool,
    /// Gates are red.
    pub(crate) red: bool,
}

/// One way in which a task ends.
pub(crate) struct Ending {
    pub(crate) signal: Signal,
    /// What was really seen on the way.
    pub(crate) seen: Vec<Seen>,
}

/// Whether a worker begins at all, or puts the task away because nobody waits for it.
pub(crate) fn wanted(run: &Run, work: &Work) -> bool {
    match work {
        Work::Inspect { .. } | Work::ReadPermission { .. } | Work::OpenPullRequest { .. } => true,
        Work::Create { round, attempt, .. } => {
            matches!(run.phase, Phase::Creating { .. }) && (run.round, run.attempt) == (*round, *attempt)
        }
        Work::Review { reviewer, head, .. } => {
            let Phase::Validating(validation) = &run.phase else { return false };
            validation.head == *head && validation.reviews.get(reviewer) == Some(&ReviewProgress::Pending)
        }
        Work::Gate { gate, head } => {
            run.validation().is_some_and(|validation| validation.head == *head)
                && run.policy.as_ref().is_some_and(|policy| policy.gates.contains_key(gate))
        }
    }
}

/// Whether the task costs money.
pub(crate) fn is_paid(work: &Work) -> bool {
    match work {
        Work::Create { .. } | Work::Review { .. } => true,
        Work::Inspect { .. }
        | Work::ReadPermission { .. }
        | Work::OpenPullRequest { .. }
        | Work::Gate { .. } => false,
    }
}

/// The commit that a creator makes: a function of its task.
pub(crate) fn commit_of(run: &Run, work: &Work) -> Option<(Commit, Option<Commit>)> {
    let Work::Create { round, attempt, onto } = work else { return None };
    let issue = names::issue_of(run.id);
    let commit = Commit::of_creator(issue, run.id.ordinal, *round, *attempt);
    Some((commit, onto.as_ref().map(Commit::of_head)))
}

fn spend(rules: Rules) -> Spend {
    let cost = if rules.budget.is_some() { COST } else { 0 };
    Spend { cost: Money::from_microdollars(cost), usage: Usage::default() }
}

fn plain(signal: Signal) -> Ending {
    Ending { signal, seen: Vec::new() }
}

fn given_up(work: WorkKind) -> Ending {
    plain(Signal::TaskFailed { work, failure: Failure::Agent, detail: "it broke".to_owned() })
}

/// The task that found no money for its first call.
pub(crate) fn broke(work: &Work) -> Option<Ending> {
    let exhausted = Exhausted::Run { measure: Measure::Money };
    let (failure, detail) = (Failure::Exhausted(exhausted), "no money".to_owned());
    let spend = Spend::default();
    match work {
        Work::Create { round, attempt, .. } => {
            let outcome = CreateOutcome::Failed { failure, detail };
            Some(plain(Signal::Created { round: *round, attempt: *attempt, outcome, spend }))
        }
        Work::Review { reviewer, head, .. } => {
            let outcome = ReviewOutcome::Failed { failure, detail };
            Some(plain(Signal::Reviewed { reviewer: reviewer.clone(), head: head.clone(), outcome, spend }))
        }
        Work::Inspect { .. }
        | Work::ReadPermission { .. }
        | Work::OpenPullRequest { .. }
        | Work::Gate { .. } => None,
    }
}

/// What the creator says once its commit is on the branch.
pub(crate) fn pushed(rules: Rules, work: &Work, commit: Commit, base: u8) -> Option<Ending> {
    let Work::Create { round, attempt, .. } = work else { return None };
    let outcome = CreateOutcome::Pushed {
        head: commit.head(),
        base: names::base(base),
        tree: commit.tree(),
        title: "t".to_owned(),
        summary: "s".to_owned(),
        answers: Vec::new(),
    };
    Some(plain(Signal::Created { round: *round, attempt: *attempt, outcome, spend: spend(rules) }))
}

/// All ways in which a task can end that touch nothing on GitHub. Opening a pull request and pushing are not among them.
pub(crate) fn endings(
    run: &Run,
    issue: &Issue,
    work: &Work,
    base: u8,
    rules: Rules,
    chances: Chances,
) -> Vec<Ending> {
    let mut ends = Vec::new();
    match work {
        Work::Inspect { by } => {
            ends.push(plain(Signal::Inspected(inspection(issue, base, rules, Who::of(by)))));
            if chances.failures {
                let problems = vec!["line 1".to_owned()];
                ends.push(plain(Signal::Inspected(Inspection::PolicyInvalid { problems })));
                ends.push(given_up(WorkKind::Inspect));
            }
        }
        Work::ReadPermission { request, of } => {
            let permission = Who::of(of).permission();
            ends.push(plain(Signal::PermissionRead { request: *request, permission }));
            if chances.failures {
                ends.push(given_up(WorkKind::ReadPermission { request: *request }));
            }
        }
        Work::Create { round, attempt, onto } => {
            let mut end = |outcome| {
                let (round, attempt, spend) = (*round, *attempt, spend(rules));
                ends.push(plain(Signal::Created { round, attempt, outcome, spend }));
            };
            if issue.branch != onto.as_ref().map(Commit::of_head) {
                end(CreateOutcome::HeadMoved { actual: issue.branch.map(Commit::head) });
            }
            if chances.failures {
                end(CreateOutcome::NoProgress);
                end(CreateOutcome::Failed { failure: Failure::Agent, detail: "it broke".to_owned() });
            }
        }
        Work::OpenPullRequest { .. } => {
            if chances.failures {
                ends.push(given_up(WorkKind::OpenPullRequest));
            }
        }
        Work::Review { reviewer, head, .. } => ends = readings(run, reviewer, head, rules, chances),
        Work::Gate { gate, head } => {
            let number = names::gate(gate);
            let commit = Commit::of_head(head);
            for report in reports(rules, chances) {
                let green = (report.verdict == Verdict::Green).then_some(Seen::Green(number, commit));
                let seen = [Seen::Examined(number, commit)].into_iter().chain(green).collect();
                let signal = Signal::GateReported { gate: gate.clone(), head: head.clone(), report };
                ends.push(Ending { signal, seen });
            }
            if chances.failures {
                let mut failed = given_up(WorkKind::Gate { gate: gate.clone(), head: head.clone() });
                failed.seen = vec![Seen::Examined(number, commit)];
                ends.push(failed);
            }
        }
    }
    ends
}

fn inspection(issue: &Issue, base: u8, rules: Rules, by: Who) -> Inspection {
    if !issue.open || !issue.labelled {
        return Inspection::Gone;
    }
    let open = issue.pull.as_ref().filter(|pull| pull.open);
    Inspection::Fit {
        permission: by.permission(),
        policy: Box::new(rules.policy()),
        base: names::base(base),
        branch_head: issue.branch.map(Commit::head),
        pull_request: open.map(facts),
    }
}

/// What is known of a pull request. Its numbers are those of other issues never.
pub(crate) fn facts(pull: &Pull) -> PullRequestFacts {
    let number = PullRequestNumber(u64::from(pull.number));
    PullRequestFacts { number, node_id: format!("PR_{number}"), draft: pull.draft }
}

fn reports(rules: Rules, chances: Chances) -> Vec<GateReport> {
    let waits = matches!(rules.gate, Gate::Ci | Gate::ObservedCi);
    let verdicts = [(Verdict::Green, true), (Verdict::Red, chances.red), (Verdict::Waiting, waits)];
    verdicts.into_iter().filter(|(_, can)| *can).map(|(verdict, _)| report(verdict)).collect()
}

/// A reviewer approves and sees all it found fixed; or finds something; or finds it not fixed; or fails.
fn readings(
    run: &Run,
    reviewer: &ReviewerName,
    head: &HeadSha,
    rules: Rules,
    chances: Chances,
) -> Vec<Ending> {
    let open: Vec<FindingId> = run
        .findings
        .values()
        .filter(|finding| finding.reviewer == *reviewer && finding.state == FindingState::Open)
        .map(|finding| finding.id.clone())
        .collect();
    let verified = |fixed| {
        let verify =
            |finding: &FindingId| Verification { finding: finding.clone(), fixed, reason: String::new() };
        open.iter().map(verify).collect::<Vec<_>>()
    };
    let submitted =
        |remarks, verified| ReviewOutcome::Submitted { summary: "read".to_owned(), remarks, verified };
    let mut outcomes = vec![submitted(Vec::new(), verified(true))];
    if chances.findings {
        let remarks = if open.is_empty() { vec![remark()] } else { Vec::new() };
        outcomes.push(submitted(remarks, verified(false)));
    }
    let read = Seen::Read(names::reviewer(reviewer), Commit::of_head(head));
    let told = |outcome| Signal::Reviewed {
        reviewer: reviewer.clone(),
        head: head.clone(),
        outcome,
        spend: spend(rules),
    };
    let mut ends: Vec<Ending> =
        outcomes.into_iter().map(|outcome| Ending { signal: told(outcome), seen: vec![read] }).collect();
    if chances.failures {
        let failed = ReviewOutcome::Failed { failure: Failure::Agent, detail: "it broke".to_owned() };
        ends.push(plain(told(failed)));
    }
    ends
}

fn remark() -> Remark {
    Remark {
        severity: Severity::Blocking,
        place: Some(Place { path: "a.rs".to_owned(), line: Some(3), standing: Standing::Changed }),
        title: "wrong".to_owned(),
        body: String::new(),
        suggestion: None,
    }
}
