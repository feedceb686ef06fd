//! Reviews and gates of one head begin here; gates report here.

use std::collections::BTreeSet;

use super::plan::Plan;
use super::settle;
use crate::effect::{StoreChange, Work};
use crate::event::Event;
use crate::ids::{BaseSha, GateName, HeadSha, ReviewerName, Round};
use crate::policy::{CiRule, GateKind};
use crate::run::{GateProgress, Phase, ReviewProgress, Run};
use crate::signal::{GateReport, Timer, Verdict};

/// Starts reviews and gates of a head (promise P2: whatever was known of another head counts no more).
pub(super) fn start_validation(plan: &mut Plan, head: &HeadSha, base: &BaseSha) {
    validate(plan, head, base, &BTreeSet::new());
}

/// The same, but for reviewers that have read this head on this base, of those that may be spared. Gates cost nothing
/// and may be under other rules by now: all are examined.
pub(super) fn complete_validation(
    plan: &mut Plan,
    head: &HeadSha,
    base: &BaseSha,
    spared: &BTreeSet<ReviewerName>,
) {
    let last = plan.run.validation().filter(|last| last.head == *head && last.base == *base);
    let done = last.into_iter().flat_map(|last| &last.reviews);
    let done = done.filter(|(name, progress)| spared.contains(*name) && **progress == ReviewProgress::Done);
    let done = done.map(|(name, _)| name.clone()).collect();
    validate(plan, head, base, &done);
}

fn validate(plan: &mut Plan, head: &HeadSha, base: &BaseSha, done: &BTreeSet<ReviewerName>) {
    let Some(policy) = plan.run.policy.clone() else { return };
    let gates: Vec<GateName> = policy
        .gates
        .iter()
        .filter(|(name, kind)| {
            let observed = matches!(kind, GateKind::Ci { rule: CiRule::Observed, .. });
            !observed || plan.run.examined.contains(*name)
        })
        .map(|(name, _)| name.clone())
        .collect();
    let reviewers: Vec<ReviewerName> =
        policy.reviewers.keys().filter(|name| !done.contains(*name)).cloned().collect();
    plan.record(Event::ValidationStarted {
        head: head.clone(),
        base: base.clone(),
        reviewers: reviewers.clone(),
        gates: gates.clone(),
    });
    for gate in gates {
        examine(plan, gate, head);
    }
    let round = plan.run.round;
    for reviewer in reviewers {
        read(plan, reviewer, round, head);
    }
    look_at_others(plan, head);
}

/// Other apps may have reported on this head before the run listened, while its pull request was being opened. Where
/// the policy only observes and nobody has reported yet, the gate does not exist, so it is looked for without a claim;
/// see [`looked_at_others`].
pub(super) fn look_at_others(plan: &mut Plan, head: &HeadSha) {
    let Some(gate) = ci_gate(plan) else { return };
    if !examines(&plan.run, &gate, head) {
        plan.start(Work::Gate { gate, head: head.clone() });
    }
}

/// Whether the gate is one of those examined on this head.
fn examines(run: &Run, gate: &GateName, head: &HeadSha) -> bool {
    run.validation().is_some_and(|validation| validation.head == *head && validation.gates.contains_key(gate))
}

/// Lets a gate be examined on a head.
pub(super) fn examine(plan: &mut Plan, gate: GateName, head: &HeadSha) {
    start_waiting(plan, &gate, head);
    plan.start(Work::Gate { gate, head: head.clone() });
}

fn start_waiting(plan: &mut Plan, gate: &GateName, head: &HeadSha) {
    if let Some(timeout_ms) = ci_timeout_ms(plan, gate) {
        let at = plan.now.plus_ms(timeout_ms);
        plan.change(StoreChange::StartTimer { timer: Timer::CiWait { head: head.clone() }, at });
    }
}

/// Lets a reviewer read a head.
pub(super) fn read(plan: &mut Plan, reviewer: ReviewerName, round: Round, head: &HeadSha) {
    plan.start(Work::Review { reviewer, round, head: head.clone() });
}

fn ci_timeout_ms(plan: &Plan, gate: &GateName) -> Option<u64> {
    match plan.run.policy.as_ref()?.gates.get(gate)? {
        GateKind::Ci { timeout_ms, .. } => Some(*timeout_ms),
        GateKind::Size { .. } | GateKind::Paths { .. } | GateKind::Command { .. } => None,
    }
}

