//! Whether a run still waits for a piece of work: whoever would do it again must not do it in vain.

use crate::decide::is_awaited;
use crate::effect::Work;
use crate::run::{Halt, Phase, RequestState, Run};

/// Why nobody waits for a piece of work any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwanted {
    /// The run is over.
    Over,
    /// The breaker is open, and only a person with write access closes it (promise P4).
    Halted(Halt),
    /// A person paused the run.
    Paused,
    /// The run went on without it: its result would be void.
    WentOn,
}

/// Says why `run` does not wait for `work`, if it does not.
pub fn unwanted(run: &Run, work: &Work) -> Option<Unwanted> {
    if run.is_over() {
        return Some(Unwanted::Over);
    }
    let waits = match work {
        Work::Inspect { .. } => matches!(run.phase, Phase::Queued { .. }),
        Work::ReadPermission { request, .. } => {
            let pending = run.requests.get(request).is_some_and(|asked| asked.state == RequestState::Pending);
            return (!pending).then_some(Unwanted::WentOn);
        }
        Work::Create { round, attempt, .. } => {
            matches!(run.phase, Phase::Creating { .. }) && run.round == *round && run.attempt == *attempt
        }
        Work::OpenPullRequest { head } => {
            matches!(&run.phase, Phase::Opening { head: opening, .. } if opening == head)
        }
        Work::Review { reviewer, head, .. } => is_awaited(run, reviewer, head),
        Work::Gate { gate, head } => match &run.phase {
            Phase::Validating(validation) | Phase::AwaitingHuman(validation) => {
                let unsettled =
                    validation.gates.get(gate).is_some_and(crate::run::GateProgress::is_unsettled);
                validation.head == *head && unsettled
            }
            Phase::Queued { .. }
            | Phase::Creating { .. }
            | Phase::Opening { .. }
            | Phase::Halted { .. }
            | Phase::Refused { .. }
            | Phase::Merged { .. }
            | Phase::Closed { .. } => false,
        },
    };
    if let Phase::Halted { reason, .. } = &run.phase {
        Some(Unwanted::Halted(*reason))
    } else if !waits {
        Some(Unwanted::WentOn)
    } else if run.paused {
        Some(Unwanted::Paused)
    } else {
        None
    }
}
