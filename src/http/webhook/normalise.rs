//! From GitHub's words to the protocol's: one delivery becomes at most one signal, or the reason why it is none.

mod checks;
mod conversation;
mod intake;
mod pull_request;

use std::borrow::Cow;

use pairbot_protocol::ids::{InstallationId, Login, RepositoryId, UserId};
use pairbot_protocol::signal::{Actor, ActorKind, Envelope, Signal, Target};
use serde_json::error::Category;

use crate::store::Content;

use super::delivery_headers::EventName;
use super::own::OwnApp;
use super::payload::{Payload, Unused};
use super::refusal::Refusal;

/// The events that are understood, which are the ones the App subscribes to (`app-manifest.yml`).
pub const EVENTS: [&str; 9] = [
    "check_run",
    "check_suite",
    "issue_comment",
    "issues",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "repository",
    "status",
];

/// Events of which only looking tells what they mean for runs. GitHub sends those of installations to every App.
const HINTS: [&str; 3] = ["installation", "installation_repositories", "repository"];

/// Whether an event, with its action, is a reason for the reconciler to look.
pub(super) fn is_hint(event: &str) -> bool {
    HINTS.contains(&event.split('.').next().unwrap_or_default())
}

/// What a delivery says.
#[derive(Debug, Clone)]
pub(super) struct Normalised {
    /// Event and action.
    pub event: String,
    /// A key that another delivery shares only if it tells of the same happening. GitHub gives the deliveries of an
    /// App's hook and of a repository's hook different ids.
    pub meaning: Option<String>,
    /// The signal, or why there is none.
    pub content: Content,
}

/// A happening that the protocol understands.
struct Happening {
    target: Target,
    signal: Signal,
    meaning: Option<String>,
}

/// Why a delivery is no signal, in words for the log and the inbox.
type Reason = Cow<'static, str>;

/// Says what a delivery means. A payload that is JSON and does not have what its event promises is ignored with a
/// reason: sending it again would not mend it.
pub(super) fn normalise(event: EventName<'_>, text: &str, own: &OwnApp) -> Result<Normalised, Refusal> {
    if !EVENTS.contains(&event.as_str()) || is_hint(event.as_str()) {
        return unused(event, text);
    }
    let payload: Payload<'_> = match serde_json::from_str(text) {
        Ok(payload) => payload,
        Err(error) => return misfit(event, &error),
    };
    let name = event.with_action(Some(&payload.action));
    let installation = payload.installation.as_ref().map(|installation| InstallationId(installation.id));
    let normalised = match (read(event, &payload, own), installation) {
        (Ok(happening), Some(installation)) => Normalised {
            event: name,
            meaning: happening.meaning,
            content: Content::Signal(Envelope {
                installation,
                target: happening.target,
                signal: happening.signal,
            }),
        },
        // No meaning: the same happening may still come through the App's own hook, and must then count.
        (Ok(_), None) => {
            ignored(name, None, "the payload has no installation: it is not the App's hook that sent it")
        }
        (Err(reason), _) => ignored(name, installation, reason),
    };
    Ok(normalised)
}

fn read(event: EventName<'_>, payload: &Payload<'_>, own: &OwnApp) -> Result<Happening, Reason> {
    let repository = RepositoryId(payload.repository.as_ref().ok_or("the payload has no repository")?.id);
    match event.as_str() {
        "issues" => intake::issues(payload, repository, own),
        "issue_comment" => conversation::comment(payload, repository, own),
        "pull_request" => pull_request::pull_request(payload, repository, own),
        "pull_request_review" => conversation::review(payload, repository, own),
        "pull_request_review_comment" => conversation::line_comment(payload, repository, own),
        "check_run" => checks::check_run(payload, repository, own),
        "check_suite" => checks::check_suite(payload, repository, own),
        "status" => checks::status(payload, repository),
        _ => Err("nothing is made of this event".into()),
    }
}

fn unused(event: EventName<'_>, text: &str) -> Result<Normalised, Refusal> {
    match serde_json::from_str::<Unused>(text) {
        Ok(payload) => {
            let installation = payload.installation.map(|installation| InstallationId(installation.id));
            let name = event.with_action(payload.action.as_deref());
            let hint = is_hint(event.as_str());
            let reason =
                if hint { "the reconciler looks at what it means" } else { "nothing is made of this event" };
            Ok(ignored(name, installation, reason))
        }
        Err(error) => misfit(event, &error),
    }
}

fn misfit(event: EventName<'_>, error: &serde_json::Error) -> Result<Normalised, Refusal> {
    match error.classify() {
        // Names of fields and types come from our own code; values of the payload are bounded by serde's message
        // only, so the message is cut.
        Category::Data => {
            let reason = format!("the payload does not fit its event: {error}");
            let reason = super::bounded::bounded(&reason, 200).to_owned();
            Ok(ignored(event.with_action(None), None, reason))
        }
        Category::Syntax | Category::Eof | Category::Io => {
            Err(Refusal::NotJson { line: error.line(), column: error.column() })
        }
    }
}

fn ignored(event: String, installation: Option<InstallationId>, reason: impl Into<Reason>) -> Normalised {
    let reason = reason.into().into_owned();
    Normalised { event, meaning: None, content: Content::Ignored { installation, reason } }
}

/// What the action is called in a reason why nothing is made of it.
fn unused_action(what: &str, payload: &Payload<'_>) -> Reason {
    format!("nothing is made of {what} that was `{}`", super::bounded::bounded(&payload.action, 50)).into()
}

/// Who did it.
fn actor(payload: &Payload<'_>, own: &OwnApp) -> Result<Actor, Reason> {
    let sender = payload.sender.as_ref().ok_or("the payload has no sender")?;
    let login: Login = sender.login.parse().map_err(|_| "the sender's login has no known form")?;
    Ok(Actor { id: UserId(sender.id), login, kind: own.kind_of(sender) })
}

/// Who said it, if it was a person. Programs are not listened to: two that answer each other never end.
fn person(payload: &Payload<'_>, own: &OwnApp) -> Result<Actor, Reason> {
    let actor = actor(payload, own)?;
    match actor.kind {
        ActorKind::Person => Ok(actor),
        ActorKind::Bot => Err("another program said it, and programs are not listened to".into()),
        ActorKind::Own => Err("the App itself said it".into()),
    }
}

#[cfg(test)]
mod tests;
