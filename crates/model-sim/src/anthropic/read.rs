//! Reads a request and refuses what the real API refuses, in its words as far as they are known.

use std::collections::BTreeSet;

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::conversation::{Author, Brief, CacheMark, Conversation, Message, PastCall, Provider, ToolResult};
use crate::refusal::Refusal;
use crate::request::{Form, Request, is_id_byte, is_tool_name, object, text};
use crate::usage::bytes_of;

/// Every field of the request; the API refuses others.
const FIELDS: &[&str] = &[
    "model",
    "messages",
    "max_tokens",
    "system",
    "tools",
    "tool_choice",
    "stream",
    "temperature",
    "top_k",
    "top_p",
    "stop_sequences",
    "metadata",
    "thinking",
    "service_tier",
    "container",
    "mcp_servers",
    "context_management",
    "output_config",
];
/// "A maximum of 4 blocks with `cache_control` may be provided."
const CACHE_MARKS_MAX: usize = 4;

/// The key of a call.
pub(crate) fn key(headers: &HeaderMap) -> Option<String> {
    headers.get("x-api-key")?.to_str().ok().filter(|key| !key.is_empty()).map(str::to_owned)
}

/// Reads a call of `/v1/messages`.
pub(crate) fn messages(headers: &HeaderMap, body: &[u8]) -> Result<Request, Refusal> {
    read(headers, body, true)
}

/// Reads a call of `/v1/messages/count_tokens`, which has no limit on output.
pub(crate) fn count_tokens(headers: &HeaderMap, body: &[u8]) -> Result<Conversation, Refusal> {
    read(headers, body, false).map(|request| request.conversation)
}

fn read(headers: &HeaderMap, body: &[u8], answered: bool) -> Result<Request, Refusal> {
    match headers.get("anthropic-version").map(|version| version.to_str().unwrap_or_default()) {
        Some("2023-06-01" | "2023-01-01") => {}
        Some(other) => {
            return Err(Refusal::invalid(format!("anthropic-version: \"{other}\" is not a valid version")));
        }
        None => return Err(Refusal::invalid("anthropic-version: header is required")),
    }
    let body = object(body)?;
    if let Some(unknown) = body.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(Refusal::invalid(format!("{unknown}: Extra inputs are not permitted")));
    }
    let required =
        |key: &str| body.get(key).ok_or_else(|| Refusal::invalid(format!("{key}: Field required")));
    let output_tokens_max = if answered { Some(output_limit(required("max_tokens")?)?) } else { None };
    let model = required("model")?.as_str().filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Refusal::invalid("model: Input should be a valid string"))?.to_owned();
    let Value::Array(raw_messages) = required("messages")? else {
        return Err(Refusal::invalid("messages: Input should be a valid list"));
    };

    let mut marks = Marks::default();
    let (tools, tool_bytes) = tools(&body, &mut marks)?;
    let mut system = system(&body, &mut marks)?;
    marks.preamble_is_over();
    let mut messages = Vec::with_capacity(raw_messages.len());
    for (position, raw) in raw_messages.iter().enumerate() {
        if speaks_between(headers) && text(raw, "role") == Some("system") {
            system.push_str(&said_between(position, raw)?);
            continue;
        }
        add(&mut messages, position, raw, &mut marks)?;
    }
    let cache_mark = marks.last()?;
    check_order(&messages)?;
    check_pairs(&messages)?;
    if tools.is_empty() && messages.iter().any(|m| !m.calls.is_empty() || !m.results.is_empty()) {
        let message = "Requests which include `tool_use` or `tool_result` blocks must define tools.";
        return Err(Refusal::invalid(message));
    }
    let brief = messages.first().and_then(|message| Brief::read(&message.text));
    let conversation = Conversation {
        provider: Provider::Anthropic,
        model,
        preamble_bytes: tool_bytes.saturating_add(bytes_of(&system)),
        system,
        messages,
        tools,
        output_tokens_max,
        brief,
        cache_mark,
    };
    let streamed = match body.get("stream") {
        None => false,
        Some(Value::Bool(streamed)) => *streamed,
        Some(_) => return Err(Refusal::invalid("stream: Input should be a valid boolean")),
    };
    Ok(Request { conversation, form: Form::Messages, streamed, usage_in_stream: true })
}

/// Whether the client tries the experiment by which system text may stand between the messages, too.
fn speaks_between(headers: &HeaderMap) -> bool {
    let betas = headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
    betas.flat_map(|list| list.split(',')).any(|beta| beta.trim().starts_with("mid-conversation-system"))
}

fn said_between(position: usize, raw: &Value) -> Result<String, Refusal> {
    let wrong = || Refusal::invalid(format!("messages.{position}.content: Input should be text"));
    match raw.get("content") {
        Some(Value::String(content)) => Ok(content.clone()),
        Some(Value::Array(blocks)) => {
            blocks.iter().map(|block| text(block, "text").ok_or_else(wrong)).collect()
        }
        Some(_) | None => Err(wrong()),
    }
}

fn output_limit(value: &Value) -> Result<u64, Refusal> {
    match value.as_u64() {
        Some(limit @ 1..) => Ok(limit),
        _ => Err(Refusal::invalid("max_tokens: Input should be greater than or equal to 1")),
    }
}

