//! Pull requests: opened, listed, read and changed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::issues::{checked_body, checked_title, edit_text, set_state, sorted, state_matches};
use crate::call::{Call, Route, number};
use crate::ids::Kind;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::{Issue, Mergeable, Pull};

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    let number = |n: &str| number(n);
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["pulls"]) => list(call, repo),
        ("POST", ["pulls"]) => create(call, repo),
        ("GET", ["pulls", n]) if *n != "comments" => number(n).and_then(|n| get(call, repo, n)),
        ("PATCH", ["pulls", n]) => number(n).and_then(|n| update(call, repo, n)),
        ("GET", ["pulls", n, "files"]) => number(n).and_then(|n| files(call, repo, n)),
        ("GET", ["pulls", n, "commits"]) => number(n).and_then(|n| commits(call, repo, n)),
        ("GET", ["pulls", n, "requested_reviewers"]) => number(n).and_then(|n| reviewers(call, repo, n)),
        ("POST", ["pulls", n, "requested_reviewers"]) => {
            number(n).and_then(|n| request_review(call, repo, n, true))
        }
        ("DELETE", ["pulls", n, "requested_reviewers"]) => {
            number(n).and_then(|n| request_review(call, repo, n, false))
        }
        _ => return None,
    })
}

fn list(call: &Call, repo: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let head = call.request.query("head");
    let base = call.request.query("base");
    let is_head = |pull: &Pull| {
        head.is_none_or(|head| {
            let owner = call.state.repos.get(&pull.head_repo).map(|repo| call.state.login(repo.owner));
            let (wanted, branch) = head.split_once(':').unwrap_or(("", head));
            pull.head_branch == branch
                && (wanted.is_empty() || owner.is_some_and(|owner| owner.eq_ignore_ascii_case(wanted)))
        })
    };
    let pulls: Vec<&Issue> = found
        .issues
        .values()
        .filter(|issue| state_matches(call, issue))
        .filter(|issue| {
            let pull = issue.pull.as_ref();
            pull.is_some_and(|pull| is_head(pull) && base.is_none_or(|base| pull.base_branch == base))
        })
        .collect();
    let pulls = sorted(call, pulls);
    let shown = pulls
        .iter()
        .filter_map(|issue| issue.pull.as_ref().map(|pull| call.state.pull_json(found, issue, pull)));
    Ok(call.page(shown.collect()))
}

/// Where the commits come from: repository, branch and commit.
fn head(call: &Call, repo: u64) -> Result<(u64, String, String), Reply> {
    let name = call.request.required("head")?;
    let invalid = || Reply::invalid("PullRequest", "head", "invalid");
    let found = call.state.repo(repo)?;
    let (owner, branch) = match name.split_once(':') {
        Some((owner, branch)) => (owner, branch),
        None => (call.state.login(found.owner), name),
    };
    let from = call
        .state
        .repos
        .values()
        .find(|other| {
            (other.id == repo || other.parent == Some(repo) || found.parent == Some(other.id))
                && call.state.login(other.owner).eq_ignore_ascii_case(owner)
        })
        .ok_or_else(invalid)?;
    let sha = from.branch(branch).ok_or_else(invalid)?;
    Ok((from.id, branch.to_owned(), sha.clone()))
}

fn create(call: &mut Call, repo: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Write, Role::Read)?;
    let author = call.account()?;
    let title = checked_title(call, "PullRequest")?;
    let body = checked_body(call, "PullRequest")?;
    let (head_repo, head_branch, head_sha) = head(call, repo)?;
    if head_repo == repo {
        call.need(repo, &["pull_requests"], Access::Write, Role::Write)?;
    }
    let base_branch = call.request.required("base")?.to_owned();
    let found = call.state.repo(repo)?;
    let base_sha = found
        .branch(&base_branch)
        .cloned()
        .ok_or_else(|| Reply::invalid("PullRequest", "base", "invalid"))?;
    let custom = |message: String| {
        let error = json!({"resource": "PullRequest", "code": "custom", "message": message});
        Reply::unprocessable("Validation Failed", &json!([error]))
    };
    let duplicate = found
        .issues
        .values()
        .filter(|issue| issue.open)
        .filter_map(|issue| issue.pull.as_ref())
        .any(|pull| {
            pull.head_repo == head_repo && pull.head_branch == head_branch && pull.base_branch == base_branch
        });
    if duplicate {
        let owner = call.state.login(call.state.repo(head_repo)?.owner);
        return Err(custom(format!("A pull request already exists for {owner}:{head_branch}.")));
    }
    if head_repo != repo {
        found.git.take_from(&call.state.repo(head_repo)?.git, &head_sha)?;
    }
    if found.git.is_ancestor(&head_sha, &base_sha) {
        return Err(custom(format!("No commits between {base_branch} and {head_branch}")));
    }
    if found.git.merge_base(&base_sha, &head_sha).is_none() {
        return Err(custom(format!("The {head_branch} branch has no history in common with {base_branch}")));
    }
    let draft = call.request.json.get("draft").and_then(Value::as_bool).unwrap_or(false);
    let pull = Pull {
        id: call.state.next_id(Kind::PullRequest),
        head_repo,
        head_branch,
        heads: BTreeSet::from([head_sha.clone()]),
        head_sha,
        base_branch,
        base_sha,
        draft,
        mergeable: Mergeable::Unknown,
        merged_ms: None,
        merged_by: None,
        merge_sha: None,
        requested_reviewers: Vec::new(),
    };
    let number = open(call, repo, author, title, body, pull)?;
    shown(call, repo, number).map(Reply::created)
}

