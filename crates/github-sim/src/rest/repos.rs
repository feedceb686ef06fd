//! Repositories: found by name, even an older one; branches, commits, comparison, permission.

use serde_json::{Value, json};

use crate::actor::Actor;
use crate::call::{Call, Route};
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", []) => get(call, repo),
        ("PATCH", []) => update(call, repo),
        ("GET", ["installation"]) => super::apps::of_repository(call, repo),
        ("GET", ["collaborators", login, "permission"]) => permission(call, repo, login),
        ("GET", ["collaborators", login]) => collaborator(call, repo, login),
        ("GET", ["branches", branch @ ..]) => branches(call, repo, &branch.join("/")),
        ("GET", ["compare", range @ ..]) => compare(call, repo, &range.join("/")),
        ("GET", ["commits"]) => commits(call, repo),
        ("GET", ["commits", name @ ..])
            if !matches!(name, [.., "check-runs" | "check-suites" | "status" | "statuses" | "pulls"]) =>
        {
            commit(call, repo, &name.join("/"))
        }
        ("GET", ["commits", sha, "pulls"]) => pulls_of_commit(call, repo, sha),
        _ => return None,
    })
}

/// The repository of this name, if the caller may see it; a former name answers with the way to the new one.
pub(crate) fn find(call: &Call, owner: &str, name: &str, rest: &[&str]) -> Result<u64, Reply> {
    if let Some(repo) = call.state.repo_named(owner, name) {
        // An app asks for its installation before it has any access.
        let finding_installation = rest == ["installation"] && matches!(call.actor, Actor::App(_));
        return if finding_installation || call.may_read(repo) { Ok(repo) } else { Err(Reply::not_found()) };
    }
    let former = format!("{owner}/{name}").to_lowercase();
    let repo = *call.state.former_names.get(&former).ok_or_else(Reply::not_found)?;
    if !call.may_read(repo) {
        return Err(Reply::not_found());
    }
    let request = call.request;
    let rest = request.path.splitn(5, '/').nth(4).map(|rest| format!("/{rest}")).unwrap_or_default();
    let query: Vec<String> = request
        .query
        .iter()
        .map(|(name, value)| {
            format!("{}={}", crate::call::percent_encoded(name), crate::call::percent_encoded(value))
        })
        .collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let url = format!("{}{}/repositories/{repo}{rest}{query}", call.state.server, request.prefix);
    let status = if request.method == http::Method::GET { 301 } else { 307 };
    let body = json!({"message": "Moved Permanently", "url": url, "documentation_url": "https://docs.github.com/rest"});
    Err(Reply::new(status, body).with_header("location", url))
}

fn role(call: &Call, repo: u64) -> Result<Role, Reply> {
    let repo = call.state.repo(repo)?;
    Ok(match &call.actor {
        Actor::Person(account) => call.state.role(*account, repo),
        Actor::Installation(actor) if actor.permissions.get("contents") == Some(&Access::Write) => {
            Role::Write
        }
        Actor::Installation(_) | Actor::App(_) | Actor::Anonymous => Role::Read,
    })
}

fn get(call: &Call, repo: u64) -> Outcome {
    call.need(repo, &["metadata"], Access::Read, Role::Read)?;
    let role = role(call, repo)?;
    Ok(Reply::ok(call.state.repo_json_for(call.state.repo(repo)?, role)))
}

fn update(call: &mut Call, repo: u64) -> Outcome {
    call.need(repo, &["administration"], Access::Write, Role::Admin)?;
    if let Some(name) = call.request.text("name") {
        let sender = call.account()?;
        let name = name.to_owned();
        call.state.rename_repository(repo, &name, sender)?;
    }
    get(call, repo)
}

fn permission(call: &Call, repo: u64, login: &str) -> Outcome {
    call.need(repo, &["metadata"], Access::Read, Role::Write)?;
    let account = call
        .state
        .account_named(login)
        .ok_or_else(|| Reply::refuse(404, &format!("{login} is not a user")))?;
    let found = call.state.repo(repo)?;
    let role = call.state.role(account.id, found);
    Ok(Reply::ok(json!({
        "permission": role.legacy_name(), "role_name": role.name(), "user": call.state.account_json(account.id),
    })))
}

fn collaborator(call: &Call, repo: u64, login: &str) -> Outcome {
    call.need(repo, &["metadata"], Access::Read, Role::Write)?;
    let found = call.state.repo(repo)?;
    let known = call.state.account_named(login).is_some_and(|account| {
        account.id == found.owner
            || found.collaborators.get(&account.id).is_some_and(|role| *role > Role::None)
    });
    if known { Ok(Reply::empty(204)) } else { Err(Reply::not_found()) }
}

