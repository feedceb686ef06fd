//! Anthropic Messages.

use serde_json::{Map, Value};

use super::{
    Asked, THINKING_TOKENS_MIN, Wish, empty, list, model, one_of, only, shown, streamed, unpriced,
    whole_number,
};
use crate::gateway::door::content::Content;
use crate::gateway::door::fields::Fields;
use crate::gateway::door::refusal::Refusal;

/// Fields that change what is said, not what it costs. Those that can change the price are examined below.
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
    "cache_control",
    "output_config",
    "output_format",
    "service_tier",
    "inference_geo",
    "speed",
    "mcp_servers",
    "context_management",
];
/// Tools that the client carries out although the vendor defines them; without their dates.
const CLIENT_TOOLS: &[&str] = &["bash_", "text_editor_", "computer_", "memory_"];
/// What the server may do with an old part of the conversation without writing anything itself.
const FREE_EDITS: &[&str] = &["clear_tool_uses_", "clear_thinking_"];

pub(super) fn read<'a>(body: &'a Map<String, Value>, content: &mut Content<'a>) -> Result<Asked, Refusal> {
    only(body, FIELDS, "")?;
    // Priority has a price of its own; the others are the listed price or what the operator has arranged.
    one_of(body, "service_tier", &["auto", "standard_only"])?;
    // Another place, and a faster answer, cost a multiple.
    one_of(body, "inference_geo", &["global"])?;
    one_of(body, "speed", &["standard"])?;
    empty(body, "mcp_servers")?;
    edits(body)?;
    let mut vendor_tools = 0;
    for tool in list(body, "tools")? {
        match tool.get("type") {
            None | Some(Value::Null) => {}
            Some(Value::String(kind)) if kind == "custom" => {}
            Some(Value::String(kind)) if CLIENT_TOOLS.iter().any(|known| kind.starts_with(known)) => {
                vendor_tools += 1;
            }
            Some(kind) => return Err(unpriced(&format!("the tool {}", shown(&kind.to_string())))),
        }
        content.cache_mark(tool)?;
    }
    for part in ["messages", "system"] {
        if let Some(part) = body.get(part) {
            content.anthropic(part)?;
        }
    }
    if let Some(mark) = body.get("cache_control") {
        content.mark(mark)?;
    }
    Ok(Asked {
        model: model(body)?,
        streamed: streamed(body)?,
        output_tokens: whole_number(body, "max_tokens")?,
        thinking_tokens: match body.get("thinking") {
            Some(Value::Object(thinking)) => whole_number(thinking, "budget_tokens")?,
            Some(_) | None => None,
        },
        vendor_tools,
    })
}

/// A summary that the server writes is paid, and not counted among the answer's tokens.
fn edits(body: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(Value::Object(management)) = body.get("context_management") else {
        return one_of(body, "context_management", &[]);
    };
    only(management, &["edits"], "context_management.")?;
    for edit in list(management, "edits")? {
        let kind = edit.get("type").and_then(Value::as_str).unwrap_or_default();
        if !FREE_EDITS.iter().any(|free| kind.starts_with(free)) {
            return Err(unpriced(&format!("the edit `{}`", shown(kind))));
        }
    }
    Ok(())
}

pub(super) fn limit(fields: &mut Fields<'_>, wish: &Wish, output_tokens: u64) -> serde_json::Result<()> {
    fields.set("max_tokens", |name| name == "max_tokens", &output_tokens)?;
    // Thinking must be less than the whole: where the whole was lowered, so is it.
    let lowered = wish.output_tokens.is_none_or(|wanted| output_tokens < wanted);
    let Some(thinking_tokens) = wish.thinking_tokens.filter(|tokens| lowered && *tokens >= output_tokens)
    else {
        return Ok(());
    };
    let fits = |name: &str| name == "thinking";
    let Some(thinking) = fields.find(fits).map(|value| value.get().to_owned()) else { return Ok(()) };
    let mut thinking = Fields::of(thinking.as_bytes())?;
    let left = output_tokens.saturating_sub(THINKING_TOKENS_MIN).max(THINKING_TOKENS_MIN);
    thinking.set("budget_tokens", |name| name == "budget_tokens", &thinking_tokens.min(left))?;
    let thinking = serde_json::value::RawValue::from_string(thinking.write()?)?;
    fields.set("thinking", fits, &thinking)
}
