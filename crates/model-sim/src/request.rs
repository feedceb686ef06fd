//! A request as either provider's reader hands it on, and reading JSON with the place in the message.

use serde_json::{Map, Value};

use crate::conversation::Conversation;
use crate::refusal::Refusal;

/// In which form a request came, and its answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Anthropic Messages.
    Messages,
    /// `OpenAI` Chat Completions.
    Chat,
    /// `OpenAI` Responses.
    Responses,
    /// Gemini's `generateContent`; streamed, as events.
    Generate,
    /// Gemini's `streamGenerateContent` without events: the chunks as one JSON list.
    GenerateList,
}

/// A valid request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) conversation: Conversation,
    pub(crate) form: Form,
    /// Whether the answer is an event stream.
    pub(crate) streamed: bool,
    /// Whether an `OpenAI` stream ends with its usage; Anthropic's always tells it.
    pub(crate) usage_in_stream: bool,
}

/// The body as a JSON object.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Refusal::invalid("The request body is not a JSON object.")),
        Err(error) => Err(Refusal::invalid(format!("The request body is not valid JSON: {error}"))),
    }
}

/// The text of a field, or nothing where it is absent or of another type.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// Whether both APIs take this as the name of a tool: `^[a-zA-Z0-9_-]{1,64}$`.
pub(crate) fn is_tool_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(is_id_byte)
}

/// Whether this is a byte of an id: `[a-zA-Z0-9_-]`.
pub(crate) fn is_id_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-')
}
