//! What agents send and what providers answer, whole, in pieces and damaged.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::super::api::Api;
use super::super::blot::Blotter;
use super::super::body;
use super::super::events::Events;
use super::super::meter::Meter;
use super::facts;

const ALL: [Api; 6] =
    [Api::Messages, Api::CountTokens, Api::Chat, Api::Responses, Api::Generate, Api::StreamGenerate];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["image", "base64", "1h", "function", "text", "enabled", "auto", "url"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![
            "[a-z_]{1,6}",
            prop::sample::select(vec![
                "type",
                "source",
                "content",
                "tools",
                "cache_control",
                "ttl",
                "image_url",
                "data",
                "parts",
                "inlineData",
                "generationConfig",
                "max_output_tokens",
                "budget_tokens",
            ])
            .prop_map(str::to_owned)
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name, inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Value> {
    let names = vec![
        "messages",
        "contents",
        "input",
        "system",
        "tools",
        "thinking",
        "stream",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "generationConfig",
        "generation_config",
        "stream_options",
        "n",
    ];
    let fields = prop::collection::vec((prop::sample::select(names), any_json()), 0..5);
    (fields, any::<bool>()).prop_map(|(fields, named)| {
        let mut body: Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if named {
            body.insert("model".to_owned(), json!("scripted"));
        }
        Value::Object(body)
    })
}

/// What of a limited body says how long the answer may be.
fn limits(body: &Value) -> Vec<u64> {
    let generation = ["generationConfig", "generation_config"].iter().filter_map(|name| body.get(name));
    let inner = generation.flat_map(|generation| {
        ["maxOutputTokens", "max_output_tokens"].iter().filter_map(|name| generation.get(name))
    });
    let outer = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    outer.iter().filter_map(|name| body.get(name)).chain(inner).filter_map(Value::as_u64).collect()
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a-z0-9\\\\ ]{0,80}") {
        for api in ALL {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                if let Err(refusal) = body::read(api, (Some("scripted"), true), bytes) {
                    prop_assert!(refusal.to_string().len() < 1_000);
                }
            }
        }
    }

    #[test]
    fn any_body_that_is_let_through_has_the_limit_that_is_paid_and_all_else_as_it_was(body in any_body(), output in 1_u64..100_000) {
        let text = body.to_string();
        // As it is read: of a number only the digits that were written are sure to be kept.
        let body: Value = serde_json::from_str(&text).unwrap();
        for api in ALL.into_iter().filter(|api| *api != Api::CountTokens) {
            let Ok(wish) = body::read(api, (Some("scripted"), true), text.as_bytes()) else { continue };
            let Ok(limited) = body::rewrite(api, text.as_bytes(), &facts(api), &wish, output) else { continue };
            let limited: Value = serde_json::from_slice(&limited).unwrap();
            let found: BTreeSet<u64> = limits(&limited).into_iter().collect();
            // `max_output_tokens` is no field of the others, and they would have been refused for it.
            prop_assert_eq!(found, BTreeSet::from([output]), "{} {}", api, &limited);
            let changed = ["max_tokens", "max_completion_tokens", "max_output_tokens", "stream_options", "thinking", "generationConfig", "generation_config"];
            for (name, value) in body.as_object().unwrap() {
                if !changed.contains(&name.as_str()) {
                    prop_assert_eq!(limited.get(name), Some(value));
                }
            }
            let again = body::read(api, (Some("scripted"), true), limited.to_string().as_bytes()).unwrap();
            prop_assert_eq!(again.output_tokens, Some(output));
        }
    }

    #[test]
    fn events_are_found_however_a_stream_is_cut(data in prop::collection::vec("[^\\r\\n]{0,20}", 0..6), end in prop::sample::select(vec!["\n", "\r\n", "\r"]), sizes in prop::collection::vec(1_usize..9, 1..9)) {
        let frames = data.iter().map(|data| format!(": ping{end}event: x{end}data: {data}{end}{end}"));
        let stream = frames.collect::<Vec<_>>().concat();
        let (mut events, mut found, mut rest) = (Events::default(), Vec::new(), stream.as_bytes());
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(rest.len().min(*size));
            events.take(piece, |data| found.push(data.to_owned()));
            rest = after;
        }
        events.end(|data| found.push(data.to_owned()));
        prop_assert_eq!(found, data);
    }

    #[test]
    fn any_stream_passes_a_meter_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), told in prop::collection::vec(any_json(), 0..6), kind in prop::sample::select(vec!["message_start", "message_delta", "response.completed", "response.failed", "error"])) {
        for api in ALL {
            let (mut events, mut meter) = (Events::default(), Meter::of(api));
            for value in &told {
                let wrapped = json!({"type": kind, "message": value, "delta": value, "usage": value, "response": value, "error": value, "choices": [value], "candidates": value, "usageMetadata": value});
                let frame = format!("data: {wrapped}\n\n");
                events.take(frame.as_bytes(), |data| meter.event(data));
                meter.document(wrapped.to_string().as_bytes());
            }
            events.take(&bytes, |data| meter.event(data));
            events.end(|data| meter.event(data));
            meter.document(&bytes);
            let _ = (meter.bill(true), meter.bill(false), meter.outgrown(), meter.outgrows(0));
        }
    }

    #[test]
    fn a_key_never_passes_and_nothing_else_is_lost(parts in prop::collection::vec(prop_oneof![Just("sk-key-k".to_owned()), "[sk\\-e]{0,6}"], 0..9), sizes in prop::collection::vec(1_usize..5, 1..6)) {
        let (text, key) = (parts.concat(), "sk-key-k");
        let mut blotter = Blotter::of(&SecretString::from(key));
        let (mut passed, mut rest) = (Vec::new(), text.as_bytes());
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(rest.len().min(*size));
            passed.extend_from_slice(&blotter.pass(Bytes::copy_from_slice(piece)));
            rest = after;
        }
        passed.extend_from_slice(&blotter.rest());
        prop_assert_eq!(String::from_utf8(passed).unwrap(), text.replace(key, "[key]"));
    }
}
