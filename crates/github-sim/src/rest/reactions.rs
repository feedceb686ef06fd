//! Reactions to issues and comments.

use super::issues::need_item;
use crate::call::{Call, Route, number};
use crate::ids::Kind;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::{Reaction, ReactionTarget};

const CONTENTS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];

fn target(path: &[&str]) -> Option<(ReactionTarget, Option<u64>)> {
    let (target, rest) = match path {
        ["issues", "comments", id, "reactions", rest @ ..] => {
            (ReactionTarget::IssueComment(id.parse().ok()?), rest)
        }
        ["pulls", "comments", id, "reactions", rest @ ..] => {
            (ReactionTarget::ReviewComment(id.parse().ok()?), rest)
        }
        ["issues", n, "reactions", rest @ ..] => (ReactionTarget::Issue(number(n).ok()?), rest),
        _ => return None,
    };
    match rest {
        [] => Some((target, None)),
        [id] => Some((target, Some(id.parse().ok()?))),
        _ => None,
    }
}

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    let (target, id) = target(path)?;
    Some(match (call.request.method.as_str(), id) {
        ("GET", None) => list(call, repo, target),
        ("POST", None) => create(call, repo, target),
        ("DELETE", Some(id)) => delete(call, repo, target, id),
        _ => return None,
    })
}

fn need(call: &Call, repo: u64, target: ReactionTarget, access: Access) -> Result<u64, Reply> {
    let found = call.state.repo(repo)?;
    let (number, permissions): (Option<u64>, &[&str]) = match target {
        ReactionTarget::Issue(number) => (Some(number), &["issues", "pull_requests"]),
        ReactionTarget::IssueComment(id) => {
            (found.comments.get(&id).map(|comment| comment.number), &["issues", "pull_requests"])
        }
        ReactionTarget::ReviewComment(id) => {
            (found.review_comments.get(&id).map(|comment| comment.number), &["pull_requests"])
        }
    };
    call.need(repo, permissions, access, Role::Read)?;
    let number = number.ok_or_else(Reply::not_found)?;
    need_item(call, repo, number, access, Role::Read)?;
    Ok(number)
}

fn list(call: &Call, repo: u64, target: ReactionTarget) -> Outcome {
    need(call, repo, target, Access::Read)?;
    let wanted = call.request.query("content");
    let found = call.state.repo(repo)?.reactions.values().filter(|reaction| {
        reaction.target == target && wanted.is_none_or(|content| reaction.content == content)
    });
    Ok(call.page(found.map(|reaction| call.state.reaction_json(reaction)).collect()))
}

fn create(call: &mut Call, repo: u64, target: ReactionTarget) -> Outcome {
    let number = need(call, repo, target, Access::Write)?;
    let author = call.account()?;
    let content = call.request.required("content")?.to_owned();
    if !CONTENTS.contains(&content.as_str()) {
        return Err(Reply::invalid("Reaction", "content", "invalid"));
    }
    let known = call.state.repo(repo)?.reactions.values().find(|reaction| {
        reaction.target == target && reaction.author == author && reaction.content == content
    });
    // The same reaction again is answered with 200 instead of 201.
    if let Some(reaction) = known {
        return Ok(Reply::ok(call.state.reaction_json(reaction)));
    }
    let id = call.state.next_id(Kind::Reaction);
    let created_ms = call.state.now_ms();
    let reaction = Reaction { id, target, author, content, created_ms };
    let json = call.state.reaction_json(&reaction);
    let description = format!("reaction {} on #{number}", reaction.content);
    call.state.repo_mut(repo)?.reactions.insert(id, reaction);
    call.state.wrote(author, &format!("reaction:{repo}:{id}"), &description);
    Ok(Reply::created(json))
}

fn delete(call: &mut Call, repo: u64, target: ReactionTarget, id: u64) -> Outcome {
    need(call, repo, target, Access::Write)?;
    let author = call.account()?;
    let found = call.state.repo_mut(repo)?;
    let own =
        found.reactions.get(&id).filter(|reaction| reaction.target == target && reaction.author == author);
    own.map(|reaction| reaction.id).ok_or_else(Reply::not_found)?;
    found.reactions.remove(&id);
    call.state.looked.saw(&format!("reaction:{repo}:{id}"));
    Ok(Reply::empty(204))
}
