//! The providers' wire protocols, each in its own file, read into one form.

pub(super) mod anthropic;
mod failure;
pub(super) mod openai;
mod transport;

use std::fmt;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use pairbot_protocol::ids::{Timestamp, Usage};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

pub use self::failure::ProviderError;
pub(super) use self::failure::{Charge, ErrorObject, Failed, from_status, from_stream};
pub(super) use self::transport::{Exchange, Target, pieces, retry_after};
use super::message::{Block, ModelRequest, StopReason};
use super::prices::ModelFacts;
use super::transport::ModelTransport;
use crate::ports::Clock;

/// Whose API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions and Responses, and servers compatible with it.
    OpenAi,
    /// Google's Gemini API. Only agents of a vendor's speak it, through a door.
    Gemini,
}

/// A protocol that the builtin agent's calls are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// Anthropic Messages.
    Messages,
    /// OpenAI Chat Completions.
    Chat,
}

impl ProviderKind {
    /// How the builtin agent talks to it, if it can.
    pub(super) fn wire(self) -> Option<Wire> {
        match self {
            Self::Anthropic => Some(Wire::Messages),
            Self::OpenAi => Some(Wire::Chat),
            Self::Gemini => None,
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Gemini => "gemini",
        })
    }
}

/// Where a provider is and how it knows us.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Whose API is spoken.
    pub kind: ProviderKind,
    /// For Anthropic the part before `/v1/messages`, for OpenAI the part before `/chat/completions`, for Gemini the part
    /// before `/v1beta/models`.
    pub base_url: String,
    /// The operator's key. It leaves the process only in a request header.
    pub key: SecretString,
    /// How many calls may be under way at once.
    pub calls_max: usize,
}

/// The header by which Anthropic is told which version of its protocol is spoken.
pub(super) const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// How long an attempt may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptLimits {
    /// When it must have ended.
    pub(super) until: Timestamp,
    /// How long the provider may be silent.
    pub(super) silence_max: Duration,
}

/// A whole answer, before it has a price.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) blocks: Vec<Block>,
    pub(super) stop: StopReason,
    /// Absent if the provider, against its protocol, reported none.
    pub(super) usage: Option<Usage>,
}

/// Puts the events of a stream together.
pub(super) trait Assembler: Default + Send {
    /// Takes one event's data.
    fn event(&mut self, data: &str) -> Result<(), Failed>;
    /// Whether nothing more is to come, even if the connection stays open.
    fn done(&self) -> bool;
    /// What the provider reported so far of the tokens it read, if it did.
    fn input_usage(&self) -> Option<Usage>;
    /// The answer, or that it was cut.
    fn finish(self) -> Result<Answer, Failed>;
}

/// The body of a request, exactly as it is sent and as the worst case is estimated.
pub(super) fn body(wire: Wire, request: &ModelRequest, facts: &ModelFacts, output_tokens: u64) -> Vec<u8> {
    let value = match wire {
        Wire::Messages => anthropic::body(request, output_tokens),
        Wire::Chat => openai::body(request, facts, output_tokens),
    };
    value.to_string().into_bytes()
}

/// Sends a request once and reads the whole answer.
pub(super) async fn attempt(
    sent_by: &dyn ModelTransport,
    clock: &dyn Clock,
    settings: &ProviderSettings,
    wire: Wire,
    body: Vec<u8>,
    stream: bool,
    limits: AttemptLimits,
) -> Result<Answer, Failed> {
    let path = match wire {
        Wire::Messages => "/v1/messages",
        Wire::Chat => "/chat/completions",
    };
    let target = target(settings, path)?;
    let exchange = Exchange { transport: sent_by, clock, limits, key: &settings.key };
    let response = exchange.post(target, body.into(), stream).await?;
    match (wire, stream) {
        (Wire::Messages, true) => exchange.read_stream::<anthropic::Stream>(response).await,
        (Wire::Chat, true) => exchange.read_stream::<openai::Stream>(response).await,
        (Wire::Messages, false) => anthropic::whole(&exchange.read_all(response).await?),
        (Wire::Chat, false) => openai::whole(&exchange.read_all(response).await?),
    }
}

/// Where a request goes, and with which headers: the key among them.
pub(super) fn target(settings: &ProviderSettings, path: &str) -> Result<Target, Failed> {
    let url = format!("{}{path}", settings.base_url.trim_end_matches('/'));
    let key = settings.key.expose_secret();
    let mut headers = HeaderMap::new();
    match settings.kind {
        ProviderKind::Anthropic => {
            headers.insert(HeaderName::from_static("x-api-key"), secret_header(key)?);
            headers.insert(ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01"));
        }
        ProviderKind::OpenAi => {
            headers.insert(AUTHORIZATION, secret_header(&format!("Bearer {key}"))?);
        }
        ProviderKind::Gemini => {
            headers.insert(HeaderName::from_static("x-goog-api-key"), secret_header(key)?);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Target { url, headers })
}

/// A header value that is never printed.
fn secret_header(text: &str) -> Result<HeaderValue, Failed> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        Failed::free(ProviderError::Refused {
            message:
                "the configured key holds characters that no HTTP header can carry; check it for line breaks"
                    .to_owned(),
        })
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    mod fuzz;
}
