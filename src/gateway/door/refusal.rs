//! What a door does not do, said in the words of the API that was asked, because agents decide by them what to do next.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use pairbot_protocol::ids::Timestamp;
use serde_json::{Value, json};

use super::api::Form;
use crate::gateway::call::CallError;

/// The header by which the vendors' own clients are told whether to try again.
pub(super) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the key is not the one that was given to this agent")]
    Unauthorized,
    #[error("there is nothing at this address that an agent may use")]
    NotFound,
    #[error("the model `{model}` is not allowed for this task; allowed: {allowed}")]
    Model { model: String, allowed: String },
    #[error("{0}")]
    Invalid(String),
    #[error("the request is longer than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the request did not arrive in time")]
    Slow,
    /// Nothing more may be spent for this task: the agent's turn is to end.
    #[error("{0}")]
    Spent(String),
    /// The provider asked for a pause.
    #[error("{reason}")]
    Wait { seconds: u64, reason: String },
    /// The provider fails, or cannot be asked.
    #[error("{reason}")]
    Down { seconds: Option<u64>, reason: String },
    #[error("the provider did not answer in time")]
    Timeout,
}

impl Refusal {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// What a call that was not made says to the agent. `now` is when the agent hears it.
    pub(super) fn of(error: &CallError, now: Timestamp) -> Self {
        let seconds = |until: &Timestamp| until.ms_since(now).div_ceil(1_000).max(1);
        let reason = error.to_string();
        match error {
            CallError::UnknownModel(_) | CallError::NotSpoken { .. } => Self::Invalid(reason),
            CallError::BudgetExhausted { .. } | CallError::LeaseLost | CallError::DeadlinePassed => {
                Self::Spent(reason)
            }
            CallError::Snooze { until, .. } => Self::Wait { seconds: seconds(until), reason },
            CallError::ProviderDown { until, .. } => Self::Down { seconds: Some(seconds(until)), reason },
            CallError::NoProvider { .. } | CallError::Account(_) | CallError::Provider(_) => {
                Self::Down { seconds: None, reason }
            }
        }
    }

    /// The status. For a task whose money is spent it is the one that ends each vendor's agent at once, as measured:
    /// 402, but for Responses 429 with the code `insufficient_quota`.
    pub(super) fn status(&self, form: Form) -> StatusCode {
        match (self, form) {
            (Self::Unauthorized, _) => StatusCode::UNAUTHORIZED,
            (Self::NotFound | Self::Model { .. }, _) => StatusCode::NOT_FOUND,
            (Self::Invalid(_), _) => StatusCode::BAD_REQUEST,
            (Self::TooLarge { .. }, _) => StatusCode::PAYLOAD_TOO_LARGE,
            (Self::Slow, _) => StatusCode::REQUEST_TIMEOUT,
            (Self::Spent(_), Form::Anthropic | Form::Chat | Form::Gemini) => StatusCode::PAYMENT_REQUIRED,
            (Self::Spent(_), Form::Responses) | (Self::Wait { .. }, _) => StatusCode::TOO_MANY_REQUESTS,
            (Self::Down { .. }, _) => StatusCode::SERVICE_UNAVAILABLE,
            (Self::Timeout, _) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn body(&self, form: Form) -> Value {
        let message = self.to_string();
        match form {
            Form::Anthropic => {
                json!({ "type": "error", "error": { "type": self.anthropic_type(), "message": message } })
            }
            Form::Chat | Form::Responses => {
                let (kind, code) = self.openai_type();
                json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
            }
            Form::Gemini => {
                let code = self.status(form).as_u16();
                json!({ "error": { "code": code, "message": message, "status": self.gemini_status() } })
            }
        }
    }

    fn anthropic_type(&self) -> &'static str {
        match self {
            Self::Unauthorized => "authentication_error",
            Self::NotFound | Self::Model { .. } => "not_found_error",
            Self::Invalid(_) | Self::Slow => "invalid_request_error",
            Self::TooLarge { .. } => "request_too_large",
            Self::Spent(_) => "billing_error",
            Self::Wait { .. } => "rate_limit_error",
            Self::Down { .. } => "overloaded_error",
            Self::Timeout => "timeout_error",
        }
    }

    fn openai_type(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Unauthorized => ("invalid_request_error", Some("invalid_api_key")),
            Self::NotFound | Self::Invalid(_) | Self::Slow | Self::TooLarge { .. } => {
                ("invalid_request_error", None)
            }
            Self::Model { .. } => ("invalid_request_error", Some("model_not_found")),
            Self::Spent(_) => ("insufficient_quota", Some("insufficient_quota")),
            Self::Wait { .. } => ("requests", Some("rate_limit_exceeded")),
            Self::Down { .. } | Self::Timeout => ("server_error", None),
        }
    }

    fn gemini_status(&self) -> &'static str {
        match self {
            Self::Unauthorized => "UNAUTHENTICATED",
            Self::NotFound | Self::Model { .. } => "NOT_FOUND",
            Self::Invalid(_) | Self::TooLarge { .. } => "INVALID_ARGUMENT",
            Self::Spent(_) => "FAILED_PRECONDITION",
            Self::Wait { .. } => "RESOURCE_EXHAUSTED",
            Self::Down { .. } => "UNAVAILABLE",
            Self::Slow | Self::Timeout => "DEADLINE_EXCEEDED",
        }
    }

    pub(super) fn response(&self, form: Form) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status(form), json, Body::from(self.body(form).to_string())).into_response();
        let wait = match self {
            Self::Wait { seconds, .. } => Some(*seconds),
            Self::Down { seconds, .. } => *seconds,
            Self::Unauthorized
            | Self::NotFound
            | Self::Model { .. }
            | Self::Invalid(_)
            | Self::TooLarge { .. }
            | Self::Slow
            | Self::Spent(_)
            | Self::Timeout => None,
        };
        let headers = response.headers_mut();
        if let Some(seconds) = wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(self, Self::Spent(_)) {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response
    }
}
