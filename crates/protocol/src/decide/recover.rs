//! When work fails for good, and when time runs out.

use super::plan::Plan;
use super::{gate, human, review, settle};
use crate::effect::{PUBLICATIONS_LANE, Publication, Work};
use crate::event::Event;
use crate::run::{Halt, Phase, Unpublished};
use crate::signal::{Failure, GateReport, Permission, Spend, Timer, Verdict, WorkKind};

pub(super) fn task_failed(plan: &mut Plan, work: &WorkKind, failure: Failure, detail: &str) {
    match work {
        WorkKind::Inspect => {
            if matches!(plan.run.phase, Phase::Queued { .. }) {
                settle::fail(plan, failure, detail);
            }
        }
        // Whose permission cannot be read has none (promise P5).
        WorkKind::ReadPermission { request } => human::permission_read(plan, *request, Permission::None),
        WorkKind::Create => {
            if matches!(plan.run.phase, Phase::Creating { .. }) {
                settle::fail(plan, failure, detail);
            }
        }
        WorkKind::OpenPullRequest => {
            if matches!(plan.run.phase, Phase::Opening { .. }) {
                settle::fail(plan, failure, detail);
            }
        }
        WorkKind::Review { reviewer, head } => {
            if review::is_awaited(&plan.run, reviewer, head) {
                review::failed(plan, reviewer, head, failure, detail, Spend::default());
            }
        }
        WorkKind::Gate { gate: name, head } => {
            let report = GateReport {
                verdict: Verdict::Unknown,
                title: "This gate could not be examined".to_owned(),
                summary: String::new(),
                detail: detail.to_owned(),
                annotations: Vec::new(),
            };
            gate::reported(plan, name, head, &report);
        }
        WorkKind::Publish { publication } => {
            plan.record(Event::PublicationFailed {
                detail: detail.to_owned(),
                publication: publication.clone(),
            });
            if failure == Failure::Permission && plan.run.is_working() {
                settle::halt(plan, Halt::PermissionMissing, detail);
            }
        }
        WorkKind::Unreadable { lane } => unreadable(plan, lane, detail),
    }
}

/// Nobody can say what was to be done, so nothing waits for it any longer: what was asked for by a person is refused,
/// and a run that works rests with its reason (promises P4 and P5).
fn unreadable(plan: &mut Plan, lane: &str, detail: &str) {
    plan.record(Event::TaskUnreadable { lane: lane.to_owned(), detail: detail.to_owned() });
    if lane == PUBLICATIONS_LANE {
        return;
    }
    if let Some(request) = Work::request_of_lane(lane) {
        human::permission_read(plan, request, Permission::None);
    } else if plan.run.phase.is_work() {
        settle::halt(plan, Halt::AgentFailed, detail);
    }
}

/// What had been given up was shown after all.
pub(super) fn published(plan: &mut Plan, publication: &Publication) {
    let lacked = |missing: &Unpublished| missing.publication.as_ref() == Some(publication);
    if plan.run.unpublished.iter().any(lacked) {
        plan.record(Event::PublicationMade { publication: publication.clone() });
    }
}

pub(super) fn timer_fired(plan: &mut Plan, timer: &Timer) {
    match timer {
        Timer::Deadline => {
            if plan.run.is_working() && plan.now >= plan.run.deadline {
                settle::halt(
                    plan,
                    Halt::TimedOut,
                    "The run worked as long as the policy allows without a person.",
                );
            }
        }
        Timer::CiWait { head } => gate::waited_enough(plan, head),
    }
}