/// Counts `cache_control` and remembers where the last one was.
#[derive(Debug, Default)]
struct Marks {
    count: usize,
    in_preamble: bool,
    message: Option<usize>,
    past_preamble: bool,
}

impl Marks {
    fn note(&mut self, place: &str, message: usize, block: &Value) -> Result<(), Refusal> {
        match block.get("cache_control") {
            None | Some(Value::Null) => return Ok(()),
            Some(control) if text(control, "type") == Some("ephemeral") => {}
            Some(_) => {
                let tag = "cache_control: Input tag does not match any of the expected tags: 'ephemeral'";
                return Err(Refusal::invalid(format!("{place}.{tag}")));
            }
        }
        self.count = self.count.saturating_add(1);
        if self.past_preamble {
            self.message = Some(message);
        } else {
            self.in_preamble = true;
        }
        Ok(())
    }

    fn preamble_is_over(&mut self) {
        self.past_preamble = true;
    }

    fn last(&self) -> Result<CacheMark, Refusal> {
        if self.count > CACHE_MARKS_MAX {
            let found = self.count;
            return Err(Refusal::invalid(format!(
                "A maximum of {CACHE_MARKS_MAX} blocks with cache_control may be provided. Found {found}."
            )));
        }
        Ok(match (self.message, self.in_preamble) {
            (Some(position), _) => CacheMark::Message(position),
            (None, true) => CacheMark::Preamble,
            (None, false) => CacheMark::Nothing,
        })
    }
}

fn tools(body: &Map<String, Value>, marks: &mut Marks) -> Result<(Vec<String>, u64), Refusal> {
    let raw = match body.get("tools") {
        None => return Ok((Vec::new(), 0)),
        Some(Value::Array(raw)) => raw,
        Some(_) => return Err(Refusal::invalid("tools: Input should be a valid list")),
    };
    let mut names = Vec::with_capacity(raw.len());
    let mut bytes = 0_u64;
    for (position, tool) in raw.iter().enumerate() {
        let place = format!("tools.{position}");
        let name = text(tool, "name").unwrap_or_default();
        if !is_tool_name(name) {
            let message =
                format!("{place}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'");
            return Err(Refusal::invalid(message));
        }
        if names.iter().any(|earlier| earlier == name) {
            return Err(Refusal::invalid("tools: Tool names must be unique."));
        }
        if tool.get("input_schema").and_then(|schema| text(schema, "type")) != Some("object") {
            return Err(Refusal::invalid(format!(
                "{place}.custom.input_schema.type: Input should be 'object'"
            )));
        }
        marks.note(&place, 0, tool)?;
        bytes = bytes.saturating_add(bytes_of(&tool.to_string()));
        names.push(name.to_owned());
    }
    Ok((names, bytes))
}

fn system(body: &Map<String, Value>, marks: &mut Marks) -> Result<String, Refusal> {
    let wrong = || Refusal::invalid("system: Input should be a valid string or a list of text blocks");
    match body.get("system") {
        None => Ok(String::new()),
        Some(Value::String(system)) => Ok(system.clone()),
        Some(Value::Array(blocks)) => {
            let mut system = String::new();
            for (position, block) in blocks.iter().enumerate() {
                let part = text(block, "text").ok_or_else(wrong)?;
                marks.note(&format!("system.{position}"), 0, block)?;
                system.push_str(part);
            }
            Ok(system)
        }
        Some(_) => Err(wrong()),
    }
}

/// Reads a message that stands at a position in the request. "Consecutive `user` or `assistant` turns in your request
/// will be combined into a single turn."
fn add(messages: &mut Vec<Message>, position: usize, raw: &Value, marks: &mut Marks) -> Result<(), Refusal> {
    let place = format!("messages.{position}");
    let author = author(&place, raw)?;
    if messages.last().is_none_or(|last| last.author != author) {
        messages.push(Message::empty(author));
    }
    let kept = messages.len().saturating_sub(1);
    let Some(message) = messages.last_mut() else { return Ok(()) };
    match raw.get("content") {
        Some(Value::String(content)) if !content.is_empty() => message.add_text(content),
        Some(Value::Array(blocks)) if !blocks.is_empty() => {
            for (index, raw_block) in blocks.iter().enumerate() {
                let place = format!("{place}.content.{index}");
                marks.note(&place, kept, raw_block)?;
                block(&place, raw_block, message)?;
            }
        }
        Some(Value::String(_) | Value::Array(_)) => {
            return Err(Refusal::invalid(format!("{place}: all messages must have non-empty content")));
        }
        Some(_) => return Err(Refusal::invalid(format!("{place}.content: Input should be a valid list"))),
        None => return Err(Refusal::invalid(format!("{place}.content: Field required"))),
    }
    Ok(())
}

fn author(place: &str, raw: &Value) -> Result<Author, Refusal> {
    match text(raw, "role") {
        Some("user") => Ok(Author::User),
        Some("assistant") => Ok(Author::Assistant),
        Some("system") => Err(Refusal::invalid(
            "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, \
             not \"system\" as an input message role.",
        )),
        Some(_) | None => {
            Err(Refusal::invalid(format!("{place}.role: Input should be 'user' or 'assistant'")))
        }
    }
}

