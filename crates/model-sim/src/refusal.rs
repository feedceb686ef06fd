//! A request that a provider does not take, and why.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::conversation::Provider;

/// An error answer, before it is put in a provider's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// `OpenAI`'s `code`.
    pub(crate) code: Option<&'static str>,
    pub(crate) retry_after: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), code: None, retry_after: None }
    }

    /// A malformed request.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    #[must_use]
    pub(crate) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The error body, as both providers also send it inside a stream.
    pub(crate) fn body(&self, provider: Provider) -> String {
        let body = match provider {
            Provider::Anthropic => json!({
                "type": "error",
                "error": { "type": anthropic_type(self.status), "message": self.message },
            }),
            Provider::Gemini => json!({
                "error": {
                    "code": self.status,
                    "message": self.message,
                    "status": gemini_status(self.status),
                },
            }),
            Provider::OpenAi => json!({
                "error": {
                    "message": self.message,
                    "type": openai_type(self.status),
                    "param": null,
                    "code": self.code,
                },
            }),
        };
        body.to_string()
    }

    pub(crate) fn response(&self, provider: Provider) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (status, json, self.body(provider)).into_response();
        if let Some(Ok(value)) = self.retry_after.as_deref().map(HeaderValue::from_str) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

/// <https://docs.anthropic.com/en/api/errors>, "HTTP errors".
fn anthropic_type(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

/// <https://ai.google.dev/gemini-api/docs/troubleshooting>, "Gemini API backend service error codes".
fn gemini_status(status: u16) -> &'static str {
    match status {
        400 | 413 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

/// <https://platform.openai.com/docs/guides/error-codes>, "API errors".
fn openai_type(status: u16) -> &'static str {
    match status {
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}
