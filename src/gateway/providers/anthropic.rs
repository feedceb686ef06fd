//! Anthropic Messages (`POST /v1/messages`).

use std::collections::BTreeMap;

use pairbot_protocol::ids::Usage;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::failure::{ErrorObject, from_stream};
use super::{Answer, Assembler, Failed};
use crate::gateway::message::{Arguments, Block, Message, ModelRequest, Role, StopReason};

/// How many content blocks an answer may have.
const BLOCKS_MAX: usize = 1_000;

/// The request. Three cache marks: after the system prompt, the tools, and the last message of ours, so that each
/// turn reads the whole conversation before it from the cache.
pub(super) fn body(request: &ModelRequest, output_tokens: u64) -> Value {
    let tools_last = request.tools.len().saturating_sub(1);
    let tools: Vec<Value> = request
        .tools
        .iter()
        .enumerate()
        .map(|(index, tool)| {
            let value =
                json!({ "name": tool.name, "description": tool.description, "input_schema": tool.schema });
            if index == tools_last { cached(value) } else { value }
        })
        .collect();
    let user_last = request.messages.iter().rposition(|message| message.role == Role::User);
    let messages: Vec<Value> = request
        .messages
        .iter()
        .enumerate()
        .map(|(index, message)| {
            let last = index + 1 == request.messages.len();
            wire_message(message, Some(index) == user_last, last)
        })
        .collect();
    let mut body = json!({
        "model": request.model.model,
        "max_tokens": output_tokens,
        "system": [cached(json!({ "type": "text", "text": request.system }))],
        "messages": messages,
        "stream": request.stream,
    });
    if let (Some(body), false) = (body.as_object_mut(), tools.is_empty()) {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    body
}

fn cached(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.insert("cache_control".to_owned(), json!({ "type": "ephemeral" }));
    }
    value
}

fn wire_message(message: &Message, cache: bool, last: bool) -> Value {
    let mut blocks: Vec<Value> = message.blocks.iter().filter_map(wire_block).collect();
    if let (Role::Assistant, true, Some(end)) = (message.role, last, blocks.last_mut())
        && let Some(text) = end.get("text").and_then(Value::as_str)
    {
        // "final assistant content cannot end with trailing whitespace" is a 400.
        *end = json!({ "type": "text", "text": text.trim_end() });
    }
    if let (true, Some(end)) = (cache, blocks.last_mut()) {
        *end = cached(end.take());
    }
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    json!({ "role": role, "content": blocks })
}

fn wire_block(block: &Block) -> Option<Value> {
    match block {
        // An empty text block is a 400.
        Block::Text { text } if text.trim().is_empty() => None,
        Block::Text { text } => Some(json!({ "type": "text", "text": text })),
        Block::ToolUse { id, name, arguments } => {
            Some(json!({ "type": "tool_use", "id": id, "name": name, "input": arguments.to_object() }))
        }
        Block::ToolResult { tool_use_id, content, is_error } => Some(json!({
            "type": "tool_result", "tool_use_id": tool_use_id, "content": content, "is_error": is_error,
        })),
        Block::Opaque { value } => Some(value.clone()),
    }
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
pub(in crate::gateway) struct WireUsage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    /// How long what was written to the cache is kept.
    cache_creation: Option<CacheCreation>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<u64>,
}

impl WireUsage {
    /// Counts are cumulative, so a later report replaces an earlier one.
    pub(in crate::gateway) fn merge(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_creation = later.cache_creation.or(self.cache_creation);
    }

    /// Of the tokens written to the cache, those that are kept for an hour.
    pub(in crate::gateway) fn hour_tokens(self) -> u64 {
        self.cache_creation.and_then(|kept| kept.ephemeral_1h_input_tokens).unwrap_or(0)
    }

    pub(in crate::gateway) fn input(self) -> Option<Usage> {
        Some(Usage {
            input_tokens: self.input_tokens?,
            cache_write_tokens: self.cache_creation_input_tokens.unwrap_or(0),
            cache_read_tokens: self.cache_read_input_tokens.unwrap_or(0),
            output_tokens: 0,
        })
    }

