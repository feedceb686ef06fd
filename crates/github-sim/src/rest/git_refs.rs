//! Refs: read, made, moved and deleted.

use serde_json::{Value, json};

use crate::call::{Call, Route};
use crate::git::command::ZERO_SHA;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::Repo;

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["git", "ref", name @ ..]) => get(call, repo, &name.join("/")),
        ("GET", ["git", "refs", name @ ..]) => get(call, repo, &name.join("/")),
        ("GET", ["git", "matching-refs", name @ ..]) => matching(call, repo, &name.join("/")),
        ("POST", ["git", "refs"]) => create(call, repo),
        ("PATCH", ["git", "refs", name @ ..]) => update(call, repo, &name.join("/")),
        ("DELETE", ["git", "refs", name @ ..]) => delete(call, repo, &name.join("/")),
        _ => return None,
    })
}

fn json_of(call: &Call, repo: &Repo, name: &str, sha: &str) -> Value {
    let url = call.state.repo_url(repo);
    json!({
        "ref": name, "node_id": format!("REF_{name}"), "url": format!("{url}/git/{name}"),
        "object": {"type": "commit", "sha": sha, "url": format!("{url}/git/commits/{sha}")},
    })
}

fn get(call: &Call, repo: u64, name: &str) -> Outcome {
    call.need(repo, &["contents"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let name = format!("refs/{name}");
    let sha = found.refs.get(&name).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(json_of(call, found, &name, sha)))
}

fn matching(call: &Call, repo: u64, name: &str) -> Outcome {
    call.need(repo, &["contents"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let prefix = format!("refs/{name}");
    let refs = found.refs.iter().filter(|(name, _)| name.starts_with(&prefix));
    Ok(call.page(refs.map(|(name, sha)| json_of(call, found, name, sha)).collect()))
}

/// The commit that the body names.
fn target(call: &Call, repo: u64) -> Result<String, Reply> {
    let sha = call.request.required("sha")?;
    let found = call.state.repo(repo)?;
    found
        .git
        .resolve(sha, "commit")
        .filter(|found| found == sha)
        .ok_or_else(|| Reply::refuse(422, "Object does not exist"))
}

/// Refuses what branch protection refuses.
fn unprotected(call: &Call, repo: u64, name: &str) -> Result<(), Reply> {
    let found = call.state.repo(repo)?;
    let protected =
        name.strip_prefix("refs/heads/").is_some_and(|branch| found.protections.contains_key(branch));
    let ruled = found.push_rules.iter().find(|(rule, _, _)| rule == name);
    match (protected, ruled) {
        (_, Some((_, _, message))) => {
            Err(Reply::refuse(422, &format!("Repository rule violations found\n\n{message}")))
        }
        (true, None) => Err(Reply::refuse(422, "Protected branch update failed for the ref")),
        (false, None) => Ok(()),
    }
}

fn create(call: &mut Call, repo: u64) -> Outcome {
    call.need(repo, &["contents"], Access::Write, Role::Write)?;
    let name = call.request.required("ref")?.to_owned();
    let sha = target(call, repo)?;
    let found = call.state.repo(repo)?;
    let short = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/"));
    if !short.is_some_and(|short| found.git.valid_branch(short)) {
        return Err(Reply::refuse(422, "Reference name is not valid"));
    }
    if found.refs.contains_key(&name) {
        return Err(Reply::refuse(422, "Reference already exists"));
    }
    let sender = call.account()?;
    call.state.move_ref(repo, &name, &sha, sender)?;
    let found = call.state.repo(repo)?;
    Ok(Reply::created(json_of(call, found, &name, &sha)))
}

fn update(call: &mut Call, repo: u64, name: &str) -> Outcome {
    call.need(repo, &["contents"], Access::Write, Role::Write)?;
    let name = format!("refs/{name}");
    let sha = target(call, repo)?;
    let found = call.state.repo(repo)?;
    let before = found.refs.get(&name).ok_or_else(|| Reply::refuse(422, "Reference does not exist"))?;
    let force = call.request.json.get("force").and_then(Value::as_bool).unwrap_or(false);
    if !force && !found.git.is_ancestor(before, &sha) {
        return Err(Reply::refuse(422, "Update is not a fast forward"));
    }
    unprotected(call, repo, &name)?;
    let sender = call.account()?;
    call.state.move_ref(repo, &name, &sha, sender)?;
    let found = call.state.repo(repo)?;
    Ok(Reply::ok(json_of(call, found, &name, &sha)))
}

fn delete(call: &mut Call, repo: u64, name: &str) -> Outcome {
    call.need(repo, &["contents"], Access::Write, Role::Write)?;
    let name = format!("refs/{name}");
    if !call.state.repo(repo)?.refs.contains_key(&name) {
        return Err(Reply::refuse(422, "Reference does not exist"));
    }
    unprotected(call, repo, &name)?;
    let sender = call.account()?;
    call.state.move_ref(repo, &name, ZERO_SHA, sender)?;
    Ok(Reply::empty(204))
}
