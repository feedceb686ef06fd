//! OpenAI Responses: the report is in the response that the last event carries.

use std::borrow::Cow;

use pairbot_protocol::ids::Usage;
use serde::Deserialize;

use super::Reading;
use crate::gateway::providers::{ErrorObject, ProviderError, from_stream};

#[derive(Deserialize)]
struct WireUsage {
    input_tokens: u64,
    output_tokens: u64,
    input_tokens_details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

impl WireUsage {
    /// The input includes what was read from the cache, the output includes reasoning.
    fn read(self) -> Usage {
        let cached = self.input_tokens_details.unwrap_or_default().cached_tokens.unwrap_or(0);
        let cached = cached.min(self.input_tokens);
        Usage {
            input_tokens: self.input_tokens - cached,
            cache_read_tokens: cached,
            cache_write_tokens: 0,
            output_tokens: self.output_tokens,
        }
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    usage: Option<WireUsage>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    response: Option<Answer<'a>>,
    /// A text in most events of this kind; the one with an object is not of interest.
    #[serde(borrow)]
    delta: Option<&'a serde_json::value::RawValue>,
}

/// An error that comes as an event has its words in it or, with servers in between, in an object of its own.
#[derive(Deserialize)]
struct Failure {
    error: Option<ErrorObject>,
    #[serde(flatten)]
    own: ErrorObject,
}

pub(super) fn event(reading: &mut Reading, data: &str) {
    let Ok(event) = serde_json::from_str::<Event<'_>>(data) else { return };
    match (event.kind.as_ref(), event.response) {
        ("response.completed" | "response.incomplete" | "response.failed", Some(answer)) => {
            take(reading, answer);
        }
        ("error", _) => {
            let error = serde_json::from_str::<Failure>(data).ok();
            let error = error.map(|failure| from_stream(&failure.error.unwrap_or(failure.own)));
            reading.error = error.or(Some(ProviderError::InStream { message: "an error".to_owned() }));
        }
        (kind, _) if kind.rsplit('.').next() == Some("delta") => {
            let text = event.delta.and_then(|delta| serde_json::from_str::<Cow<'_, str>>(delta.get()).ok());
            if let Some(text) = text {
                reading.text.add(&text);
            }
        }
        _ => {}
    }
}

pub(super) fn document(reading: &mut Reading, body: &[u8]) {
    if let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) {
        take(reading, answer);
    }
}

/// A response that failed is paid as it reports, if it does.
fn take(reading: &mut Reading, answer: Answer<'_>) {
    reading.ended = true;
    reading.whole = answer.usage.map(WireUsage::read);
    reading.input = reading.whole.map(|usage| Usage { output_tokens: 0, ..usage });
    if reading.whole.is_none() {
        let failed = answer.status.as_deref() == Some("failed");
        let words = ProviderError::InStream { message: "the response failed".to_owned() };
        reading.error = answer.error.as_ref().map(from_stream).or(failed.then_some(words));
    }
}
