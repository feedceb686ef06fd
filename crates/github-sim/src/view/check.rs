//! Check runs, check suites and commit statuses.

use serde_json::{Value, json};

use crate::clock::iso;
use crate::state::{CheckRun, CheckSuite, Repo, State, Status};

impl State {
    /// A check run.
    pub(crate) fn check_run_json(&self, repo: &Repo, run: &CheckRun) -> Value {
        let url = format!("{}/check-runs/{}", self.repo_url(repo), run.id);
        let html = format!("{}/runs/{}", self.repo_html(repo), run.id);
        json!({
            "id": run.id, "node_id": format!("CR_{}", run.id), "head_sha": run.head_sha, "name": run.name,
            "external_id": run.external_id, "url": url, "html_url": html,
            "details_url": run.details_url.clone().unwrap_or_else(|| html.clone()),
            "status": run.status, "conclusion": run.conclusion,
            "started_at": iso(run.started_ms), "completed_at": run.completed_ms.map(iso),
            "output": {
                "title": run.title, "summary": run.summary, "text": run.text,
                "annotations_count": run.annotations.len(), "annotations_url": format!("{url}/annotations"),
            },
            "check_suite": {"id": run.suite},
            "app": self.apps.get(&run.app).map(|app| self.app_json(app)),
            "pull_requests": self.pulls_of_commit_json(repo, &run.head_sha),
        })
    }

    /// A check suite; it sums up its runs.
    pub(crate) fn check_suite_json(&self, repo: &Repo, suite: &CheckSuite) -> Value {
        let url = format!("{}/check-suites/{}", self.repo_url(repo), suite.id);
        let runs = || repo.check_runs.values().filter(|run| run.suite == suite.id);
        let (status, conclusion) = summary(&runs().collect::<Vec<_>>());
        json!({
            "id": suite.id, "node_id": format!("CS_{}", suite.id), "head_branch": suite.head_branch,
            "head_sha": suite.head_sha, "status": status, "conclusion": conclusion, "url": url,
            "before": null, "after": suite.head_sha,
            "pull_requests": self.pulls_of_commit_json(repo, &suite.head_sha),
            "app": self.apps.get(&suite.app).map(|app| self.app_json(app)),
            "created_at": iso(suite.created_ms), "updated_at": iso(suite.updated_ms),
            "latest_check_runs_count": runs().count(), "check_runs_url": format!("{url}/check-runs"),
            "rerequestable": true, "runs_rerequestable": true,
        })
    }

    /// A commit status.
    pub(crate) fn status_json(&self, repo: &Repo, status: &Status) -> Value {
        json!({
            "id": status.id, "node_id": format!("SC_{}", status.id), "state": status.state,
            "url": format!("{}/statuses/{}", self.repo_url(repo), status.sha),
            "description": status.description, "target_url": status.target_url, "context": status.context,
            "avatar_url": format!("{}/avatars/u/{}?v=4", self.server, status.creator),
            "creator": self.account_json(status.creator),
            "created_at": iso(status.created_ms), "updated_at": iso(status.created_ms),
        })
    }
}

/// Status and conclusion of several runs together.
pub(crate) fn summary(runs: &[&CheckRun]) -> (&'static str, Option<&'static str>) {
    if runs.is_empty() {
        return ("queued", None);
    }
    if runs.iter().any(|run| run.status != "completed") {
        return ("in_progress", None);
    }
    let order =
        ["action_required", "timed_out", "cancelled", "failure", "stale", "success", "neutral", "skipped"];
    let worst =
        order.into_iter().find(|name| runs.iter().any(|run| run.conclusion.as_deref() == Some(*name)));
    ("completed", worst)
}
