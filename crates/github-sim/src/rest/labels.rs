//! Labels of a repository and of its issues and pull requests.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::issues::need_item;
use crate::call::{Call, Route, number};
use crate::ids::Kind;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::Label;

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["labels"]) => list(call, repo),
        ("POST", ["labels"]) => create(call, repo),
        ("GET", ["labels", name]) => get(call, repo, name),
        ("GET", ["issues", n, "labels"]) => of_item(call, repo, n),
        ("POST", ["issues", n, "labels"]) => add(call, repo, n),
        ("PUT", ["issues", n, "labels"]) => replace(call, repo, n),
        ("DELETE", ["issues", n, "labels"]) => clear(call, repo, n),
        ("DELETE", ["issues", n, "labels", name]) => remove(call, repo, n, name),
        _ => return None,
    })
}

/// The label of this name, whatever its case; made if need be. Gives its key.
pub(crate) fn ensure(call: &mut Call, repo: u64, name: &str) -> Result<String, Reply> {
    let key = name.to_lowercase();
    if !call.state.repo(repo)?.labels.contains_key(&key) {
        let label = Label {
            id: call.state.next_id(Kind::Label),
            name: name.to_owned(),
            color: "ededed".to_owned(),
            description: String::new(),
        };
        call.state.repo_mut(repo)?.labels.insert(key.clone(), label);
    }
    Ok(key)
}

fn list(call: &Call, repo: u64) -> Outcome {
    call.need(repo, &["issues", "pull_requests"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    Ok(call.page(found.labels.values().map(|label| call.state.label_json(found, label)).collect()))
}

fn get(call: &Call, repo: u64, name: &str) -> Outcome {
    call.need(repo, &["issues", "pull_requests"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let label = found.labels.get(&name.to_lowercase()).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(call.state.label_json(found, label)))
}

fn create(call: &mut Call, repo: u64) -> Outcome {
    call.need(repo, &["issues", "pull_requests"], Access::Write, Role::Write)?;
    let name = call.request.required("name")?.to_owned();
    if call.state.repo(repo)?.labels.contains_key(&name.to_lowercase()) {
        return Err(Reply::invalid("Label", "name", "already_exists"));
    }
    let key = ensure(call, repo, &name)?;
    let color = call.request.text("color").unwrap_or("ededed").trim_start_matches('#').to_owned();
    let description = call.request.text("description").unwrap_or_default().to_owned();
    if let Some(label) = call.state.repo_mut(repo)?.labels.get_mut(&key) {
        label.color = color;
        label.description = description;
    }
    let found = call.state.repo(repo)?;
    let label = found.labels.get(&key).ok_or_else(Reply::not_found)?;
    Ok(Reply::created(call.state.label_json(found, label)))
}

fn shown(call: &Call, repo: u64, number: u64) -> Outcome {
    let found = call.state.repo(repo)?;
    Ok(call.page(call.state.labels_json(found, found.issue(number)?)))
}

fn of_item(call: &Call, repo: u64, n: &str) -> Outcome {
    let number = number(n)?;
    need_item(call, repo, number, Access::Read, Role::Read)?;
    shown(call, repo, number)
}

/// Names from `["a"]`, `{"labels": ["a"]}` or `[{"name": "a"}]`.
pub(crate) fn names(body: &Value) -> Vec<String> {
    let list = body.get("labels").unwrap_or(body).as_array();
    list.into_iter()
        .flatten()
        .filter_map(|label| label.as_str().or_else(|| label.get("name").and_then(Value::as_str)))
        .map(str::to_owned)
        .collect()
}

fn add(call: &mut Call, repo: u64, n: &str) -> Outcome {
    let number = number(n)?;
    need_item(call, repo, number, Access::Write, Role::Triage)?;
    let sender = call.account()?;
    put_on(call, repo, number, &names(&call.request.json), sender)?;
    shown(call, repo, number)
}

/// Puts labels on an issue or pull request, each new one with its webhook.
pub(crate) fn put_on(
    call: &mut Call,
    repo: u64,
    number: u64,
    names: &[String],
    sender: u64,
) -> Result<(), Reply> {
    for name in names {
        let key = ensure(call, repo, name)?;
        let now = call.state.now_ms();
        let issue = call.state.repo_mut(repo)?.issue_mut(number)?;
        if issue.labels.insert(key.clone()) {
            issue.updated_ms = now;
            emit(call, repo, number, &key, "labeled", sender)?;
            call.state.wrote(
                sender,
                &format!("label:{repo}:{number}:{key}"),
                &format!("label `{name}` on #{number}"),
            );
        }
    }
    Ok(())
}

fn take_off(call: &mut Call, repo: u64, number: u64, key: &str, sender: u64) -> Result<bool, Reply> {
    let now = call.state.now_ms();
    let issue = call.state.repo_mut(repo)?.issue_mut(number)?;
    let was = issue.labels.remove(key);
    if was {
        issue.updated_ms = now;
        emit(call, repo, number, key, "unlabeled", sender)?;
    }
    Ok(was)
}

fn emit(
    call: &mut Call,
    repo: u64,
    number: u64,
    key: &str,
    action: &'static str,
    sender: u64,
) -> Result<(), Reply> {
    let found = call.state.repo(repo)?;
    let label = found.labels.get(key).map(|label| call.state.label_json(found, label));
    call.state.emit_item(repo, number, action, sender, &json!({"label": label}))
}

/// Makes the labels of an item exactly these.
pub(crate) fn set(
    call: &mut Call,
    repo: u64,
    number: u64,
    names: &[String],
    sender: u64,
) -> Result<(), Reply> {
    let wanted: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let gone: Vec<String> =
        call.state.repo(repo)?.issue(number)?.labels.difference(&wanted).cloned().collect();
    for key in gone {
        take_off(call, repo, number, &key, sender)?;
    }
    put_on(call, repo, number, names, sender)
}

fn replace(call: &mut Call, repo: u64, n: &str) -> Outcome {
    let number = number(n)?;
    need_item(call, repo, number, Access::Write, Role::Triage)?;
    let sender = call.account()?;
    set(call, repo, number, &names(&call.request.json), sender)?;
    shown(call, repo, number)
}

fn clear(call: &mut Call, repo: u64, n: &str) -> Outcome {
    let number = number(n)?;
    need_item(call, repo, number, Access::Write, Role::Triage)?;
    let sender = call.account()?;
    set(call, repo, number, &[], sender)?;
    Ok(Reply::empty(204))
}

fn remove(call: &mut Call, repo: u64, n: &str, name: &str) -> Outcome {
    let number = number(n)?;
    need_item(call, repo, number, Access::Write, Role::Triage)?;
    let sender = call.account()?;
    if take_off(call, repo, number, &name.to_lowercase(), sender)? {
        shown(call, repo, number)
    } else {
        Err(Reply::refuse(404, "Label does not exist"))
    }
}
