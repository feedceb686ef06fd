//! Reads a request and refuses what the real API refuses, in its words as far as they are known.

use serde_json::{Map, Value};

use crate::conversation::{Author, Brief, CacheMark, Conversation, Message, PastCall, Provider, ToolResult};
use crate::openai::read::{TOOLS_MAX, missing};
use crate::refusal::Refusal;
use crate::request::{Form, Request, is_tool_name, object, text};
use crate::usage::bytes_of;

/// Every field of the request that a client of a tool-use loop may send; the API refuses what it does not know.
const FIELDS: &[&str] = &[
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "max_tool_calls",
    "stream",
    "stream_options",
    "store",
    "include",
    "reasoning",
    "text",
    "temperature",
    "top_p",
    "top_logprobs",
    "truncation",
    "user",
    "metadata",
    "client_metadata",
    "service_tier",
    "background",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
];
/// "Expected a value >= 16, but got 8 instead."
const OUTPUT_TOKENS_MIN: u64 = 16;

/// Reads a call of `/v1/responses`.
pub(crate) fn responses(body: &[u8]) -> Result<Request, Refusal> {
    let body = object(body)?;
    if let Some(unknown) = body.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(Refusal::invalid(format!("Unknown parameter: '{unknown}'.")).code("unknown_parameter"));
    }
    let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| missing("model"))?.to_owned();
    let output_tokens_max = output_limit(&body)?;
    let (tools, tool_bytes) = tools(&body)?;
    let mut reader = Reader::default();
    if let Some(instructions) = body.get("instructions").and_then(Value::as_str) {
        reader.system.push_str(instructions);
    }
    match body.get("input") {
        Some(Value::String(input)) => reader.said(Author::User, input),
        Some(Value::Array(items)) if !items.is_empty() => {
            for (position, item) in items.iter().enumerate() {
                reader.item(&format!("input[{position}]"), item)?;
            }
        }
        Some(_) | None => return Err(missing("input")),
    }
    reader.all_answered()?;
    let brief = reader.messages.first().and_then(|message| Brief::read(&message.text));
    let conversation = Conversation {
        provider: Provider::OpenAi,
        model,
        preamble_bytes: tool_bytes.saturating_add(bytes_of(&reader.system)),
        // The provider caches every beginning by itself.
        cache_mark: CacheMark::Message(reader.messages.len().saturating_sub(1)),
        system: reader.system,
        messages: reader.messages,
        tools,
        output_tokens_max,
        brief,
    };
    let streamed = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    Ok(Request { conversation, form: Form::Responses, streamed, usage_in_stream: true })
}

fn output_limit(body: &Map<String, Value>) -> Result<Option<u64>, Refusal> {
    match body.get("max_output_tokens") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(limit @ OUTPUT_TOKENS_MIN..) => Ok(Some(limit)),
            _ => Err(Refusal::invalid(format!(
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {OUTPUT_TOKENS_MIN}, but \
                 got {value} instead."
            ))
            .code("integer_below_min_value")),
        },
    }
}

/// Unlike those of Chat Completions, these tools are flat, but for those that a namespace lists: a script knows them as
/// `namespace/tool`.
fn tools(body: &Map<String, Value>) -> Result<(Vec<String>, u64), Refusal> {
    let raw = match body.get("tools") {
        None | Some(Value::Null) => return Ok((Vec::new(), 0)),
        Some(Value::Array(raw)) if raw.len() <= TOOLS_MAX => raw,
        Some(_) => {
            let message = format!("Invalid 'tools': expected an array of at most {TOOLS_MAX} tools.");
            return Err(Refusal::invalid(message));
        }
    };
    let mut names = Vec::with_capacity(raw.len());
    let mut bytes = 0_u64;
    for (position, tool) in raw.iter().enumerate() {
        let kind = text(tool, "type").ok_or_else(|| missing(&format!("tools[{position}].type")))?;
        bytes = bytes.saturating_add(bytes_of(&tool.to_string()));
        if kind == "namespace" {
            let namespace = text(tool, "name").ok_or_else(|| missing(&format!("tools[{position}].name")))?;
            let inner = tool.get("tools").and_then(Value::as_array).into_iter().flatten();
            names.extend(inner.filter_map(|tool| Some(format!("{namespace}/{}", text(tool, "name")?))));
            continue;
        }
        if !matches!(kind, "function" | "custom") {
            names.push(kind.to_owned());
            continue;
        }
        let name = text(tool, "name").ok_or_else(|| missing(&format!("tools[{position}].name")))?.to_owned();
        if !is_tool_name(&name) {
            return Err(Refusal::invalid(format!(
                "Invalid 'tools[{position}].name': string does not match pattern. Expected a string that matches the \
                 pattern '^[a-zA-Z0-9_-]+$'."
            ))
            .code("invalid_value"));
        }
        names.push(name);
    }
    Ok((names, bytes))
}

