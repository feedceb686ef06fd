//! The mutations.

use serde_json::{Value, json};

use super::Problem;
use super::nodes::{Node, by_id, readable, thread_comments};
use crate::call::Call;
use crate::emit::Happening;
use crate::role::{Access, Role};

/// Executes a mutation; `None` if there is none of that name.
pub(crate) fn run(call: &mut Call, name: &str, input: &Value) -> Result<Option<Node>, Problem> {
    let (kind, parts) = match name {
        "markPullRequestReadyForReview" => {
            ("MarkPullRequestReadyForReviewPayload", vec![("pullRequest", draft(call, input, false)?)])
        }
        "convertPullRequestToDraft" => {
            ("ConvertPullRequestToDraftPayload", vec![("pullRequest", draft(call, input, true)?)])
        }
        "resolveReviewThread" => {
            ("ResolveReviewThreadPayload", vec![("thread", resolve(call, input, true)?)])
        }
        "unresolveReviewThread" => {
            ("UnresolveReviewThreadPayload", vec![("thread", resolve(call, input, false)?)])
        }
        "minimizeComment" => ("MinimizeCommentPayload", vec![("minimizedComment", minimize(call, input)?)]),
        "addPullRequestReviewThreadReply" => {
            ("AddPullRequestReviewThreadReplyPayload", vec![("comment", reply(call, input)?)])
        }
        _ => return Ok(None),
    };
    let client_id = input.get("clientMutationId").cloned().unwrap_or_default();
    Ok(Some(Node::Payload { kind, client_id, parts }))
}

/// The object that the input names, if the caller may see it.
fn target(call: &Call, input: &Value, name: &str) -> Result<Node, Problem> {
    let id = input.get(name).and_then(Value::as_str).ok_or_else(|| {
        Problem::new(format!("Argument '{name}' on InputObject is required. Expected type ID!"))
    })?;
    let missing = || Problem::not_found(&format!("a node with the global id of '{id}'"));
    let node = by_id(call.state, id).ok_or_else(missing)?;
    readable(call, &node)?;
    Ok(node)
}

fn wrong_kind(node: &Node) -> Problem {
    Problem::not_found(&format!("the right kind of node: it is a {}", node.kind()))
}

fn need(call: &Call, repo: u64, role: Role) -> Result<u64, Problem> {
    call.need(repo, &["pull_requests"], Access::Write, role)?;
    Ok(call.account()?)
}

fn draft(call: &mut Call, input: &Value, draft: bool) -> Result<Node, Problem> {
    let node = target(call, input, "pullRequestId")?;
    let Node::PullRequest { repo, number } = node else { return Err(wrong_kind(&node)) };
    let author = call.state.repo(repo)?.issue(number)?.author;
    let role = if call.actor.account() == Some(author) { Role::Read } else { Role::Write };
    let sender = need(call, repo, role)?;
    if !call.state.repo(repo)?.issue(number)?.open {
        return Err(Problem::unprocessable("Pull request is closed"));
    }
    let changed = call.state.set_draft(repo, number, draft, sender)?;
    if !changed && draft {
        return Err(Problem::unprocessable("Pull request is already a draft."));
    }
    Ok(node)
}

fn resolve(call: &mut Call, input: &Value, resolved: bool) -> Result<Node, Problem> {
    let node = target(call, input, "threadId")?;
    let Node::Thread { repo, id } = node else { return Err(wrong_kind(&node)) };
    let sender = need(call, repo, Role::Write)?;
    let found = call.state.repo_mut(repo)?;
    let thread = found.threads.get_mut(&id).ok_or_else(|| Problem::not_found("a PullRequestReviewThread"))?;
    let number = thread.number;
    let changed = thread.resolved_by.is_some() != resolved;
    thread.resolved_by = resolved.then_some(sender);
    if changed {
        let found = call.state.repo(repo)?;
        let comments: Vec<Value> = thread_comments(found, id)
            .map(|comment| call.state.review_comment_json(found, comment))
            .collect();
        let roots: Vec<u64> = thread_comments(found, id).map(|comment| comment.id).take(1).collect();
        let pull = call.state.pull_json(found, found.issue(number)?, found.pull(number)?);
        let payload =
            json!({"thread": {"node_id": format!("PRRT_{id}"), "comments": comments}, "pull_request": pull});
        call.state.emit(Happening {
            event: "pull_request_review_thread",
            action: Some(if resolved { "resolved" } else { "unresolved" }),
            repository: Some(repo),
            sender,
            only_app: None,
            payload,
        });
        for root in roots {
            let words = format!("thread of review comment {root} on #{number}, resolved: {resolved}");
            call.state.wrote(sender, &format!("review_comment:{repo}:{root}"), &words);
        }
    }
    Ok(node)
}

fn minimize(call: &mut Call, input: &Value) -> Result<Node, Problem> {
    const REASONS: [&str; 6] = ["SPAM", "ABUSE", "OFF_TOPIC", "OUTDATED", "DUPLICATE", "RESOLVED"];
    let node = target(call, input, "subjectId")?;
    let reason = input.get("classifier").and_then(Value::as_str).unwrap_or_default();
    if !REASONS.contains(&reason) {
        return Err(Problem::new(
            "Argument 'classifier' on InputObject 'MinimizeCommentInput' has an invalid value",
        ));
    }
    let reason = reason.to_lowercase().replace('_', "-");
    match node {
        Node::IssueComment { repo, id } => {
            call.need(repo, &["issues", "pull_requests"], Access::Write, Role::Write)?;
            if let Some(comment) = call.state.repo_mut(repo)?.comments.get_mut(&id) {
                comment.minimized = Some(reason);
            }
        }
        Node::ReviewComment { repo, id } => {
            need(call, repo, Role::Write)?;
            if let Some(comment) = call.state.repo_mut(repo)?.review_comments.get_mut(&id) {
                comment.minimized = Some(reason);
            }
        }
        other => return Err(wrong_kind(&other)),
    }
    Ok(node)
}

fn reply(call: &mut Call, input: &Value) -> Result<Node, Problem> {
    let node = target(call, input, "pullRequestReviewThreadId")?;
    let Node::Thread { repo, id } = node else { return Err(wrong_kind(&node)) };
    need(call, repo, Role::Read)?;
    let body = input.get("body").and_then(Value::as_str).unwrap_or_default();
    if body.trim().is_empty() || body.chars().count() > crate::rest::issues::BODY_CHARS_MAX {
        return Err(Problem::unprocessable("Body can't be blank, nor longer than 65536 characters"));
    }
    let found = call.state.repo(repo)?;
    let root =
        thread_comments(found, id).next().ok_or_else(|| Problem::not_found("a PullRequestReviewThread"))?;
    let (root, number) = (root.id, root.number);
    let id = crate::rest::review_comments::answer(call, repo, number, root, body.to_owned())?;
    Ok(Node::ReviewComment { repo, id })
}
