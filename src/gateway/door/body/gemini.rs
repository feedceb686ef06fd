//! Gemini's `generateContent`. Its fields may be written `likeThis` or `like_this`.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Asked, list, off, one_of, only, shown, unpriced, whole_number};
use crate::gateway::door::content::{Content, camel};
use crate::gateway::door::fields::Fields;
use crate::gateway::door::refusal::Refusal;

/// Fields that change what is said, not what it costs. Not among them, because the provider would read more than the
/// body holds: `cachedContent`.
const FIELDS: &[&str] = &[
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "serviceTier",
    "store",
    "labels",
];
const GENERATION: &[&str] = &[
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "presencePenalty",
    "frequencyPenalty",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseFormat",
    "responseModalities",
    "responseLogprobs",
    "logprobs",
    "seed",
    "thinkingConfig",
    "mediaResolution",
];

pub(super) fn read<'a>(
    body: &'a Map<String, Value>,
    model: Option<&str>,
    content: &mut Content<'a>,
) -> Result<Asked, Refusal> {
    let fields = named(body)?;
    only(&fields, FIELDS, "")?;
    one_of(&fields, "serviceTier", &["standard", "flex"])?;
    off(&fields, "store")?;
    let generation = match fields.get("generationConfig") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(generation)) => named(generation)?,
        Some(_) => return Err(Refusal::invalid("`generationConfig` must be an object")),
    };
    only(&generation, GENERATION, "generationConfig.")?;
    if whole_number(&generation, "candidateCount")?.is_some_and(|answers| answers > 1) {
        return Err(unpriced("more than one answer (`candidateCount`)"));
    }
    let text = |modality: &Value| modality.as_str().is_some_and(|word| word.eq_ignore_ascii_case("text"));
    if !list(&generation, "responseModalities")?.iter().all(text) {
        return Err(unpriced("an answer that is no text (`responseModalities`)"));
    }
    for tool in list(&fields, "tools")? {
        let Value::Object(tool) = tool else { return Err(Refusal::invalid("`tools` must list objects")) };
        let others = tool.keys().find(|name| camel(name) != "functionDeclarations");
        if let Some(other) = others {
            return Err(unpriced(&format!("the tool `{}`", shown(other))));
        }
    }
    for (name, value) in body {
        if matches!(camel(name).as_str(), "contents" | "systemInstruction") {
            content.gemini(value)?;
        }
    }
    Ok(Asked {
        model: model.unwrap_or_default().to_owned(),
        output_tokens: whole_number(&generation, "maxOutputTokens")?,
        ..Asked::default()
    })
}

/// The fields under their usual names. A field that is there under both its names is refused, since nobody knows which
/// counts.
fn named(fields: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let mut named = Map::new();
    for (name, value) in fields {
        // The conversation is large and only looked at where it is.
        let value = if camel(name) == "contents" { Value::Bool(true) } else { value.clone() };
        if named.insert(camel(name), value).is_some() {
            return Err(Refusal::invalid(format!("`{}` stands there under two names", shown(name))));
        }
    }
    Ok(named)
}

pub(super) fn limit(fields: &mut Fields<'_>, output_tokens: u64) -> serde_json::Result<()> {
    let fits = |name: &str| camel(name) == "generationConfig";
    let generation = fields.find(fits).map(|value| value.get().to_owned());
    let generation = generation.filter(|text| text.starts_with('{')).unwrap_or_else(|| "{}".to_owned());
    let mut generation = Fields::of(generation.as_bytes())?;
    generation.set("maxOutputTokens", |name| camel(name) == "maxOutputTokens", &output_tokens)?;
    fields.set("generationConfig", fits, &RawValue::from_string(generation.write()?)?)
}