fn block(place: &str, raw: &Value, message: &mut Message) -> Result<(), Refusal> {
    match (text(raw, "type"), message.author) {
        (Some("text"), Author::User | Author::Assistant) => match text(raw, "text") {
            Some("") => Err(Refusal::invalid("messages: text content blocks must be non-empty")),
            Some(said) => {
                message.add_text(said);
                Ok(())
            }
            None => Err(Refusal::invalid(format!("{place}.text.text: Field required"))),
        },
        (Some("tool_use"), Author::Assistant) => {
            let call = tool_use(place, raw)?;
            message.add_bytes(&call.name);
            message.add_bytes(&call.arguments.to_string());
            message.calls.push(call);
            Ok(())
        }
        (Some("tool_result"), Author::User) => {
            // "tool_result blocks come first in the content array": text between call and result is refused.
            if !message.text.is_empty() {
                return Err(Refusal::invalid(format!(
                    "{place}: `tool_result` blocks must come first in the content; text must come after them"
                )));
            }
            let result = tool_result(place, raw)?;
            message.add_bytes(&result.text);
            message.results.push(result);
            Ok(())
        }
        (found, Author::User | Author::Assistant) => {
            let found = found.unwrap_or_default();
            let tags = "'text', 'tool_result', 'tool_use'";
            Err(Refusal::invalid(format!(
                "{place}: Input tag '{found}' found does not match any of the expected tags for this role: {tags}"
            )))
        }
    }
}

fn tool_use(place: &str, raw: &Value) -> Result<PastCall, Refusal> {
    let place = format!("{place}.tool_use");
    let id = text(raw, "id").unwrap_or_default();
    if id.is_empty() || !id.bytes().all(is_id_byte) {
        let message = format!("{place}.id: String should match pattern '^[a-zA-Z0-9_-]+$'");
        return Err(Refusal::invalid(message));
    }
    let name = text(raw, "name").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Refusal::invalid(format!("{place}.name: Field required")))?;
    match raw.get("input") {
        Some(input @ Value::Object(_)) => {
            Ok(PastCall { id: id.to_owned(), name: name.to_owned(), arguments: input.clone() })
        }
        Some(_) => Err(Refusal::invalid(format!("{place}.input: Input should be a valid dictionary"))),
        None => Err(Refusal::invalid(format!("{place}.input: Field required"))),
    }
}

fn tool_result(place: &str, raw: &Value) -> Result<ToolResult, Refusal> {
    let place = format!("{place}.tool_result");
    let call_id = text(raw, "tool_use_id").filter(|id| !id.is_empty());
    let call_id = call_id.ok_or_else(|| Refusal::invalid(format!("{place}.tool_use_id: Field required")))?;
    let text = match raw.get("content") {
        None => String::new(),
        Some(Value::String(content)) => content.clone(),
        Some(Value::Array(blocks)) => {
            let parts: Option<Vec<&str>> = blocks.iter().map(|block| text(block, "text")).collect();
            parts
                .ok_or_else(|| Refusal::invalid(format!("{place}.content: Input should be text blocks")))?
                .concat()
        }
        Some(_) => return Err(Refusal::invalid(format!("{place}.content: Input should be a valid string"))),
    };
    Ok(ToolResult { call_id: call_id.to_owned(), text })
}

fn check_order(messages: &[Message]) -> Result<(), Refusal> {
    match messages.first().map(|message| message.author) {
        None => Err(Refusal::invalid("messages: at least one message is required")),
        Some(Author::Assistant) => {
            Err(Refusal::invalid("messages: first message must use the \"user\" role"))
        }
        Some(Author::User) => Ok(()),
    }
}

/// Every call has its result in the next message, and every result its call in the message before.
fn check_pairs(messages: &[Message]) -> Result<(), Refusal> {
    let mut called = BTreeSet::new();
    let mut calls = messages.iter().flat_map(|message| &message.calls);
    if calls.any(|call| !called.insert(call.id.as_str())) {
        return Err(Refusal::invalid("messages: `tool_use` ids must be unique"));
    }
    let mut open: Vec<&str> = Vec::new();
    for (position, message) in messages.iter().enumerate() {
        for (index, result) in message.results.iter().enumerate() {
            let Some(at) = open.iter().position(|id| *id == result.call_id) else {
                return Err(Refusal::invalid(format!(
                    "messages.{position}.content.{index}: unexpected `tool_use_id` found in `tool_result` blocks: \
                     {}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
                    result.call_id
                )));
            };
            open.swap_remove(at);
        }
        unanswered(position.saturating_sub(1), &open)?;
        open = message.calls.iter().map(|call| call.id.as_str()).collect();
    }
    unanswered(messages.len().saturating_sub(1), &open)
}

fn unanswered(position: usize, open: &[&str]) -> Result<(), Refusal> {
    if open.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "messages.{position}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
         `tool_use` block must have a corresponding `tool_result` block in the next message.",
        open.join(", ")
    )))
}
