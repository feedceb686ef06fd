//! The creator's turns, and what becomes of the branch.

use super::plan::Plan;
use super::{gate, intake, settle};
use crate::effect::{StoreChange, Work};
use crate::event::Event;
use crate::ids::{BaseSha, HeadSha, PullRequestNumber, Round};
use crate::run::{Halt, Phase};
use crate::signal::{Actor, ActorKind, Contact, CreateOutcome, GateReport, PullRequestFacts, Spend};

/// How often a creator may start over in one round because the branch moved under it.
const ATTEMPTS_MAX: u32 = 3;

/// Starts a round that a person asked for: it may be followed by as many as the policy allows.
pub(super) fn start_asked_round(plan: &mut Plan) {
    let rounds = plan.run.policy.as_ref().map_or(1, |policy| policy.rounds_max).max(1);
    let round = next_round(plan);
    let allowed = Round(round.0.saturating_add(rounds - 1)).max(plan.run.rounds_allowed);
    start_round(plan, round, allowed);
}

/// Starts the round after this one, within what is allowed.
pub(super) fn start_next_round(plan: &mut Plan) {
    let (round, allowed) = (next_round(plan), plan.run.rounds_allowed);
    start_round(plan, round, allowed);
}

/// A round whose creator handed nothing in is tried again; otherwise the next one begins.
fn next_round(plan: &Plan) -> Round {
    let done = plan.run.handed_in.as_ref().is_some_and(|handed_in| handed_in.round >= plan.run.round);
    let taken = plan.run.validation().is_some();
    if done || taken { plan.run.round.next() } else { plan.run.round }
}

fn start_round(plan: &mut Plan, round: Round, rounds_allowed: Round) {
    let attempt = if round == plan.run.round { plan.run.attempt.saturating_add(1) } else { 1 };
    let rounds_allowed = rounds_allowed.max(round);
    plan.record(Event::RoundStarted { round, attempt, rounds_allowed });
    let onto = plan.run.head.clone();
    plan.start(Work::Create { round, attempt, onto });
}

/// Starts the present round over, with what the branch holds now.
pub(super) fn start_again(plan: &mut Plan) {
    let (round, allowed) = (plan.run.round, plan.run.rounds_allowed);
    start_round(plan, round, allowed);
}

/// A fact for the ledger, whatever became of the run meanwhile: what was reached was reached.
pub(super) fn set_up_ran(
    plan: &mut Plan,
    round: Round,
    attempt: u32,
    report: &GateReport,
    contacts: &[Contact],
) {
    let (report, contacts) = (report.clone(), contacts.to_vec());
    plan.record(Event::SetUpRan { round, attempt, report, contacts });
}

pub(super) fn created(plan: &mut Plan, round: Round, attempt: u32, outcome: &CreateOutcome, spend: Spend) {
    let expected = matches!(plan.run.phase, Phase::Creating { .. })
        && (plan.run.round, plan.run.attempt) == (round, attempt);
    if !expected {
        plan.record(Event::Spent { spend });
        return;
    }
    match outcome {
        CreateOutcome::Pushed { head, base, tree, title, summary, answers } => {
            plan.record(Event::Pushed {
                round,
                head: head.clone(),
                base: base.clone(),
                tree: tree.clone(),
                title: title.clone(),
                summary: summary.clone(),
                answers: answers.clone(),
                spend,
            });
            go_to_validation(plan, &head.clone(), &base.clone());
        }
        CreateOutcome::NoProgress => {
            plan.record(Event::Spent { spend });
            settle::halt(plan, Halt::NoProgress, "The creator handed in a tree that this run already had.");
        }
        CreateOutcome::HeadMoved { actual } => {
            plan.record(Event::Spent { spend });
            branch_moved_under_creator(plan, actual.as_ref());
        }
        CreateOutcome::Failed { failure, detail } => {
            plan.record(Event::Spent { spend });
            settle::fail(plan, *failure, detail);
        }
    }
}

/// The push was refused because the branch is not where it was. With a pull request, what someone else pushed is
/// reviewed like any other head; without one there is nothing to review yet, and the creator starts over on top.
fn branch_moved_under_creator(plan: &mut Plan, actual: Option<&HeadSha>) {
    let base = plan.run.base.clone();
    match (actual, base) {
        (Some(actual), Some(base)) if plan.run.pull_request.is_some() => take_head(plan, None, actual, &base),
        (actual, _) if plan.run.attempt < ATTEMPTS_MAX => {
            plan.record(Event::WorkAdopted {
                head: actual.cloned(),
                pull_request: plan.run.pull_request.clone(),
            });
            start_again(plan);
        }
        (_, _) => {
            settle::halt(plan, Halt::MergeConflict, "The branch kept moving while the creator worked on it.");
        }
    }
}

fn go_to_validation(plan: &mut Plan, head: &HeadSha, base: &BaseSha) {
    if plan.run.pull_request.is_some() {
        gate::start_validation(plan, head, base);
    } else {
        plan.start(Work::OpenPullRequest { head: head.clone() });
    }
}

pub(super) fn pull_request_opened(
    plan: &mut Plan,
    number: PullRequestNumber,
    node_id: &str,
    draft: bool,
    head: &HeadSha,
) {
    let facts = PullRequestFacts { number, node_id: node_id.to_owned(), draft };
    if plan.run.pull_request.as_ref() != Some(&facts) {
        plan.record(Event::PullRequestOpened { pull_request: facts });
    }
    let Phase::Opening { head: opening, base } = plan.run.phase.clone() else { return };
    if opening != *head {
        plan.record(Event::HeadTaken { by: None, head: head.clone(), base: base.clone() });
    }
    gate::start_validation(plan, head, &base);
}

pub(super) fn head_moved(plan: &mut Plan, by: &Actor, head: &HeadSha, base: &BaseSha) {
    if plan.run.is_over() || plan.run.head.as_ref() == Some(head) {
        return;
    }
    // Our own push while the creator works is told by its result, with what belongs to it. Our own push that nobody
    // waits for was made by work that was withdrawn: its head is on the branch, so it is reviewed like any other.
    let own_and_expected = by.kind == ActorKind::Own
        && !plan.run.paused
        && matches!(plan.run.phase, Phase::Creating { .. } | Phase::Queued { .. });
    if !own_and_expected {
        take_head(plan, Some(by), head, base);
    }
}

/// Makes a head that someone else pushed the one in question.
pub(super) fn take_head(plan: &mut Plan, by: Option<&Actor>, head: &HeadSha, base: &BaseSha) {
    let phase = plan.run.phase.clone();
    let taken = Event::HeadTaken { by: by.cloned(), head: head.clone(), base: base.clone() };
    match phase {
        // Intake and opening go on with the new head; an open breaker stays open until a person says otherwise.
        Phase::Queued { .. } | Phase::Opening { .. } | Phase::Halted { .. } => plan.record(taken),
        // Without a pull request there is nothing to review the new head on: the creator starts over on top of it.
        Phase::Creating { .. } if plan.run.pull_request.is_none() => {
            plan.change(StoreChange::CancelWork);
            branch_moved_under_creator(plan, Some(head));
        }
        Phase::Creating { .. } | Phase::Validating(_) => {
            plan.change(StoreChange::CancelWork);
            plan.record(taken);
            go_to_validation(plan, head, base);
        }
        Phase::AwaitingHuman(validation) => {
            plan.record(Event::ReadyWithdrawn { head: validation.head });
            plan.record(taken);
            intake::renew_deadline(plan);
            go_to_validation(plan, head, base);
        }
        Phase::Refused { .. } | Phase::Merged { .. } | Phase::Closed { .. } => {}
    }
}
