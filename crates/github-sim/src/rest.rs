//! The REST interface: which path is whose.

pub(crate) mod apps;
pub(crate) mod checks;
pub(crate) mod comments;
pub(crate) mod contents;
pub(crate) mod events;
pub(crate) mod git_refs;
pub(crate) mod hooks;
pub(crate) mod issues;
pub(crate) mod labels;
pub(crate) mod merges;
pub(crate) mod pulls;
pub(crate) mod reactions;
pub(crate) mod repos;
pub(crate) mod review_comments;
pub(crate) mod reviews;
pub(crate) mod statuses;
pub(crate) mod suites;
pub(crate) mod users;

use crate::call::Call;
use crate::reply::{Outcome, Reply};

/// Answers a request.
pub(crate) fn route(call: &mut Call) -> Outcome {
    let segments: Vec<&str> = call.request.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["repos", owner, name, rest @ ..] => {
            let repo = repos::find(call, owner, name, rest)?;
            in_repository(call, repo, rest)
        }
        ["repositories", id, rest @ ..] => {
            let repo = crate::call::number(id)?;
            if !call.may_read(repo) {
                return Err(Reply::not_found());
            }
            in_repository(call, repo, rest)
        }
        other => hooks::route(call, other)
            .or_else(|| apps::route(call, other))
            .or_else(|| users::route(call, other))
            .unwrap_or_else(|| Err(Reply::not_found())),
    }
}

fn in_repository(call: &mut Call, repo: u64, rest: &[&str]) -> Outcome {
    let routes = [
        repos::route,
        contents::route,
        git_refs::route,
        labels::route,
        issues::route,
        events::route,
        comments::route,
        reactions::route,
        pulls::route,
        merges::route,
        reviews::route,
        review_comments::route,
        checks::route,
        suites::route,
        statuses::route,
    ];
    routes.iter().find_map(|route| route(call, repo, rest)).unwrap_or_else(|| Err(Reply::not_found()))
}