/// Examines gates of the present head again, those named or all.
pub(super) fn restart_gates(plan: &mut Plan, only: Option<&GateName>) {
    let Some(validation) = plan.run.validation().cloned() else { return };
    let gates = validation.gates.keys().filter(|gate| only.is_none_or(|only| only == *gate));
    for gate in gates.cloned().collect::<Vec<_>>() {
        plan.record(Event::GateStarted { gate: gate.clone(), head: validation.head.clone() });
        examine(plan, gate, &validation.head);
    }
    if only.is_none() {
        look_at_others(plan, &validation.head);
    }
}

pub(super) fn reported(plan: &mut Plan, gate: &GateName, head: &HeadSha, report: &GateReport) {
    let in_question = match &plan.run.phase {
        Phase::Validating(validation) | Phase::AwaitingHuman(validation) => validation.head == *head,
        Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Halted { .. }
        | Phase::Refused { .. }
        | Phase::Merged { .. }
        | Phase::Closed { .. } => false,
    };
    if in_question && !examines(&plan.run, gate, head) && ci_gate(plan).as_ref() == Some(gate) {
        return looked_at_others(plan, gate, head, report);
    }
    if !in_question || !examines(&plan.run, gate, head) {
        plan.record(Event::VerdictVoided {
            of: format!("gate {gate}"),
            head: head.clone(),
            spend: crate::signal::Spend::default(),
        });
        return;
    }
    if report.verdict == Verdict::Waiting && !waits(&plan.run, gate) {
        // Its time may have run out while it was examined, and what waits without a timer waits for ever (promise P4).
        start_waiting(plan, gate, head);
    }
    plan.record(Event::GateRecorded { gate: gate.clone(), head: head.clone(), report: report.clone() });
    settle::settle(plan);
}

/// Whether the gate has not come to a verdict on the present head.
fn waits(run: &Run, gate: &GateName) -> bool {
    run.validation().and_then(|validation| validation.gates.get(gate)).is_some_and(GateProgress::is_unsettled)
}

/// Another app reported on a head: the `ci` gate looks at all of them again. Where the policy only observes, this is
/// the moment the gate comes into being for this head.
pub(super) fn foreign_check_changed(plan: &mut Plan, head: &HeadSha) {
    let Some(gate) = ci_gate(plan) else { return };
    let (Phase::Validating(validation) | Phase::AwaitingHuman(validation)) = &plan.run.phase else { return };
    if validation.head != *head {
        return;
    }
    let settled = validation.gates.get(&gate).is_some_and(|progress| !progress.is_unsettled());
    let examined = validation.gates.contains_key(&gate);
    if examined && !plan.run.paused {
        if settled {
            // It may wait from here, and its time began before it settled.
            start_waiting(plan, &gate, head);
        }
        plan.start(Work::Gate { gate, head: head.clone() });
    } else {
        // A paused run looks when it resumes, so what it knew until now must not count any more.
        plan.record(Event::GateStarted { gate: gate.clone(), head: head.clone() });
        examine(plan, gate, head);
        settle::settle(plan);
    }
}

/// What an unasked look at the other apps came to. That nothing is wrong is not claimed: it may be that nothing has
/// reported. Anything else brings the gate into being, and `ready` waits for it.
fn looked_at_others(plan: &mut Plan, gate: &GateName, head: &HeadSha, report: &GateReport) {
    match report.verdict {
        Verdict::Green => {}
        Verdict::Red | Verdict::Unknown | Verdict::Waiting => {
            start_waiting(plan, gate, head);
            plan.record(Event::GateRecorded {
                gate: gate.clone(),
                head: head.clone(),
                report: report.clone(),
            });
            settle::settle(plan);
        }
    }
}

fn ci_gate(plan: &Plan) -> Option<GateName> {
    let gates = &plan.run.policy.as_ref()?.gates;
    gates.iter().find(|(_, kind)| matches!(kind, GateKind::Ci { .. })).map(|(name, _)| name.clone())
}

/// The `ci` gate has waited as long as it may: what did not report is unknown, which a person must look at.
pub(super) fn waited_enough(plan: &mut Plan, head: &HeadSha) {
    let Some(gate) = ci_gate(plan) else { return };
    let (Phase::Validating(validation) | Phase::AwaitingHuman(validation)) = &plan.run.phase else { return };
    let waits = validation.head == *head && crate::checks::unsettled_gates(validation).contains(&gate);
    if !waits || plan.run.paused {
        return;
    }
    let report = GateReport {
        verdict: Verdict::Unknown,
        title: "Other checks did not finish in time".to_owned(),
        summary: "Not every check that this gate waits for has reported on this commit within the time that the policy \
                  allows. See why they did not run, then press Re-run here."
            .to_owned(),
        detail: String::new(),
        annotations: Vec::new(),
    };
    plan.record(Event::GateRecorded { gate, head: head.clone(), report });
    settle::settle(plan);
}
