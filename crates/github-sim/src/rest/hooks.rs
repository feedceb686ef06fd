//! An app's webhook deliveries: listed, read and sent again.

use serde_json::{Value, json};

use super::apps::own_app;
use crate::call::{Call, Route, number};
use crate::clock::iso;
use crate::reply::{Outcome, Reply};
use crate::webhooks::{Delivery, HookOwner};

/// GitHub keeps deliveries for three days.
/// <https://docs.github.com/webhooks/testing-and-troubleshooting-webhooks/redelivering-webhooks>
const KEPT_MS: u64 = 3 * 24 * 3_600_000;

pub(crate) fn route(call: &mut Call, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["app", "hook", "config"]) => config(call),
        ("GET", ["app", "hook", "deliveries"]) => list(call),
        ("GET", ["app", "hook", "deliveries", id]) => one(call, id),
        ("POST", ["app", "hook", "deliveries", id, "attempts"]) => again(call, id),
        _ => return None,
    })
}

fn config(call: &Call) -> Outcome {
    let app = own_app(call)?;
    let hook = call.state.mail.hooks.values().find(|hook| hook.owner == HookOwner::App(app));
    let hook = hook.ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(json!({"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": hook.url})))
}

fn own_hooks(call: &Call) -> Result<Vec<u64>, Reply> {
    let app = own_app(call)?;
    let hooks = call.state.mail.hooks.values().filter(|hook| hook.owner == HookOwner::App(app));
    Ok(hooks.map(|hook| hook.id).collect())
}

/// What is still kept and was attempted, newest first.
fn kept<'a>(call: &'a Call, hooks: &'a [u64]) -> impl Iterator<Item = &'a Delivery> {
    let now = call.state.now_ms();
    call.state.mail.deliveries.values().rev().filter(move |delivery| {
        hooks.contains(&delivery.hook) && delivery.attempt.is_some() && delivery.created_ms + KEPT_MS > now
    })
}

fn succeeded(delivery: &Delivery) -> bool {
    delivery.attempt.as_ref().is_some_and(|attempt| (200..300).contains(&attempt.status_code))
}

fn item(delivery: &Delivery) -> Value {
    let attempt = delivery.attempt.as_ref();
    json!({
        "id": delivery.id, "guid": delivery.guid,
        "delivered_at": iso(attempt.map_or(delivery.created_ms, |attempt| attempt.at_ms)),
        "redelivery": delivery.redelivery, "duration": 0.01,
        "status": attempt.map(|attempt| attempt.status.clone()),
        "status_code": attempt.map(|attempt| attempt.status_code),
        "event": delivery.event, "action": delivery.action, "installation_id": delivery.installation,
        "repository_id": delivery.repository, "throttled_at": null,
    })
}

fn list(call: &Call) -> Outcome {
    let hooks = own_hooks(call)?;
    let wanted = call.request.query("status");
    let below = match call.request.query("cursor") {
        Some(cursor) => cursor
            .strip_prefix("v1_")
            .and_then(|id| id.parse::<u64>().ok())
            .ok_or_else(|| Reply::unprocessable("Invalid cursor", &json!([])))?,
        None => u64::MAX,
    };
    let per_page = call.request.query("per_page").and_then(|text| text.parse().ok()).unwrap_or(30_usize);
    let per_page = per_page.clamp(1, 100);
    let mut found: Vec<&Delivery> = kept(call, &hooks)
        .filter(|delivery| delivery.id < below)
        .filter(|delivery| match wanted {
            Some("success") => succeeded(delivery),
            Some("failure") => !succeeded(delivery),
            Some(_) | None => true,
        })
        .take(per_page + 1)
        .collect();
    let more = found.len() > per_page;
    found.truncate(per_page);
    let reply = Reply::ok(found.iter().map(|delivery| item(delivery)).collect());
    match found.last().filter(|_| more) {
        Some(last) => {
            let link = call.link_with("next", "cursor", &format!("v1_{}", last.id));
            Ok(reply.with_header("link", link))
        }
        None => Ok(reply),
    }
}

fn one(call: &Call, id: &str) -> Outcome {
    let hooks = own_hooks(call)?;
    let id = number(id)?;
    let delivery = kept(call, &hooks).find(|delivery| delivery.id == id).ok_or_else(Reply::not_found)?;
    let mut json = item(delivery);
    if let Some(object) = json.as_object_mut() {
        let request = call.state.webhook_request(id);
        let payload: Value = serde_json::from_str(&delivery.payload).unwrap_or_default();
        let headers: serde_json::Map<String, Value> = request
            .iter()
            .flat_map(|request| &request.headers)
            .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
            .collect();
        object.insert("url".to_owned(), request.map(|request| request.url).into());
        object.insert("request".to_owned(), json!({"headers": headers, "payload": payload}));
        object.insert("response".to_owned(), json!({"headers": {}, "payload": ""}));
    }
    Ok(Reply::ok(json))
}

fn again(call: &mut Call, id: &str) -> Outcome {
    let hooks = own_hooks(call)?;
    let id = number(id)?;
    if kept(call, &hooks).all(|delivery| delivery.id != id) {
        return Err(Reply::not_found());
    }
    call.state.redeliver(id).ok_or_else(Reply::not_found)?;
    Ok(Reply::new(202, json!({})))
}
