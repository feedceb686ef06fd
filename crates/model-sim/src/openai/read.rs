//! Reads a request and refuses what the real API refuses, in its words as far as they are known.

use http::{HeaderMap, header};
use serde_json::{Map, Value};

use crate::conversation::{Author, Brief, CacheMark, Conversation, Message, PastCall, Provider, ToolResult};
use crate::refusal::Refusal;
use crate::request::{Form, Request, is_tool_name, object, text};
use crate::usage::bytes_of;

/// Every field of the request that a client of a tool-use loop may send; the API refuses what it does not know.
const FIELDS: &[&str] = &[
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "user",
    "metadata",
    "store",
    "service_tier",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "prompt_cache_key",
    "safety_identifier",
];
/// "Array too long. Expected an array with maximum length 128".
pub(crate) const TOOLS_MAX: usize = 128;

/// The key of a call.
pub(crate) fn key(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned)
}

/// Reads a call of `/v1/chat/completions`.
pub(crate) fn chat_completions(body: &[u8]) -> Result<Request, Refusal> {
    let body = object(body)?;
    if let Some(unknown) = body.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(Refusal::invalid(format!("Unrecognized request argument supplied: {unknown}")));
    }
    let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Refusal::invalid("you must provide a model parameter"))?.to_owned();
    let Some(Value::Array(raw_messages)) = body.get("messages") else {
        return Err(missing("messages"));
    };
    if raw_messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty \
                       array instead.";
        return Err(Refusal::invalid(message).code("empty_array"));
    }
    let output_tokens_max = output_limit(&body, &model)?;
    let streamed = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
    let options = body.get("stream_options").filter(|options| !options.is_null());
    if options.is_some() && !streamed {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Refusal::invalid(message));
    }
    let usage_in_stream =
        options.and_then(|options| options.get("include_usage")).and_then(Value::as_bool).unwrap_or(false);

    let (tools, tool_bytes) = tools(&body)?;
    let mut reader = Reader::default();
    for (position, raw) in raw_messages.iter().enumerate() {
        reader.take(position, raw)?;
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
    Ok(Request { conversation, form: Form::Chat, streamed, usage_in_stream })
}

pub(crate) fn missing(parameter: &str) -> Refusal {
    Refusal::invalid(format!("Missing required parameter: '{parameter}'.")).code("missing_required_parameter")
}

fn output_limit(body: &Map<String, Value>, model: &str) -> Result<Option<u64>, Refusal> {
    let limit = |key: &str| match body.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(limit @ 1..) => Ok(Some(limit)),
            _ => Err(Refusal::invalid(format!(
                "Invalid '{key}': integer below minimum value. Expected a value >= 1."
            ))
            .code("integer_below_min_value")),
        },
    };
    let (old, new) = (limit("max_tokens")?, limit("max_completion_tokens")?);
    let reasons = ["o1", "o3", "o4", "gpt-5"].iter().any(|family| model.starts_with(family));
    match (old, new) {
        (Some(_), Some(_)) => Err(Refusal::invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        )
        .code("invalid_parameter_combination")),
        (Some(_), None) if reasons => Err(Refusal::invalid(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' \
             instead.",
        )
        .code("unsupported_parameter")),
        (old, new) => Ok(new.or(old)),
    }
}

fn tools(body: &Map<String, Value>) -> Result<(Vec<String>, u64), Refusal> {
    let raw = match body.get("tools") {
        None | Some(Value::Null) => return Ok((Vec::new(), 0)),
        Some(Value::Array(raw)) if (1..=TOOLS_MAX).contains(&raw.len()) => raw,
        Some(_) => {
            let message = format!("Invalid 'tools': expected an array of 1 to {TOOLS_MAX} tools.");
            return Err(Refusal::invalid(message));
        }
    };
    let mut names = Vec::with_capacity(raw.len());
    let mut bytes = 0_u64;
    for (position, tool) in raw.iter().enumerate() {
        let function = tool.get("function").filter(|_| text(tool, "type") == Some("function"));
        let function = function.ok_or_else(|| missing(&format!("tools[{position}].function")))?;
        let name = text(function, "name").unwrap_or_default();
        if !is_tool_name(name) {
            return Err(Refusal::invalid(format!(
                "Invalid 'tools[{position}].function.name': string does not match pattern. Expected a string that \
                 matches the pattern '^[a-zA-Z0-9_-]+$'."
            ))
            .code("invalid_value"));
        }
        bytes = bytes.saturating_add(bytes_of(&function.to_string()));
        names.push(name.to_owned());
    }
    Ok((names, bytes))
}

/// Walks the messages, joining a row of the client's messages into one.
#[derive(Debug, Default)]
struct Reader {
    system: String,
    messages: Vec<Message>,
    /// Calls of the last assistant message that have no result yet.
    open: Vec<String>,
}

