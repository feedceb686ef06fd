//! OpenAI Chat Completions, and the servers that are compatible with it.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Asked, Wish, list, model, one_of, only, shown, streamed, unpriced, whole_number};
use crate::gateway::door::content::Content;
use crate::gateway::door::fields::Fields;
use crate::gateway::door::refusal::Refusal;
use crate::gateway::prices::OutputLimitField;

/// Fields that change what is said, not what it costs. Those that can change the price are examined below.
const FIELDS: &[&str] = &[
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "n",
    "stop",
    "seed",
    "user",
    "metadata",
    "store",
    "service_tier",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "chat_template_kwargs",
    "verbosity",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "modalities",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
];
/// What is served at the listed price or below it.
pub(super) const SERVICE_TIERS: &[&str] = &["auto", "default", "flex"];
const LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

pub(super) fn read<'a>(body: &'a Map<String, Value>, content: &mut Content<'a>) -> Result<Asked, Refusal> {
    only(body, FIELDS, "")?;
    one_of(body, "service_tier", SERVICE_TIERS)?;
    if whole_number(body, "n")?.is_some_and(|answers| answers > 1) {
        return Err(unpriced("more than one answer (`n`)"));
    }
    if list(body, "modalities")?.iter().any(|modality| modality != "text") {
        return Err(unpriced("an answer that is no text (`modalities`)"));
    }
    for tool in list(body, "tools")? {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("function");
        if !matches!(kind, "function" | "custom") {
            return Err(unpriced(&format!("the tool `{}`", shown(kind))));
        }
    }
    if let Some(messages) = body.get("messages") {
        content.openai(messages)?;
    }
    let [old, new] = LIMITS.map(|name| whole_number(body, name));
    Ok(Asked {
        model: model(body)?,
        streamed: streamed(body)?,
        output_tokens: [old?, new?].into_iter().flatten().min(),
        ..Asked::default()
    })
}

pub(super) fn limit(
    fields: &mut Fields<'_>,
    wish: &Wish,
    usual: OutputLimitField,
    output_tokens: u64,
) -> serde_json::Result<()> {
    let set =
        LIMITS.map(|limit| fields.find(|name| name == limit).is_some_and(|value| value.get() != "null"));
    let usual = match usual {
        OutputLimitField::MaxTokens => "max_tokens",
        OutputLimitField::MaxCompletionTokens => "max_completion_tokens",
    };
    for (limit, set) in LIMITS.into_iter().zip(set) {
        if set {
            fields.set(limit, |name| name == limit, &output_tokens)?;
        }
    }
    if set == [false, false] {
        fields.set(usual, |name| name == usual, &output_tokens)?;
    }
    if wish.streamed {
        // Without it a stream ends without a word about what it cost.
        let fits = |name: &str| name == "stream_options";
        let options = fields.find(fits).map(|value| value.get().to_owned());
        let options = options.filter(|options| options.starts_with('{')).unwrap_or_else(|| "{}".to_owned());
        let mut options = Fields::of(options.as_bytes())?;
        options.set("include_usage", |name| name == "include_usage", &true)?;
        fields.set("stream_options", fits, &RawValue::from_string(options.write()?)?)?;
    }
    Ok(())
}
