//! Comments of issues and of pull requests' conversations.

use serde_json::{Value, json};

use super::issues::{BODY_CHARS_MAX, need_item};
use crate::actor::Actor;
use crate::call::{Call, Route, number};
use crate::clock::parse_iso;
use crate::emit::Happening;
use crate::ids::Kind;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::IssueComment;

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["issues", n, "comments"]) if *n != "comments" => number(n).and_then(|n| list(call, repo, n)),
        ("POST", ["issues", n, "comments"]) if *n != "comments" => {
            number(n).and_then(|n| create(call, repo, n))
        }
        ("GET", ["issues", "comments"]) => list_all(call, repo),
        ("GET", ["issues", "comments", id]) => number(id).and_then(|id| get(call, repo, id)),
        ("PATCH", ["issues", "comments", id]) => number(id).and_then(|id| update(call, repo, id)),
        ("DELETE", ["issues", "comments", id]) => number(id).and_then(|id| delete(call, repo, id)),
        _ => return None,
    })
}

fn shown(call: &Call, repo: u64, id: u64) -> Result<Value, Reply> {
    let found = call.state.repo(repo)?;
    let comment = found.comments.get(&id).ok_or_else(Reply::not_found)?;
    Ok(call.state.comment_json(found, comment))
}

fn page<'a>(call: &Call, repo: u64, comments: impl Iterator<Item = &'a IssueComment>) -> Outcome {
    let found = call.state.repo(repo)?;
    let since = call.request.query("since").and_then(parse_iso).unwrap_or_default();
    let comments = comments.filter(|comment| comment.updated_ms >= since);
    Ok(call.page(comments.map(|comment| call.state.comment_json(found, comment)).collect()))
}

fn list(call: &Call, repo: u64, number: u64) -> Outcome {
    need_item(call, repo, number, Access::Read, Role::Read)?;
    page(call, repo, call.state.repo(repo)?.comments.values().filter(|comment| comment.number == number))
}

fn list_all(call: &Call, repo: u64) -> Outcome {
    call.need(repo, &["issues", "pull_requests"], Access::Read, Role::Read)?;
    page(call, repo, call.state.repo(repo)?.comments.values())
}

fn get(call: &Call, repo: u64, id: u64) -> Outcome {
    call.need(repo, &["issues", "pull_requests"], Access::Read, Role::Read)?;
    shown(call, repo, id).map(Reply::ok)
}

/// A comment's text that GitHub accepts.
pub(crate) fn checked(call: &Call, resource: &str) -> Result<String, Reply> {
    let body = call.request.required("body")?;
    let unprocessable = |message: &str| {
        let error =
            json!({"resource": resource, "code": "unprocessable", "field": "data", "message": message});
        Reply::unprocessable("Validation Failed", &json!([error]))
    };
    if body.trim().is_empty() {
        return Err(unprocessable("Body cannot be blank"));
    }
    if body.chars().count() > BODY_CHARS_MAX {
        return Err(unprocessable("Body is too long (maximum is 65536 characters)"));
    }
    Ok(body.to_owned())
}

fn create(call: &mut Call, repo: u64, number: u64) -> Outcome {
    need_item(call, repo, number, Access::Write, Role::Read)?;
    let author = call.account()?;
    let body = checked(call, "IssueComment")?;
    let id = call.state.next_id(Kind::IssueComment);
    let now = call.state.now_ms();
    let comment =
        IssueComment { id, number, author, body, created_ms: now, updated_ms: now, minimized: None };
    let found = call.state.repo_mut(repo)?;
    found.comments.insert(id, comment);
    found.issue_mut(number)?.updated_ms = now;
    tell(call, repo, id, "created", author, &json!({}))?;
    call.state.wrote(author, &format!("comment:{repo}:{id}"), &format!("comment {id} on #{number}"));
    shown(call, repo, id).map(Reply::created)
}

fn tell(
    call: &mut Call,
    repo: u64,
    id: u64,
    action: &'static str,
    sender: u64,
    extra: &Value,
) -> Result<(), Reply> {
    let found = call.state.repo(repo)?;
    let comment = found.comments.get(&id).ok_or_else(Reply::not_found)?;
    let issue = call.state.issue_json(found, found.issue(comment.number)?);
    let mut payload = json!({"issue": issue, "comment": call.state.comment_json(found, comment)});
    crate::view::account::extend(&mut payload, extra.clone());
    call.state.emit(Happening {
        event: "issue_comment",
        action: Some(action),
        repository: Some(repo),
        sender,
        only_app: None,
        payload,
    });
    Ok(())
}

/// Refuses unless the comment is the caller's own or the caller may change others'.
fn need_comment(call: &Call, repo: u64, id: u64) -> Result<u64, Reply> {
    call.need(repo, &["issues", "pull_requests"], Access::Write, Role::Read)?;
    let comment = call.state.repo(repo)?.comments.get(&id).ok_or_else(Reply::not_found)?;
    match &call.actor {
        Actor::Person(account) if *account != comment.author => {
            need_item(call, repo, comment.number, Access::Write, Role::Write)?;
        }
        Actor::Person(_) | Actor::Installation(_) | Actor::App(_) | Actor::Anonymous => {
            need_item(call, repo, comment.number, Access::Write, Role::Read)?;
        }
    }
    Ok(comment.number)
}

fn update(call: &mut Call, repo: u64, id: u64) -> Outcome {
    let number = need_comment(call, repo, id)?;
    let sender = call.account()?;
    let body = checked(call, "IssueComment")?;
    let now = call.state.now_ms();
    let comment = call.state.repo_mut(repo)?.comments.get_mut(&id).ok_or_else(Reply::not_found)?;
    if comment.body != body {
        let before = std::mem::replace(&mut comment.body, body);
        comment.updated_ms = now;
        tell(call, repo, id, "edited", sender, &json!({"changes": {"body": {"from": before}}}))?;
        call.state.wrote(
            sender,
            &format!("comment:{repo}:{id}"),
            &format!("edited comment {id} on #{number}"),
        );
    }
    shown(call, repo, id).map(Reply::ok)
}

fn delete(call: &mut Call, repo: u64, id: u64) -> Outcome {
    need_comment(call, repo, id)?;
    let sender = call.account()?;
    tell(call, repo, id, "deleted", sender, &json!({}))?;
    call.state.repo_mut(repo)?.comments.remove(&id);
    call.state.looked.saw(&format!("comment:{repo}:{id}"));
    Ok(Reply::empty(204))
}
