//! People and other apps act: each act is a request like any other, refused like any other.

use http::Method;
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::call::{Call, Request, percent_encoded};
use crate::git::commit::FileChange;
use crate::reply::Reply;
use crate::role::{Access, Role};
use crate::sim::{GitHubSim, SimError};
use crate::state::State;

/// What a person says in a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewVerdict {
    /// `APPROVE`
    Approve,
    /// `REQUEST_CHANGES`
    RequestChanges,
    /// `COMMENT`
    Comment,
}

impl ReviewVerdict {
    const fn event(self) -> &'static str {
        match self {
            Self::Approve => "APPROVE",
            Self::RequestChanges => "REQUEST_CHANGES",
            Self::Comment => "COMMENT",
        }
    }
}

/// Executes a request from inside.
pub(crate) fn perform(
    state: &mut State,
    actor: Actor,
    method: Method,
    path: &str,
    json: Value,
) -> Result<Value, Reply> {
    let request = Request::internal(method, path, json);
    let reply = crate::api::call(state, &request, actor)?;
    if reply.is_success() { Ok(reply.json().clone()) } else { Err(reply) }
}

/// Presses a button of a check run.
pub(crate) fn click(
    state: &mut State,
    actor: Actor,
    repo: u64,
    run: u64,
    identifier: &str,
) -> Result<(), Reply> {
    let request = Request::internal(Method::POST, "/", Value::Null);
    let call = Call { state, actor, request: &request };
    call.need(repo, &["checks"], Access::Write, Role::Write)?;
    let sender = call.account()?;
    let found = call.state.repo(repo)?.check_runs.get(&run).ok_or_else(Reply::not_found)?;
    let offered = found
        .actions
        .iter()
        .any(|action| action.get("identifier").and_then(Value::as_str) == Some(identifier));
    if !offered {
        return Err(Reply::refuse(404, "The check run has no such action"));
    }
    let owner = found.app;
    let extra = json!({"requested_action": {"identifier": identifier}});
    crate::rest::checks::tell(call.state, repo, run, "requested_action", sender, &extra, Some(owner))
}

fn id_of(json: &Value) -> u64 {
    json.get("id").and_then(Value::as_u64).unwrap_or_default()
}

fn number_of(json: &Value) -> u64 {
    json.get("number").and_then(Value::as_u64).unwrap_or_default()
}

/// A person at work. Every act is held to the person's role, as on GitHub.
#[derive(Debug, Clone)]
pub struct Person {
    sim: GitHubSim,
    account: u64,
    login: String,
}

impl Person {
    pub(crate) fn new(sim: GitHubSim, account: u64, login: &str) -> Self {
        Self { sim, account, login: login.to_owned() }
    }

    /// The login.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The numeric id.
    pub fn id(&self) -> u64 {
        self.account
    }

