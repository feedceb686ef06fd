//! The five promises, as far as one run can show them. Called by tests, by the model checker, by the simulation, and
//! by the engine of debug builds after every decision.

use crate::checks::{self, CheckState};
use crate::run::{Phase, ReviewProgress, Run};
use crate::signal::Verdict;

/// A promise that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{promise} does not hold for run {run}: {what}")]
pub struct Violation {
    /// `P1` to `P5`, as section 1 of the design numbers them.
    pub promise: &'static str,
    /// The run.
    pub run: String,
    /// What is wrong.
    pub what: String,
}

/// Whoever waits for a check of a run that rests would wait for ever.
fn check_at_rest(run: &Run) -> Result<(), Violation> {
    let Some(head) = run.head.as_ref().filter(|_| !run.phase.is_work()) else { return Ok(()) };
    for gate in checks::names(run) {
        if checks::view(run, &gate, head).state == CheckState::InProgress {
            return Err(Violation {
                promise: "P4",
                run: run.id.to_string(),
                what: format!("it rests, and the check `{gate}` would be in progress for ever"),
            });
        }
    }
    Ok(())
}

/// Looks at one run. The first promise found broken is returned.
pub fn check(run: &Run) -> Result<(), Violation> {
    let broken =
        |promise, what: &str| Err(Violation { promise, run: run.id.to_string(), what: what.to_owned() });
    if let Phase::AwaitingHuman(validation) = &run.phase {
        if run.head.as_ref() != Some(&validation.head) {
            return broken("P2", "it awaits a person on a head that is not its own");
        }
        if validation.reviews.values().any(|progress| *progress != ReviewProgress::Done) {
            return broken("P5", "it awaits a person without every review");
        }
        if !checks::holds_for_ready(run) {
            return broken("P5", "it awaits a person although not every rule holds");
        }
    }
    if let Some(head) = &run.head {
        for gate in checks::names(run) {
            let green = checks::view(run, &gate, head).state == CheckState::Success;
            let justified = match gate.as_str() {
                checks::READY => matches!(run.phase, Phase::AwaitingHuman(_)),
                checks::REVIEW => run.validation().is_some_and(|validation| {
                    validation.head == *head
                        && validation.reviews.values().all(|progress| *progress == ReviewProgress::Done)
                }),
                _ => run.validation().is_some_and(|validation| {
                    validation.head == *head
                        && matches!(
                            validation.gates.get(&gate),
                            Some(crate::run::GateProgress::Reported(report)) if report.verdict == Verdict::Green
                        )
                }),
            };
            if green && !justified {
                return broken("P5", &format!("the check `{gate}` would be green without a verdict"));
            }
        }
    }
    if run.paused && !run.phase.is_work() {
        return broken("P4", "it is paused although it does not work");
    }
    check_at_rest(run)?;
    if run.round > run.rounds_allowed {
        return broken("P4", "it is in a round beyond those allowed");
    }
    if run
        .findings
        .values()
        .any(|finding| !run.reviews.iter().any(|record| record.reviewer == finding.reviewer))
    {
        return broken("P1", "a finding has no review");
    }
    Ok(())
}
