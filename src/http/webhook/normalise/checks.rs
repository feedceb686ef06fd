//! What check runs and commit statuses say: buttons pressed on ours, and changes of everybody else's.

use pairbot_protocol::ids::{GateName, HeadSha, RepositoryId};
use pairbot_protocol::signal::{CheckButton, Signal, Target};

use crate::github::ExternalId;
use crate::http::webhook::own::OwnApp;
use crate::http::webhook::payload::{Numbered, Payload};
use crate::meaning;

use super::{Happening, Reason, actor, unused_action};

/// The gate that sums up all others: what "Re-run all checks" is taken to mean.
const SUMMARY_GATE: &str = "ready";

/// `check_run`. GitHub sends `created` and `completed` of every app's check runs to every app, and the buttons to
/// the owner alone (GitHub Docs, "Webhook events and payloads", `check_run`).
pub(super) fn check_run(
    payload: &Payload<'_>,
    repository: RepositoryId,
    own: &OwnApp,
) -> Result<Happening, Reason> {
    let check = payload.check_run.as_ref().ok_or("the payload has no check run")?;
    let button = match &*payload.action {
        "created" | "completed" => {
            not_ours(check.app.as_ref(), own)?;
            let moment = check.completed_at.as_deref().unwrap_or_default();
            let state = check.conclusion.as_deref().unwrap_or_default();
            let what = meaning::check_run(check.id, &payload.action, state, moment);
            return foreign(&check.head_sha, repository, what);
        }
        "rerequested" => CheckButton::Rerun,
        "requested_action" => {
            match payload.requested_action.as_ref().map(|action| action.identifier.as_str()) {
                Some("retry") => CheckButton::Retry,
                Some("stop") => CheckButton::Stop,
                Some(_) | None => return Err("the button pressed is none of ours".into()),
            }
        }
        _ => return Err(unused_action("a check run", payload)),
    };
    ours(check.app.as_ref(), own)?;
    let id: ExternalId = check
        .external_id
        .as_deref()
        .unwrap_or_default()
        .parse()
        .map_err(|error| format!("{error}: it belongs to no run"))?;
    if id.run.repository != repository {
        return Err("the check run names a run of another repository".into());
    }
    let by = actor(payload, own)?;
    Ok(Happening {
        target: Target::Run { run: id.run },
        signal: Signal::CheckPressed { by, gate: id.gate, head: id.head, button },
        // Each press is an act of its own, and only the App's hook hears of it.
        meaning: None,
    })
}

/// `check_suite`: "Re-run all checks" of ours, or another app's suite that ended.
pub(super) fn check_suite(
    payload: &Payload<'_>,
    repository: RepositoryId,
    own: &OwnApp,
) -> Result<Happening, Reason> {
    let suite = payload.check_suite.as_ref().ok_or("the payload has no check suite")?;
    match &*payload.action {
        "completed" => {
            not_ours(suite.app.as_ref(), own)?;
            let state = suite.conclusion.as_deref().unwrap_or_default();
            foreign(&suite.head_sha, repository, meaning::check_suite(suite.id, state, &suite.updated_at))
        }
        "rerequested" => {
            ours(suite.app.as_ref(), own)?;
            let head = sha(&suite.head_sha)?;
            let gate: GateName = SUMMARY_GATE.parse().map_err(|_| "the summary gate has no valid name")?;
            let by = actor(payload, own)?;
            Ok(Happening {
                target: Target::Head { repository, head: head.clone() },
                signal: Signal::CheckPressed { by, gate, head, button: CheckButton::Rerun },
                meaning: None,
            })
        }
        _ => Err(unused_action("a check suite", payload)),
    }
}

/// `status`: a commit status, which has an id of its own for each change. Pairbot sets none.
pub(super) fn status(payload: &Payload<'_>, repository: RepositoryId) -> Result<Happening, Reason> {
    let id = payload.id.ok_or("the payload has no id")?;
    foreign(payload.sha.as_deref().unwrap_or_default(), repository, meaning::status(id))
}

fn foreign(head: &str, repository: RepositoryId, meaning: Option<String>) -> Result<Happening, Reason> {
    let head = sha(head)?;
    Ok(Happening {
        target: Target::Head { repository, head: head.clone() },
        signal: Signal::ForeignCheckChanged { head },
        meaning,
    })
}

fn sha(text: &str) -> Result<HeadSha, Reason> {
    text.parse().map_err(|_| "the commit is not a full git object id".into())
}

fn ours(app: Option<&Numbered>, own: &OwnApp) -> Result<(), Reason> {
    if app.is_some_and(|app| own.is_app(app.id)) { Ok(()) } else { Err("it belongs to another app".into()) }
}

/// Our own results are known here already. What nobody owns is treated as another's: looking once more does no harm.
fn not_ours(app: Option<&Numbered>, own: &OwnApp) -> Result<(), Reason> {
    if app.is_some_and(|app| own.is_app(app.id)) { Err("it is the App's own result".into()) } else { Ok(()) }
}
