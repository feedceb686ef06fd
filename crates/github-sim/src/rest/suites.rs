//! Check suites.

use serde_json::json;

use crate::call::{Call, Route, number};
use crate::emit::Happening;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::State;

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["commits", name @ .., "check-suites"]) => of_commit(call, repo, &name.join("/")),
        ("GET", ["check-suites", id]) => number(id).and_then(|id| get(call, repo, id)),
        ("POST", ["check-suites", id, "rerequest"]) => number(id).and_then(|id| rerequest(call, repo, id)),
        _ => return None,
    })
}

fn of_commit(call: &Call, repo: u64, name: &str) -> Outcome {
    call.need(repo, &["checks"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let missing = || Reply::refuse(422, &format!("No commit found for SHA: {name}"));
    let sha = found.commit_of(name).ok_or_else(missing)?;
    let app = call.request.query("app_id").and_then(|id| id.parse::<u64>().ok());
    let suites = found.check_suites.values().filter(|suite| suite.head_sha == sha);
    let suites = suites.filter(|suite| app.is_none_or(|app| suite.app == app));
    Ok(call.page_in("check_suites", suites.map(|suite| call.state.check_suite_json(found, suite)).collect()))
}

fn get(call: &Call, repo: u64, id: u64) -> Outcome {
    call.need(repo, &["checks"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let suite = found.check_suites.get(&id).ok_or_else(Reply::not_found)?;
    Ok(Reply::ok(call.state.check_suite_json(found, suite)))
}

fn rerequest(call: &mut Call, repo: u64, id: u64) -> Outcome {
    call.need(repo, &["checks"], Access::Write, Role::Write)?;
    let sender = call.account()?;
    call.state.emit_suite(repo, id, "rerequested", sender)?;
    Ok(Reply::created(json!({})))
}

impl State {
    /// Tells of something that happened to a check suite: its app alone, except of its completion.
    pub(crate) fn emit_suite(
        &mut self,
        repo: u64,
        id: u64,
        action: &'static str,
        sender: u64,
    ) -> Result<(), Reply> {
        let found = self.repo(repo)?;
        let suite = found.check_suites.get(&id).ok_or_else(Reply::not_found)?;
        let payload = json!({"check_suite": self.check_suite_json(found, suite)});
        let only_app = (action != "completed").then_some(suite.app);
        self.emit(Happening {
            event: "check_suite",
            action: Some(action),
            repository: Some(repo),
            sender,
            only_app,
            payload,
        });
        Ok(())
    }
}
