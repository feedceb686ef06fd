//! Signals and events in words.

use pairbot_protocol::event::Event;
use pairbot_protocol::run::Wish;

use super::super::operator::{brief, moment};
use crate::store::Origin;

/// How much of what others wrote is quoted.
const QUOTED_CHARS_MAX: usize = 200;

/// Where a decision came from.
pub(super) fn signal(origin: &Origin) -> String {
    match &origin.delivery {
        Some(delivery) => format!("{} ({}, signal {})", delivery.event, delivery.guid, origin.inbox),
        None => format!("signal {}, which was pruned", origin.inbox),
    }
}

/// What happened.
#[expect(clippy::too_many_lines, reason = "one arm a fact: the whole ledger is told in one place")]
pub(super) fn event(event: &Event) -> String {
    match event {
        Event::Opened { by, .. } => format!("the run begins: {} set the label", by.login),
        Event::Refused { reason } => format!("refused: {reason:?}"),
        Event::PolicyAdopted { base, .. } => format!("the policy at {} holds from here", base.short()),
        Event::WorkAdopted { head, .. } => match head {
            Some(head) => format!("takes over what an earlier run left at {}", head.short()),
            None => "takes over what an earlier run left".to_owned(),
        },
        Event::DeadlineSet { at } => format!("may work until {}", moment(*at)),
        Event::BudgetSet { limit, tokens: None } => format!("may spend {limit}"),
        Event::BudgetSet { limit, tokens: Some(tokens) } => format!("may spend {limit} and {tokens}"),
        Event::InspectionStarted { .. } => "reads the rules again".to_owned(),
        Event::RoundStarted { round, attempt, .. } => format!("round {round}, attempt {attempt} begins"),
        Event::SetUpRan { round, report, contacts, .. } => {
            let hosts = contacts.iter().map(|contact| match &contact.refused {
                None => format!("; reached {}", quoted(&contact.asked)),
                Some(_) => format!("; was refused {}", quoted(&contact.asked)),
            });
            let outcome = format!("{:?}, {}", report.verdict, quoted(&report.title));
            format!("the set-up before round {round}: {outcome}{}", hosts.collect::<String>())
        }
        Event::Pushed { head, title, spend, .. } => {
            format!("the creator pushed {} ({}): {}", head.short(), spend.cost, quoted(title))
        }
        Event::Spent { spend } => format!("{} spent without a result", spend.cost),
        Event::HeadTaken { by, head, .. } => match by {
            Some(by) => format!("{} pushed {}", by.login, head.short()),
            None => format!("GitHub shows the head {}", head.short()),
        },
        Event::PullRequestOpened { pull_request } => {
            format!("pull request #{} is there", pull_request.number)
        }
        Event::ValidationStarted { head, reviewers, gates, .. } => {
            format!("{} is read by {} and examined by {} gates", head.short(), names(reviewers), gates.len())
        }
        Event::ReviewRecorded { reviewer, head, raised, fixed, spend, .. } => format!(
            "{reviewer} read {} ({}): {} findings raised, {} seen fixed",
            head.short(),
            spend.cost,
            raised.len(),
            fixed.len()
        ),
        Event::ReviewFailed { reviewer, head, detail, .. } => {
            format!("{reviewer} failed on {}: {}", head.short(), quoted(detail))
        }
        Event::VerdictVoided { of, head, .. } => format!("a verdict of {of} on {} is void", head.short()),
        Event::ReviewsRestarted { reviewers } => format!("{} read again", names(reviewers)),
        Event::GateStarted { gate, head } => format!("gate {gate} examines {}", head.short()),
        Event::GateRecorded { gate, head, report } => {
            format!("gate {gate} on {}: {:?}, {}", head.short(), report.verdict, quoted(&report.title))
        }
        Event::BecameReady { head } => format!("ready: {} waits for a person", head.short()),
        Event::ReadyWithdrawn { head } => format!("{} is no longer ready", head.short()),
        Event::Halted { reason, detail, exhausted: None } => {
            format!("halted, {}: {}", reason.as_str(), quoted(detail))
        }
        Event::Halted { reason, detail, exhausted: Some(exhausted) } => {
            let opens =
                exhausted.opens_at().map_or_else(String::new, |at| format!(", again from {}", moment(at)));
            format!("halted, {}, {exhausted}{opens}: {}", reason.as_str(), quoted(detail))
        }
        Event::RequestReceived { id, request } => {
            let wish = match &request.wish {
                Wish::Commands { commands, .. } => format!("{} commands", commands.len()),
                Wish::Feedback { text, .. } => format!("to be heard: {}", quoted(text)),
                Wish::Button { gate, .. } => format!("a button of {gate}"),
            };
            format!("request {}: {} asks for {wish}", id.0, request.by.login)
        }
        Event::RequestSettled { id, granted, .. } => {
            format!("request {} is {}", id.0, if *granted { "granted" } else { "refused" })
        }
        Event::FeedbackGiven { feedback } => {
            format!("{} said: {}", feedback.by.login, quoted(&feedback.text))
        }
        Event::Paused { by } => format!("{} paused it", by.login),
        Event::Resumed { by } => format!("{} resumed it", by.login),
        Event::Merged { by, head } => format!("{} merged {}", by.login, head.short()),
        Event::Closed { closing, by } => format!("ended by {}: {closing:?}", by.login),
        Event::PublicationFailed { detail, publication } => match publication {
            Some(publication) => format!("could not show {}: {}", publication.key(), quoted(detail)),
            None => format!("could not show something: {}", quoted(detail)),
        },
        Event::PublicationMade { publication } => format!("{} was shown after all", publication.key()),
        Event::TaskUnreadable { lane, detail } => {
            format!("a task ({lane}) cannot be read: {}", quoted(detail))
        }
    }
}

fn quoted(text: &str) -> String {
    brief(text, QUOTED_CHARS_MAX)
}

fn names<T: ToString>(things: &[T]) -> String {
    let names: Vec<String> = things.iter().map(ToString::to_string).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}
