//! How a call fails, in one form for all providers, and whether it may have cost something.

use std::time::Duration;

use pairbot_protocol::ids::Usage;
use serde::Deserialize;
use serde_json::Value;

/// How long a provider's own words may be before they are cut.
const MESSAGE_CHARACTERS_MAX: usize = 500;

/// Why one attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Too many requests or tokens for the account (429).
    #[error("the provider limits our rate: {message}")]
    RateLimited {
        /// When to come back, as the provider asked.
        retry_after: Option<Duration>,
        /// The provider's words.
        message: String,
    },
    /// The provider has too much to do (529, 503).
    #[error("the provider is overloaded: {message}")]
    Overloaded {
        /// When to come back, as the provider asked.
        retry_after: Option<Duration>,
        /// The provider's words.
        message: String,
    },
    /// The provider failed (other 5xx, 408, 409).
    #[error("the provider failed with status {status}: {message}")]
    Server {
        /// The HTTP status.
        status: u16,
        /// When to come back, as the provider asked.
        retry_after: Option<Duration>,
        /// The provider's words.
        message: String,
    },
    /// The provider failed after it had answered 200.
    #[error("the provider failed inside its answer: {message}")]
    InStream {
        /// The provider's words.
        message: String,
    },
    /// The answer ended before it was whole, or was no answer of the protocol.
    #[error("the answer was cut or garbled: {message}")]
    Cut {
        /// What was wrong.
        message: String,
    },
    /// The key was refused, may not use the model, or has no credit (401, 402, 403).
    #[error("the provider refused our key: {message}; check the key, its permissions and its credit")]
    Refused {
        /// The provider's words.
        message: String,
    },
    /// The provider cannot understand the request (other 4xx). Repeating it would not help.
    #[error("the provider did not accept the request: {message}")]
    BadRequest {
        /// The provider's words.
        message: String,
    },
    /// The conversation is longer than the model's window.
    #[error("the conversation is too long for the model: {message}")]
    TooLong {
        /// The provider's words.
        message: String,
    },
    /// The provider was silent for too long, or the whole answer took too long.
    #[error("the provider did not answer in time")]
    Timeout,
    /// No connection.
    #[error("the provider could not be reached: {message}; check the network and the base URL")]
    Unreachable {
        /// What the network said.
        message: String,
    },
}

impl ProviderError {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Overloaded { .. }
            | Self::Server { .. }
            | Self::InStream { .. }
            | Self::Cut { .. }
            | Self::Timeout
            | Self::Unreachable { .. } => true,
            Self::Refused { .. } | Self::BadRequest { .. } | Self::TooLong { .. } => false,
        }
    }

    /// When to come back, as the provider asked.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. }
            | Self::Overloaded { retry_after, .. }
            | Self::Server { retry_after, .. } => *retry_after,
            Self::InStream { .. }
            | Self::Cut { .. }
            | Self::Refused { .. }
            | Self::BadRequest { .. }
            | Self::TooLong { .. }
            | Self::Timeout
            | Self::Unreachable { .. } => None,
        }
    }
}

/// What a failed attempt may have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Charge {
    /// Nothing: it was refused before a token was read.
    Nothing,
    /// Something unknown. The tokens read are known if the provider had reported them.
    Unknown {
        /// The provider's report of what it read.
        input: Option<Usage>,
    },
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) struct Failed {
    pub(in crate::gateway) error: ProviderError,
    pub(in crate::gateway) charge: Charge,
}

impl Failed {
    pub(in crate::gateway) fn free(error: ProviderError) -> Self {
        Self { error, charge: Charge::Nothing }
    }

    pub(in crate::gateway) fn charged(error: ProviderError) -> Self {
        Self { error, charge: Charge::Unknown { input: None } }
    }

    pub(in crate::gateway) fn cut(message: impl Into<String>) -> Self {
        Self::charged(ProviderError::Cut { message: message.into() })
    }
}

