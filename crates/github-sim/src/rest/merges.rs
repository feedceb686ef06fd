//! Merging a pull request.

use serde_json::json;

use crate::call::{Call, Route, number};
use crate::git::merge::MergeMethod;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["pulls", n, "merge"]) => number(n).and_then(|n| merged(call, repo, n)),
        ("PUT", ["pulls", n, "merge"]) => number(n).and_then(|n| merge(call, repo, n)),
        ("PUT", ["pulls", n, "update-branch"]) => number(n).and_then(|n| update_branch(call, repo, n)),
        _ => return None,
    })
}

fn merged(call: &Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["contents", "pull_requests"], Access::Read, Role::Read)?;
    match call.state.repo(repo)?.pull(number)?.merged_ms {
        Some(_) => Ok(Reply::empty(204)),
        None => Err(Reply::not_found()),
    }
}

fn merge(call: &mut Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["contents"], Access::Write, Role::Write)?;
    let sender = call.account()?;
    let method = match call.request.text("merge_method") {
        None | Some("merge") => MergeMethod::Merge,
        Some("squash") => MergeMethod::Squash,
        Some("rebase") => MergeMethod::Rebase,
        Some(_) => return Err(Reply::bad_schema("merge_method is not one of merge, squash, rebase.")),
    };
    let found = call.state.repo(repo)?;
    let issue = found.issue(number)?;
    let pull = found.pull(number)?;
    let not_mergeable = || Reply::refuse(405, "Pull Request is not mergeable");
    if !issue.open || pull.merged_ms.is_some() {
        return Err(not_mergeable());
    }
    if call.request.text("sha").is_some_and(|sha| sha != pull.head_sha) {
        return Err(Reply::refuse(409, "Head branch was modified. Review and try the merge again."));
    }
    if pull.draft {
        return Err(Reply::refuse(405, "Pull Request is still a draft"));
    }
    if let Some(reason) = call.state.merge_obstacle(found, pull) {
        return Err(Reply::refuse(405, &reason));
    }
    let base_ref = format!("refs/heads/{}", pull.base_branch);
    let base = found.refs.get(&base_ref).ok_or_else(not_mergeable)?;
    let title = match method {
        MergeMethod::Squash => format!("{} (#{number})", issue.title),
        MergeMethod::Merge | MergeMethod::Rebase => {
            let owner =
                call.state.repos.get(&pull.head_repo).map_or("ghost", |repo| call.state.login(repo.owner));
            format!("Merge pull request #{number} from {owner}/{}", pull.head_branch)
        }
    };
    let title = call.request.text("commit_title").unwrap_or(&title).to_owned();
    let message = call.request.text("commit_message").unwrap_or(&issue.title);
    let message = format!("{title}\n\n{message}");
    let at_s = call.state.now_ms() / 1000;
    let sha = found
        .git
        .merge(method, base, &pull.head_sha, &call.state.ident(sender), at_s, &message)?
        .ok_or_else(not_mergeable)?;
    call.state.mark_merged(repo, number, &sha, sender)?;
    call.state.move_ref(repo, &base_ref, &sha, sender)?;
    Ok(Reply::ok(json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"})))
}

fn update_branch(call: &mut Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Write, Role::Write)?;
    let sender = call.account()?;
    let found = call.state.repo(repo)?;
    let pull = found.pull(number)?;
    if call.request.text("expected_head_sha").is_some_and(|sha| sha != pull.head_sha) {
        return Err(Reply::refuse(422, "expected head sha didn't match current head ref."));
    }
    let base = found.branch(&pull.base_branch).cloned().unwrap_or_else(|| pull.base_sha.clone());
    if found.git.is_ancestor(&base, &pull.head_sha) {
        return Err(Reply::refuse(422, "There are no new commits on the base branch."));
    }
    let message = format!("Merge branch '{}' into {}", pull.base_branch, pull.head_branch);
    let at_s = call.state.now_ms() / 1000;
    let author = call.state.ident(sender);
    let merged = found.git.merge(MergeMethod::Merge, &pull.head_sha, &base, &author, at_s, &message)?;
    let sha = merged.ok_or_else(|| Reply::refuse(422, "merge conflict between base and head"))?;
    let (head_repo, name) = (pull.head_repo, format!("refs/heads/{}", pull.head_branch));
    call.state.move_ref(head_repo, &name, &sha, sender)?;
    Ok(Reply::new(202, json!({"message": "Updating pull request branch.", "url": call.state.server})))
}
