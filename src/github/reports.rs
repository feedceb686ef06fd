//! What other apps reported on a commit, by the numbers under which webhooks tell of it.

use pairbot_protocol::ids::HeadSha;
use serde::Deserialize;

use super::error::GitHubError;
use super::repository::RepositoryClient;

/// A report of another app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignReport {
    /// A check run.
    CheckRun {
        /// Its id.
        id: u64,
        /// What came out and when, if it is over.
        ended: Option<(String, String)>,
    },
    /// A commit status.
    Status {
        /// Its id; each report has its own.
        id: u64,
    },
}

#[derive(Deserialize)]
struct CheckRunWire {
    id: u64,
    conclusion: Option<String>,
    completed_at: Option<String>,
    app: Option<AppWire>,
}

#[derive(Deserialize)]
struct AppWire {
    id: u64,
}

#[derive(Deserialize)]
struct StatusWire {
    id: u64,
}

impl RepositoryClient {
    /// The latest reports of everybody else on a commit.
    pub async fn foreign_reports(&self, head: &HeadSha) -> Result<Vec<ForeignReport>, GitHubError> {
        let own = self.shared.identity().await?.app_id;
        let route = format!("/commits/{head}/check-runs?filter=latest&per_page=100");
        let checks: Vec<CheckRunWire> = self.list(&route, Some("check_runs")).await?;
        let route = format!("/commits/{head}/status?per_page=100");
        let statuses: Vec<StatusWire> = self.list(&route, Some("statuses")).await?;
        let checks = checks.into_iter().filter(|check| check.app.as_ref().is_none_or(|app| app.id != own.0));
        let checks = checks.map(|check| ForeignReport::CheckRun {
            id: check.id,
            ended: check.conclusion.map(|conclusion| (conclusion, check.completed_at.unwrap_or_default())),
        });
        Ok(checks.chain(statuses.into_iter().map(|status| ForeignReport::Status { id: status.id })).collect())
    }
}
