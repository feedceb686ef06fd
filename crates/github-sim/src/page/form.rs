//! Pressed buttons: each becomes the request that the person would send.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::act::{click, perform};
use crate::actor::Actor;
use crate::call::{Request, pairs, percent_encoded};
use crate::reply::Reply;
use crate::state::State;

fn back(path: &str, refused: Option<&str>) -> Reply {
    let query = refused.map(|reason| format!("?refused={}", percent_encoded(reason))).unwrap_or_default();
    Reply::empty(303).with_header("location", format!("{path}{query}"))
}

/// A path of ours to come back to; never another site's.
fn own_path(form: &BTreeMap<String, String>) -> &str {
    let path = form.get("back").map_or("/", String::as_str);
    if path.starts_with('/') && !path.starts_with("//") { path } else { "/" }
}

/// Does what a form asks and leads back to its page.
pub(crate) fn act(state: &mut State, request: &Request, repo: Option<u64>, person: Option<u64>) -> Reply {
    // The page has no accounts to protect, but another site's forms have no business here.
    if request.header("sec-fetch-site") == "cross-site" {
        return Reply::refuse(403, "Forms are taken from this page only");
    }
    let form = pairs(&String::from_utf8_lossy(&request.body));
    let path = own_path(&form).to_owned();
    if request.path == "/act-as" {
        let person = form.get("person").and_then(|id| id.parse::<u64>().ok()).unwrap_or_default();
        let cookie = format!("person={person}; Path=/; SameSite=Strict");
        return back(&path, None).with_header("set-cookie", cookie);
    }
    let (Some(repo), Some(person)) = (repo, person) else {
        return back(&path, Some("There is no such repository"));
    };
    match press(state, repo, person, &form) {
        Ok(answer) => {
            // A new issue is what its author wants to see next.
            let opened = answer.get("number").filter(|_| form.get("act").is_some_and(|act| act == "open"));
            let pages = request.path.trim_end_matches("/act");
            back(&opened.map_or(path, |number| format!("{pages}/issues/{number}")), None)
        }
        Err(reply) => {
            let json = reply.json();
            let message = json.get("message").and_then(Value::as_str).unwrap_or("Refused");
            back(&path, Some(message))
        }
    }
}

fn press(state: &mut State, repo: u64, person: u64, form: &BTreeMap<String, String>) -> Result<Value, Reply> {
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let number = text("number").parse::<u64>().unwrap_or_default();
    let run = text("run").parse::<u64>().unwrap_or_default();
    let base = format!("/repositories/{repo}");
    let issue = format!("{base}/issues/{number}");
    let pull = format!("{base}/pulls/{number}");
    let (method, path, body) = match text("act") {
        "label" => (Method::POST, format!("{issue}/labels"), json!({"labels": [text("label")]})),
        "unlabel" => {
            (Method::DELETE, format!("{issue}/labels/{}", percent_encoded(text("label"))), Value::Null)
        }
        "comment" => (Method::POST, format!("{issue}/comments"), json!({"body": text("body")})),
        "close" => (Method::PATCH, issue, json!({"state": "closed"})),
        "reopen" => (Method::PATCH, issue, json!({"state": "open"})),
        "open" => {
            (Method::POST, format!("{base}/issues"), json!({"title": text("title"), "body": text("body")}))
        }
        "merge" => (Method::PUT, format!("{pull}/merge"), json!({"merge_method": "merge"})),
        "review" => {
            let json = json!({"event": text("event"), "body": text("body")});
            (Method::POST, format!("{pull}/reviews"), json)
        }
        "rerun" => (Method::POST, format!("{base}/check-runs/{run}/rerequest"), Value::Null),
        "action" => {
            let pressed = click(state, Actor::Person(person), repo, run, text("identifier"));
            return pressed.map(|()| Value::Null);
        }
        _ => return Err(Reply::refuse(422, "There is no such button")),
    };
    perform(state, Actor::Person(person), method, &path, body)
}
