//! OpenAI Responses.

use serde_json::{Map, Value};

use super::chat::SERVICE_TIERS;
use super::{Asked, empty, list, model, off, one_of, only, shown, streamed, unpriced, whole_number};
use crate::gateway::door::content::Content;
use crate::gateway::door::fields::Fields;
use crate::gateway::door::refusal::Refusal;

/// Fields that change what is said, not what it costs. Not among them, because the provider would read more than the
/// body holds: `previous_response_id`, `conversation`, `prompt`.
const FIELDS: &[&str] = &[
    "model",
    "instructions",
    "input",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "max_tool_calls",
    "reasoning",
    "text",
    "store",
    "stream",
    "stream_options",
    "include",
    "temperature",
    "top_p",
    "top_logprobs",
    "truncation",
    "user",
    "metadata",
    "client_metadata",
    "service_tier",
    "background",
    "context_management",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
];

pub(super) fn read<'a>(body: &'a Map<String, Value>, content: &mut Content<'a>) -> Result<Asked, Refusal> {
    only(body, FIELDS, "")?;
    one_of(body, "service_tier", SERVICE_TIERS)?;
    // An answer in the background is made where nobody counts it.
    off(body, "background")?;
    // A summary that the server writes is paid, too.
    empty(body, "context_management")?;
    for tool in list(body, "tools")? {
        client_tool(tool)?;
    }
    if let Some(input) = body.get("input") {
        content.openai(input)?;
    }
    Ok(Asked {
        model: model(body)?,
        streamed: streamed(body)?,
        output_tokens: whole_number(body, "max_output_tokens")?,
        ..Asked::default()
    })
}

/// Only what the agent itself carries out.
fn client_tool(tool: &Value) -> Result<(), Refusal> {
    let word = |pointer: &str| tool.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match word("/type") {
        "function" | "custom" | "local_shell" | "apply_patch" => Ok(()),
        "shell" if word("/environment/type") == "local" => Ok(()),
        "tool_search" if word("/execution") == "client" => Ok(()),
        "namespace" => match tool.get("tools") {
            Some(Value::Array(tools)) => tools.iter().try_for_each(client_tool),
            Some(_) | None => Err(Refusal::invalid("a namespace of tools must list them")),
        },
        other => Err(unpriced(&format!("the tool `{}`", shown(other)))),
    }
}

pub(super) fn limit(fields: &mut Fields<'_>, output_tokens: u64) -> serde_json::Result<()> {
    fields.set("max_output_tokens", |name| name == "max_output_tokens", &output_tokens)
}
