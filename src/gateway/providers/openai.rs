//! OpenAI Chat Completions (`POST /chat/completions`) and servers compatible with it.

use std::collections::BTreeMap;

use pairbot_protocol::ids::Usage;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::failure::{ErrorObject, from_stream};
use super::{Answer, Assembler, Failed};
use crate::gateway::message::{Arguments, Block, Message, ModelRequest, Role, StopReason};
use crate::gateway::prices::{ModelFacts, OutputLimitField};

/// How many tool calls an answer may have.
const CALLS_MAX: usize = 200;

/// The request.
pub(super) fn body(request: &ModelRequest, facts: &ModelFacts, output_tokens: u64) -> Value {
    let mut messages = vec![json!({ "role": "system", "content": request.system })];
    for message in &request.messages {
        match message.role {
            Role::User => user_messages(message, &mut messages),
            Role::Assistant => messages.push(assistant_message(message)),
        }
    }
    let tools: Vec<Value> = request
        .tools
        .iter()
        .map(|tool| {
            let function =
                json!({ "name": tool.name, "description": tool.description, "parameters": tool.schema });
            json!({ "type": "function", "function": function })
        })
        .collect();
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(request.model.model));
    body.insert("messages".to_owned(), Value::Array(messages));
    body.insert("stream".to_owned(), json!(request.stream));
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    let limit = match facts.output_limit_field {
        OutputLimitField::MaxCompletionTokens => "max_completion_tokens",
        OutputLimitField::MaxTokens => "max_tokens",
    };
    body.insert(limit.to_owned(), json!(output_tokens));
    if request.stream {
        body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
    Value::Object(body)
}

/// Tool results come first: each must follow the message that asked for it without anything in between.
fn user_messages(message: &Message, out: &mut Vec<Value>) {
    let mut texts = Vec::new();
    for block in &message.blocks {
        match block {
            Block::ToolResult { tool_use_id, content, is_error } => {
                // There is no field for failure here, so the text says it.
                let content = if *is_error { format!("ERROR: {content}") } else { content.clone() };
                out.push(json!({ "role": "tool", "tool_call_id": tool_use_id, "content": content }));
            }
            Block::Text { text } => texts.push(text.as_str()),
            // Only assistants call tools, and opaque blocks belong to another provider.
            Block::ToolUse { .. } | Block::Opaque { .. } => {}
        }
    }
    if !texts.is_empty() {
        out.push(json!({ "role": "user", "content": texts.join("\n\n") }));
    }
}

