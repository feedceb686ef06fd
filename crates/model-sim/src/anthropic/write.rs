//! Writes an answer: one JSON document, or the frames of an event stream.

use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::reply::Stop;
use crate::usage::Usage;
use crate::written::{Block, Written, pieces};

/// Bytes of text in one delta, and of a tool's arguments.
const DELTA_BYTES: usize = 48;

/// The answer as one document.
pub(crate) fn document(model: &str, written: &Written, usage: Usage) -> String {
    let content: Vec<Value> = written.blocks.iter().map(whole_block).collect();
    json!({
        "id": format!("msg_{}", written.id),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason(written),
        "stop_sequence": null,
        "usage": usage_json(usage, usage.output_tokens),
    })
    .to_string()
}

fn whole_block(block: &Block) -> Value {
    match block {
        Block::Text(text) => json!({ "type": "text", "text": text }),
        Block::Tool { id, name, json } => {
            // Arguments that are not JSON have no form here: they come as a string where an object belongs.
            let input = serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.clone()));
            json!({ "type": "tool_use", "id": tool_id(id), "name": name, "input": input })
        }
    }
}

/// The answer as an event stream (<https://docs.anthropic.com/en/docs/build-with-claude/streaming>).
pub(crate) fn frames(model: &str, written: &Written, usage: Usage) -> Vec<String> {
    let mut frames = vec![frame(
        "message_start",
        &json!({
            "type": "message_start",
            "message": {
                "id": format!("msg_{}", written.id),
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [],
                "stop_reason": null,
                "stop_sequence": null,
                "usage": usage_json(usage, 1),
            },
        }),
    )];
    for (index, block) in written.blocks.iter().enumerate() {
        let (start, deltas) = match block {
            Block::Text(text) => (
                json!({ "type": "text", "text": "" }),
                deltas(text, |piece| json!({ "type": "text_delta", "text": piece })),
            ),
            Block::Tool { id, name, json } => (
                json!({ "type": "tool_use", "id": tool_id(id), "name": name, "input": {} }),
                deltas(json, |piece| json!({ "type": "input_json_delta", "partial_json": piece })),
            ),
        };
        let start = json!({ "type": "content_block_start", "index": index, "content_block": start });
        frames.push(frame("content_block_start", &start));
        if index == 0 {
            frames.push(frame("ping", &json!({ "type": "ping" })));
        }
        for delta in deltas {
            let delta = json!({ "type": "content_block_delta", "index": index, "delta": delta });
            frames.push(frame("content_block_delta", &delta));
        }
        frames.push(frame("content_block_stop", &json!({ "type": "content_block_stop", "index": index })));
    }
    let ending = json!({
        "type": "message_delta",
        "delta": { "stop_reason": stop_reason(written), "stop_sequence": null },
        "usage": usage_json(usage, usage.output_tokens),
    });
    frames.push(frame("message_delta", &ending));
    frames.push(frame("message_stop", &json!({ "type": "message_stop" })));
    frames
}

/// An error that arrives inside the stream.
pub(crate) fn error_frame(refusal: &Refusal) -> String {
    format!("event: error\ndata: {}\n\n", refusal.body(crate::conversation::Provider::Anthropic))
}

fn deltas(text: &str, wrap: impl Fn(&str) -> Value) -> Vec<Value> {
    pieces(text, DELTA_BYTES).into_iter().map(wrap).collect()
}

fn frame(event: &str, data: &Value) -> String {
    format!("event: {event}\ndata: {data}\n\n")
}

fn tool_id(id: &str) -> String {
    format!("toolu_{id}")
}

fn stop_reason(written: &Written) -> &'static str {
    match written.stop {
        Stop::Natural if written.has_calls() => "tool_use",
        Stop::Natural => "end_turn",
        Stop::MaxTokens => "max_tokens",
        Stop::Refusal => "refusal",
        Stop::PauseTurn => "pause_turn",
    }
}

fn usage_json(usage: Usage, output_tokens: u64) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": output_tokens,
    })
}
