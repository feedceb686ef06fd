//! What a conversation holds beside text: images, which are counted by number and not by their bytes, and references to
//! what lies elsewhere, which are refused. The provider would read what nobody has counted; and an address that it
//! fetches would be a way out of a cage that has no network.

use serde_json::Value;

use super::body::unpriced;
use super::refusal::Refusal;
use crate::gateway::providers::ProviderKind;

/// The images that all three providers take.
const IMAGES: &[&str] = &["image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp"];

/// What was found in a conversation.
#[derive(Default)]
pub(super) struct Content<'a> {
    /// The images, as they stand in the body.
    pub(super) images: Vec<&'a str>,
    /// Whether anything is to be kept in Anthropic's cache for an hour.
    pub(super) kept_for_an_hour: bool,
}

impl<'a> Content<'a> {
    /// The most tokens that the images are counted as.
    pub(super) fn image_tokens(&self, provider: ProviderKind) -> u64 {
        let each = match provider {
            // Anthropic scales an image down to at most 4,784 tokens ("Vision").
            ProviderKind::Anthropic => 5_000,
            // OpenAI's dearest count is gpt-4o-mini's: 2,833 and 5,667 for each of at most eight tiles ("Images and
            // vision"). Gemini counts 258 for each tile of 768 pixels: this is enough for 190 of them ("Understand and
            // count tokens").
            ProviderKind::OpenAi | ProviderKind::Gemini => 50_000,
        };
        (self.images.len() as u64).saturating_mul(each)
    }

    /// Looks through Anthropic's messages or system text.
    pub(super) fn anthropic(&mut self, value: &'a Value) -> Result<(), Refusal> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.anthropic(item)),
            Value::Object(block) => {
                self.cache_mark(value)?;
                match block.get("type").and_then(Value::as_str) {
                    Some(kind @ ("image" | "document")) => self.anthropic_source(kind, block.get("source")),
                    // Whatever a tool was asked is its own and not the provider's to understand.
                    Some("tool_use" | "server_tool_use" | "mcp_tool_use") => Ok(()),
                    Some("container_upload") => Err(elsewhere("a file in a container")),
                    Some(_) | None => block.values().try_for_each(|value| self.anthropic(value)),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn anthropic_source(&mut self, kind: &str, source: Option<&'a Value>) -> Result<(), Refusal> {
        let word = |name: &str| source.and_then(|source| source.get(name)).and_then(Value::as_str);
        match (kind, word("type")) {
            ("image", Some("base64")) => self.image(word("media_type"), word("data")),
            ("document", Some("text")) => Ok(()),
            ("document", Some("content")) => {
                source.and_then(|source| source.get("content")).map_or(Ok(()), |inner| self.anthropic(inner))
            }
            _ => Err(elsewhere("an image or document that is neither text nor an image in the request")),
        }
    }

    /// Notes how long an object of Anthropic's is to be kept in the cache.
    pub(super) fn cache_mark(&mut self, object: &Value) -> Result<(), Refusal> {
        object.get("cache_control").map_or(Ok(()), |mark| self.mark(mark))
    }

    /// Notes a `cache_control`.
    pub(super) fn mark(&mut self, mark: &Value) -> Result<(), Refusal> {
        match mark.get("ttl") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(ttl)) if ttl == "5m" => Ok(()),
            Some(Value::String(ttl)) if ttl == "1h" => {
                self.kept_for_an_hour = true;
                Ok(())
            }
            Some(_) => Err(unpriced("a `cache_control` that is kept neither for 5m nor for 1h")),
        }
    }

    /// Looks through OpenAI's messages or input items.
    pub(super) fn openai(&mut self, value: &'a Value) -> Result<(), Refusal> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.openai(item)),
            Value::Object(item) => item.iter().try_for_each(|(name, value)| self.openai_field(name, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn openai_field(&mut self, name: &str, value: &'a Value) -> Result<(), Refusal> {
        match name {
            _ if value.is_null() => Ok(()),
            "image_url" => {
                let address = value.as_str().or_else(|| value.get("url").and_then(Value::as_str));
                let parts = address.and_then(|address| address.strip_prefix("data:")?.split_once(";base64,"));
                match (parts, address) {
                    (Some((kind, data)), Some(_)) => self.image(Some(kind), Some(data)),
                    _ => Err(elsewhere("an image at an address")),
                }
            }
            "file_id" | "file_url" | "file_data" | "file" | "input_audio" | "audio" => {
                Err(elsewhere("a file or a recording"))
            }
            "type" if value == "item_reference" => Err(elsewhere("an item of an earlier answer")),
            _ => self.openai(value),
        }
    }

    /// Looks through Gemini's contents.
    pub(super) fn gemini(&mut self, value: &'a Value) -> Result<(), Refusal> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.gemini(item)),
            Value::Object(part) => part.iter().try_for_each(|(name, value)| self.gemini_field(name, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn gemini_field(&mut self, name: &str, value: &'a Value) -> Result<(), Refusal> {
        let field = |wanted: &str| {
            let fields = value.as_object()?;
            fields.iter().find(|(name, _)| camel(name) == wanted).map(|(_, value)| value)
        };
        match camel(name).as_str() {
            "inlineData" => {
                let word = |name: &str| field(name).and_then(Value::as_str);
                self.image(word("mimeType"), word("data"))
            }
            "fileData" => Err(elsewhere("a file at an address")),
            // Whatever a tool was asked and answered is its own; only the parts of an answer are read.
            "functionCall" => Ok(()),
            "functionResponse" => field("parts").map_or(Ok(()), |parts| self.gemini(parts)),
            _ => self.gemini(value),
        }
    }

    fn image(&mut self, kind: Option<&str>, data: Option<&'a str>) -> Result<(), Refusal> {
        match (kind, data) {
            (Some(kind), Some(data)) if IMAGES.contains(&kind) => {
                self.images.push(data);
                Ok(())
            }
            _ => Err(elsewhere("content that is neither text nor a PNG, JPEG, GIF or WebP image")),
        }
    }
}

fn elsewhere(what: &str) -> Refusal {
    unpriced(what)
}

/// `like_this` as `likeThis`.
pub(super) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        match letter {
            '_' if !camel.is_empty() => raise = true,
            letter if raise => {
                camel.extend(letter.to_uppercase());
                raise = false;
            }
            letter => camel.push(letter),
        }
    }
    camel
}
