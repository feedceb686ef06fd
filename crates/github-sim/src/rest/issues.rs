//! Issues, and pull requests seen as issues.

use serde_json::{Value, json};

use super::labels;
use crate::actor::Actor;
use crate::call::{Call, Route, number};
use crate::clock::parse_iso;
use crate::ids::Kind;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::Issue;

/// GitHub's largest body of an issue, comment or review, in characters.
pub(crate) const BODY_CHARS_MAX: usize = 65_536;
/// GitHub's longest title.
const TITLE_CHARS_MAX: usize = 256;

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["issues"]) => list(call, repo),
        ("POST", ["issues"]) => create(call, repo),
        ("GET", ["issues", n]) if *n != "comments" => number(n).and_then(|n| get(call, repo, n)),
        ("PATCH", ["issues", n]) => number(n).and_then(|n| update(call, repo, n)),
        _ => return None,
    })
}

/// Refuses unless the caller has the permission for issues, or for pull requests if it is one.
pub(crate) fn need_item(
    call: &Call,
    repo: u64,
    number: u64,
    access: Access,
    role: Role,
) -> Result<(), Reply> {
    let is_pull = call.state.repo(repo)?.issues.get(&number).is_some_and(|issue| issue.pull.is_some());
    let permissions: &[&str] = if is_pull { &["issues", "pull_requests"] } else { &["issues"] };
    call.need(repo, permissions, access, role)?;
    call.state.repo(repo)?.issue(number).map(|_| ())
}

fn shown(call: &Call, repo: u64, number: u64) -> Result<Value, Reply> {
    let found = call.state.repo(repo)?;
    Ok(call.state.issue_json(found, found.issue(number)?))
}

fn get(call: &Call, repo: u64, number: u64) -> Outcome {
    need_item(call, repo, number, Access::Read, Role::Read)?;
    shown(call, repo, number).map(Reply::ok)
}

/// Whether an item is in the state that a list asks for; open unless told otherwise.
pub(crate) fn state_matches(call: &Call, issue: &Issue) -> bool {
    match call.request.query("state") {
        Some("all") => true,
        Some("closed") => !issue.open,
        Some(_) | None => issue.open,
    }
}

/// Orders a list as its query asks; the newest first unless told otherwise.
pub(crate) fn sorted<'a>(call: &Call, mut issues: Vec<&'a Issue>) -> Vec<&'a Issue> {
    match call.request.query("sort") {
        Some("updated") => issues.sort_by_key(|issue| (issue.updated_ms, issue.number)),
        Some(_) | None => issues.sort_by_key(|issue| issue.number),
    }
    if call.request.query("direction") != Some("asc") {
        issues.reverse();
    }
    issues
}

