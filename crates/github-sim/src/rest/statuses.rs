//! Commit statuses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::call::{Call, Route};
use crate::clock::iso;
use crate::emit::Happening;
use crate::ids::Kind;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::Status;

/// GitHub's longest description of a status.
const DESCRIPTION_CHARS_MAX: usize = 140;

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("POST", ["statuses", sha]) => create(call, repo, sha),
        ("GET", ["commits", name @ .., "statuses"]) => list(call, repo, &name.join("/")),
        ("GET", ["commits", name @ .., "status"]) => combined(call, repo, &name.join("/")),
        _ => return None,
    })
}

fn create(call: &mut Call, repo: u64, sha: &str) -> Outcome {
    call.need(repo, &["statuses"], Access::Write, Role::Write)?;
    let creator = call.account()?;
    let state = call.request.required("state")?.to_owned();
    if !["error", "failure", "pending", "success"].contains(&state.as_str()) {
        return Err(Reply::invalid("Status", "state", "invalid"));
    }
    let text = |name: &str| call.request.text(name).map(str::to_owned);
    let description = text("description");
    if description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX) {
        return Err(Reply::invalid_because(
            "Status",
            "description",
            "description is too long (maximum is 140 characters)",
        ));
    }
    let (context, target_url) = (text("context").unwrap_or_else(|| "default".to_owned()), text("target_url"));
    let missing = || Reply::refuse(422, &format!("No commit found for SHA: {sha}"));
    let sha =
        call.state.repo(repo)?.git.resolve(sha, "commit").filter(|found| found == sha).ok_or_else(missing)?;
    let id = call.state.next_id(Kind::Status);
    let created_ms = call.state.now_ms();
    let status = Status { id, sha, context, state, description, target_url, creator, created_ms };
    call.state.repo_mut(repo)?.statuses.insert(id, status.clone());
    tell(call, repo, &status)?;
    let words = format!("status `{}` {} on {}", status.context, status.state, status.sha);
    call.state.wrote(creator, &format!("status:{repo}:{id}"), &words);
    Ok(Reply::created(call.state.status_json(call.state.repo(repo)?, &status)))
}

fn tell(call: &mut Call, repo: u64, status: &Status) -> Result<(), Reply> {
    let found = call.state.repo(repo)?;
    let branches: Vec<Value> = found
        .refs
        .iter()
        .filter(|(name, sha)| name.starts_with("refs/heads/") && **sha == status.sha)
        .map(|(name, sha)| json!({"name": name.trim_start_matches("refs/heads/"), "commit": {"sha": sha}, "protected": false}))
        .collect();
    let payload = json!({
        "id": status.id, "sha": status.sha, "name": call.state.full_name(found), "context": status.context,
        "state": status.state, "description": status.description, "target_url": status.target_url,
        "commit": call.state.commit_json(found, &found.git.commit(&status.sha)?), "branches": branches,
        "created_at": iso(status.created_ms), "updated_at": iso(status.created_ms),
    });
    call.state.emit(Happening {
        event: "status",
        action: None,
        repository: Some(repo),
        sender: status.creator,
        only_app: None,
        payload,
    });
    Ok(())
}

fn commit(call: &Call, repo: u64, name: &str) -> Result<String, Reply> {
    call.need(repo, &["statuses"], Access::Read, Role::Read)?;
    let missing = || Reply::refuse(422, &format!("No commit found for SHA: {name}"));
    call.state.repo(repo)?.commit_of(name).ok_or_else(missing)
}

fn list(call: &Call, repo: u64, name: &str) -> Outcome {
    let sha = commit(call, repo, name)?;
    let found = call.state.repo(repo)?;
    let statuses = found.statuses.values().rev().filter(|status| status.sha == sha);
    Ok(call.page(statuses.map(|status| call.state.status_json(found, status)).collect()))
}

fn combined(call: &Call, repo: u64, name: &str) -> Outcome {
    let sha = commit(call, repo, name)?;
    let found = call.state.repo(repo)?;
    let mut newest: BTreeMap<&str, &Status> = BTreeMap::new();
    for status in found.statuses.values().filter(|status| status.sha == sha) {
        newest.insert(&status.context, status);
    }
    let has = |states: &[&str]| newest.values().any(|status| states.contains(&status.state.as_str()));
    let state = if has(&["error", "failure"]) {
        "failure"
    } else if newest.is_empty() || has(&["pending"]) {
        "pending"
    } else {
        "success"
    };
    let statuses: Vec<Value> = newest.values().map(|status| call.state.status_json(found, status)).collect();
    let url = format!("{}/commits/{sha}", call.state.repo_url(found));
    Ok(Reply::ok(json!({
        "state": state, "statuses": statuses, "sha": sha, "total_count": newest.len(),
        "repository": call.state.repo_json(found), "commit_url": url, "url": format!("{url}/status"),
    })))
}
