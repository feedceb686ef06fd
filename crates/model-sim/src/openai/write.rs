//! Writes an answer: one JSON document, or the frames of an event stream.

use serde_json::{Map, Value, json};

use crate::conversation::Provider;
use crate::refusal::Refusal;
use crate::reply::Stop;
use crate::usage::Usage;
use crate::written::{Block, Written, pieces};

/// Bytes of text in one delta, and of a tool's arguments.
const DELTA_BYTES: usize = 48;
/// Every answer was made at this second since the epoch: the server has no clock.
const CREATED: u64 = 1_767_225_600;

/// The answer as one document.
pub(crate) fn document(model: &str, written: &Written, usage: Usage) -> String {
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    let (content, refusal) = spoken(written);
    message.insert("content".to_owned(), content);
    message.insert("refusal".to_owned(), refusal);
    let calls: Vec<Value> = tools(written)
        .map(|(id, name, arguments)| {
            let function = json!({ "name": name, "arguments": arguments });
            json!({ "id": tool_id(id), "type": "function", "function": function })
        })
        .collect();
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    json!({
        "id": format!("chatcmpl-{}", written.id),
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(written) }],
        "usage": usage_json(usage),
    })
    .to_string()
}

/// The answer as an event stream.
pub(crate) fn frames(model: &str, written: &Written, usage: Usage, with_usage: bool) -> Vec<String> {
    let chunk = |choices: Value, counted: Value| {
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", written.id),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": model,
            "choices": choices,
        });
        if with_usage && let Value::Object(fields) = &mut chunk {
            fields.insert("usage".to_owned(), counted);
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, reason: Option<&str>| {
        chunk(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }]), Value::Null)
    };
    let mut frames = vec![delta(json!({ "role": "assistant", "content": "" }), None)];
    let channel = if written.stop == Stop::Refusal { "refusal" } else { "content" };
    for piece in pieces(&said(written), DELTA_BYTES).into_iter().filter(|piece| !piece.is_empty()) {
        frames.push(delta(json!({ channel: piece }), None));
    }
    for (index, (id, name, arguments)) in tools(written).enumerate() {
        let function = json!({ "name": name, "arguments": "" });
        let opening = json!({ "index": index, "id": tool_id(id), "type": "function", "function": function });
        frames.push(delta(json!({ "tool_calls": [opening] }), None));
        for piece in pieces(arguments, DELTA_BYTES) {
            let fragment = json!({ "index": index, "function": { "arguments": piece } });
            frames.push(delta(json!({ "tool_calls": [fragment] }), None));
        }
    }
    frames.push(delta(json!({}), Some(finish_reason(written))));
    if with_usage {
        frames.push(chunk(json!([]), usage_json(usage)));
    }
    frames.push("data: [DONE]\n\n".to_owned());
    frames
}

/// An error that arrives inside the stream.
pub(crate) fn error_frame(refusal: &Refusal) -> String {
    format!("data: {}\n\n", refusal.body(Provider::OpenAi))
}

/// Content and refusal: the text is one or the other.
fn spoken(written: &Written) -> (Value, Value) {
    let said = said(written);
    if said.is_empty() {
        (Value::Null, Value::Null)
    } else if written.stop == Stop::Refusal {
        (Value::Null, Value::String(said))
    } else {
        (Value::String(said), Value::Null)
    }
}

fn said(written: &Written) -> String {
    let texts = written.blocks.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.as_str()),
        Block::Tool { .. } => None,
    });
    texts.collect()
}

fn tools(written: &Written) -> impl Iterator<Item = (&str, &str, &str)> {
    written.blocks.iter().filter_map(|block| match block {
        Block::Text(_) => None,
        Block::Tool { id, name, json } => Some((id.as_str(), name.as_str(), json.as_str())),
    })
}

fn tool_id(id: &str) -> String {
    format!("call_{id}")
}

fn finish_reason(written: &Written) -> &'static str {
    match written.stop {
        Stop::Natural if written.has_calls() => "tool_calls",
        Stop::MaxTokens => "length",
        // A refusal is told by the message's `refusal`; a pause does not exist here.
        Stop::Natural | Stop::Refusal | Stop::PauseTurn => "stop",
    }
}

/// Unlike Anthropic's, the prompt's tokens include the cached ones.
fn usage_json(usage: Usage) -> Value {
    let prompt = usage.input_total();
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt.saturating_add(usage.output_tokens),
        "prompt_tokens_details": { "cached_tokens": usage.cache_read_tokens },
    })
}
