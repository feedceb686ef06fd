//! Writes an answer: one JSON document, a list of chunks, or chunks as an event stream.

use serde_json::{Value, json};

use crate::conversation::Provider;
use crate::refusal::Refusal;
use crate::reply::Stop;
use crate::usage::Usage;
use crate::written::{Block, Written, pieces};

/// Bytes of text in one chunk.
const CHUNK_BYTES: usize = 96;

/// The answer as one document.
pub(crate) fn document(model: &str, written: &Written, usage: Usage) -> String {
    let parts: Vec<Value> = written.blocks.iter().filter_map(part).collect();
    chunk(model, written, &parts, Some(finish_reason(written)), usage).to_string()
}

/// The answer as a list of chunks, as `streamGenerateContent` gives it to who does not ask for events.
pub(crate) fn list(model: &str, written: &Written, usage: Usage) -> String {
    let chunks: Vec<String> = chunks(model, written, usage).iter().map(Value::to_string).collect();
    format!("[{}\n]\n", chunks.join("\n,\r\n"))
}

/// The answer as an event stream. Its lines end as Google's do.
pub(crate) fn frames(model: &str, written: &Written, usage: Usage) -> Vec<String> {
    chunks(model, written, usage).iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect()
}

fn chunks(model: &str, written: &Written, usage: Usage) -> Vec<Value> {
    let so_far = Usage { output_tokens: 0, ..usage };
    let mut chunks = Vec::new();
    for block in &written.blocks {
        match block {
            Block::Text(text) => {
                let pieces = pieces(text, CHUNK_BYTES).into_iter();
                chunks.extend(
                    pieces.map(|piece| chunk(model, written, &[json!({ "text": piece })], None, so_far)),
                );
            }
            Block::Tool { .. } => {
                let parts: Vec<Value> = part(block).into_iter().collect();
                chunks.push(chunk(model, written, &parts, None, so_far));
            }
        }
    }
    let ending = [json!({ "text": "" })];
    chunks.push(chunk(model, written, &ending, Some(finish_reason(written)), usage));
    chunks
}

fn chunk(model: &str, written: &Written, parts: &[Value], reason: Option<&str>, usage: Usage) -> Value {
    let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
    if let (Some(reason), Value::Object(fields)) = (reason, &mut candidate) {
        fields.insert("finishReason".to_owned(), json!(reason));
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage_json(usage),
        "modelVersion": model,
        "responseId": written.id,
    })
}

/// A call whose arguments are no object has no form here.
fn part(block: &Block) -> Option<Value> {
    match block {
        Block::Text(text) => Some(json!({ "text": text })),
        Block::Tool { id, name, json } => {
            let arguments = serde_json::from_str::<Value>(json).ok().filter(Value::is_object)?;
            Some(json!({ "functionCall": { "id": id, "name": name, "args": arguments } }))
        }
    }
}

/// An error that arrives inside the stream.
pub(crate) fn error_frame(refusal: &Refusal) -> String {
    format!("data: {}\r\n\r\n", refusal.body(Provider::Gemini))
}

fn finish_reason(written: &Written) -> &'static str {
    let malformed = written.blocks.iter().any(|block| part(block).is_none());
    match (written.stop, malformed) {
        (Stop::MaxTokens, _) => "MAX_TOKENS",
        (Stop::Refusal, _) => "SAFETY",
        (Stop::Natural | Stop::PauseTurn, true) => "MALFORMED_FUNCTION_CALL",
        (Stop::Natural | Stop::PauseTurn, false) => "STOP",
    }
}

/// The prompt's tokens include the cached ones; a part of the output counts as thoughts, which stand beside the answer.
fn usage_json(usage: Usage) -> Value {
    let prompt = usage.input_total();
    let thoughts = usage.output_tokens / 4;
    json!({
        "promptTokenCount": prompt,
        "cachedContentTokenCount": usage.cache_read_tokens,
        "candidatesTokenCount": usage.output_tokens.saturating_sub(thoughts),
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": prompt.saturating_add(usage.output_tokens),
    })
}
