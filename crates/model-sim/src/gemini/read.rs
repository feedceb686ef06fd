//! Reads a request and refuses what the real API refuses, in its words as far as they are known.

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::conversation::{Author, Brief, CacheMark, Conversation, Message, PastCall, Provider, ToolResult};
use crate::refusal::Refusal;
use crate::request::{Form, Request, is_tool_name, object, text};
use crate::usage::bytes_of;

/// Every field of the request; the API refuses others.
const FIELDS: &[&str] = &[
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
];

/// The key of a call.
pub(crate) fn key(headers: &HeaderMap) -> Option<String> {
    headers.get("x-goog-api-key")?.to_str().ok().filter(|key| !key.is_empty()).map(str::to_owned)
}

/// Reads a call of a model. A streamed answer is one of events, or else a list.
pub(crate) fn generate(model: &str, streamed: Option<bool>, body: &[u8]) -> Result<Request, Refusal> {
    let body = object(body)?;
    if let Some(unknown) = body.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(Refusal::invalid(format!(
            "Invalid JSON payload received. Unknown name \"{unknown}\": Cannot find field."
        )));
    }
    let Some(Value::Array(contents)) =
        body.get("contents").filter(|contents| **contents != Value::Array(vec![]))
    else {
        return Err(Refusal::invalid("* GenerateContentRequest.contents: contents is not specified"));
    };
    let system = body.get("systemInstruction").map(said).unwrap_or_default();
    let (tools, tool_bytes) = tools(&body)?;
    let mut reader = Reader::default();
    for content in contents {
        reader.content(content)?;
    }
    reader.all_answered()?;
    let brief = reader.messages.first().and_then(|message| Brief::read(&message.text));
    let conversation = Conversation {
        provider: Provider::Gemini,
        model: model.to_owned(),
        preamble_bytes: tool_bytes.saturating_add(bytes_of(&system)),
        // The provider caches every beginning by itself.
        cache_mark: CacheMark::Message(reader.messages.len().saturating_sub(1)),
        system,
        messages: reader.messages,
        tools,
        output_tokens_max: output_limit(&body)?,
        brief,
    };
    let form = if streamed == Some(false) { Form::GenerateList } else { Form::Generate };
    Ok(Request { conversation, form, streamed: streamed == Some(true), usage_in_stream: true })
}

fn output_limit(body: &Map<String, Value>) -> Result<Option<u64>, Refusal> {
    match body.get("generationConfig").and_then(|config| config.get("maxOutputTokens")) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(limit @ 1..) => Ok(Some(limit)),
            _ => Err(Refusal::invalid(
                "* GenerateContentRequest.generation_config.max_output_tokens: max_output_tokens must be positive.",
            )),
        },
    }
}

fn tools(body: &Map<String, Value>) -> Result<(Vec<String>, u64), Refusal> {
    let mut names = Vec::new();
    let mut bytes = 0_u64;
    let tools = body.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for tool in tools {
        bytes = bytes.saturating_add(bytes_of(&tool.to_string()));
        let declared = tool.get("functionDeclarations").and_then(Value::as_array);
        for function in declared.map(Vec::as_slice).unwrap_or_default() {
            let name = text(function, "name").unwrap_or_default();
            if !is_tool_name(name) {
                return Err(Refusal::invalid(
                    "* GenerateContentRequest.tools[0].function_declarations[0].name: Invalid function name. Must start \
                     with a letter or an underscore.",
                ));
            }
            names.push(name.to_owned());
        }
    }
    Ok((names, bytes))
}

/// All text of a content.
fn said(content: &Value) -> String {
    let parts = content.get("parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    parts.iter().filter_map(|part| text(part, "text")).collect()
}

/// Walks the contents, joining rows of the same author's into one message.
#[derive(Debug, Default)]
struct Reader {
    messages: Vec<Message>,
    /// Calls of the last turn that have no response yet.
    open: Vec<PastCall>,
    calls: usize,
}

impl Reader {
    fn content(&mut self, content: &Value) -> Result<(), Refusal> {
        let author = match text(content, "role") {
            None | Some("user" | "function") => Author::User,
            Some("model") => Author::Assistant,
            Some(_) => return Err(Refusal::invalid("Please use a valid role: user, model.")),
        };
        let parts = content.get("parts").and_then(Value::as_array).filter(|parts| !parts.is_empty());
        let parts = parts.ok_or_else(|| {
            Refusal::invalid("* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.")
        })?;
        if author == Author::Assistant {
            self.all_answered()?;
        }
        if self.messages.last().is_none_or(|last| last.author != author) {
            self.messages.push(Message::empty(author));
        }
        for part in parts {
            self.part(author, part)?;
        }
        Ok(())
    }

    fn part(&mut self, author: Author, part: &Value) -> Result<(), Refusal> {
        let Some(message) = self.messages.last_mut() else { return Ok(()) };
        if let Some(said) = text(part, "text") {
            message.add_text(said);
        } else if let Some(call) = part.get("functionCall").filter(|_| author == Author::Assistant) {
            let name = text(call, "name").unwrap_or_default().to_owned();
            let number = self.calls;
            self.calls = self.calls.saturating_add(1);
            let id = text(call, "id").map_or_else(|| format!("{name}-{number}"), str::to_owned);
            let arguments = call.get("args").cloned().unwrap_or_default();
            message.add_bytes(&name);
            message.add_bytes(&arguments.to_string());
            let call = PastCall { id, name, arguments };
            message.calls.push(call.clone());
            self.open.push(call);
        } else if let Some(response) = part.get("functionResponse").filter(|_| author == Author::User) {
            let (id, name) = (text(response, "id"), text(response, "name").unwrap_or_default());
            // Without an id the first call of that name is meant.
            let answers = |call: &PastCall| id.map_or(call.name == name, |id| call.id == id);
            let Some(at) = self.open.iter().position(answers) else {
                return Err(Refusal::invalid(
                    "Please ensure that function response turn comes immediately after a function call turn.",
                ));
            };
            let call_id = self.open.remove(at).id;
            let said = response.get("response").map(output).unwrap_or_default();
            message.add_bytes(&said);
            message.results.push(ToolResult { call_id, text: said });
        } else {
            return Err(Refusal::invalid("Only text, function calls and function responses are understood."));
        }
        Ok(())
    }

    fn all_answered(&self) -> Result<(), Refusal> {
        if self.open.is_empty() {
            return Ok(());
        }
        Err(Refusal::invalid(
            "Please ensure that the number of function response parts is equal to the number of function call parts \
             of the function call turn.",
        ))
    }
}

/// What a tool answered: by convention the text under `output`, else all of it.
fn output(response: &Value) -> String {
    text(response, "output").map_or_else(|| response.to_string(), str::to_owned)
}