    pub(in crate::gateway) fn whole(self) -> Option<Usage> {
        Some(Usage { output_tokens: self.output_tokens?, ..self.input()? })
    }
}

fn stop_reason(text: &str) -> StopReason {
    match text {
        "end_turn" | "stop_sequence" => StopReason::EndTurn,
        "tool_use" => StopReason::ToolUse,
        "max_tokens" => StopReason::MaxTokens,
        "model_context_window_exceeded" => StopReason::WindowExceeded,
        "refusal" => StopReason::Refusal,
        "pause_turn" => StopReason::PauseTurn,
        other => StopReason::Other(other.chars().take(40).collect()),
    }
}

#[derive(Deserialize)]
struct WholeMessage {
    content: Vec<Value>,
    stop_reason: Option<String>,
    usage: Option<WireUsage>,
}

/// Reads an answer that was not streamed.
pub(super) fn whole(body: &[u8]) -> Result<Answer, Failed> {
    let message: WholeMessage =
        serde_json::from_slice(body).map_err(|error| Failed::cut(format!("not a message: {error}")))?;
    let blocks = message.content.into_iter().take(BLOCKS_MAX).filter_map(whole_block).collect();
    Ok(Answer {
        blocks,
        stop: stop_reason(&message.stop_reason.unwrap_or_default()),
        usage: message.usage.and_then(WireUsage::whole),
    })
}

fn whole_block(value: Value) -> Option<Block> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    match value.get("type").and_then(Value::as_str) {
        Some("text") => Some(Block::Text { text: text("text") }).filter(not_empty),
        Some("tool_use") => {
            let input = value.get("input").cloned().unwrap_or_default();
            let arguments = if input.is_object() {
                Arguments::Object(input)
            } else {
                Arguments::Malformed(input.to_string())
            };
            Some(Block::ToolUse { id: text("id"), name: text("name"), arguments })
        }
        Some(_) | None => Some(Block::Opaque { value }),
    }
}

