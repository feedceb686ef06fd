//! Why a request at the webhook address is not taken, and what its sender is told.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::signature::SignatureError;

/// Why a delivery was not taken. Nothing of it was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It is not GitHub's, as far as can be told.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The body is larger than GitHub's limit.
    #[error("the body is larger than 25 MB")]
    TooLarge,
    /// The connection ended inside the body.
    #[error("the body ended before it was complete")]
    CutShort,
    /// The body took longer than GitHub itself would wait for an answer.
    #[error("the body did not arrive within 10 seconds")]
    TooSlow,
    /// The content type is neither of GitHub's two.
    #[error("the content type must be application/json or application/x-www-form-urlencoded")]
    MediaType,
    /// The form has no field `payload`.
    #[error("the form has no field `payload`")]
    NoPayloadField,
    /// A percent sign in the form is not followed by two hex digits.
    #[error("the form holds a `%` that is not followed by two hex digits")]
    FormEscape,
    /// The payload is not text.
    #[error("the payload is not UTF-8")]
    NotUtf8,
    /// The payload is empty, a scalar or an array.
    #[error("the payload is not a JSON object")]
    NotAnObject,
    /// The payload nests too deep.
    #[error("the payload nests deeper than 100 levels")]
    TooDeep,
    /// The payload begins as an object and breaks JSON's rules later.
    #[error("the payload is not valid JSON (line {line}, column {column})")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
    },
    /// No name of an event.
    #[error("the header X-GitHub-Event is missing or not 1 to 50 of `a-z` and `_`")]
    EventName,
    /// No delivery id.
    #[error("the header X-GitHub-Delivery is missing or not 1 to 64 of letters, digits and `-`")]
    DeliveryId,
    /// The delivery was fine and could not be made durable.
    #[error("the delivery could not be stored; send it again later")]
    NotStored {
        /// How long to wait.
        retry_after_seconds: u16,
    },
}

impl Refusal {
    /// The status that tells the sender whether the fault is its own.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::CutShort
            | Self::NoPayloadField
            | Self::FormEscape
            | Self::NotUtf8
            | Self::NotAnObject
            | Self::TooDeep
            | Self::NotJson { .. }
            | Self::EventName
            | Self::DeliveryId => StatusCode::BAD_REQUEST,
            Self::NotStored { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.to_string() }));
        let mut response = (self.status(), body).into_response();
        if let Self::NotStored { retry_after_seconds } = self {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_seconds));
        }
        response
    }
}
