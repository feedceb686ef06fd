//! Check runs: ours, which carry every verdict, and those of others, which the `ci` gate reads.

use std::collections::BTreeMap;

use http::Method;
use pairbot_protocol::ids::{CheckRunId, HeadSha};
use pairbot_protocol::signal::Annotation;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Licence;
use super::app::AppId;
use super::error::{GitHubError, found};
use super::limits_of_texts::{
    ACTION_DESCRIPTION_BYTES_MAX, ACTION_LABEL_BYTES_MAX, ANNOTATION_BYTES_MAX, CHECK_TEXT_BYTES_MAX,
    CHECK_TITLE_BYTES_MAX, cut_line, cut_text,
};
use super::repository::RepositoryClient;
use super::route::segment;

/// How many annotations GitHub takes in one request; they are appended.
const ANNOTATIONS_PER_REQUEST: usize = 50;
/// How many buttons GitHub takes.
const ACTIONS_MAX: usize = 3;

/// A check run as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// Its name: `pairbot / <gate>`.
    pub name: String,
    /// The commit it is about.
    pub head: HeadSha,
    /// By what it is found again: run, gate, head.
    pub external_id: String,
    /// How far it is.
    pub state: CheckState,
    /// One line: what was found, or what it waits for.
    pub title: String,
    /// More, in Markdown.
    pub summary: String,
    /// Still more, in Markdown.
    pub text: Option<String>,
    /// Places in files.
    pub annotations: Vec<Annotation>,
    /// Its buttons, at most three.
    pub actions: Vec<CheckAction>,
    /// Where a person reads on.
    pub details_url: Option<String>,
}

/// How far a check run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// It waits for its turn.
    Queued,
    /// It is being examined.
    InProgress,
    /// It is over.
    Completed(Conclusion),
}

/// What came out of a check run. `neutral` and `skipped` are missing: they satisfy a required check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// It holds.
    Success,
    /// It does not.
    Failure,
    /// A person must look.
    ActionRequired,
    /// It was stopped.
    Cancelled,
    /// It ran out of time.
    TimedOut,
}

/// A button on a check run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckAction {
    /// What stands on it, at most 20 characters.
    pub label: String,
    /// What it does, at most 40 characters.
    pub description: String,
    /// What a press of it is reported as, at most 20 characters.
    pub identifier: String,
}

/// What somebody else says of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignCheck {
    /// Name of the check run, or context of the commit status.
    pub name: String,
    /// The app that reports it; none for a commit status.
    pub app_slug: Option<String>,
    /// What it says.
    pub state: ForeignState,
    /// Where a person reads on.
    pub url: Option<String>,
}

/// What somebody else's check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignState {
    /// It is not over.
    Pending,
    /// Green.
    Passed,
    /// Red.
    Failed,
    /// Over, and neither green nor red: GitHub's word for it, such as `skipped`.
    Unclear(String),
}

#[derive(Deserialize)]
struct CheckRunWire {
    id: CheckRunId,
    name: String,
    status: String,
    conclusion: Option<String>,
    external_id: Option<String>,
    details_url: Option<String>,
    html_url: Option<String>,
    app: Option<AppWire>,
    #[serde(default)]
    output: OutputWire,
}

#[derive(Deserialize)]
struct AppWire {
    id: AppId,
    slug: Option<String>,
}

#[derive(Default, Deserialize)]
struct OutputWire {
    #[serde(default)]
    annotations_count: usize,
}

/// An annotation, as sent and as read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AnnotationWire {
    path: String,
    start_line: u32,
    end_line: u32,
    annotation_level: String,
    message: String,
}

#[derive(Deserialize)]
struct Written {
    id: CheckRunId,
}

