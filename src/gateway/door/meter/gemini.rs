//! Gemini: every chunk of an answer reports, and the one with the finish reason is final.

use std::borrow::Cow;

use pairbot_protocol::ids::Usage;
use serde::Deserialize;

use super::Reading;
use crate::gateway::providers::{ErrorObject, from_stream};

#[derive(Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct WireUsage {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
}

impl WireUsage {
    /// The prompt includes what was read from the cache; thoughts stand beside the answer.
    fn read(self) -> Option<Usage> {
        let prompt = self.prompt_token_count?;
        let cached = self.cached_content_token_count.unwrap_or(0).min(prompt);
        let for_tools = self.tool_use_prompt_token_count.unwrap_or(0);
        let thoughts = self.thoughts_token_count.unwrap_or(0);
        Some(Usage {
            input_tokens: (prompt - cached).saturating_add(for_tools),
            cache_read_tokens: cached,
            cache_write_tokens: 0,
            output_tokens: self.candidates_token_count.unwrap_or(0).saturating_add(thoughts),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow, default)]
    candidates: Vec<Candidate<'a>>,
    prompt_feedback: Option<serde::de::IgnoredAny>,
    usage_metadata: Option<WireUsage>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    finish_reason: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Vec<Part<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function_call: Option<&'a serde_json::value::RawValue>,
}

pub(super) fn event(reading: &mut Reading, data: &str) {
    if let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(data) {
        take(reading, chunk);
    }
}

/// One object, or with `streamGenerateContent` a list of chunks.
pub(super) fn document(reading: &mut Reading, body: &[u8]) {
    if let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(body) {
        take(reading, chunk);
    } else if let Ok(chunks) = serde_json::from_slice::<Vec<Chunk<'_>>>(body) {
        for chunk in chunks {
            take(reading, chunk);
        }
    }
}

fn take(reading: &mut Reading, chunk: Chunk<'_>) {
    if let Some(error) = chunk.error {
        reading.error = Some(from_stream(&error));
    }
    // A prompt that was blocked has no candidate.
    reading.ended |= chunk.prompt_feedback.is_some() && chunk.candidates.is_empty();
    for candidate in chunk.candidates {
        reading.ended |= candidate.finish_reason.is_some();
        for part in candidate.content.map(|content| content.parts).unwrap_or_default() {
            if let Some(text) = part.text {
                reading.text.add(&text);
            }
            if let Some(call) = part.function_call {
                reading.text.add(call.get());
            }
        }
    }
    if let Some(usage) = chunk.usage_metadata.and_then(WireUsage::read) {
        reading.input = Some(Usage { output_tokens: 0, ..usage });
        reading.output_so_far = reading.output_so_far.max(usage.output_tokens);
        if reading.ended {
            reading.whole = Some(usage);
        }
    }
}