fn branches(call: &Call, repo: u64, branch: &str) -> Outcome {
    call.need(repo, &["contents"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let short = |name: &str, sha: &str| {
        let url = format!("{}/commits/{sha}", call.state.repo_url(found));
        let protected = found.protections.contains_key(name);
        json!({"name": name, "commit": {"sha": sha, "url": url}, "protected": protected})
    };
    if branch.is_empty() {
        let heads = found
            .refs
            .iter()
            .filter_map(|(name, sha)| name.strip_prefix("refs/heads/").map(|name| short(name, sha)));
        return Ok(call.page(heads.collect()));
    }
    let sha = found.branch(branch).ok_or_else(|| Reply::refuse(404, "Branch not found"))?;
    let mut json = short(branch, sha);
    let commit = call.state.commit_json(found, &found.git.commit(sha)?);
    if let Some(object) = json.as_object_mut() {
        object.insert("commit".to_owned(), commit);
    }
    Ok(Reply::ok(json))
}

fn commits(call: &Call, repo: u64) -> Outcome {
    call.need(repo, &["contents"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let name = call.request.query("sha").unwrap_or(&found.default_branch);
    let sha = found.commit_of(name).ok_or_else(Reply::not_found)?;
    let log = found.git.log(&[&sha], 1000)?;
    Ok(call.page(log.iter().map(|commit| call.state.commit_json(found, commit)).collect()))
}

fn commit(call: &Call, repo: u64, name: &str) -> Outcome {
    call.need(repo, &["contents"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let missing = || Reply::refuse(422, &format!("No commit found for SHA: {name}"));
    let sha = found.commit_of(name).ok_or_else(missing)?;
    if call.request.header("accept").contains("sha") {
        return Ok(Reply::raw("application/vnd.github.sha; charset=utf-8", sha));
    }
    let commit = found.git.commit(&sha)?;
    let mut json = call.state.commit_json(found, &commit);
    let files = match commit.parents.first() {
        Some(parent) => found.git.diff(parent, &sha)?,
        None => Vec::new(),
    };
    let (added, removed) = lines(&files);
    if let Some(object) = json.as_object_mut() {
        let files: Vec<Value> = files.iter().map(|file| call.state.file_json(found, file, &sha)).collect();
        object.insert("files".to_owned(), files.into());
        object.insert(
            "stats".to_owned(),
            json!({"additions": added, "deletions": removed, "total": added + removed}),
        );
    }
    Ok(Reply::ok(json))
}

fn lines(files: &[crate::git::diff::FileDiff]) -> (u64, u64) {
    (files.iter().map(|file| file.additions).sum(), files.iter().map(|file| file.deletions).sum())
}

fn pulls_of_commit(call: &Call, repo: u64, sha: &str) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let pulls = found.issues.values().filter_map(|issue| {
        let pull = issue.pull.as_ref().filter(|pull| pull.heads.contains(sha))?;
        Some(call.state.pull_json(found, issue, pull))
    });
    Ok(call.page(pulls.collect()))
}

fn compare(call: &Call, repo: u64, range: &str) -> Outcome {
    call.need(repo, &["contents"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let (base, head) = range.split_once("...").ok_or_else(Reply::not_found)?;
    let own = |name: &str| name.rsplit(':').next().unwrap_or_default().to_owned();
    let base = found.commit_of(&own(base)).ok_or_else(Reply::not_found)?;
    let head = found.commit_of(&own(head)).ok_or_else(Reply::not_found)?;
    let merge_base = found
        .git
        .merge_base(&base, &head)
        .ok_or_else(|| Reply::refuse(404, "No common ancestor between the two commits."))?;
    let ahead = found.git.log(&["--reverse", &format!("{base}..{head}")], 250)?;
    let behind = found.git.log(&[&format!("{head}..{base}")], 10_000)?.len();
    let status = match (ahead.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        (_, _) => "diverged",
    };
    let files = found.git.diff(&merge_base, &head)?;
    let url = format!("{}/compare/{range}", call.state.repo_url(found));
    Ok(Reply::ok(json!({
        "url": url, "html_url": format!("{}/compare/{range}", call.state.repo_html(found)),
        "permalink_url": url, "diff_url": format!("{url}.diff"), "patch_url": format!("{url}.patch"),
        "base_commit": call.state.commit_json(found, &found.git.commit(&base)?),
        "merge_base_commit": call.state.commit_json(found, &found.git.commit(&merge_base)?),
        "status": status, "ahead_by": ahead.len(), "behind_by": behind, "total_commits": ahead.len(),
        "commits": ahead.iter().map(|commit| call.state.commit_json(found, commit)).collect::<Vec<_>>(),
        "files": files.iter().map(|file| call.state.file_json(found, file, &head)).collect::<Vec<_>>(),
    })))
}
