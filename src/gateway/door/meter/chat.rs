//! OpenAI Chat Completions: one report, in the last chunk of a stream that was asked for it.

use std::borrow::Cow;

use pairbot_protocol::ids::Usage;
use serde::Deserialize;

use super::Reading;
use crate::gateway::providers::openai::WireUsage;
use crate::gateway::providers::{ErrorObject, from_stream};

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    usage: Option<WireUsage>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    finish_reason: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
}

pub(super) fn event(reading: &mut Reading, data: &str) {
    if data.trim() == "[DONE]" {
        reading.ended = true;
        finish(reading);
        return;
    }
    let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(data) else { return };
    if let Some(error) = chunk.error {
        reading.error = Some(from_stream(&error));
    }
    for choice in chunk.choices {
        if choice.finish_reason.is_some() {
            reading.ended = true;
        }
        let Some(delta) = choice.delta else { continue };
        for text in [delta.content, delta.refusal, delta.reasoning_content].iter().flatten() {
            reading.text.add(text);
        }
        let calls = delta.tool_calls.unwrap_or_default();
        for arguments in calls.iter().filter_map(|call| call.function.as_ref()?.arguments.as_ref()) {
            reading.text.add(arguments);
        }
    }
    if let Some(usage) = chunk.usage {
        let usage = usage.read();
        reading.input = Some(Usage { output_tokens: 0, ..usage });
        reading.output_so_far = reading.output_so_far.max(usage.output_tokens);
        // Some compatible servers report with every chunk; only what follows the end is final.
        if reading.ended {
            reading.whole = Some(usage);
        }
    }
}

/// The last report is final where nothing follows it.
fn finish(reading: &mut Reading) {
    if let (None, Some(input)) = (reading.whole, reading.input) {
        reading.whole = Some(Usage { output_tokens: reading.output_so_far, ..input });
    }
}

#[derive(Deserialize)]
struct Completion {
    usage: Option<WireUsage>,
    error: Option<ErrorObject>,
}

pub(super) fn document(reading: &mut Reading, body: &[u8]) {
    let Ok(completion) = serde_json::from_slice::<Completion>(body) else { return };
    reading.ended = true;
    reading.error = completion.error.as_ref().map(from_stream);
    reading.whole = completion.usage.map(WireUsage::read);
    reading.input = reading.whole.map(|usage| Usage { output_tokens: 0, ..usage });
}