fn not_empty(block: &Block) -> bool {
    !matches!(block, Block::Text { text } if text.is_empty())
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum StreamEvent {
    MessageStart {
        message: StartedMessage,
    },
    ContentBlockStart {
        index: u64,
        content_block: Value,
    },
    ContentBlockDelta {
        index: u64,
        delta: Delta,
    },
    MessageDelta {
        delta: MessageDelta,
        usage: Option<WireUsage>,
    },
    MessageStop,
    Error {
        #[serde(default)]
        error: ErrorObject,
    },
    /// `ping`, `content_block_stop`, and what later versions add.
    #[serde(other)]
    Ignored,
}

#[derive(Deserialize)]
struct StartedMessage {
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct MessageDelta {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(other)]
    Ignored,
}

/// A content block that is still being written.
struct Growing {
    start: Value,
    text: String,
    json: String,
}

/// An answer that is being streamed.
#[derive(Default)]
pub(super) struct Stream {
    blocks: BTreeMap<u64, Growing>,
    usage: WireUsage,
    stop: Option<StopReason>,
    ended: bool,
}

impl Assembler for Stream {
    fn event(&mut self, data: &str) -> Result<(), Failed> {
        let event: StreamEvent =
            serde_json::from_str(data).map_err(|error| Failed::cut(format!("not an event: {error}")))?;
        match event {
            StreamEvent::MessageStart { message } => self.usage.merge(message.usage.unwrap_or_default()),
            StreamEvent::ContentBlockStart { index, content_block } => {
                if self.blocks.len() >= BLOCKS_MAX {
                    return Err(Failed::cut(format!("more than {BLOCKS_MAX} content blocks")));
                }
                let text = content_block.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.blocks.insert(index, Growing { start: content_block, text, json: String::new() });
            }
            StreamEvent::ContentBlockDelta { index, delta } => {
                let block = self.blocks.get_mut(&index).ok_or_else(|| {
                    Failed::cut(format!("a part of content block {index}, which never began"))
                })?;
                block.grow(delta);
            }
            StreamEvent::MessageDelta { delta, usage } => {
                self.usage.merge(usage.unwrap_or_default());
                self.stop = delta.stop_reason.as_deref().map(stop_reason).or(self.stop.take());
            }
            StreamEvent::MessageStop => self.ended = true,
            StreamEvent::Error { error } => return Err(Failed::charged(from_stream(&error))),
            StreamEvent::Ignored => {}
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.ended
    }

    fn input_usage(&self) -> Option<Usage> {
        self.usage.input()
    }

    fn finish(self) -> Result<Answer, Failed> {
        let stop = self.stop.ok_or_else(|| Failed::cut("the stream ended before its stop reason"))?;
        let blocks = self.blocks.into_values().filter_map(Growing::finish).collect();
        Ok(Answer { blocks, stop, usage: self.usage.whole() })
    }
}

impl Growing {
    fn grow(&mut self, delta: Delta) {
        match delta {
            Delta::Text { text } => self.text.push_str(&text),
            Delta::InputJson { partial_json } => self.json.push_str(&partial_json),
            Delta::Thinking { thinking } => self.append("thinking", &thinking),
            Delta::Signature { signature } => self.append("signature", &signature),
            Delta::Ignored => {}
        }
    }

    fn append(&mut self, field: &str, more: &str) {
        if let Some(object) = self.start.as_object_mut() {
            match object.get_mut(field) {
                Some(Value::String(text)) => text.push_str(more),
                Some(_) | None => {
                    object.insert(field.to_owned(), Value::String(more.to_owned()));
                }
            }
        }
    }

    fn finish(self) -> Option<Block> {
        let Self { mut start, text, json } = self;
        let word = |field: &str| start.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        match start.get("type").and_then(Value::as_str) {
            Some("text") => Some(Block::Text { text }).filter(not_empty),
            Some("tool_use") => {
                // A server may also send the whole input at once, in the start of the block.
                let given =
                    start.get("input").filter(|input| input.as_object().is_some_and(|map| !map.is_empty()));
                let arguments = match given {
                    Some(input) if json.is_empty() => Arguments::Object(input.clone()),
                    Some(_) | None => Arguments::from_text(&json),
                };
                Some(Block::ToolUse { id: word("id"), name: word("name"), arguments })
            }
            Some(_) | None => {
                if let (Some(object), false) = (start.as_object_mut(), json.is_empty()) {
                    let input = serde_json::from_str(&json).unwrap_or(Value::Object(Map::new()));
                    object.insert("input".to_owned(), input);
                }
                Some(Block::Opaque { value: start })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(events: &[Value]) -> Result<Answer, Failed> {
        let mut stream = Stream::default();
        for event in events {
            stream.event(&event.to_string())?;
        }
        stream.finish()
    }

    #[test]
    fn signed_thinking_goes_back_as_it_came() {
        let answer = read(&[
            json!({"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}),
            json!({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}),
            json!({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"a b"}}),
            json!({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s=="}}),
            json!({"type":"content_block_stop","index":0}),
            json!({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}),
            json!({"type":"message_stop"}),
        ])
        .unwrap();
        let thinking = json!({"type":"thinking","thinking":"a b","signature":"s=="});
        assert_eq!(answer.blocks, vec![Block::Opaque { value: thinking.clone() }]);
        assert_eq!(answer.usage, Some(Usage { input_tokens: 5, output_tokens: 9, ..Usage::default() }));
        assert_eq!(wire_block(&answer.blocks[0]), Some(thinking));
    }

    #[test]
    fn a_stream_without_stop_reason_is_cut_not_an_answer() {
        let cut = read(&[
            json!({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}),
            json!({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"half"}}),
        ]);
        assert!(matches!(cut, Err(Failed { error: super::super::ProviderError::Cut { .. }, .. })));
    }
}
