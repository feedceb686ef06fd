//! Deliveries, damaged at any depth.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{EVENTS, Normalised, normalise};
use super::{any_example, own};
use crate::http::webhook::bounded::TEXT_BYTES_MAX;
use crate::http::webhook::delivery_headers::EventName;
use crate::store::Content;

/// Puts a value at a place that is found by going down at random; `None` takes away what is there.
fn put(into: &mut Value, way: &[prop::sample::Index], value: Option<Value>) {
    let Some((first, rest)) = way.split_first() else { return };
    let Some(map) = into.as_object_mut().filter(|map| !map.is_empty()) else { return };
    let at = first.index(map.len());
    let Some(key) = map.keys().nth(at).cloned() else { return };
    if rest.is_empty() || !map[&key].is_object() {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    } else {
        put(&mut map[&key], rest, value);
    }
}

fn any_value() -> impl Strategy<Value = Option<Value>> {
    let large = "x\u{202e}/stop\n".repeat(3_000);
    let known = vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(u64::MAX),
        json!(""),
        json!([]),
        json!({}),
        json!("closed"),
        json!("created"),
        json!("agent:pair"),
        json!("1-2-3:size:x"),
        json!("f".repeat(40)),
        json!(large),
    ];
    prop_oneof![
        6 => prop::sample::select(known).prop_map(Some),
        2 => "\\PC{0,20}".prop_map(|text| Some(json!(text))),
        1 => Just(None),
    ]
}

/// What comes out is bounded, and the same for the same words.
fn judged(event: &str, text: &str) -> Result<(), TestCaseError> {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-github-event", event.parse().unwrap());
    let read = || normalise(EventName::of(&headers).unwrap(), text, &own());
    let Ok(Normalised { meaning, content, .. }) = read() else { return Ok(()) };
    prop_assert_eq!(&read().unwrap().meaning, &meaning, "a redelivery means the same");
    prop_assert!(meaning.is_none_or(|meaning| meaning.len() <= 300));
    match content {
        Content::Signal(envelope) => {
            // Titles and logins beside the one text; escapes may double it and more.
            let size = serde_json::to_string(&envelope).unwrap().len();
            prop_assert!(size <= 8 * TEXT_BYTES_MAX, "{size} bytes");
        }
        Content::Ignored { reason, .. } => {
            prop_assert!(!reason.is_empty() && reason.len() <= 600, "{reason}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_payload_damaged_anywhere_is_read_ignored_or_refused(
        (name, text) in any_example(), event in prop::option::weighted(0.2, prop::sample::select(&EVENTS[..])),
        damage in prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 1..5), any_value()), 1..4),
    ) {
        let mut payload: Value = serde_json::from_str(text).unwrap();
        for (way, value) in damage {
            put(&mut payload, &way, value);
        }
        judged(event.unwrap_or_else(|| name.split('.').next().unwrap()), &payload.to_string())?;
    }

    #[test]
    fn any_text_is_read_ignored_or_refused(event in prop::sample::select(&EVENTS[..]), text in "([\\[\\]{}:,\"0-9a-z]|\\PC){0,80}") {
        judged(event, &text)?;
    }

    #[test]
    fn depth_is_refused_and_not_followed(event in prop::sample::select(&EVENTS[..]), depth in 0_usize..4_000) {
        judged(event, &"{\"issue\":".repeat(depth))?;
        judged(event, &format!("{}{}", "[".repeat(depth), "]".repeat(depth)))?;
    }
}
