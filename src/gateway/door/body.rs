//! What a request's body asks for, and the same body with what it may have.
//!
//! A body is let through only if everything in it is known to change neither price nor amount beyond what is reserved
//! (promise P3): fields, tools and kinds of content are listed, and what is not listed is refused by name.

mod anthropic;
mod chat;
mod gemini;
mod responses;

use serde_json::{Map, Value};

use super::api::Api;
use super::content::Content;
use super::fields::{self, Fields};
use super::refusal::Refusal;
use crate::gateway::estimate;
use crate::gateway::payment::OUTPUT_TOKENS_FLOOR;
use crate::gateway::prices::{CacheLife, ModelFacts};

/// What a vendor adds for each tool that it defines itself, such as Anthropic's editor. Its documentation names up to
/// 735 tokens.
const VENDOR_TOOL_TOKENS: u64 = 1_000;
/// The smallest budget for thinking that Anthropic takes.
const THINKING_TOKENS_MIN: u64 = 1_024;

/// What a body asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) model: String,
    /// Whether the answer is an event stream.
    pub(super) streamed: bool,
    /// The limit on output, where it names one.
    pub(super) output_tokens: Option<u64>,
    /// Of that, what may be used for thinking, where it says so.
    thinking_tokens: Option<u64>,
    /// The most tokens that the provider can read in it.
    pub(super) input_tokens: u64,
    pub(super) cache: CacheLife,
}

impl Wish {
    /// With less output than this there is no use in asking.
    pub(super) fn output_floor(&self, wanted: u64) -> u64 {
        let thinking = if self.thinking_tokens.is_some() { THINKING_TOKENS_MIN } else { 0 };
        (OUTPUT_TOKENS_FLOOR + thinking).min(wanted)
    }
}

/// Reads a body. Gemini names model and form of the answer in its address.
pub(super) fn read(api: Api, address: (Option<&str>, bool), bytes: &[u8]) -> Result<Wish, Refusal> {
    let value = fields::read(bytes)
        .map_err(|error| Refusal::invalid(format!("the request body is not valid JSON: {error}")))?;
    let Value::Object(body) = value else {
        return Err(Refusal::invalid("the request body is not a JSON object"));
    };
    let mut content = Content::default();
    let asked = match api {
        Api::Messages | Api::CountTokens => anthropic::read(&body, &mut content)?,
        Api::Chat => chat::read(&body, &mut content)?,
        Api::Responses => responses::read(&body, &mut content)?,
        Api::Generate | Api::StreamGenerate => gemini::read(&body, address.0, &mut content)?,
    };
    let text = estimate::input_tokens_max_without(bytes, content.images.iter().copied());
    let images = content.image_tokens(api.provider());
    let tools = asked.vendor_tools.saturating_mul(VENDOR_TOOL_TOKENS);
    Ok(Wish {
        model: asked.model,
        streamed: match api {
            Api::StreamGenerate => address.1,
            Api::Messages | Api::CountTokens | Api::Chat | Api::Responses | Api::Generate => asked.streamed,
        },
        output_tokens: asked.output_tokens,
        thinking_tokens: asked.thinking_tokens,
        input_tokens: text.saturating_add(images).saturating_add(tools),
        cache: if content.kept_for_an_hour { CacheLife::Hour } else { CacheLife::Usual },
    })
}

/// Writes the output that is paid for into a body that was [`read`], and the wish to be told what was used.
pub(super) fn rewrite(
    api: Api,
    bytes: &[u8],
    facts: &ModelFacts,
    wish: &Wish,
    output_tokens: u64,
) -> Result<Vec<u8>, Refusal> {
    let written = || -> serde_json::Result<Vec<u8>> {
        let mut fields = Fields::of(bytes)?;
        match api {
            Api::CountTokens => return Ok(bytes.to_vec()),
            Api::Messages => anthropic::limit(&mut fields, wish, output_tokens)?,
            Api::Chat => chat::limit(&mut fields, wish, facts.output_limit_field, output_tokens)?,
            Api::Responses => responses::limit(&mut fields, output_tokens)?,
            Api::Generate | Api::StreamGenerate => gemini::limit(&mut fields, output_tokens)?,
        }
        fields.write().map(String::into_bytes)
    };
    written().map_err(|error| Refusal::invalid(format!("the request body cannot be limited: {error}")))
}

/// What the reader of one API found.
#[derive(Default)]
struct Asked {
    model: String,
    streamed: bool,
    output_tokens: Option<u64>,
    thinking_tokens: Option<u64>,
    vendor_tools: u64,
}

/// Refuses a field that is not listed. One that is null asks for nothing.
fn only<'a>(
    names: impl IntoIterator<Item = (&'a String, &'a Value)>,
    listed: &[&str],
    place: &str,
) -> Result<(), Refusal> {
    let unknown =
        names.into_iter().find(|(name, value)| !value.is_null() && !listed.contains(&name.as_str()));
    match unknown {
        None => Ok(()),
        Some((name, _)) => Err(unpriced(&format!("`{place}{}`", shown(name)))),
    }
}

/// Refuses a word that is not listed.
fn one_of(body: &Map<String, Value>, name: &str, listed: &[&str]) -> Result<(), Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(word)) if listed.contains(&word.as_str()) => Ok(()),
        Some(other) => Err(unpriced(&format!("`{name}: {}`", shown(&other.to_string())))),
    }
}

/// Refuses a list that has anything in it.
fn empty(body: &Map<String, Value>, name: &str) -> Result<(), Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(items)) if items.is_empty() => Ok(()),
        Some(_) => Err(unpriced(&format!("`{name}`"))),
    }
}

/// Refuses a switch that is on.
fn off(body: &Map<String, Value>, name: &str) -> Result<(), Refusal> {
    match body.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(()),
        Some(_) => Err(unpriced(&format!("`{name}`"))),
    }
}

fn whole_number(body: &Map<String, Value>, name: &str) -> Result<Option<u64>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(Refusal::invalid(format!("`{name}` must be a whole number of tokens"))),
        },
    }
}

fn model(body: &Map<String, Value>) -> Result<String, Refusal> {
    match body.get("model") {
        Some(Value::String(model)) if !model.is_empty() => Ok(model.clone()),
        Some(_) | None => Err(Refusal::invalid("`model` must name a model")),
    }
}

fn streamed(body: &Map<String, Value>) -> Result<bool, Refusal> {
    match body.get("stream") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(streamed)) => Ok(*streamed),
        Some(_) => Err(Refusal::invalid("`stream` must be true or false")),
    }
}

/// The items of a list that may be absent.
fn list<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(Refusal::invalid(format!("`{name}` must be a list"))),
    }
}

/// Why something that the provider might well do is not asked of it.
pub(super) fn unpriced(what: &str) -> Refusal {
    Refusal::invalid(format!(
        "{what} is not let through: what it costs, or what it makes the provider do, is not known here; leave it out"
    ))
}

/// Others' words in a message, cut to a length that fits it.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}
