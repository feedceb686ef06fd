//! When a head has been read and examined: is it ready, is there another round, or does the breaker open?

use super::plan::Plan;
use super::{create, intake, review};
use crate::budget::Exhausted;
use crate::checks;
use crate::event::Event;
use crate::run::{Feedback, GateProgress, Halt, Phase, ReviewProgress, Validation};
use crate::signal::{Failure, Verdict};

/// Opens the breaker. Only a person with write access closes it again (promise P4).
pub(super) fn halt(plan: &mut Plan, reason: Halt, detail: &str) {
    open_breaker(plan, reason, detail, None);
}

/// Opens the breaker because a task of an agent, or what it needs, failed.
pub(super) fn fail(plan: &mut Plan, failure: Failure, detail: &str) {
    let (reason, exhausted) = match failure {
        Failure::Agent => (Halt::AgentFailed, None),
        Failure::Budget => (Halt::BudgetExhausted, None),
        Failure::Exhausted(exhausted) => (Halt::BudgetExhausted, Some(exhausted)),
        Failure::Time => (Halt::TimedOut, None),
        Failure::Permission => (Halt::PermissionMissing, None),
        Failure::Conflict => (Halt::MergeConflict, None),
    };
    open_breaker(plan, reason, detail, exhausted);
}

fn open_breaker(plan: &mut Plan, reason: Halt, detail: &str, exhausted: Option<Exhausted>) {
    review::cancel_work(plan);
    plan.record(Event::Halted { reason, detail: detail.to_owned(), exhausted });
}

/// Looks at what is known of the present head and goes on if everything is in.
pub(super) fn settle(plan: &mut Plan) {
    if plan.run.paused {
        return;
    }
    match plan.run.phase.clone() {
        Phase::AwaitingHuman(validation) => {
            if !checks::holds_for_ready(&plan.run) {
                plan.record(Event::ReadyWithdrawn { head: validation.head.clone() });
                intake::renew_deadline(plan);
                conclude(plan, &validation);
            }
        }
        Phase::Validating(validation) => conclude(plan, &validation),
        Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Halted { .. }
        | Phase::Refused { .. }
        | Phase::Merged { .. }
        | Phase::Closed { .. } => {}
    }
}

fn conclude(plan: &mut Plan, validation: &Validation) {
    let reading = validation.reviews.values().any(|progress| *progress == ReviewProgress::Pending);
    if reading || !checks::unsettled_gates(validation).is_empty() {
        return;
    }
    let failed: Vec<String> = validation
        .reviews
        .iter()
        .filter_map(|(name, progress)| match progress {
            ReviewProgress::Failed { detail } => Some(format!("{name}: {detail}")),
            ReviewProgress::Pending | ReviewProgress::Done => None,
        })
        .collect();
    if !failed.is_empty() {
        return halt(plan, Halt::AgentFailed, &failed.join("\n"));
    }
    let unknown = gates_with(validation, Verdict::Unknown);
    if !unknown.is_empty() {
        return halt(plan, Halt::GateFailing, &format!("Could not be examined: {}", unknown.join(", ")));
    }
    if checks::holds_for_ready(&plan.run) {
        return plan.record(Event::BecameReady { head: validation.head.clone() });
    }
    let red = gates_with(validation, Verdict::Red);
    let asked_by_person = plan.run.feedback.iter().any(Feedback::holds);
    if asked_by_person && plan.run.round >= plan.run.rounds_allowed {
        create::start_asked_round(plan);
    } else if plan.run.round < plan.run.rounds_allowed {
        create::start_next_round(plan);
    } else if plan.run.holding().next().is_some() {
        halt(
            plan,
            Halt::RoundsExhausted,
            "Findings are still open after the last round that the policy allows.",
        );
    } else {
        halt(plan, Halt::GateFailing, &format!("Still red after the last round: {}", red.join(", ")));
    }
}

fn gates_with(validation: &Validation, verdict: Verdict) -> Vec<String> {
    let has = |progress: &GateProgress| match progress {
        GateProgress::Pending => false,
        GateProgress::Reported(report) => report.verdict == verdict,
    };
    validation.gates.iter().filter(|(_, progress)| has(progress)).map(|(name, _)| name.to_string()).collect()
}