fn list(call: &Call, repo: u64) -> Outcome {
    call.need(repo, &["issues"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let wanted: Vec<String> = call
        .request
        .query("labels")
        .map(|labels| labels.split(',').map(|label| label.trim().to_lowercase()).collect())
        .unwrap_or_default();
    let since = call.request.query("since").and_then(parse_iso).unwrap_or_default();
    let creator = call.request.query("creator");
    let issues: Vec<&Issue> = found
        .issues
        .values()
        .filter(|issue| state_matches(call, issue) && issue.updated_ms >= since)
        .filter(|issue| wanted.iter().all(|label| issue.labels.contains(label)))
        .filter(|issue| {
            creator.is_none_or(|login| call.state.login(issue.author).eq_ignore_ascii_case(login))
        })
        .collect();
    Ok(call.page(sorted(call, issues).iter().map(|issue| call.state.issue_json(found, issue)).collect()))
}

/// A title that GitHub accepts.
pub(crate) fn checked_title(call: &Call, resource: &str) -> Result<String, Reply> {
    let title = call.request.required("title")?.trim().to_owned();
    if title.is_empty() {
        return Err(Reply::invalid(resource, "title", "missing_field"));
    }
    if title.chars().count() > TITLE_CHARS_MAX {
        return Err(Reply::invalid_because(
            resource,
            "title",
            "title is too long (maximum is 256 characters)",
        ));
    }
    Ok(title)
}

/// A body that GitHub accepts; `None` if the request has none.
pub(crate) fn checked_body(call: &Call, resource: &str) -> Result<Option<String>, Reply> {
    let Some(body) = call.request.text("body") else { return Ok(None) };
    if body.chars().count() > BODY_CHARS_MAX {
        return Err(Reply::invalid_because(
            resource,
            "body",
            "body is too long (maximum is 65536 characters)",
        ));
    }
    Ok(Some(body.to_owned()))
}

fn create(call: &mut Call, repo: u64) -> Outcome {
    call.need(repo, &["issues"], Access::Write, Role::Read)?;
    let author = call.account()?;
    let title = checked_title(call, "Issue")?;
    let body = checked_body(call, "Issue")?;
    let id = call.state.next_id(Kind::Issue);
    let number = call.state.new_issue(repo, id, author, title, body)?;
    // GitHub drops labels silently that the author may not set.
    let may_label = match &call.actor {
        Actor::Person(account) => call.state.repo(repo)?.role(*account) >= Role::Triage,
        Actor::Installation(_) | Actor::App(_) | Actor::Anonymous => true,
    };
    let names = if may_label {
        labels::names(call.request.json.get("labels").unwrap_or(&Value::Null))
    } else {
        Vec::new()
    };
    for name in &names {
        let key = labels::ensure(call, repo, name)?;
        call.state.repo_mut(repo)?.issue_mut(number)?.labels.insert(key);
    }
    call.state.emit_item(repo, number, "opened", author, &json!({}))?;
    // An issue created with labels fires `opened` and then `labeled` for each.
    for name in &names {
        let found = call.state.repo(repo)?;
        let label = found.labels.get(&name.to_lowercase()).map(|label| call.state.label_json(found, label));
        call.state.emit_item(repo, number, "labeled", author, &json!({"label": label}))?;
    }
    call.state.wrote(author, &format!("issue:{repo}:{number}"), &format!("issue #{number}"));
    shown(call, repo, number).map(Reply::created)
}

fn update(call: &mut Call, repo: u64, number: u64) -> Outcome {
    need_item(call, repo, number, Access::Write, Role::Read)?;
    let sender = call.account()?;
    let own = call.state.repo(repo)?.issue(number)?.author == sender;
    if !own {
        need_item(call, repo, number, Access::Write, Role::Triage)?;
    }
    edit_text(call, repo, number, sender)?;
    if let Some(labels) = call.request.json.get("labels").filter(|labels| labels.is_array()) {
        need_item(call, repo, number, Access::Write, Role::Triage)?;
        labels::set(call, repo, number, &labels::names(labels), sender)?;
    }
    if let Some(state) = call.request.text("state") {
        let reason = call.request.text("state_reason");
        set_state(call, repo, number, state, reason, sender)?;
    }
    shown(call, repo, number).map(Reply::ok)
}

/// Changes title and body as the request asks.
pub(crate) fn edit_text(call: &mut Call, repo: u64, number: u64, sender: u64) -> Result<(), Reply> {
    let title = match call.request.text("title") {
        Some(_) => Some(checked_title(call, "Issue")?),
        None => None,
    };
    let body = checked_body(call, "Issue")?;
    let now = call.state.now_ms();
    let issue = call.state.repo_mut(repo)?.issue_mut(number)?;
    let mut changes = serde_json::Map::new();
    if let Some(title) = title.filter(|title| *title != issue.title) {
        changes.insert("title".to_owned(), json!({"from": std::mem::replace(&mut issue.title, title)}));
    }
    if let Some(body) = body.filter(|body| issue.body.as_ref() != Some(body)) {
        changes.insert("body".to_owned(), json!({"from": issue.body.replace(body)}));
    }
    if changes.is_empty() {
        return Ok(());
    }
    issue.updated_ms = now;
    let key = if issue.pull.is_some() { "pull" } else { "issue" };
    call.state.wrote(sender, &format!("{key}:{repo}:{number}"), &format!("edited text of #{number}"));
    call.state.emit_item(repo, number, "edited", sender, &json!({"changes": changes}))
}

/// Opens or closes an item.
pub(crate) fn set_state(
    call: &mut Call,
    repo: u64,
    number: u64,
    state: &str,
    reason: Option<&str>,
    sender: u64,
) -> Result<(), Reply> {
    let open = match state {
        "open" => true,
        "closed" => false,
        _ => return Err(Reply::invalid("Issue", "state", "invalid")),
    };
    let issue = call.state.repo(repo)?.issue(number)?;
    if issue.open == open {
        return Ok(());
    }
    match (issue.pull.is_some(), open) {
        (true, false) => call.state.close_pull(repo, number, sender),
        (true, true) => call.state.reopen_pull(repo, number, sender),
        (false, false) => call.state.close_issue(repo, number, reason.unwrap_or("completed"), sender),
        (false, true) => call.state.reopen_issue(repo, number, sender),
    }
}
