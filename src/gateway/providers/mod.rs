//! The providers' wire protocols, each in its own file, read into one form.

mod anthropic;
mod failure;
mod openai;
mod transport;

use std::fmt;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use pairbot_protocol::ids::{Timestamp, Usage};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

pub use self::failure::ProviderError;
pub(super) use self::failure::{Charge, Failed};
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
    /// OpenAI Chat Completions and servers compatible with it.
    OpenAi,
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
        })
    }
}

/// Where a provider is and how it knows us.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Whose API is spoken.
    pub kind: ProviderKind,
    /// For Anthropic the part before `/v1/messages`, for OpenAI the part before `/chat/completions`.
    pub base_url: String,
    /// The operator's key. It leaves the process only in a request header.
    pub key: SecretString,
    /// How many calls may be under way at once.
    pub calls_max: usize,
}

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
pub(super) fn body(
    kind: ProviderKind,
    request: &ModelRequest,
    facts: &ModelFacts,
    output_tokens: u64,
) -> Vec<u8> {
    let value = match kind {
        ProviderKind::Anthropic => anthropic::body(request, output_tokens),
        ProviderKind::OpenAi => openai::body(request, facts, output_tokens),
    };
    value.to_string().into_bytes()
}

/// Sends a request once and reads the whole answer.
pub(super) async fn attempt(
    sent_by: &dyn ModelTransport,
    clock: &dyn Clock,
    settings: &ProviderSettings,
    body: Vec<u8>,
    stream: bool,
    limits: AttemptLimits,
) -> Result<Answer, Failed> {
    let base = settings.base_url.trim_end_matches('/');
    let (url, headers) = match settings.kind {
        ProviderKind::Anthropic => (format!("{base}/v1/messages"), anthropic_headers(&settings.key)?),
        ProviderKind::OpenAi => (format!("{base}/chat/completions"), openai_headers(&settings.key)?),
    };
    let exchange = transport::Exchange { transport: sent_by, clock, limits, key: &settings.key };
    let response = exchange.post(&url, headers, body, stream).await?;
    match (settings.kind, stream) {
        (ProviderKind::Anthropic, true) => exchange.read_stream::<anthropic::Stream>(response).await,
        (ProviderKind::OpenAi, true) => exchange.read_stream::<openai::Stream>(response).await,
        (ProviderKind::Anthropic, false) => anthropic::whole(&exchange.read_all(response).await?),
        (ProviderKind::OpenAi, false) => openai::whole(&exchange.read_all(response).await?),
    }
}

fn anthropic_headers(key: &SecretString) -> Result<HeaderMap, Failed> {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("x-api-key"), secret_header(key.expose_secret())?);
    headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
    Ok(headers)
}

fn openai_headers(key: &SecretString) -> Result<HeaderMap, Failed> {
    let mut headers = HeaderMap::new();
    let value = secret_header(&format!("Bearer {}", key.expose_secret()))?;
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
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
