//! What follows from a signal: `(run, signal, now) -> events, effects`. Dispatch only; the rules are one phase a file.
//!
//! The rules of a repository are part of the run, adopted by an event, so that a ledger explains itself without the
//! policy file that was in force when it was written.

mod create;
mod gate;
mod human;
mod intake;
mod plan;
mod recover;
mod review;
mod settle;

pub use plan::Decision;
use plan::Plan;
pub(crate) use review::is_awaited;

use crate::ids::{InstallationId, RunId, Timestamp};
use crate::run::Run;
use crate::signal::{Actor, IssueFacts, Signal};

/// Begins a run: the label was set and no run of the issue is open.
pub fn open(
    run: RunId,
    installation: InstallationId,
    by: &Actor,
    issue: &IssueFacts,
    now: Timestamp,
) -> Decision {
    intake::open(run, installation, by, issue, now)
}

/// Decides what follows from `signal` for `run`. A signal that changes nothing yields an empty decision.
pub fn decide(run: &Run, signal: &Signal, now: Timestamp) -> Decision {
    let mut plan = Plan::of(run, now);
    match signal {
        // The run exists: the label was set again, or told again. There is nothing to begin.
        Signal::LabelSet { .. } => {}
        Signal::LabelRemoved { by } => human::label_removed(&mut plan, by),
        Signal::IssueClosed { by } => human::issue_closed(&mut plan, by),
        Signal::AccessLost { by, loss } => human::access_lost(&mut plan, by, *loss),
        Signal::PullRequestClosed { by, merged, head } => {
            human::pull_request_closed(&mut plan, by, *merged, head);
        }
        Signal::Commanded { by, comment, commands } => human::commanded(&mut plan, by, *comment, commands),
        Signal::Remarked { by, source, text } => human::remarked(&mut plan, by, *source, text),
        Signal::CheckPressed { by, gate, head, button } => human::pressed(&mut plan, by, gate, head, *button),
        Signal::PermissionRead { request, permission } => {
            human::permission_read(&mut plan, *request, *permission);
        }
        Signal::HeadMoved { by, head, base } => create::head_moved(&mut plan, by, head, base),
        Signal::Inspected(inspection) => intake::inspected(&mut plan, inspection),
        Signal::SetUpRan { round, attempt, report, contacts } => {
            create::set_up_ran(&mut plan, *round, *attempt, report, contacts);
        }
        Signal::Created { round, attempt, outcome, spend } => {
            create::created(&mut plan, *round, *attempt, outcome, *spend);
        }
        Signal::PullRequestOpened { number, node_id, draft, head } => {
            create::pull_request_opened(&mut plan, *number, node_id, *draft, head);
        }
        Signal::Reviewed { reviewer, head, outcome, spend } => {
            review::reviewed(&mut plan, reviewer, head, outcome, *spend);
        }
        Signal::ReviewWithheld { reviewer, head, actual } => {
            review::withheld(&mut plan, reviewer, head, actual.as_ref());
        }
        Signal::GateReported { gate, head, report } => gate::reported(&mut plan, gate, head, report),
        Signal::ForeignCheckChanged { head } => gate::foreign_check_changed(&mut plan, head),
        Signal::TaskFailed { work, failure, detail } => {
            recover::task_failed(&mut plan, work, *failure, detail);
        }
        Signal::Published { publication } => recover::published(&mut plan, publication),
        Signal::TimerFired { timer } => recover::timer_fired(&mut plan, timer),
    }
    plan.finish()
}
