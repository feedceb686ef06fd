//! Check runs: made and changed by their app only.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::actor::Actor;
use crate::call::{Call, Route, number};
use crate::clock::parse_iso;
use crate::emit::Happening;
use crate::ids::Kind;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::{CheckRun, State};

/// <https://docs.github.com/rest/checks/runs#create-a-check-run>
const ANNOTATIONS_MAX: usize = 50;
const ACTIONS_MAX: usize = 3;
const TEXT_CHARS_MAX: usize = 65_535;
const STATUSES: [&str; 6] = ["queued", "in_progress", "completed", "waiting", "requested", "pending"];
const CONCLUSIONS: [&str; 8] =
    ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"];

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("POST", ["check-runs"]) => create(call, repo),
        ("GET", ["check-runs", id]) => number(id).and_then(|id| get(call, repo, id)),
        ("PATCH", ["check-runs", id]) => number(id).and_then(|id| update(call, repo, id)),
        ("GET", ["check-runs", id, "annotations"]) => number(id).and_then(|id| annotations(call, repo, id)),
        ("POST", ["check-runs", id, "rerequest"]) => number(id).and_then(|id| rerequest(call, repo, id)),
        ("GET", ["commits", name @ .., "check-runs"]) => of_commit(call, repo, &name.join("/")),
        ("GET", ["check-suites", id, "check-runs"]) => number(id).and_then(|id| of_suite(call, repo, id)),
        _ => return None,
    })
}

fn find<'a>(call: &'a Call, repo: u64, id: u64) -> Result<&'a CheckRun, Reply> {
    call.state.repo(repo)?.check_runs.get(&id).ok_or_else(Reply::not_found)
}

fn shown(call: &Call, repo: u64, id: u64) -> Result<Value, Reply> {
    Ok(call.state.check_run_json(call.state.repo(repo)?, find(call, repo, id)?))
}

fn get(call: &Call, repo: u64, id: u64) -> Outcome {
    call.need(repo, &["checks"], Access::Read, Role::Read)?;
    shown(call, repo, id).map(Reply::ok)
}

fn annotations(call: &Call, repo: u64, id: u64) -> Outcome {
    call.need(repo, &["checks"], Access::Read, Role::Read)?;
    Ok(call.page(find(call, repo, id)?.annotations.clone()))
}

/// The app that writes; people's tokens cannot.
fn writing_app(call: &Call, repo: u64) -> Result<u64, Reply> {
    if let Actor::Person(_) = call.actor {
        call.need(repo, &["checks"], Access::Read, Role::Read)?;
        return Err(Reply::refuse(403, "You must authenticate via a GitHub App."));
    }
    call.need(repo, &["checks"], Access::Write, Role::Admin)?;
    call.actor.app().ok_or_else(Reply::not_accessible)
}

fn too_long(field: &str, maximum: usize) -> Reply {
    Reply::invalid_because(
        "CheckRun",
        field,
        &format!("{field} is too long (maximum is {maximum} characters)"),
    )
}

/// Reads and checks one of the documented words.
fn word<'a>(call: &'a Call, name: &str, allowed: &[&str]) -> Result<Option<&'a str>, Reply> {
    match call.request.text(name) {
        Some(word) if !allowed.contains(&word) => {
            Err(Reply::bad_schema(&format!("{name} is not a member of {allowed:?}.")))
        }
        word => Ok(word),
    }
}

/// Checks the parts of a request that have limits.
fn check(call: &Call) -> Result<(), Reply> {
    let json = &call.request.json;
    if let Some(output) = json.get("output").filter(|output| !output.is_null()) {
        let text = |name: &str| output.get(name).and_then(Value::as_str);
        if text("summary").is_none() {
            return Err(Reply::bad_schema("\"summary\" wasn't supplied."));
        }
        for name in ["summary", "text"] {
            if text(name).is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX) {
                return Err(too_long(name, TEXT_CHARS_MAX));
            }
        }
        let annotations =
            output.get("annotations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if annotations.len() > ANNOTATIONS_MAX {
            return Err(Reply::bad_schema("No more than 50 items are allowed in annotations."));
        }
        let complete = |annotation: &Value| {
            let has = |name: &str| annotation.get(name).is_some_and(|value| !value.is_null());
            let level = annotation.get("annotation_level").and_then(Value::as_str);
            ["path", "start_line", "end_line", "message"].into_iter().all(has)
                && matches!(level, Some("notice" | "warning" | "failure"))
        };
        if !annotations.iter().all(complete) {
            return Err(Reply::bad_schema(
                "annotations need path, start_line, end_line, annotation_level and message.",
            ));
        }
    }
    let actions = json.get("actions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if actions.len() > ACTIONS_MAX {
        return Err(Reply::bad_schema("No more than 3 items are allowed in actions."));
    }
    for action in actions {
        for (name, maximum) in [("label", 20), ("description", 40), ("identifier", 20)] {
            let text = action.get(name).and_then(Value::as_str);
            let text = text.ok_or_else(|| Reply::bad_schema(&format!("\"{name}\" wasn't supplied.")))?;
            if text.chars().count() > maximum {
                return Err(too_long(name, maximum));
            }
        }
    }
    Ok(())
}

