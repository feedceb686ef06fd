//! Anthropic's reports: the input at the start of a stream, the output at its end, each replacing what was said before.

use std::borrow::Cow;

use serde::Deserialize;

use super::Reading;
use crate::gateway::providers::anthropic::WireUsage;
use crate::gateway::providers::{ErrorObject, from_stream};

/// What was reported so far.
#[derive(Default)]
pub(super) struct Kept {
    usage: WireUsage,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart {
        message: Started,
    },
    ContentBlockDelta {
        #[serde(borrow)]
        delta: Delta<'a>,
    },
    MessageDelta {
        delta: Ending,
        usage: Option<WireUsage>,
    },
    MessageStop,
    Error {
        #[serde(default)]
        error: ErrorObject,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Started {
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Ending {
    stop_reason: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    partial_json: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
}

pub(super) fn event(reading: &mut Reading, data: &str) {
    let Ok(event) = serde_json::from_str::<Event<'_>>(data) else { return };
    match event {
        Event::MessageStart { message } => {
            reading.anthropic.usage.merge(message.usage.unwrap_or_default());
            reading.input = reading.anthropic.usage.input();
        }
        Event::ContentBlockDelta { delta } => {
            let texts = [delta.text, delta.partial_json, delta.thinking];
            texts.iter().flatten().for_each(|text| reading.text.add(text));
        }
        Event::MessageDelta { delta, usage } => {
            reading.anthropic.usage.merge(usage.unwrap_or_default());
            reading.input = reading.anthropic.usage.input();
            reading.hour_tokens = reading.anthropic.usage.hour_tokens();
            if delta.stop_reason.is_some() && usage.is_some() {
                reading.whole = reading.anthropic.usage.whole();
            }
        }
        Event::MessageStop => reading.ended = true,
        Event::Error { error } => reading.error = Some(from_stream(&error)),
        Event::Other => {}
    }
}

#[derive(Deserialize)]
struct Message {
    usage: Option<WireUsage>,
}

pub(super) fn document(reading: &mut Reading, body: &[u8]) {
    let Ok(message) = serde_json::from_slice::<Message>(body) else { return };
    let usage = message.usage.unwrap_or_default();
    reading.ended = true;
    reading.input = usage.input();
    reading.hour_tokens = usage.hour_tokens();
    reading.whole = usage.whole();
}