/// The error object of both providers, all of it optional because proxies in between write their own.
#[derive(Debug, Default, Deserialize)]
pub(in crate::gateway) struct ErrorObject {
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    code: Value,
    #[serde(default)]
    message: Value,
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorObject,
}

/// Reads an answer that is not 200.
pub(in crate::gateway) fn from_status(
    status: u16,
    retry_after: Option<Duration>,
    body: &str,
) -> ProviderError {
    let error = serde_json::from_str::<ErrorBody>(body).unwrap_or_default().error;
    let message = error.message.as_str().map_or_else(|| shorten(body), shorten);
    let message = if message.is_empty() { format!("status {status}") } else { message };
    let code = error.code.as_str().unwrap_or_default();
    match status {
        429 if code == "insufficient_quota" => ProviderError::Refused { message },
        429 => ProviderError::RateLimited { retry_after, message },
        503 | 529 => ProviderError::Overloaded { retry_after, message },
        401..=403 => ProviderError::Refused { message },
        413 => ProviderError::TooLong { message },
        408 | 409 | 425 | 500.. => ProviderError::Server { status, retry_after, message },
        400 if code == "context_length_exceeded" || speaks_of_length(&message) => {
            ProviderError::TooLong { message }
        }
        300..=399 => {
            ProviderError::BadRequest { message: format!("status {status}: a redirect; check the base URL") }
        }
        _ => ProviderError::BadRequest { message: format!("status {status}: {message}") },
    }
}

/// Reads an error that came inside a 200 answer.
pub(in crate::gateway) fn from_stream(error: &ErrorObject) -> ProviderError {
    let kind = error.kind.as_str().unwrap_or_default();
    let words = error.message.as_str().map(shorten).unwrap_or_default();
    let message = format!("{kind}: {words}");
    match kind {
        "authentication_error" | "permission_error" | "billing_error" | "insufficient_quota" => {
            ProviderError::Refused { message }
        }
        "invalid_request_error" if speaks_of_length(&words) => ProviderError::TooLong { message },
        "invalid_request_error" | "not_found_error" => ProviderError::BadRequest { message },
        "request_too_large" => ProviderError::TooLong { message },
        _ => ProviderError::InStream { message },
    }
}

/// The only sign of a window that is too small is in the words: Anthropic says "prompt is too long: N tokens >
/// M maximum", compatible servers speak of the maximum context length.
fn speaks_of_length(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["prompt is too long", "maximum context length", "context window", "context limit", "context length"]
        .iter()
        .any(|sign| message.contains(sign))
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_meaning() {
        let after = Some(Duration::from_secs(3));
        let body = r#"{"type":"error","error":{"type":"x","message":"words"}}"#;
        assert!(
            matches!(from_status(429, after, body), ProviderError::RateLimited { retry_after, .. } if retry_after == after)
        );
        assert!(matches!(from_status(529, None, body), ProviderError::Overloaded { .. }));
        assert!(matches!(from_status(500, None, body), ProviderError::Server { status: 500, .. }));
        assert!(
            matches!(from_status(401, None, body), ProviderError::Refused { message } if message == "words")
        );
        assert!(matches!(from_status(404, None, "<html>"), ProviderError::BadRequest { .. }));
        let long = r#"{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#;
        assert!(matches!(from_status(400, None, long), ProviderError::TooLong { .. }));
        let quota = r#"{"error":{"message":"You exceeded","code":"insufficient_quota"}}"#;
        assert!(matches!(from_status(429, None, quota), ProviderError::Refused { .. }));
    }

    #[test]
    fn an_error_body_of_any_shape_is_read() {
        for body in ["", "null", "[]", "{\"error\":3}", "{\"error\":{\"message\":{}}}", "\u{0}\u{1}"] {
            assert!(!from_status(418, None, body).retryable(), "{body}");
        }
    }
}