fn create(call: &mut Call, repo: u64) -> Outcome {
    let app = writing_app(call, repo)?;
    let sender = call.account()?;
    let name = call.request.required("name")?.to_owned();
    let head_sha = call.request.required("head_sha")?.to_owned();
    check(call)?;
    if call.state.repo(repo)?.git.resolve(&head_sha, "commit").as_ref() != Some(&head_sha) {
        return Err(Reply::refuse(422, &format!("No commit found for SHA: {head_sha}")));
    }
    let suite = call.state.open_suite(repo, app, None, &head_sha)?;
    let id = call.state.next_id(Kind::CheckRun);
    let mut run = CheckRun {
        id,
        suite,
        app,
        head_sha,
        name,
        external_id: String::new(),
        details_url: None,
        status: "queued".to_owned(),
        conclusion: None,
        title: None,
        summary: None,
        text: None,
        annotations: Vec::new(),
        actions: Vec::new(),
        started_ms: call.state.now_ms(),
        completed_ms: None,
    };
    write(call, &mut run)?;
    remember(call, repo, run, sender)?;
    tell(call.state, repo, id, "created", sender, &json!({}), None)?;
    if find(call, repo, id)?.status == "completed" {
        completed(call.state, repo, id, sender)?;
    }
    shown(call, repo, id).map(Reply::created)
}

fn remember(call: &mut Call, repo: u64, run: CheckRun, sender: u64) -> Result<(), Reply> {
    let verdict = run.conclusion.clone().unwrap_or_else(|| run.status.clone());
    let description = format!("check run `{}` {verdict} on {}", run.name, run.head_sha);
    call.state.wrote(sender, &format!("check_run:{repo}:{}", run.id), &description);
    call.state.repo_mut(repo)?.check_runs.insert(run.id, run);
    Ok(())
}

/// Applies the request to a run: annotations are added, giving a conclusion completes it.
fn write(call: &Call, run: &mut CheckRun) -> Result<(), Reply> {
    let request = call.request;
    let status = word(call, "status", &STATUSES)?;
    let conclusion = word(call, "conclusion", &CONCLUSIONS)?;
    match (status, conclusion) {
        (Some("completed"), None) if run.conclusion.is_none() => {
            return Err(Reply::bad_schema("\"conclusion\" wasn't supplied."));
        }
        (_, Some(conclusion)) => {
            "completed".clone_into(&mut run.status);
            run.conclusion = Some(conclusion.to_owned());
            let at = request.text("completed_at").and_then(parse_iso);
            run.completed_ms = Some(at.unwrap_or_else(|| call.state.now_ms()));
        }
        (Some(status), None) => {
            status.clone_into(&mut run.status);
            if status != "completed" {
                run.conclusion = None;
                run.completed_ms = None;
            }
        }
        (None, None) => {}
    }
    if let Some(name) = request.text("name") {
        name.clone_into(&mut run.name);
    }
    if let Some(id) = request.text("external_id") {
        id.clone_into(&mut run.external_id);
    }
    if let Some(url) = request.text("details_url") {
        run.details_url = Some(url.to_owned());
    }
    if let Some(at) = request.text("started_at").and_then(parse_iso) {
        run.started_ms = at;
    }
    if let Some(output) = request.json.get("output").filter(|output| !output.is_null()) {
        let text = |name: &str| output.get(name).and_then(Value::as_str).map(str::to_owned);
        run.title = text("title").or_else(|| run.title.take());
        run.summary = text("summary");
        run.text = text("text");
        run.annotations
            .extend(output.get("annotations").and_then(Value::as_array).into_iter().flatten().cloned());
    }
    if let Some(actions) = request.json.get("actions").and_then(Value::as_array) {
        run.actions.clone_from(actions);
    }
    Ok(())
}

