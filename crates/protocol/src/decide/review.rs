//! What reviewers hand in, and the written rules of section 5 that bind them.

use super::plan::Plan;
use super::{create, settle};
use crate::effect::StoreChange;
use crate::event::Event;
use crate::finding::{Finding, FindingState, Remark, Standing, Verification};
use crate::ids::{FindingId, HeadSha, ReviewerName};
use crate::run::{Phase, ReviewProgress, Run};
use crate::signal::{Failure, ReviewOutcome, Spend};

pub(super) fn reviewed(
    plan: &mut Plan,
    reviewer: &ReviewerName,
    head: &HeadSha,
    outcome: &ReviewOutcome,
    spend: Spend,
) {
    if !is_awaited(&plan.run, reviewer, head) {
        plan.record(Event::VerdictVoided { of: format!("reviewer {reviewer}"), head: head.clone(), spend });
        return;
    }
    match outcome {
        ReviewOutcome::Submitted { summary, remarks, verified } => {
            let raised = raise(&plan.run, reviewer, head, remarks);
            let fixed = seen_fixed(&plan.run, reviewer, verified);
            plan.record(Event::ReviewRecorded {
                reviewer: reviewer.clone(),
                head: head.clone(),
                summary: summary.clone(),
                raised,
                fixed,
                spend,
            });
            settle::settle(plan);
        }
        ReviewOutcome::Failed { failure, detail } => {
            failed(plan, reviewer, head, *failure, detail, spend);
        }
    }
}

pub(super) fn failed(
    plan: &mut Plan,
    reviewer: &ReviewerName,
    head: &HeadSha,
    failure: Failure,
    detail: &str,
    spend: Spend,
) {
    plan.record(Event::ReviewFailed {
        reviewer: reviewer.clone(),
        head: head.clone(),
        detail: detail.to_owned(),
        spend,
    });
    match failure {
        // Who has no money cannot be waited for: the others would only spend what is left.
        Failure::Budget | Failure::Exhausted(_) => settle::fail(plan, failure, detail),
        Failure::Agent | Failure::Time | Failure::Permission | Failure::Conflict => settle::settle(plan),
    }
}

/// Whether a review of this head is what the run waits for.
pub(crate) fn is_awaited(run: &Run, reviewer: &ReviewerName, head: &HeadSha) -> bool {
    let Phase::Validating(validation) = &run.phase else { return false };
    validation.head == *head && validation.reviews.get(reviewer) == Some(&ReviewProgress::Pending)
}

/// A review was not posted because GitHub showed another head: that head is in question now.
pub(super) fn withheld(plan: &mut Plan, reviewer: &ReviewerName, head: &HeadSha, actual: Option<&HeadSha>) {
    plan.record(Event::VerdictVoided {
        of: format!("reviewer {reviewer}"),
        head: head.clone(),
        spend: Spend::default(),
    });
    let (Some(actual), Some(base)) = (actual, plan.run.base.clone()) else { return };
    // While a creator works, the other head may be the one it just pushed: its result tells, and if it was a stranger's,
    // the push is refused and that is the result. Taken here, the round would be undone, and what a person asked for
    // would be told again in a new one, for ever (promise P4).
    let creator_tells = matches!(plan.run.phase, Phase::Creating { .. }) && !plan.run.paused;
    if plan.run.head.as_ref() == Some(head) && actual != head && !creator_tells {
        create::take_head(plan, None, actual, &base);
    }
}

/// Turns remarks into findings. After a reviewer's first look, what it says of lines that did not change holds
/// nothing (rule 2), and what it already said is not said again (rule 5).
fn raise(run: &Run, reviewer: &ReviewerName, head: &HeadSha, remarks: &[Remark]) -> Vec<Finding> {
    let first_look = !run.reviews.iter().any(|record| record.reviewer == *reviewer);
    let repeats = |remark: &Remark| {
        run.findings.values().any(|finding| {
            finding.reviewer == *reviewer
                && finding.state == FindingState::Open
                && finding.remark.title == remark.title
                && finding.remark.place.as_ref().map(|place| &place.path)
                    == remark.place.as_ref().map(|place| &place.path)
        })
    };
    let mut raised: Vec<Finding> = Vec::new();
    for remark in remarks.iter().filter(|remark| !repeats(remark)) {
        let Some(id) = finding_id(run, reviewer, raised.len()) else { break };
        let changed = remark.place.as_ref().is_some_and(|place| place.standing == Standing::Changed);
        let state = if first_look || changed { FindingState::Open } else { FindingState::FollowUp };
        raised.push(Finding {
            id,
            reviewer: reviewer.clone(),
            round: run.round,
            head: head.clone(),
            remark: remark.clone(),
            state,
            answer: None,
        });
    }
    raised
}

/// `<reviewer>-<round>-<position>`: a reviewer that reads twice in one round counts on.
fn finding_id(run: &Run, reviewer: &ReviewerName, position: usize) -> Option<FindingId> {
    let earlier = run
        .findings
        .values()
        .filter(|finding| finding.reviewer == *reviewer && finding.round == run.round)
        .count();
    format!("{reviewer}-{}-{}", run.round, earlier + position + 1).parse().ok()
}

/// Only who raised a finding may call it fixed.
fn seen_fixed(run: &Run, reviewer: &ReviewerName, verified: &[Verification]) -> Vec<FindingId> {
    let is_own = |id: &FindingId| {
        run.findings
            .get(id)
            .is_some_and(|finding| finding.reviewer == *reviewer && finding.state == FindingState::Open)
    };
    let mut fixed: Vec<FindingId> = verified
        .iter()
        .filter(|verification| verification.fixed && is_own(&verification.finding))
        .map(|verification| verification.finding.clone())
        .collect();
    fixed.sort();
    fixed.dedup();
    fixed
}

/// Asks reviewers again about the present head. Whether there was one to ask.
pub(super) fn restart(plan: &mut Plan, which: impl Fn(&ReviewProgress) -> bool) -> bool {
    let Some(validation) = plan.run.validation().cloned() else { return false };
    let reviewers: Vec<ReviewerName> = validation
        .reviews
        .iter()
        .filter(|(_, progress)| which(progress))
        .map(|(name, _)| name.clone())
        .collect();
    if reviewers.is_empty() {
        return false;
    }
    plan.record(Event::ReviewsRestarted { reviewers: reviewers.clone() });
    let round = plan.run.round;
    for reviewer in reviewers {
        super::gate::read(plan, reviewer, round, &validation.head);
    }
    true
}

/// Withdraws all work of the run, in the transaction of the decision.
pub(super) fn cancel_work(plan: &mut Plan) {
    plan.change(StoreChange::CancelWork);
}
