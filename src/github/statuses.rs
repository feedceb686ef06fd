//! Commit statuses: what older services report instead of check runs.

use pairbot_protocol::ids::HeadSha;
use serde::Deserialize;

use super::checks::{ForeignCheck, ForeignState};
use super::error::GitHubError;
use super::repository::RepositoryClient;

#[derive(Deserialize)]
struct StatusWire {
    context: String,
    state: String,
    target_url: Option<String>,
}

impl RepositoryClient {
    /// The latest status of each context of a commit. GitHub combines them: only the newest of a context is listed.
    pub(super) async fn statuses(&self, head: &HeadSha) -> Result<Vec<ForeignCheck>, GitHubError> {
        let list: Vec<StatusWire> =
            self.list(&format!("/commits/{head}/status?per_page=100"), Some("statuses")).await?;
        Ok(list
            .into_iter()
            .map(|wire| ForeignCheck {
                name: wire.context,
                app_slug: None,
                state: match wire.state.as_str() {
                    "success" => ForeignState::Passed,
                    "pending" => ForeignState::Pending,
                    "failure" | "error" => ForeignState::Failed,
                    _ => ForeignState::Unclear(wire.state),
                },
                url: wire.target_url,
            })
            .collect())
    }
}
