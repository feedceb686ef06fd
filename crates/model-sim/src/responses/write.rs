//! Writes an answer: one JSON document, or the frames of an event stream
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>).

use serde_json::{Value, json};

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
    response(model, written, Some(usage)).to_string()
}

/// The response: whole where its usage is known, else as it is when it begins.
fn response(model: &str, written: &Written, usage: Option<Usage>) -> Value {
    let cut = written.stop == Stop::MaxTokens;
    let status = match (usage, cut) {
        (None, _) => "in_progress",
        (Some(_), true) => "incomplete",
        (Some(_), false) => "completed",
    };
    // Nothing is written yet when it begins.
    let blocks = written.blocks.iter().enumerate().filter(|_| usage.is_some());
    let output: Vec<Value> = blocks.map(|(index, block)| item(written, index, block, true)).collect();
    let details = if cut && usage.is_some() { json!({ "reason": "max_output_tokens" }) } else { Value::Null };
    json!({
        "id": format!("resp_{}", written.id),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": null,
        "incomplete_details": details,
        "instructions": null,
        "max_output_tokens": null,
        "model": model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "service_tier": "default",
        "store": false,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage.map(usage_json),
    })
}

fn item(written: &Written, index: usize, block: &Block, whole: bool) -> Value {
    let status = if whole { "completed" } else { "in_progress" };
    let id = &written.id;
    match block {
        Block::Text(text) => {
            let content = if whole { vec![part(written, text)] } else { Vec::new() };
            json!({ "type": "message", "id": format!("msg_{id}{index:02}"), "status": status, "role": "assistant",
                "content": content })
        }
        Block::Tool { id: call, name, json } => {
            let arguments = if whole { json.as_str() } else { "" };
            let (namespace, name) =
                name.split_once('/').map_or((None, name.as_str()), |(space, name)| (Some(space), name));
            let mut call = json!({ "type": "function_call", "id": format!("fc_{id}{index:02}"),
                "call_id": format!("call_{call}"), "name": name, "arguments": arguments, "status": status });
            if let Some(namespace) = namespace {
                call["namespace"] = json!(namespace);
            }
            call
        }
    }
}

fn part(written: &Written, text: &str) -> Value {
    if written.stop == Stop::Refusal {
        json!({ "type": "refusal", "refusal": text })
    } else {
        json!({ "type": "output_text", "text": text, "annotations": [] })
    }
}

/// The answer as an event stream.
pub(crate) fn frames(model: &str, written: &Written, usage: Usage) -> Vec<String> {
    let mut stream = Stream::default();
    stream.tell("response.created", &json!({ "response": response(model, written, None) }));
    stream.tell("response.in_progress", &json!({ "response": response(model, written, None) }));
    for (index, block) in written.blocks.iter().enumerate() {
        let begun = item(written, index, block, false);
        let item_id = begun.get("id").cloned().unwrap_or_default();
        stream.tell("response.output_item.added", &json!({ "output_index": index, "item": begun }));
        match block {
            Block::Text(text) => {
                let place = json!({ "item_id": item_id, "output_index": index, "content_index": 0 });
                let channel = if written.stop == Stop::Refusal { "refusal" } else { "output_text" };
                let word = if written.stop == Stop::Refusal { "refusal" } else { "text" };
                stream.tell("response.content_part.added", &with(&place, "part", part(written, "")));
                for piece in pieces(text, DELTA_BYTES) {
                    stream.tell(&format!("response.{channel}.delta"), &with(&place, "delta", json!(piece)));
                }
                stream.tell(&format!("response.{channel}.done"), &with(&place, word, json!(text)));
                stream.tell("response.content_part.done", &with(&place, "part", part(written, text)));
            }
            Block::Tool { json, .. } => {
                let place = json!({ "item_id": item_id, "output_index": index });
                for piece in pieces(json, DELTA_BYTES) {
                    let delta = with(&place, "delta", json!(piece));
                    stream.tell("response.function_call_arguments.delta", &delta);
                }
                let done = with(&place, "arguments", json!(json));
                stream.tell("response.function_call_arguments.done", &done);
            }
        }
        let done = item(written, index, block, true);
        stream.tell("response.output_item.done", &json!({ "output_index": index, "item": done }));
    }
    let ending = if written.stop == Stop::MaxTokens { "response.incomplete" } else { "response.completed" };
    stream.tell(ending, &json!({ "response": response(model, written, Some(usage)) }));
    stream.frames
}

/// An error that arrives inside the stream.
pub(crate) fn error_frame(refusal: &Refusal) -> String {
    let data = json!({ "type": "error", "code": "server_error", "message": refusal.message, "param": null,
        "sequence_number": 0 });
    format!("event: error\ndata: {data}\n\n")
}

/// Events, numbered as they are told.
#[derive(Default)]
struct Stream {
    frames: Vec<String>,
}

impl Stream {
    fn tell(&mut self, kind: &str, data: &Value) {
        let data = with(&with(data, "type", json!(kind)), "sequence_number", json!(self.frames.len()));
        self.frames.push(format!("event: {kind}\ndata: {data}\n\n"));
    }
}

fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    if let Value::Object(fields) = &mut object {
        fields.insert(name.to_owned(), value);
    }
    object
}

/// Unlike Anthropic's, the input's tokens include the cached ones.
fn usage_json(usage: Usage) -> Value {
    let input = usage.input_total();
    json!({
        "input_tokens": input,
        "input_tokens_details": { "cached_tokens": usage.cache_read_tokens },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": input.saturating_add(usage.output_tokens),
    })
}
