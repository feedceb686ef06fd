//! What can go wrong between us and GitHub, and what the caller does next.

use chrono::{DateTime, SecondsFormat};
use http::Method;
use pairbot_protocol::ids::Timestamp;

use super::Unconfirmed;

/// Why a call to GitHub did not bring what was asked for. Every variant but [`RateLimited`](Self::RateLimited) names
/// the request as `METHOD path`; none carries a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// The installation's budget of requests is used up, by our own count or by GitHub's word.
    #[error("GitHub's rate limit is reached; try again at {}", clock_face(*until))]
    RateLimited {
        /// When asking again makes sense.
        until: Timestamp,
    },
    /// GitHub did not answer, or answered 5xx.
    #[error("GitHub did not answer `{request}` ({detail}); {}", outcome.advice())]
    Unavailable {
        /// Which request.
        request: String,
        /// What was seen instead of an answer.
        detail: String,
        /// Whether it may have taken effect all the same.
        outcome: Outcome,
    },
    /// The credentials were refused, renewed ones included.
    #[error(
        "GitHub refused the credentials for `{request}`: {message}; check APP_ID, PRIVATE_KEY and this machine's clock, \
         and that the App is still installed"
    )]
    Unauthorized {
        /// Which request.
        request: String,
        /// GitHub's words.
        message: String,
    },
    /// The App may not do this here.
    #[error("GitHub does not allow `{request}`: {message}; grant the App {what}")]
    PermissionMissing {
        /// Which request.
        request: String,
        /// Which permission is missing, as far as GitHub tells.
        what: String,
        /// GitHub's words.
        message: String,
    },
    /// It is not there, or it is hidden from the App.
    #[error(
        "GitHub knows nothing at `{request}`, or hides it from this App; check that the App is installed there"
    )]
    NotFound {
        /// Which request.
        request: String,
    },
    /// GitHub found the request wrong in itself. It was not applied.
    #[error("GitHub found `{request}` invalid: {message} [{}]", errors.join("; "))]
    Validation {
        /// Which request.
        request: String,
        /// GitHub's words.
        message: String,
        /// Its particulars, each as text.
        errors: Vec<String>,
    },
    /// The state on GitHub is not the one the request was made for. It was not applied.
    #[error("GitHub's state does not fit `{request}`: {message}; read it again before trying again")]
    Conflict {
        /// Which request.
        request: String,
        /// GitHub's words.
        message: String,
    },
    /// Any other refusal. It was not applied.
    #[error("GitHub refused `{request}` with status {status}: {message}")]
    Refused {
        /// Which request.
        request: String,
        /// The HTTP status.
        status: u16,
        /// GitHub's words.
        message: String,
    },
    /// There was an answer, and it cannot be understood.
    #[error("GitHub's answer to `{request}` cannot be read: {detail}; {}", outcome.advice())]
    Malformed {
        /// Which request.
        request: String,
        /// Where the answer differs from what is expected.
        detail: String,
        /// Whether the request may have taken effect.
        outcome: Outcome,
    },
    /// The task may not write, or nobody could say whether it may. It was not sent.
    #[error("`{request}` was not sent for its task: {why}")]
    Unlicensed {
        /// Which request.
        request: String,
        /// Why not.
        why: Unconfirmed,
    },
    /// The answer is larger than the caller wants to hold.
    #[error("GitHub's answer to `{request}` is larger than {bytes_max} bytes")]
    TooLarge {
        /// Which request.
        request: String,
        /// How much was allowed.
        bytes_max: usize,
    },
}

/// Whether a request without a usable answer took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It changed nothing: it was a read, or it never left this machine.
    NotApplied,
    /// Nobody knows: it was a write, and GitHub may have done it.
    Unknown,
}

impl Outcome {
    const fn advice(self) -> &'static str {
        match self {
            Self::NotApplied => "nothing was changed, try again",
            Self::Unknown => "it may have taken effect, look before trying again",
        }
    }
}

/// What a caller does after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same again, after a pause that grows.
    Retry,
    /// The same again at this time; it does not count as an attempt.
    Snooze(Timestamp),
    /// See what GitHub holds now, then decide whether to do it again.
    LookThenRetry,
    /// Trying again brings the same answer: a person, or the protocol, decides.
    GiveUp,
}

impl GitHubError {
    /// What to do about it.
    pub const fn next(&self) -> Next {
        match self {
            Self::RateLimited { until } => Next::Snooze(*until),
            Self::Unavailable { outcome, .. } | Self::Malformed { outcome, .. } => match outcome {
                Outcome::NotApplied => Next::Retry,
                Outcome::Unknown => Next::LookThenRetry,
            },
            // A token that was minted a moment ago is sometimes not known yet by every server of GitHub's; whoever
            // counts attempts ends this if the credentials are really wrong.
            Self::Unauthorized { .. } => Next::Retry,
            Self::Unlicensed { why, .. } => match why {
                Unconfirmed::Lost => Next::GiveUp,
                Unconfirmed::Unknown(_) => Next::Retry,
            },
            Self::Conflict { .. } => Next::LookThenRetry,
            Self::PermissionMissing { .. }
            | Self::NotFound { .. }
            | Self::Validation { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. } => Next::GiveUp,
        }
    }

    /// Whether GitHub says that there is nothing (or that it is hidden).
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether GitHub found the request invalid and one of its words contains `text`, without regard to case.
    pub(crate) fn is_validation_about(&self, text: &str) -> bool {
        let mentions = |words: &str| words.to_lowercase().contains(text);
        matches!(self, Self::Validation { message, errors, .. }
            if mentions(message) || errors.iter().any(|error| mentions(error)))
    }
}

/// A moment as people read it.
fn clock_face(at: Timestamp) -> String {
    i64::try_from(at.unix_ms).ok().and_then(DateTime::from_timestamp_millis).map_or_else(
        || format!("{} ms since 1970", at.unix_ms),
        |at| at.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

/// The name of a request in errors and logs: method and path, without the query (which may be long) and without the
/// host (which is configuration).
pub(crate) fn request_name(method: &Method, path: &str) -> String {
    format!("{method} {path}")
}

/// A call that may not find anything: absence is an answer, everything else stays an error.
pub(crate) fn found<T>(result: Result<T, GitHubError>) -> Result<Option<T>, GitHubError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_until_when_in_words_for_people() {
        let error = GitHubError::RateLimited { until: Timestamp::from_unix_ms(1_767_225_600_000) };
        assert_eq!(error.to_string(), "GitHub's rate limit is reached; try again at 2026-01-01T00:00:00Z");
        assert!(
            GitHubError::RateLimited { until: Timestamp::from_unix_ms(u64::MAX) }
                .to_string()
                .contains("1970")
        );
    }
}
