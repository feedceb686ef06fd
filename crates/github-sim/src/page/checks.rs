//! Check runs and statuses of a commit, with their buttons.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use super::layout::button;
use super::markdown::render;
use super::{Visit, href};
use crate::state::{CheckRun, Repo};

/// The newest run of each app and name on a commit.
pub(crate) fn latest<'a>(repo: &'a Repo, sha: &str) -> Vec<&'a CheckRun> {
    let mut latest: BTreeMap<(&str, u64), &CheckRun> = BTreeMap::new();
    for run in repo.check_runs.values().filter(|run| run.head_sha == sha) {
        latest.insert((&run.name, run.app), run);
    }
    latest.into_values().collect()
}

/// Sign, colour and words for where a run stands.
fn standing(status: &str, conclusion: Option<&str>) -> (&'static str, &'static str, String) {
    let words = conclusion.unwrap_or(status).replace('_', " ");
    let (sign, class) = match (status, conclusion) {
        (_, Some("success")) => ("✓", "good"),
        (_, Some("neutral" | "skipped" | "stale")) => ("–", "grey"),
        (_, Some("action_required")) => ("!", "wait"),
        (_, Some(_)) => ("✗", "bad"),
        ("in_progress", None) => ("●", "wait"),
        (_, None) => ("○", "grey"),
    };
    (sign, class, words)
}

fn icon(status: &str, conclusion: Option<&str>) -> Markup {
    let (sign, class, words) = standing(status, conclusion);
    html! { span.icon.(class) role="img" aria-label=(words) title=(words) { (sign) } }
}

/// One line for each check, for the conversation.
pub(crate) fn summary(repo: &Repo, sha: &str) -> Markup {
    html! {
        ul.list id="checks-summary" {
            @for run in latest(repo, sha) {
                li { (icon(&run.status, run.conclusion.as_deref())) " " strong { (run.name) } " " span.muted { (run.title.as_deref().unwrap_or_default()) } }
            }
            @if latest(repo, sha).is_empty() { li.muted { "Nothing has been reported yet." } }
            @for status in repo.statuses.values().filter(|status| status.sha == sha) {
                @let conclusion = (status.state != "pending").then_some(status.state.as_str());
                li { (icon("in_progress", conclusion)) " " strong { (status.context) } " " span.muted { (status.description.as_deref().unwrap_or_default()) } }
            }
        }
    }
}

/// Everything about each check run.
pub(crate) fn details(visit: &Visit, repo: &Repo, sha: &str) -> Markup {
    let runs = latest(repo, sha);
    html! {
        p.muted { "On " code { (sha.get(..12).unwrap_or(sha)) } }
        @for run in &runs {
            (one(visit, repo, run))
        }
        @if runs.is_empty() { p.muted { "No checks on this commit yet." } }
    }
}

fn one(visit: &Visit, repo: &Repo, run: &CheckRun) -> Markup {
    let id = run.id.to_string();
    let text =
        |action: &Value, name: &str| action.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let home = href(visit, repo, "");
    let app = visit.state.apps.get(&run.app).map_or("?", |app| app.slug.as_str());
    html! {
        article.box id={ "check-" (run.id) } {
            div.head {
                (icon(&run.status, run.conclusion.as_deref())) " " strong { (run.name) } span.badge { (app) }
                " " span.muted { (standing(&run.status, run.conclusion.as_deref()).2) }
            }
            div.body.markdown {
                @if let Some(title) = &run.title { h2 { (title) } }
                @if let Some(summary) = &run.summary { (render(summary, &home)) }
                @if let Some(text) = &run.text { details { summary { "Details of " (run.name) } (render(text, &home)) } }
                @if !run.annotations.is_empty() {
                    ul {
                        @for note in &run.annotations {
                            li { code { (text(note, "path")) ":" (note.get("start_line").and_then(Value::as_u64).unwrap_or_default()) } " " (text(note, "annotation_level")) ": " (text(note, "message")) }
                        }
                    }
                }
                div {
                    (button(visit, repo, &format!("rerun-{id}"), "Re-run", &[("act", "rerun"), ("run", &id)]))
                    @for action in &run.actions {
                        @let identifier = text(action, "identifier");
                        (button(visit, repo, &format!("action-{id}-{identifier}"), &text(action, "label"), &[("act", "action"), ("run", &id), ("identifier", &identifier)]))
                    }
                }
            }
        }
    }
}
