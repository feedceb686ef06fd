//! The spans and their fields, named once, so that a search by `run` finds everything about a run.

use pairbot_protocol::ids::{RunId, TaskId};
use tracing::Span;

/// The receipt of one delivery.
pub fn delivery(guid: &str, event: &str) -> Span {
    tracing::info_span!("delivery", guid, event)
}

/// One decision about a run.
pub fn decision(run: &RunId) -> Span {
    tracing::info_span!("decision", %run)
}

/// One attempt at a task.
pub fn task(run: &RunId, task: TaskId, kind: &str, attempt: u32) -> Span {
    tracing::info_span!("task", %run, %task, kind, attempt)
}

/// One request to GitHub.
pub fn github(method: &str, path: &str) -> Span {
    tracing::info_span!("github", method, path, status = tracing::field::Empty)
}

/// One call of a model, with the field names of OpenTelemetry's conventions for generative AI.
pub fn model(provider: &str, model: &str) -> Span {
    tracing::info_span!(
        "chat",
        gen_ai.provider.name = provider,
        gen_ai.request.model = model,
        gen_ai.usage.input_tokens = tracing::field::Empty,
        gen_ai.usage.output_tokens = tracing::field::Empty,
    )
}
