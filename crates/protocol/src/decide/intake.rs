//! From the label to the first round: who may ask, and under which rules.

use std::collections::BTreeSet;

use super::plan::{Decision, Plan};
use super::{create, gate, settle};
use crate::apply;
use crate::effect::{StoreChange, Work};
use crate::event::Event;
use crate::ids::{BaseSha, HeadSha, InstallationId, Money, ReviewerName, RunId, Timestamp, Tokens};
use crate::policy::Policy;
use crate::run::{AfterInspection, Closing, Halt, Phase, Refusal};
use crate::signal::{Actor, Inspection, IssueFacts, Permission, PullRequestFacts, Timer};

/// The least permission that may start a run: who may set labels.
pub(super) const START: Permission = Permission::Triage;

pub(super) fn open(
    run: RunId,
    installation: InstallationId,
    by: &Actor,
    issue: &IssueFacts,
    now: Timestamp,
) -> Decision {
    let opened = Event::Opened { run, installation, by: by.clone(), issue: issue.clone(), at: now };
    let mut plan = Plan::beginning(apply::opened(run, installation, by, issue, now), opened, now);
    let deadline = plan.run.deadline;
    plan.change(StoreChange::StartTimer { timer: Timer::Deadline, at: deadline });
    plan.start(Work::Inspect { by: by.clone() });
    plan.finish()
}

/// Reads rules and permission again on behalf of `by`, then goes on with `then`.
pub(super) fn inspect_again(plan: &mut Plan, by: &Actor, then: AfterInspection) {
    plan.change(StoreChange::CancelWork);
    plan.record(Event::InspectionStarted { then });
    let at = plan.now.plus_ms(apply::INTAKE_MS_MAX);
    set_deadline(plan, at);
    plan.start(Work::Inspect { by: by.clone() });
}

pub(super) fn inspected(plan: &mut Plan, inspection: &Inspection) {
    let Phase::Queued { then, .. } = plan.run.phase else { return };
    match inspection {
        Inspection::Gone => {
            let by = plan.run.labelled_by.clone();
            plan.record(Event::Closed { closing: Closing::LabelRemoved, by });
        }
        Inspection::PolicyInvalid { problems } => {
            let (reason, detail) = (Halt::PolicyInvalid, problems.join("\n"));
            plan.record(Event::Halted { reason, detail, exhausted: None });
        }
        Inspection::Fit { permission, .. } if *permission < START => not_permitted(plan, *permission),
        Inspection::Fit { policy, base, branch_head, pull_request, .. } => {
            if let Some(problem) = policy.unfit() {
                return settle::halt(plan, Halt::PolicyInvalid, problem);
            }
            let spared = same_reviewers(plan, policy);
            adopt(plan, policy, base, branch_head.as_ref(), pull_request.as_ref());
            let head = plan.run.head.clone().filter(|_| plan.run.pull_request.is_some());
            match (then, head) {
                (AfterInspection::Validate, Some(head)) => gate::start_validation(plan, &head, base),
                (AfterInspection::Complete, Some(head)) => {
                    gate::complete_validation(plan, &head, base, &spared);
                }
                (AfterInspection::Create, _)
                | (AfterInspection::Validate | AfterInspection::Complete, None) => {
                    create::start_asked_round(plan);
                }
            }
        }
    }
}

/// Who may not start a run begins none. A run that has begun is not unmade by it: it waits for someone who may.
fn not_permitted(plan: &mut Plan, found: Permission) {
    if plan.run.policy.is_none() {
        return plan.record(Event::Refused { reason: Refusal::NotPermitted { found } });
    }
    let detail = "Who asked for the run to go on has lost the right to start runs since.";
    settle::halt(plan, Halt::PermissionMissing, detail);
}

/// The reviewers that the rules now read name with the instruction and the model that they had.
fn same_reviewers(plan: &Plan, policy: &Policy) -> BTreeSet<ReviewerName> {
    let before = plan.run.policy.as_ref().map(|policy| &policy.reviewers);
    let same = policy.reviewers.iter().filter(|(name, rules)| {
        before.and_then(|before| before.get(*name)).is_some_and(|before| before == *rules)
    });
    same.map(|(name, _)| name.clone()).collect()
}

fn adopt(
    plan: &mut Plan,
    policy: &Policy,
    base: &BaseSha,
    branch_head: Option<&HeadSha>,
    pull_request: Option<&PullRequestFacts>,
) {
    plan.record(Event::PolicyAdopted { policy: Box::new(policy.clone()), base: base.clone() });
    // A raised budget stays raised; a lowered rule does not take back what a person granted.
    let limit = plan.run.budget.max(policy.run_budget);
    let raised = plan.run.budget_tokens.unwrap_or_default();
    let tokens = policy.run_tokens.map(|tokens| tokens.max(raised));
    set_budget(plan, limit, tokens);
    if plan.run.head.as_ref() != branch_head || (plan.run.pull_request.is_none() && pull_request.is_some()) {
        plan.record(Event::WorkAdopted {
            head: branch_head.cloned(),
            pull_request: pull_request.cloned().or_else(|| plan.run.pull_request.clone()),
        });
    }
    renew_deadline(plan);
}

/// Sets what the run may spend, in the ledger and in the store at once.
pub(super) fn set_budget(plan: &mut Plan, limit: Money, tokens: Option<Tokens>) {
    if (limit, tokens) != (plan.run.budget, plan.run.budget_tokens) {
        plan.record(Event::BudgetSet { limit, tokens });
        plan.change(StoreChange::SetBudget { limit, tokens });
    }
}

/// Gives the run its full time again: a person just spoke, or the rules were just read.
pub(super) fn renew_deadline(plan: &mut Plan) {
    let ms = plan.run.policy.as_ref().map_or(apply::INTAKE_MS_MAX, |policy| policy.run_ms_max);
    let at = plan.now.plus_ms(ms);
    set_deadline(plan, at);
}

fn set_deadline(plan: &mut Plan, at: Timestamp) {
    plan.record(Event::DeadlineSet { at });
    plan.change(StoreChange::StartTimer { timer: Timer::Deadline, at });
}
