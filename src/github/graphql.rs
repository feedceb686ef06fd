//! GraphQL's answers: refusals come with status 200.

use pairbot_protocol::ids::Timestamp;
use serde::Deserialize;

use super::error::{GitHubError, Outcome};

/// What stands for the request in errors.
const REQUEST: &str = "POST /graphql";

/// How long to wait where a limit is reported without a time.
const UNTOLD_WAIT_MS: u64 = 60_000;

/// An answer of GraphQL, good or bad.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer<T> {
    data: Option<T>,
    #[serde(default)]
    errors: Vec<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    message: String,
}

impl<T> Answer<T> {
    pub(crate) fn into_result(self, outcome: Outcome, now: Timestamp) -> Result<T, GitHubError> {
        let request = REQUEST.to_owned();
        let Some(first) = self.errors.first() else {
            return self.data.ok_or(GitHubError::Malformed {
                request,
                detail: "neither `data` nor `errors`".to_owned(),
                outcome,
            });
        };
        let message = first.message.clone();
        Err(match first.kind.as_deref() {
            Some("NOT_FOUND") => GitHubError::NotFound { request },
            Some("FORBIDDEN" | "INSUFFICIENT_SCOPES") => GitHubError::PermissionMissing {
                request,
                what: "the permission this needs (the App's settings list what it has)".to_owned(),
                message,
            },
            Some("RATE_LIMITED" | "RATE_LIMIT") => {
                GitHubError::RateLimited { until: now.plus_ms(UNTOLD_WAIT_MS) }
            }
            Some("INTERNAL" | "SERVICE_UNAVAILABLE" | "LOCK_TIMEOUT") => {
                GitHubError::Unavailable { request, detail: message, outcome }
            }
            _ => GitHubError::Validation {
                request,
                message,
                errors: self.errors.into_iter().skip(1).map(|error| error.message).collect(),
            },
        })
    }
}