impl RepositoryClient {
    /// Brings a check run about: the newest of ours with the same `external_id` is changed in place, looked for on the
    /// commit when `look_first` says that an earlier attempt may have made one, be it in the place of `known`; else `known`
    /// is; else a new one is made.
    ///
    /// A press of "Re-run" leaves the check run as it was; setting it in progress again goes the same way. GitHub only
    /// adds annotations, so where others are shown than belong there, a new check run takes the old one's place.
    pub async fn put_check_run(
        &self,
        lease: &impl Licence,
        run: &CheckRun,
        known: Option<CheckRunId>,
        look_first: bool,
    ) -> Result<CheckRunId, GitHubError> {
        let looked = if look_first { self.own_check_run(run).await? } else { None };
        let existing = match (looked, known) {
            (Some(newest), _) => Some(newest),
            (None, Some(id)) => found(self.get::<CheckRunWire>(&format!("/check-runs/{id}")).await)?,
            (None, None) => None,
        };
        let annotations = annotations_of(run);
        if let Some(existing) = existing
            && let Some(shown) = self.shown_of(&existing, &annotations).await?
        {
            let missing = annotations.get(shown..).unwrap_or_default();
            return self.fill_check_run(lease, run, existing.id, missing).await;
        }
        let (first, rest) = annotations.split_at(annotations.len().min(ANNOTATIONS_PER_REQUEST));
        let mut body = body_of(run, first, rest.is_empty());
        body["head_sha"] = json!(run.head);
        let created: Written = self.write(lease, Method::POST, "/check-runs", &body).await?;
        if rest.is_empty() {
            return Ok(created.id);
        }
        self.fill_check_run(lease, run, created.id, rest).await
    }

    /// Changes a check run and adds annotations, fifty at a time; the conclusion goes with the last.
    async fn fill_check_run(
        &self,
        lease: &impl Licence,
        run: &CheckRun,
        id: CheckRunId,
        annotations: &[AnnotationWire],
    ) -> Result<CheckRunId, GitHubError> {
        let mut rest = annotations;
        loop {
            let (batch, after) = rest.split_at(rest.len().min(ANNOTATIONS_PER_REQUEST));
            let body = body_of(run, batch, after.is_empty());
            let written: Written =
                self.write(lease, Method::PATCH, &format!("/check-runs/{id}"), &body).await?;
            if after.is_empty() {
                return Ok(written.id);
            }
            rest = after;
        }
    }

    /// How many of the annotations a check run shows already; none if it shows others.
    async fn shown_of(
        &self,
        existing: &CheckRunWire,
        wanted: &[AnnotationWire],
    ) -> Result<Option<usize>, GitHubError> {
        if existing.output.annotations_count == 0 {
            return Ok(Some(0));
        }
        let route = format!("/check-runs/{}/annotations?per_page=100", existing.id);
        let shown: Vec<AnnotationWire> = self.list(&route, None).await?;
        Ok(wanted.starts_with(&shown).then_some(shown.len()))
    }

    async fn own_check_run(&self, run: &CheckRun) -> Result<Option<CheckRunWire>, GitHubError> {
        let app = self.shared.identity().await?.app_id;
        let route = format!(
            "/commits/{}/check-runs?check_name={}&app_id={}&filter=latest&per_page=100",
            run.head,
            segment(&run.name),
            app.0
        );
        let list: Vec<CheckRunWire> = self.list(&route, Some("check_runs")).await?;
        Ok(list
            .into_iter()
            .filter(|found| found.app.as_ref().is_some_and(|owner| owner.id == app))
            .filter(|found| found.external_id.as_deref() == Some(&run.external_id))
            .max_by_key(|found| found.id))
    }

