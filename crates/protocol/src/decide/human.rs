//! What people ask for. Nobody is believed: each wish waits until GitHub was asked what the person may do.

use super::plan::Plan;
use super::{create, gate, intake, review, settle};
use crate::checks;
use crate::command::{Command, RetryStage};
use crate::effect::{StoreChange, Work};
use crate::event::Event;
use crate::ids::{CommentId, GateName, HeadSha};
use crate::run::{
    AfterInspection, AnswerText, Closing, Feedback, GateProgress, Phase, Problem, Request, RequestState,
    ReviewProgress, Run, Wish,
};
use crate::signal::{
    AccessLoss, Actor, ActorKind, CheckButton, FeedbackSource, Permission, RequestId, Verdict,
};

/// The least permission whose wishes are carried out.
pub(super) const COMMAND: Permission = Permission::Write;

pub(super) fn label_removed(plan: &mut Plan, by: &Actor) {
    close(plan, Closing::LabelRemoved, by);
}

pub(super) fn issue_closed(plan: &mut Plan, by: &Actor) {
    close(plan, Closing::IssueClosed, by);
}

pub(super) fn access_lost(plan: &mut Plan, by: &Actor, loss: AccessLoss) {
    close(plan, Closing::AccessLost { loss }, by);
}

pub(super) fn pull_request_closed(plan: &mut Plan, by: &Actor, merged: bool, head: &HeadSha) {
    if !merged {
        return close(plan, Closing::PullRequestClosed, by);
    }
    match plan.run.phase {
        Phase::Merged { .. } => {}
        // A merge closes the issue too, and no order of the two deliveries is promised: the merge is what counts.
        Phase::Closed { .. }
        | Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Validating(_)
        | Phase::AwaitingHuman(_)
        | Phase::Halted { .. }
        | Phase::Refused { .. } => {
            review::cancel_work(plan);
            plan.record(Event::Merged { by: by.clone(), head: head.clone() });
        }
    }
}

fn close(plan: &mut Plan, closing: Closing, by: &Actor) {
    if !plan.run.is_over() {
        review::cancel_work(plan);
        plan.record(Event::Closed { closing, by: by.clone() });
    }
}

pub(super) fn commanded(
    plan: &mut Plan,
    by: &Actor,
    comment: CommentId,
    commands: &[Result<Command, String>],
) {
    if by.kind == ActorKind::Person {
        ask(plan, by, Wish::Commands { comment, commands: commands.to_vec() });
    }
}

pub(super) fn remarked(plan: &mut Plan, by: &Actor, source: FeedbackSource, text: &str) {
    if by.kind == ActorKind::Person && !plan.run.is_over() {
        ask(plan, by, Wish::Feedback { source, text: text.to_owned() });
    }
}

pub(super) fn pressed(plan: &mut Plan, by: &Actor, gate: &GateName, head: &HeadSha, button: CheckButton) {
    let current = plan.run.head.as_ref() == Some(head);
    if by.kind == ActorKind::Person && current && !plan.run.is_over() {
        ask(plan, by, Wish::Button { gate: gate.clone(), button });
    }
}

fn ask(plan: &mut Plan, by: &Actor, wish: Wish) {
    let id = RequestId(plan.run.requests.keys().next_back().map_or(1, |last| last.0.saturating_add(1)));
    let request = Request { by: by.clone(), wish, state: RequestState::Pending };
    plan.record(Event::RequestReceived { id, request });
    plan.start_although_paused(Work::ReadPermission { request: id, of: by.clone() });
}

pub(super) fn permission_read(plan: &mut Plan, id: RequestId, permission: Permission) {
    let Some(request) = plan.run.requests.get(&id).cloned() else { return };
    if request.state != RequestState::Pending {
        return;
    }
    if permission < COMMAND {
        let answer = refusal_text(&plan.run, &request, permission);
        return plan.record(Event::RequestSettled { id, granted: false, answer });
    }
    let by = &request.by;
    let settled = match &request.wish {
        Wish::Commands { commands, .. } => carry_out(plan, by, commands),
        Wish::Feedback { source, text } => {
            hear(plan, by, *source, text);
            (true, None)
        }
        Wish::Button { gate, button } => (press(plan, by, gate, *button).is_ok(), None),
    };
    plan.record(Event::RequestSettled { id, granted: settled.0, answer: settled.1 });
    settle::settle(plan);
}