fn update(call: &mut Call, repo: u64, id: u64) -> Outcome {
    let app = writing_app(call, repo)?;
    let sender = call.account()?;
    let mut run = find(call, repo, id)?.clone();
    if run.app != app {
        let message = format!(
            "Invalid app_id `{app}` - check run can only be modified by the GitHub App that created it."
        );
        return Err(Reply::refuse(403, &message));
    }
    check(call)?;
    let was_completed = run.status == "completed";
    write(call, &mut run)?;
    let is_completed = run.status == "completed";
    remember(call, repo, run, sender)?;
    if is_completed && !was_completed {
        completed(call.state, repo, id, sender)?;
    }
    shown(call, repo, id).map(Reply::ok)
}

fn completed(state: &mut State, repo: u64, id: u64, sender: u64) -> Result<(), Reply> {
    tell(state, repo, id, "completed", sender, &json!({}), None)?;
    let found = state.repo(repo)?;
    let Some(suite) = found.check_runs.get(&id).map(|run| run.suite) else { return Ok(()) };
    let done =
        found.check_runs.values().filter(|run| run.suite == suite).all(|run| run.status == "completed");
    if done { state.emit_suite(repo, suite, "completed", sender) } else { Ok(()) }
}

/// Tells of something that happened to a check run; `only_app` where GitHub tells its owner alone.
pub(crate) fn tell(
    state: &mut State,
    repo: u64,
    id: u64,
    action: &'static str,
    sender: u64,
    extra: &Value,
    only_app: Option<u64>,
) -> Result<(), Reply> {
    let found = state.repo(repo)?;
    let run = found.check_runs.get(&id).ok_or_else(Reply::not_found)?;
    let mut json = state.check_run_json(found, run);
    if let (Some(object), Some(suite)) = (json.as_object_mut(), found.check_suites.get(&run.suite)) {
        object.insert("check_suite".to_owned(), state.check_suite_json(found, suite));
    }
    let mut payload = json!({"check_run": json});
    crate::view::account::extend(&mut payload, extra.clone());
    state.emit(Happening {
        event: "check_run",
        action: Some(action),
        repository: Some(repo),
        sender,
        only_app,
        payload,
    });
    Ok(())
}

fn rerequest(call: &mut Call, repo: u64, id: u64) -> Outcome {
    call.need(repo, &["checks"], Access::Write, Role::Write)?;
    let sender = call.account()?;
    let owner = find(call, repo, id)?.app;
    if call.actor.app().is_some_and(|app| app != owner) {
        return Err(Reply::refuse(403, "This check run is not rerequestable"));
    }
    tell(call.state, repo, id, "rerequested", sender, &json!({}), Some(owner))?;
    Ok(Reply::created(json!({})))
}

/// The runs a query asks for; by default only the newest of each app and name.
fn wanted(call: &Call, runs: Vec<&CheckRun>) -> Vec<Value> {
    let query = |name: &str| call.request.query(name);
    let mut latest: BTreeMap<(u64, &str), u64> = BTreeMap::new();
    for run in &runs {
        latest.insert((run.suite, run.name.as_str()), run.id);
    }
    let all = query("filter") == Some("all");
    let app = query("app_id").and_then(|id| id.parse::<u64>().ok());
    let repo = |run: &CheckRun| call.state.repos.values().find(|repo| repo.check_runs.contains_key(&run.id));
    runs.into_iter()
        .filter(|run| all || latest.get(&(run.suite, run.name.as_str())) == Some(&run.id))
        .filter(|run| query("check_name").is_none_or(|name| run.name == name))
        .filter(|run| query("status").is_none_or(|status| run.status == status))
        .filter(|run| app.is_none_or(|app| run.app == app))
        .filter_map(|run| repo(run).map(|repo| call.state.check_run_json(repo, run)))
        .collect()
}

fn of_commit(call: &Call, repo: u64, name: &str) -> Outcome {
    call.need(repo, &["checks"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    let missing = || Reply::refuse(422, &format!("No commit found for SHA: {name}"));
    let sha = found.commit_of(name).ok_or_else(missing)?;
    let runs = found.check_runs.values().filter(|run| run.head_sha == sha).collect();
    Ok(call.page_in("check_runs", wanted(call, runs)))
}

fn of_suite(call: &Call, repo: u64, suite: u64) -> Outcome {
    call.need(repo, &["checks"], Access::Read, Role::Read)?;
    let runs = call.state.repo(repo)?.check_runs.values().filter(|run| run.suite == suite).collect();
    Ok(call.page_in("check_runs", wanted(call, runs)))
}