    /// Sends any request as this person, from inside and without limits; gives the answer's JSON.
    pub fn request(&self, method: &str, path: &str, json: Value) -> Result<Value, SimError> {
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|_| SimError::unknown("method", method))?;
        let actor = Actor::Person(self.account);
        Ok(self.sim.shared.with(|state| perform(state, actor, method, path, json))?)
    }

    /// Opens an issue; gives its number.
    pub fn open_issue(
        &self,
        repository: &str,
        title: &str,
        body: &str,
        labels: &[&str],
    ) -> Result<u64, SimError> {
        let json = json!({"title": title, "body": body, "labels": labels});
        self.request("POST", &format!("/repos/{repository}/issues"), json).map(|json| number_of(&json))
    }

    /// Sets a label on an issue or pull request.
    pub fn label(&self, repository: &str, number: u64, label: &str) -> Result<(), SimError> {
        let path = format!("/repos/{repository}/issues/{number}/labels");
        self.request("POST", &path, json!({"labels": [label]})).map(drop)
    }

    /// Takes a label off an issue or pull request.
    pub fn unlabel(&self, repository: &str, number: u64, label: &str) -> Result<(), SimError> {
        let path = format!("/repos/{repository}/issues/{number}/labels/{}", percent_encoded(label));
        self.request("DELETE", &path, Value::Null).map(drop)
    }

    /// Comments on an issue or pull request; gives the comment's id.
    pub fn comment(&self, repository: &str, number: u64, body: &str) -> Result<u64, SimError> {
        let path = format!("/repos/{repository}/issues/{number}/comments");
        self.request("POST", &path, json!({"body": body})).map(|json| id_of(&json))
    }

    /// Changes a comment.
    pub fn edit_comment(&self, repository: &str, id: u64, body: &str) -> Result<(), SimError> {
        self.request("PATCH", &format!("/repos/{repository}/issues/comments/{id}"), json!({"body": body}))
            .map(drop)
    }

    /// Deletes a comment.
    pub fn delete_comment(&self, repository: &str, id: u64) -> Result<(), SimError> {
        self.request("DELETE", &format!("/repos/{repository}/issues/comments/{id}"), Value::Null).map(drop)
    }

    /// Changes title or text of an issue or pull request.
    pub fn edit_issue(&self, repository: &str, number: u64, title: &str, body: &str) -> Result<(), SimError> {
        let json = json!({"title": title, "body": body});
        self.request("PATCH", &format!("/repos/{repository}/issues/{number}"), json).map(drop)
    }

    fn set_state(&self, repository: &str, number: u64, state: &str) -> Result<(), SimError> {
        self.request("PATCH", &format!("/repos/{repository}/issues/{number}"), json!({"state": state}))
            .map(drop)
    }

    /// Closes an issue or pull request.
    pub fn close(&self, repository: &str, number: u64) -> Result<(), SimError> {
        self.set_state(repository, number, "closed")
    }

    /// Opens an issue or pull request again.
    pub fn reopen(&self, repository: &str, number: u64) -> Result<(), SimError> {
        self.set_state(repository, number, "open")
    }

    /// Commits files (a content, or `None` to delete) to a branch, which is made from the default branch if there
    /// is none; gives the new head.
    pub fn push(
        &self,
        repository: &str,
        branch: &str,
        files: &[(&str, Option<&str>)],
    ) -> Result<String, SimError> {
        self.push_commit(repository, branch, None, files)
    }

    /// Commits files on top of `parent`, whatever the branch pointed to: a force push.
    pub fn force_push(
        &self,
        repository: &str,
        branch: &str,
        parent: &str,
        files: &[(&str, Option<&str>)],
    ) -> Result<String, SimError> {
        self.push_commit(repository, branch, Some(parent), files)
    }

    fn push_commit(
        &self,
        repository: &str,
        branch: &str,
        parent: Option<&str>,
        files: &[(&str, Option<&str>)],
    ) -> Result<String, SimError> {
        let changes: Vec<FileChange> = files
            .iter()
            .map(|(path, content)| ((*path).to_owned(), content.map(|content| content.as_bytes().to_vec())))
            .collect();
        self.sim.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            let request = Request::internal(Method::POST, "/", Value::Null);
            let call = Call { state, actor: Actor::Person(self.account), request: &request };
            call.need(repo, &["contents"], Access::Write, Role::Write)?;
            let state = call.state;
            let found = state.repo(repo)?;
            let tip = parent.or_else(|| found.branch(branch).map(String::as_str));
            let tip = tip.or_else(|| found.branch(&found.default_branch).map(String::as_str));
            let message = format!("Change {}", files.first().map_or("nothing", |(path, _)| path));
            let at_s = state.now_ms() / 1000;
            let sha = found.git.commit_files(tip, &changes, &state.ident(self.account), at_s, &message)?;
            state.move_ref(repo, &format!("refs/heads/{branch}"), &sha, self.account)?;
            Ok(sha)
        })
    }

    /// Deletes a branch.
    pub fn delete_branch(&self, repository: &str, branch: &str) -> Result<(), SimError> {
        self.request("DELETE", &format!("/repos/{repository}/git/refs/heads/{branch}"), Value::Null).map(drop)
    }

    /// Opens a pull request; gives its number.
    pub fn open_pull(&self, repository: &str, title: &str, head: &str, base: &str) -> Result<u64, SimError> {
        let json = json!({"title": title, "head": head, "base": base});
        self.request("POST", &format!("/repos/{repository}/pulls"), json).map(|json| number_of(&json))
    }

    /// Merges a pull request by the method `merge`, `squash` or `rebase`; gives the commit on the base.
    pub fn merge(&self, repository: &str, number: u64, method: &str) -> Result<String, SimError> {
        let path = format!("/repos/{repository}/pulls/{number}/merge");
        let json = self.request("PUT", &path, json!({"merge_method": method}))?;
        Ok(json.get("sha").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Reviews a pull request's head; gives the review's id.
    pub fn review(
        &self,
        repository: &str,
        number: u64,
        verdict: ReviewVerdict,
        body: &str,
    ) -> Result<u64, SimError> {
        let json = json!({"event": verdict.event(), "body": body});
        self.request("POST", &format!("/repos/{repository}/pulls/{number}/reviews"), json)
            .map(|json| id_of(&json))
    }

    /// Reviews with one remark at a line of the new side; gives the review's id.
    pub fn review_line(
        &self,
        repository: &str,
        number: u64,
        path: &str,
        line: u64,
        body: &str,
    ) -> Result<u64, SimError> {
        let comment = json!({"path": path, "line": line, "side": "RIGHT", "body": body});
        let json = json!({"event": "COMMENT", "comments": [comment]});
        self.request("POST", &format!("/repos/{repository}/pulls/{number}/reviews"), json)
            .map(|json| id_of(&json))
    }

    /// Presses Re-run of a check run.
    pub fn rerun_check(&self, repository: &str, run: u64) -> Result<(), SimError> {
        self.request("POST", &format!("/repos/{repository}/check-runs/{run}/rerequest"), Value::Null)
            .map(drop)
    }

    /// Presses a button that a check run offers.
    pub fn click_action(&self, repository: &str, run: u64, identifier: &str) -> Result<(), SimError> {
        self.sim.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            Ok(click(state, Actor::Person(self.account), repo, run, identifier)?)
        })
    }

    /// Makes a pull request a draft, or ready for review.
    pub fn set_draft(&self, repository: &str, number: u64, draft: bool) -> Result<(), SimError> {
        self.sim.shared.with(|state| {
            let repo = state.repo_called(repository)?;
            Ok(state.set_draft(repo, number, draft, self.account).map(drop)?)
        })
    }
}