/// Walks the items, joining rows of the same author's into one message.
#[derive(Debug, Default)]
struct Reader {
    system: String,
    messages: Vec<Message>,
    /// Calls that have no output yet.
    open: Vec<String>,
}

impl Reader {
    fn item(&mut self, place: &str, item: &Value) -> Result<(), Refusal> {
        match text(item, "type") {
            None | Some("message") => self.message(place, item),
            Some("function_call") => {
                let call = call(place, item, "arguments")?;
                self.call(call);
                Ok(())
            }
            Some("custom_tool_call") => {
                let call = call(place, item, "input")?;
                self.call(call);
                Ok(())
            }
            Some("function_call_output" | "custom_tool_call_output") => self.output(place, item),
            // What the model thought comes back encrypted, and is read again.
            Some("reasoning") => {
                let thought = text(item, "encrypted_content").unwrap_or_default();
                self.add(Author::Assistant, |message| message.add_bytes(thought));
                Ok(())
            }
            Some("item_reference") => {
                let id = text(item, "id").unwrap_or_default();
                Err(Refusal::new(404, format!("Item with id '{id}' not found.")))
            }
            Some(other) => {
                Err(Refusal::invalid(format!("Invalid value: '{other}'. ({place}.type)"))
                    .code("invalid_value"))
            }
        }
    }

    fn message(&mut self, place: &str, item: &Value) -> Result<(), Refusal> {
        let said = content(place, item.get("content"))?;
        match text(item, "role") {
            Some("user") => self.said(Author::User, &said),
            Some("assistant") => self.said(Author::Assistant, &said),
            Some("system" | "developer") => self.system.push_str(&said),
            Some(other) => {
                return Err(Refusal::invalid(format!(
                    "Invalid value: '{other}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
                ))
                .code("invalid_value"));
            }
            None => return Err(missing(&format!("{place}.role"))),
        }
        Ok(())
    }

    fn said(&mut self, author: Author, said: &str) {
        self.add(author, |message| message.add_text(said));
    }

    fn call(&mut self, call: PastCall) {
        self.open.push(call.id.clone());
        self.add(Author::Assistant, |message| {
            message.add_bytes(&call.name);
            message.add_bytes(&call.arguments.to_string());
            message.calls.push(call);
        });
    }

    fn output(&mut self, place: &str, item: &Value) -> Result<(), Refusal> {
        let call_id = text(item, "call_id").ok_or_else(|| missing(&format!("{place}.call_id")))?.to_owned();
        let Some(at) = self.open.iter().position(|id| *id == call_id) else {
            return Err(Refusal::invalid(format!(
                "No tool call found for function call output with call_id {call_id}."
            )));
        };
        self.open.swap_remove(at);
        let said = content(&format!("{place}.output"), item.get("output"))?;
        self.add(Author::User, |message| {
            message.add_bytes(&said);
            message.results.push(ToolResult { call_id, text: said });
        });
        Ok(())
    }

    /// Adds to the message of this author that is being joined.
    fn add(&mut self, author: Author, add: impl FnOnce(&mut Message)) {
        match self.messages.last_mut() {
            Some(last) if last.author == author => add(last),
            Some(_) | None => {
                let mut message = Message::empty(author);
                add(&mut message);
                self.messages.push(message);
            }
        }
    }

    fn all_answered(&self) -> Result<(), Refusal> {
        match self.open.first() {
            None => Ok(()),
            Some(id) => Err(Refusal::invalid(format!("No tool output found for function call {id}."))),
        }
    }
}

/// The text of a content: a string, or a list of parts with text.
fn content(place: &str, raw: Option<&Value>) -> Result<String, Refusal> {
    match raw {
        Some(Value::String(content)) => Ok(content.clone()),
        Some(Value::Array(parts)) => {
            let part = |part| text(part, "text").or_else(|| text(part, "refusal"));
            let parts: Option<Vec<&str>> = parts.iter().map(part).collect();
            let parts = parts.ok_or_else(|| {
                Refusal::invalid(format!("Invalid '{place}.content': only text parts are understood."))
            })?;
            Ok(parts.join("\n"))
        }
        Some(_) => Err(Refusal::invalid(format!(
            "Invalid type for '{place}.content': expected one of a string or array of objects."
        ))
        .code("invalid_type")),
        None => Err(missing(&format!("{place}.content"))),
    }
}

fn call(place: &str, item: &Value, arguments: &str) -> Result<PastCall, Refusal> {
    let field = |name: &str| {
        text(item, name).filter(|word| !word.is_empty()).ok_or_else(|| missing(&format!("{place}.{name}")))
    };
    let arguments = text(item, arguments).ok_or_else(|| missing(&format!("{place}.{arguments}")))?;
    let arguments = serde_json::from_str(arguments).unwrap_or(Value::Null);
    Ok(PastCall { id: field("call_id")?.to_owned(), name: field("name")?.to_owned(), arguments })
}
