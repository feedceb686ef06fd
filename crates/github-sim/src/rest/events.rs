//! The history of an issue: who did what to it, and when.

use serde_json::json;

use super::issues::need_item;
use crate::call::{Call, Route, number};
use crate::clock::iso;
use crate::reply::Outcome;
use crate::role::{Access, Role};

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["issues", n, "events"]) => number(n).and_then(|n| list(call, repo, n)),
        _ => return None,
    })
}

/// Oldest first, as GitHub lists them. <https://docs.github.com/rest/issues/events>
fn list(call: &Call, repo: u64, number: u64) -> Outcome {
    need_item(call, repo, number, Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let events = found.issue_events.values().filter(|event| event.number == number).map(|event| {
        let url = format!("{}/issues/events/{}", call.state.repo_url(found), event.id);
        let mut json = json!({
            "id": event.id, "node_id": format!("LE_{}", event.id), "url": url, "event": event.event,
            "actor": call.state.accounts.contains_key(&event.actor).then(|| call.state.account_json(event.actor)),
            "commit_id": null, "commit_url": null, "created_at": iso(event.created_ms),
            "performed_via_github_app": null,
        });
        let label = event.label.as_ref().and_then(|key| found.labels.get(key));
        if let (Some(label), Some(object)) = (label, json.as_object_mut()) {
            object.insert("label".to_owned(), json!({"name": label.name, "color": label.color}));
        }
        json
    });
    Ok(call.page(events.collect()))
}