/// Says so once to each person; more would let a stranger make us talk.
fn refusal_text(run: &Run, request: &Request, found: Permission) -> Option<AnswerText> {
    let told = |other: &Request| {
        other.by.id == request.by.id
            && matches!(&other.state, RequestState::Refused { answer: Some(AnswerText::NotPermitted { .. }) })
    };
    let is_command = matches!(request.wish, Wish::Commands { .. });
    (is_command && !run.requests.values().any(told)).then_some(AnswerText::NotPermitted { found })
}

fn carry_out(
    plan: &mut Plan,
    by: &Actor,
    commands: &[Result<Command, String>],
) -> (bool, Option<AnswerText>) {
    let mut reasons = Vec::new();
    let mut help = false;
    for command in commands {
        let outcome = match command {
            Ok(command) => {
                help |= *command == Command::Help;
                obey(plan, by, *command)
            }
            Err(text) => Err(Problem::Malformed { text: text.clone() }),
        };
        reasons.extend(outcome.err());
    }
    if !reasons.is_empty() {
        (false, Some(AnswerText::Problems { reasons }))
    } else if help {
        (true, Some(AnswerText::Help))
    } else {
        (true, None)
    }
}

fn obey(plan: &mut Plan, by: &Actor, command: Command) -> Result<(), Problem> {
    match command {
        // Every settled request brings the status comment up to date.
        Command::Help | Command::Status => Ok(()),
        Command::Retry { stage } => retry(plan, by, stage),
        Command::Review => retry(plan, by, Some(RetryStage::Review)),
        Command::Stop => {
            if plan.run.is_over() {
                return Err(Problem::Over);
            }
            close(plan, Closing::Stopped, by);
            Ok(())
        }
        Command::Pause => pause(plan, by),
        Command::Resume => resume(plan, by),
        Command::Budget { raise } => {
            has_budget(&plan.run)?;
            let (limit, tokens) = (plan.run.budget.plus(raise), plan.run.budget_tokens);
            intake::set_budget(plan, limit, tokens);
            Ok(())
        }
        Command::BudgetTokens { raise } => {
            has_budget(&plan.run)?;
            let tokens = plan.run.budget_tokens.ok_or(Problem::NoTokenBudget)?.plus(raise);
            intake::set_budget(plan, plan.run.budget, Some(tokens));
            Ok(())
        }
    }
}

/// A budget is raised once the policy has set it, and as long as anything may be spent.
fn has_budget(run: &Run) -> Result<(), Problem> {
    if run.is_over() {
        Err(Problem::Over)
    } else if run.policy.is_none() {
        Err(Problem::UnderWay)
    } else {
        Ok(())
    }
}

fn press(plan: &mut Plan, by: &Actor, gate: &GateName, button: CheckButton) -> Result<(), Problem> {
    match button {
        CheckButton::Stop => obey(plan, by, Command::Stop),
        CheckButton::Retry => retry(plan, by, None),
        CheckButton::Rerun => match (gate.as_str(), &plan.run.phase) {
            (checks::REVIEW, _) => retry(plan, by, Some(RetryStage::Review)),
            (checks::READY, Phase::Halted { .. }) => retry(plan, by, None),
            (checks::READY, _) => retry(plan, by, Some(RetryStage::Gate)),
            (_, Phase::Validating(_) | Phase::AwaitingHuman(_)) if !plan.run.paused => {
                withdraw_ready(plan);
                gate::restart_gates(plan, Some(gate));
                Ok(())
            }
            (_, _) => retry(plan, by, Some(RetryStage::Gate)),
        },
    }
}

fn pause(plan: &mut Plan, by: &Actor) -> Result<(), Problem> {
    if !plan.run.is_working() {
        return Err(if plan.run.is_over() { Problem::Over } else { Problem::NothingToPause });
    }
    plan.change(StoreChange::CancelWork);
    plan.record(Event::Paused { by: by.clone() });
    Ok(())
}