impl Reader {
    fn take(&mut self, position: usize, raw: &Value) -> Result<(), Refusal> {
        match text(raw, "role") {
            Some("tool") => self.result(position, raw),
            Some("system" | "developer") => {
                self.all_answered()?;
                let said = content(position, raw)?.unwrap_or_default();
                self.system.push_str(&said);
                Ok(())
            }
            Some("user") => {
                self.all_answered()?;
                let said = content(position, raw)?.ok_or_else(|| null_content(position))?;
                self.join(|message| message.add_text(&said));
                Ok(())
            }
            Some("assistant") => {
                self.all_answered()?;
                self.answer(position, raw)
            }
            Some(other) => Err(Refusal::invalid(format!(
                "Invalid value: '{other}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', \
                 and 'developer'."
            ))
            .code("invalid_value")),
            None => Err(missing(&format!("messages[{position}].role"))),
        }
    }

    /// Adds to the client's message that is being joined.
    fn join(&mut self, add: impl FnOnce(&mut Message)) {
        match self.messages.last_mut() {
            Some(last) if last.author == Author::User => add(last),
            Some(_) | None => {
                let mut message = Message::empty(Author::User);
                add(&mut message);
                self.messages.push(message);
            }
        }
    }

    fn result(&mut self, position: usize, raw: &Value) -> Result<(), Refusal> {
        let call_id = text(raw, "tool_call_id");
        let call_id =
            call_id.ok_or_else(|| missing(&format!("messages[{position}].tool_call_id")))?.to_owned();
        let Some(at) = self.open.iter().position(|id| *id == call_id) else {
            return Err(Refusal::invalid(format!(
                "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with \
                 'tool_calls' (messages[{position}])."
            )));
        };
        self.open.swap_remove(at);
        let said = content(position, raw)?.ok_or_else(|| null_content(position))?;
        self.join(|message| {
            message.add_bytes(&said);
            message.results.push(ToolResult { call_id, text: said });
        });
        Ok(())
    }

    fn answer(&mut self, position: usize, raw: &Value) -> Result<(), Refusal> {
        let mut message = Message::empty(Author::Assistant);
        let said = content(position, raw)?;
        match raw.get("tool_calls") {
            None | Some(Value::Null) => {
                if said.is_none() && text(raw, "refusal").is_none() {
                    return Err(null_content(position));
                }
            }
            Some(Value::Array(calls)) if !calls.is_empty() => {
                for (index, raw_call) in calls.iter().enumerate() {
                    let call = call(&format!("messages[{position}].tool_calls[{index}]"), raw_call)?;
                    message.add_bytes(&call.name);
                    message.add_bytes(&call.arguments.to_string());
                    self.open.push(call.id.clone());
                    message.calls.push(call);
                }
            }
            Some(_) => {
                return Err(Refusal::invalid(format!(
                    "Invalid 'messages[{position}].tool_calls': empty array. Expected an array with minimum length 1."
                ))
                .code("empty_array"));
            }
        }
        if let Some(said) = said {
            message.add_text(&said);
        }
        self.messages.push(message);
        Ok(())
    }

    fn all_answered(&self) -> Result<(), Refusal> {
        if self.open.is_empty() {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
             'tool_call_id'. The following tool_call_ids did not have response messages: {}",
            self.open.join(", ")
        )))
    }
}

fn null_content(position: usize) -> Refusal {
    Refusal::invalid(format!(
        "Invalid value for 'content': expected a string, got null. (messages[{position}].content)"
    ))
}

/// The text of a message's content, a string or a list of text parts; nothing where it is null.
fn content(position: usize, raw: &Value) -> Result<Option<String>, Refusal> {
    match raw.get("content") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(content)) => Ok(Some(content.clone())),
        Some(Value::Array(parts)) => {
            let parts: Option<Vec<&str>> = parts.iter().map(|part| text(part, "text")).collect();
            let parts = parts.ok_or_else(|| {
                Refusal::invalid(format!(
                    "Invalid 'messages[{position}].content': only text parts are understood."
                ))
            })?;
            Ok(Some(parts.join("\n")))
        }
        Some(_) => Err(Refusal::invalid(format!(
            "Invalid type for 'messages[{position}].content': expected one of a string or array of objects."
        ))
        .code("invalid_type")),
    }
}

fn call(place: &str, raw: &Value) -> Result<PastCall, Refusal> {
    let id = text(raw, "id").filter(|id| !id.is_empty()).ok_or_else(|| missing(&format!("{place}.id")))?;
    let function = raw.get("function").filter(|_| text(raw, "type") == Some("function"));
    let function = function.ok_or_else(|| missing(&format!("{place}.function")))?;
    let name = text(function, "name").ok_or_else(|| missing(&format!("{place}.function.name")))?;
    let arguments = text(function, "arguments").ok_or_else(|| {
        Refusal::invalid(format!("Invalid type for '{place}.function.arguments': expected a string."))
            .code("invalid_type")
    })?;
    let arguments = serde_json::from_str(arguments).unwrap_or(Value::Null);
    Ok(PastCall { id: id.to_owned(), name: name.to_owned(), arguments })
}