/// Another app at work inside a test, such as a CI service.
#[derive(Debug, Clone)]
pub struct AppHandle {
    sim: GitHubSim,
    app: u64,
}

impl AppHandle {
    pub(crate) fn new(sim: GitHubSim, app: u64) -> Self {
        Self { sim, app }
    }

    /// The app's numeric id.
    pub fn id(&self) -> u64 {
        self.app
    }

    /// Sends any request as the app's installation on the repository, from inside and without limits.
    pub fn request(
        &self,
        repository: &str,
        method: &str,
        path: &str,
        json: Value,
    ) -> Result<Value, SimError> {
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|_| SimError::unknown("method", method))?;
        self.sim.shared.with(|state| {
            let id = state.repo_called(repository)?;
            let repo = state.repo(id)?;
            let found = state
                .installations
                .values()
                .find(|found| found.app == self.app && State::covers(found, repo));
            let actor = found.and_then(|found| state.installation_actor(found.id));
            let actor = actor.ok_or_else(|| SimError::unknown("installation on", repository))?;
            let path = format!("/repos/{repository}{path}");
            Ok(perform(state, Actor::Installation(actor), method, &path, json)?)
        })
    }

    /// Reports a check run: `Some` conclusion completes it, `None` leaves it in progress; gives its id.
    pub fn report_check(
        &self,
        repository: &str,
        sha: &str,
        name: &str,
        conclusion: Option<&str>,
    ) -> Result<u64, SimError> {
        let mut json = json!({"name": name, "head_sha": sha, "status": "in_progress"});
        if let (Some(conclusion), Some(object)) = (conclusion, json.as_object_mut()) {
            object.insert("status".to_owned(), "completed".into());
            object.insert("conclusion".to_owned(), conclusion.into());
        }
        self.request(repository, "POST", "/check-runs", json).map(|json| id_of(&json))
    }

    /// Completes a check run of its own.
    pub fn complete_check(&self, repository: &str, run: u64, conclusion: &str) -> Result<(), SimError> {
        let json = json!({"status": "completed", "conclusion": conclusion});
        self.request(repository, "PATCH", &format!("/check-runs/{run}"), json).map(drop)
    }

    /// Reports a commit status.
    pub fn report_status(
        &self,
        repository: &str,
        sha: &str,
        context: &str,
        state: &str,
    ) -> Result<(), SimError> {
        let json = json!({"context": context, "state": state});
        self.request(repository, "POST", &format!("/statuses/{sha}"), json).map(drop)
    }
}
