//! What an answer says of its own cost while it passes. Nothing that comes by is changed or held up by being read here,
//! and nothing that cannot be read is an error: an answer without a report is charged as reserved.

mod anthropic;
mod chat;
mod gemini;
mod responses;

use pairbot_protocol::ids::Usage;

use super::api::Api;
use crate::gateway::estimate;
use crate::gateway::payment::Bill;
use crate::gateway::providers::{Charge, ProviderError};

/// More bytes than this no token has on average in an answer of any length, repeated bytes counted once. Above it an
/// answer is longer than its limit whatever the tokenizer; below it nothing can be said.
const TOKEN_BYTES_MAX: u64 = 8;

/// What is known of an answer so far.
#[derive(Default)]
struct Reading {
    /// What the provider read, as it reports.
    input: Option<Usage>,
    /// Everything, once the report is final.
    whole: Option<Usage>,
    /// Of the tokens written to the cache, those that are kept for an hour.
    hour_tokens: u64,
    /// Written so far, as the provider reports in between.
    output_so_far: u64,
    /// Why the answer ends without being whole.
    error: Option<ProviderError>,
    /// Whether the answer has come to its end.
    ended: bool,
    text: Text,
    anthropic: anthropic::Kept,
}

/// Weighs the text of an answer.
#[derive(Default)]
struct Text {
    bytes: u64,
    halves: u64,
    /// Without the repetitions of a byte.
    distinct: u64,
    last: Option<u8>,
}

impl Text {
    fn add(&mut self, text: &str) {
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        self.halves = self.halves.saturating_add(estimate::halves(text.as_bytes()));
        for byte in text.bytes() {
            self.distinct += u64::from(self.last != Some(byte));
            self.last = Some(byte);
        }
    }
}

/// Reads the answer to one call.
pub(super) struct Meter {
    api: Api,
    reading: Reading,
}

impl Meter {
    pub(super) fn of(api: Api) -> Self {
        Self { api, reading: Reading::default() }
    }

    /// Takes one event of a stream.
    pub(super) fn event(&mut self, data: &str) {
        let reading = &mut self.reading;
        match self.api {
            Api::Messages => anthropic::event(reading, data),
            Api::Chat => chat::event(reading, data),
            Api::Responses => responses::event(reading, data),
            Api::Generate | Api::StreamGenerate => gemini::event(reading, data),
            Api::CountTokens => {}
        }
    }

    /// Takes an answer that is no stream of events.
    pub(super) fn document(&mut self, body: &[u8]) {
        let reading = &mut self.reading;
        match self.api {
            Api::Messages => anthropic::document(reading, body),
            Api::Chat => chat::document(reading, body),
            Api::Responses => responses::document(reading, body),
            Api::Generate | Api::StreamGenerate => gemini::document(reading, body),
            Api::CountTokens => {}
        }
    }

    /// Whether more has come than `output_tokens`, for certain.
    pub(super) fn outgrows(&self, output_tokens: u64) -> bool {
        let at_least = (self.reading.text.distinct / TOKEN_BYTES_MAX).max(self.reading.output_so_far);
        self.reading.whole.is_none() && at_least > output_tokens
    }

    /// The provider's own word for why the answer is not whole.
    pub(super) fn error(&self) -> Option<&ProviderError> {
        self.reading.error.as_ref()
    }

    /// What is to be paid for an answer that came to an end, `whole` if the connection did not break before.
    pub(super) fn bill(&self, whole: bool) -> Bill {
        let Reading { input, hour_tokens, error, ended, .. } = &self.reading;
        match (self.reading.whole, error) {
            // A report that is final stays so, whatever becomes of the connection afterwards.
            (Some(usage), None) => Bill::Reported { usage, hour_tokens: *hour_tokens },
            (None, None) if whole && *ended && input.is_none() => Bill::Unreported,
            (Some(_) | None, Some(_)) | (None, None) => Bill::Failed(Charge::Unknown { input: *input }),
        }
    }

    /// What is to be paid for an answer that was cut because it outgrew its reservation.
    pub(super) fn outgrown(&self) -> Bill {
        let Reading { input, text, output_so_far, .. } = &self.reading;
        let output_tokens = estimate::output_tokens_max(text.halves, text.bytes).max(*output_so_far);
        Bill::Outgrown { input: *input, output_tokens }
    }
}

#[cfg(test)]
mod tests;