    /// What everybody else says of a commit: the newest check run of each name and app, and the newest commit status of
    /// each context.
    pub async fn list_foreign_checks(&self, head: &HeadSha) -> Result<Vec<ForeignCheck>, GitHubError> {
        let own = self.shared.identity().await?.app_id;
        let list: Vec<CheckRunWire> = self
            .list(&format!("/commits/{head}/check-runs?filter=latest&per_page=100"), Some("check_runs"))
            .await?;
        let mut newest: BTreeMap<(Option<AppId>, String), CheckRunWire> = BTreeMap::new();
        for wire in list {
            let app = wire.app.as_ref().map(|app| app.id);
            let key = (app, wire.name.clone());
            if app != Some(own) && newest.get(&key).is_none_or(|kept| kept.id < wire.id) {
                newest.insert(key, wire);
            }
        }
        let mut checks: Vec<ForeignCheck> = newest
            .into_values()
            .map(|wire| ForeignCheck {
                state: foreign_state(&wire),
                name: wire.name,
                app_slug: wire.app.and_then(|app| app.slug),
                url: wire.html_url.or(wire.details_url),
            })
            .collect();
        checks.extend(self.statuses(head).await?);
        Ok(checks)
    }
}

fn foreign_state(wire: &CheckRunWire) -> ForeignState {
    match (wire.status.as_str(), wire.conclusion.as_deref()) {
        ("completed", Some("success")) => ForeignState::Passed,
        ("completed", Some("failure" | "timed_out" | "startup_failure")) => ForeignState::Failed,
        ("completed", Some(other)) => ForeignState::Unclear(other.to_owned()),
        ("completed", None) => ForeignState::Unclear("no conclusion".to_owned()),
        (_, _) => ForeignState::Pending,
    }
}

fn annotations_of(run: &CheckRun) -> Vec<AnnotationWire> {
    let level = match run.state {
        CheckState::Completed(Conclusion::Failure) => "failure",
        CheckState::Completed(Conclusion::Success) => "notice",
        CheckState::Completed(Conclusion::ActionRequired | Conclusion::Cancelled | Conclusion::TimedOut)
        | CheckState::Queued
        | CheckState::InProgress => "warning",
    };
    run.annotations
        .iter()
        // GitHub refuses an annotation without a message, or one that ends before it starts, and the run with it.
        .filter(|annotation| !annotation.message.trim().is_empty() && !annotation.path.is_empty())
        .map(|annotation| AnnotationWire {
            path: annotation.path.clone(),
            start_line: annotation.line_start.max(1),
            end_line: annotation.line_end.max(annotation.line_start).max(1),
            annotation_level: level.to_owned(),
            message: cut_text(&annotation.message, ANNOTATION_BYTES_MAX).into_owned(),
        })
        .collect()
}

/// A request's body. What is not over keeps its conclusion back until the last annotation went out.
fn body_of(run: &CheckRun, annotations: &[AnnotationWire], last: bool) -> serde_json::Value {
    let actions: Vec<CheckAction> = run
        .actions
        .iter()
        .take(ACTIONS_MAX)
        .map(|action| CheckAction {
            label: cut_line(&action.label, ACTION_LABEL_BYTES_MAX).into_owned(),
            description: cut_line(&action.description, ACTION_DESCRIPTION_BYTES_MAX).into_owned(),
            identifier: cut_line(&action.identifier, ACTION_LABEL_BYTES_MAX).into_owned(),
        })
        .collect();
    // GitHub wants both; where there is nothing more to say, the title is said again.
    let summary = if run.summary.trim().is_empty() { &run.title } else { &run.summary };
    let mut output = json!({
        "title": cut_line(&run.title, CHECK_TITLE_BYTES_MAX),
        "summary": cut_text(summary, CHECK_TEXT_BYTES_MAX),
        "annotations": annotations,
    });
    let mut body = json!({
        "name": run.name,
        "external_id": run.external_id,
        "actions": actions,
    });
    if let Some(text) = &run.text {
        output["text"] = json!(cut_text(text, CHECK_TEXT_BYTES_MAX));
    }
    if let Some(url) = &run.details_url {
        body["details_url"] = json!(url);
    }
    match run.state {
        CheckState::Queued => body["status"] = json!("queued"),
        CheckState::InProgress => body["status"] = json!("in_progress"),
        CheckState::Completed(_) if !last => body["status"] = json!("in_progress"),
        CheckState::Completed(conclusion) => {
            body["status"] = json!("completed");
            body["conclusion"] = json!(conclusion);
        }
    }
    body["output"] = output;
    body
}