fn resume(plan: &mut Plan, by: &Actor) -> Result<(), Problem> {
    if plan.run.is_over() {
        return Err(Problem::Over);
    }
    if !plan.run.paused {
        return Err(Problem::NotPaused);
    }
    plan.record(Event::Resumed { by: by.clone() });
    intake::renew_deadline(plan);
    match plan.run.phase.clone() {
        Phase::Queued { then, .. } => intake::inspect_again(plan, by, then),
        Phase::Creating { .. } => create::start_again(plan),
        Phase::Opening { head, .. } => plan.start(Work::OpenPullRequest { head }),
        Phase::Validating(validation) => {
            review::restart(plan, |progress| *progress == ReviewProgress::Pending);
            for name in checks::unsettled_gates(&validation) {
                gate::restart_gates(plan, Some(&name));
            }
            gate::look_at_others(plan, &validation.head);
        }
        Phase::AwaitingHuman(_)
        | Phase::Halted { .. }
        | Phase::Refused { .. }
        | Phase::Merged { .. }
        | Phase::Closed { .. } => {}
    }
    Ok(())
}

fn withdraw_ready(plan: &mut Plan) {
    if let Phase::AwaitingHuman(validation) = &plan.run.phase {
        let head = validation.head.clone();
        plan.record(Event::ReadyWithdrawn { head });
        intake::renew_deadline(plan);
    }
}

fn retry(plan: &mut Plan, by: &Actor, stage: Option<RetryStage>) -> Result<(), Problem> {
    if plan.run.paused {
        return Err(Problem::Paused);
    }
    match plan.run.phase.clone() {
        Phase::Refused { .. } | Phase::Merged { .. } | Phase::Closed { .. } => Err(Problem::Over),
        Phase::Queued { .. } | Phase::Creating { .. } | Phase::Opening { .. } => Err(Problem::UnderWay),
        Phase::Validating(_) => match stage {
            None | Some(RetryStage::Create) => Err(Problem::UnderWay),
            Some(RetryStage::Review) => {
                let asked = review::restart(plan, |progress| *progress != ReviewProgress::Pending);
                if asked { Ok(()) } else { Err(Problem::UnderWay) }
            }
            Some(RetryStage::Gate) => {
                gate::restart_gates(plan, None);
                Ok(())
            }
        },
        Phase::AwaitingHuman(_) => {
            match stage {
                None | Some(RetryStage::Create) => intake::inspect_again(plan, by, AfterInspection::Create),
                Some(RetryStage::Review) => {
                    withdraw_ready(plan);
                    review::restart(plan, |_| true);
                }
                Some(RetryStage::Gate) => {
                    withdraw_ready(plan);
                    gate::restart_gates(plan, None);
                }
            }
            Ok(())
        }
        Phase::Halted { .. } => {
            let then = match stage {
                None => what_was_missing(&plan.run),
                Some(RetryStage::Create) => AfterInspection::Create,
                Some(RetryStage::Review | RetryStage::Gate) if plan.run.pull_request.is_none() => {
                    return Err(Problem::NoHead);
                }
                Some(RetryStage::Review | RetryStage::Gate) => AfterInspection::Validate,
            };
            intake::inspect_again(plan, by, then);
            Ok(())
        }
    }
}

/// What a bare `/retry` does for an open breaker: a head that was never fully read and examined is read and examined;
/// one that was found wanting gets another round.
fn what_was_missing(run: &Run) -> AfterInspection {
    let unread_head = match run.validation() {
        Some(validation) => {
            run.head.as_ref() != Some(&validation.head)
                || validation.reviews.values().any(|progress| *progress != ReviewProgress::Done)
                || validation.gates.values().any(|progress| match progress {
                    GateProgress::Pending => true,
                    GateProgress::Reported(report) => {
                        matches!(report.verdict, Verdict::Unknown | Verdict::Waiting)
                    }
                })
        }
        None => run.head.is_some() && run.pull_request.is_some(),
    };
    if unread_head { AfterInspection::Complete } else { AfterInspection::Create }
}

fn hear(plan: &mut Plan, by: &Actor, source: FeedbackSource, text: &str) {
    let feedback = Feedback { by: by.clone(), source, text: text.to_owned(), told_in: None };
    let asks = feedback.holds();
    plan.record(Event::FeedbackGiven { feedback });
    if asks && matches!(plan.run.phase, Phase::AwaitingHuman(_)) && !plan.run.paused {
        withdraw_ready(plan);
        create::start_asked_round(plan);
    }
}