fn assistant_message(message: &Message) -> Value {
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    for block in &message.blocks {
        match block {
            Block::Text { text } => texts.push(text.as_str()),
            Block::ToolUse { id, name, arguments } => calls.push(json!({
                "id": id,
                "type": "function",
                "function": { "name": name, "arguments": arguments.to_object().to_string() },
            })),
            Block::ToolResult { .. } | Block::Opaque { .. } => {}
        }
    }
    let mut value = Map::new();
    value.insert("role".to_owned(), json!("assistant"));
    let content = if texts.is_empty() && !calls.is_empty() { Value::Null } else { json!(texts.join("\n\n")) };
    value.insert("content".to_owned(), content);
    if !calls.is_empty() {
        value.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Value::Object(value)
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(in crate::gateway) struct WireUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

impl WireUsage {
    pub(in crate::gateway) fn read(self) -> Usage {
        // `prompt_tokens` includes what was read from the cache; `completion_tokens` includes reasoning.
        let cached = self.prompt_tokens_details.unwrap_or_default().cached_tokens.unwrap_or(0);
        Usage {
            input_tokens: self.prompt_tokens.saturating_sub(cached),
            cache_read_tokens: cached.min(self.prompt_tokens),
            cache_write_tokens: 0,
            output_tokens: self.completion_tokens,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<ErrorObject>,
}

/// A whole choice carries `message`, a streamed one `delta`.
#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default, alias = "message")]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Debug, Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionDelta>,
}

#[derive(Debug, Default, Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Default)]
struct GrowingCall {
    id: String,
    name: String,
    arguments: String,
}

/// An answer that is being streamed; a whole one is a stream of one chunk.
#[derive(Default)]
pub(super) struct Stream {
    text: String,
    refusal: String,
    calls: BTreeMap<u64, GrowingCall>,
    usage: Option<WireUsage>,
    finish: Option<String>,
    ended: bool,
}

/// Reads an answer that was not streamed.
pub(super) fn whole(body: &[u8]) -> Result<Answer, Failed> {
    let chunk: Chunk =
        serde_json::from_slice(body).map_err(|error| Failed::cut(format!("not a completion: {error}")))?;
    let mut stream = Stream::default();
    stream.chunk(chunk)?;
    stream.finish()
}

impl Stream {
    fn chunk(&mut self, chunk: Chunk) -> Result<(), Failed> {
        if let Some(error) = chunk.error {
            return Err(Failed::charged(from_stream(&error)));
        }
        self.usage = chunk.usage.or(self.usage);
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        self.finish = choice.finish_reason.or(self.finish.take());
        let delta = choice.delta.unwrap_or_default();
        self.text.push_str(&delta.content.unwrap_or_default());
        self.refusal.push_str(&delta.refusal.unwrap_or_default());
        for (position, call) in (0_u64..).zip(delta.tool_calls.unwrap_or_default()) {
            let index = call.index.unwrap_or(position);
            if self.calls.len() >= CALLS_MAX && !self.calls.contains_key(&index) {
                return Err(Failed::cut(format!("more than {CALLS_MAX} tool calls")));
            }
            let growing = self.calls.entry(index).or_default();
            let function = call.function.unwrap_or_default();
            growing.id.push_str(&call.id.unwrap_or_default());
            growing.name.push_str(&function.name.unwrap_or_default());
            growing.arguments.push_str(&function.arguments.unwrap_or_default());
        }
        Ok(())
    }

    fn stop(&self, finish: &str) -> StopReason {
        match finish {
            _ if !self.refusal.is_empty() => StopReason::Refusal,
            "content_filter" => StopReason::Refusal,
            "length" => StopReason::MaxTokens,
            "tool_calls" | "function_call" => StopReason::ToolUse,
            // Some compatible servers say `stop` after tool calls too.
            "stop" if !self.calls.is_empty() => StopReason::ToolUse,
            "stop" => StopReason::EndTurn,
            other => StopReason::Other(other.chars().take(40).collect()),
        }
    }
}

impl Assembler for Stream {
    fn event(&mut self, data: &str) -> Result<(), Failed> {
        if data.trim() == "[DONE]" {
            self.ended = true;
            return Ok(());
        }
        let chunk: Chunk =
            serde_json::from_str(data).map_err(|error| Failed::cut(format!("not a chunk: {error}")))?;
        self.chunk(chunk)
    }

    fn done(&self) -> bool {
        self.ended
    }

    fn input_usage(&self) -> Option<Usage> {
        self.usage.map(|usage| Usage { output_tokens: 0, ..usage.read() })
    }

    fn finish(self) -> Result<Answer, Failed> {
        let Some(finish) = self.finish.as_deref() else {
            return Err(Failed::cut("the answer ended before its finish reason"));
        };
        let stop = self.stop(finish);
        let mut blocks = Vec::new();
        let text = format!("{}{}", self.text, self.refusal);
        if !text.is_empty() {
            blocks.push(Block::Text { text });
        }
        for (index, call) in self.calls {
            // Some compatible servers send no ids; any will do as long as the result carries the same.
            let id = if call.id.is_empty() { format!("call_{index}") } else { call.id };
            blocks.push(Block::ToolUse {
                id,
                name: call.name,
                arguments: Arguments::from_text(&call.arguments),
            });
        }
        Ok(Answer { blocks, stop, usage: self.usage.map(WireUsage::read) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_calls_in_fragments_are_put_together() {
        let mut stream = Stream::default();
        for chunk in [
            json!({"choices":[{"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"read_file","arguments":""}}]}}]}),
            json!({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"path\":"}}]}}]}),
            json!({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"a\"}"}}]}}]}),
            json!({"choices":[{"delta":{},"finish_reason":"tool_calls"}]}),
            json!({"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}}),
        ] {
            stream.event(&chunk.to_string()).unwrap();
        }
        stream.event("[DONE]").unwrap();
        assert!(stream.done());
        let answer = stream.finish().unwrap();
        assert_eq!(answer.stop, StopReason::ToolUse);
        let arguments = Arguments::Object(json!({"path":"a"}));
        assert_eq!(
            answer.blocks,
            vec![Block::ToolUse { id: "c1".into(), name: "read_file".into(), arguments }]
        );
        let usage = Usage { input_tokens: 6, cache_read_tokens: 4, output_tokens: 3, ..Usage::default() };
        assert_eq!(answer.usage, Some(usage));
    }

    #[test]
    fn results_stand_before_the_text_that_came_with_them() {
        let message = Message {
            role: Role::User,
            blocks: vec![
                Block::Text { text: "hint".into() },
                Block::ToolResult { tool_use_id: "c1".into(), content: "no".into(), is_error: true },
            ],
        };
        let mut out = Vec::new();
        user_messages(&message, &mut out);
        assert_eq!(out[0]["role"], "tool");
        assert_eq!(out[0]["content"], "ERROR: no");
        assert_eq!(out[1]["role"], "user");
    }
}
