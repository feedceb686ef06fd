//! Where branches point.

use std::str::FromStr;

use http::Method;
use pairbot_protocol::ids::{BaseSha, HeadSha, MalformedId};
use serde::Deserialize;

use super::error::{GitHubError, Outcome, found, request_name};
use super::repository::RepositoryClient;
use super::route::path;

#[derive(Deserialize)]
struct ReferenceWire {
    object: ObjectWire,
}

#[derive(Deserialize)]
struct ObjectWire {
    sha: String,
}

impl RepositoryClient {
    /// The commit at the tip of a run's branch; none if there is no such branch.
    pub async fn branch_head(&self, branch: &str) -> Result<Option<HeadSha>, GitHubError> {
        self.tip(branch).await
    }

    /// The commit at the tip of a base branch; none if there is no such branch.
    pub async fn base_tip(&self, branch: &str) -> Result<Option<BaseSha>, GitHubError> {
        self.tip(branch).await
    }

    async fn tip<T: FromStr<Err = MalformedId>>(&self, branch: &str) -> Result<Option<T>, GitHubError> {
        let route = format!("/git/ref/heads/{}", path(branch));
        let Some(wire) = found(self.get::<ReferenceWire>(&route).await)? else {
            return Ok(None);
        };
        wire.object.sha.parse().map(Some).map_err(|error: MalformedId| GitHubError::Malformed {
            request: request_name(&Method::GET, &route),
            detail: error.to_string(),
            outcome: Outcome::NotApplied,
        })
    }
}