fn open(
    call: &mut Call,
    repo: u64,
    author: u64,
    title: String,
    body: Option<String>,
    pull: Pull,
) -> Result<u64, Reply> {
    let id = call.state.next_id(Kind::Issue);
    let number = call.state.new_issue(repo, id, author, title, body)?;
    let head = pull.head_sha.clone();
    let found = call.state.repo_mut(repo)?;
    found.git.set_ref(&format!("refs/pull/{number}/head"), &head)?;
    found.issue_mut(number)?.pull = Some(pull);
    call.state.emit_item(repo, number, "opened", author, &json!({}))?;
    call.state.wrote(author, &format!("pull:{repo}:{number}"), &format!("pull request #{number}"));
    Ok(number)
}

fn shown(call: &Call, repo: u64, number: u64) -> Result<Value, Reply> {
    call.state.full_pull_json(call.state.repo(repo)?, number)
}

fn get(call: &mut Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    // The first answer after a change says `null` and only starts the computation.
    let json = shown(call, repo, number)?;
    call.state.compute_mergeable(repo, number)?;
    let accept = call.request.header("accept");
    if accept.contains("diff") || accept.contains("patch") {
        let found = call.state.repo(repo)?;
        let pull = found.pull(number)?;
        let range = format!("{}...{}", pull.base_sha, pull.head_sha);
        let diff =
            found.git.run_with(&["diff", "--no-color", "--no-ext-diff", "-M", &range, "--"], &[], &[])?;
        return Ok(Reply::raw("application/vnd.github.diff; charset=utf-8", diff));
    }
    Ok(Reply::ok(json))
}

fn update(call: &mut Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Write, Role::Read)?;
    call.state.repo(repo)?.pull(number)?;
    let sender = call.account()?;
    if call.state.repo(repo)?.issue(number)?.author != sender {
        call.need(repo, &["pull_requests"], Access::Write, Role::Write)?;
    }
    edit_text(call, repo, number, sender)?;
    if let Some(base) = call.request.text("base").map(str::to_owned) {
        let found = call.state.repo_mut(repo)?;
        let sha =
            found.branch(&base).cloned().ok_or_else(|| Reply::invalid("PullRequest", "base", "invalid"))?;
        let pull = found.pull_mut(number)?;
        let before = std::mem::replace(&mut pull.base_branch, base);
        let before_sha = std::mem::replace(&mut pull.base_sha, sha);
        pull.mergeable = Mergeable::Unknown;
        let changes = json!({"base": {"ref": {"from": before}, "sha": {"from": before_sha}}});
        call.state.emit_pull(repo, number, "edited", sender, &json!({"changes": changes}))?;
    }
    if let Some(state) = call.request.text("state").map(str::to_owned) {
        set_state(call, repo, number, &state, None, sender)?;
    }
    shown(call, repo, number).map(Reply::ok)
}

fn files(call: &Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let pull = found.pull(number)?;
    let files = found.git.pull_diff(&pull.base_sha, &pull.head_sha)?;
    Ok(call.page(files.iter().map(|file| call.state.file_json(found, file, &pull.head_sha)).collect()))
}

fn commits(call: &Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let pull = found.pull(number)?;
    let log = found.git.log(&["--reverse", &format!("{}..{}", pull.base_sha, pull.head_sha)], 250)?;
    Ok(call.page(log.iter().map(|commit| call.state.commit_json(found, commit)).collect()))
}

fn reviewers(call: &Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    let requested = &call.state.repo(repo)?.pull(number)?.requested_reviewers;
    let users: Vec<Value> = requested.iter().map(|id| call.state.account_json(*id)).collect();
    Ok(Reply::ok(json!({"users": users, "teams": []})))
}

fn request_review(call: &mut Call, repo: u64, number: u64, add: bool) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Write, Role::Write)?;
    let sender = call.account()?;
    let asked = call.request.json.get("reviewers").and_then(Value::as_array).cloned().unwrap_or_default();
    for login in asked.iter().filter_map(Value::as_str) {
        let found = call.state.repo(repo)?;
        let account = call.state.account_named(login).map(|account| account.id);
        let account = account.filter(|account| found.role(*account) >= Role::Read).ok_or_else(|| {
            Reply::refuse(422, "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator.")
        })?;
        if add && found.issue(number)?.author == account {
            return Err(Reply::refuse(422, "Review cannot be requested from pull request author."));
        }
        let requested = &mut call.state.repo_mut(repo)?.pull_mut(number)?.requested_reviewers;
        let before = requested.len();
        requested.retain(|id| *id != account);
        if add {
            requested.push(account);
        }
        let changed = requested.len() != before;
        if changed {
            let action = if add { "review_requested" } else { "review_request_removed" };
            let reviewer = call.state.account_json(account);
            call.state.emit_pull(repo, number, action, sender, &json!({"requested_reviewer": reviewer}))?;
        }
    }
    let reply = shown(call, repo, number)?;
    Ok(if add { Reply::created(reply) } else { Reply::ok(reply) })
}
