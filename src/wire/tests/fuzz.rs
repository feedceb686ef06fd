//! Stored forms, damaged.

use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{Envelope, Timer};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::store::TaskEffect;
use crate::wire::{Format, RecordedEvent, WireError, decode, encode};

const STORED: &[&str] = &[
    r#"{"v":1,"body":{"at":5,"event":{"event":"deadline-set","at":9}}}"#,
    r#"{"v":1,"body":{"effect":"work","work":"create","round":2,"attempt":1,"onto":null}}"#,
    r#"{"v":1,"body":{"effect":"publication","publish":"review","reviewer":"a","head":"1111111111111111111111111111111111111111","reading":2}}"#,
    r#"{"v":1,"body":{"timer":"ci-wait","head":"1111111111111111111111111111111111111111"}}"#,
    r#"{"v":1,"body":{"installation":1,"target":{"by":"run","run":"1-2-3"},"signal":{"signal":"issue-closed","by":{"id":1,"login":"mona","kind":"person"}}}}"#,
    r#"{"v":1,"body":{"installation":1,"target":{"by":"issue","repository":1,"issue":2},"signal":{"signal":"commanded","by":{"id":1,"login":"mona","kind":"person"},"comment":3,"commands":[{"Ok":{"command":"retry","stage":"gate"}},{"Err":"no"}]}}}"#,
];

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,10}".prop_map(Value::from),
        prop::sample::select(vec!["run", "work", "status", "person", "1-2-3", "ok"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,8}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Puts a value at a place that is found by going down at random.
fn put(into: &mut Value, way: &[prop::sample::Index], value: Value) {
    let Some((first, rest)) = way.split_first() else {
        *into = value;
        return;
    };
    match into {
        Value::Object(map) if !map.is_empty() => {
            let at = first.index(map.len());
            if let Some(inner) = map.values_mut().nth(at) {
                put(inner, rest, value);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let at = first.index(list.len());
            put(&mut list[at], rest, value);
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => *into = value,
    }
}

/// Whatever is read is written in a form that says the same again.
fn read_or_refused<T: Format + PartialEq + std::fmt::Debug>(text: &str) {
    match decode::<T>(text) {
        Ok(thing) => assert_eq!(decode::<T>(&encode(&thing).unwrap()).unwrap(), thing),
        Err(WireError::UnknownVersion { found, known, .. }) => assert_ne!(found, known),
        Err(WireError::Malformed { detail, .. }) => assert!(!detail.is_empty()),
    }
}

fn read_as_everything(text: &str) {
    read_or_refused::<Envelope>(text);
    read_or_refused::<TaskEffect>(text);
    read_or_refused::<RecordedEvent>(text);
    read_or_refused::<Run>(text);
    read_or_refused::<Timer>(text);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "([\\[\\]{}:,\"0-9ev.-]|\\PC){0,80}") {
        read_as_everything(&text);
    }

    #[test]
    fn a_damaged_form_is_read_or_refused(
        stored in prop::sample::select(STORED), way in prop::collection::vec(any::<prop::sample::Index>(), 0..5), value in any_value(),
    ) {
        let mut damaged: Value = serde_json::from_str(stored).unwrap();
        put(&mut damaged, &way, value);
        read_as_everything(&damaged.to_string());
    }

    #[test]
    fn depth_is_refused_and_not_followed(depth in 0_usize..4_000, opened in prop::sample::select(vec!["[", "{\"v\":", "{\"body\":"])) {
        read_as_everything(&opened.repeat(depth));
    }
}

#[test]
fn what_is_damaged_was_whole() {
    let read = |text: &str| {
        decode::<Envelope>(text).is_ok()
            || decode::<TaskEffect>(text).is_ok()
            || decode::<RecordedEvent>(text).is_ok()
            || decode::<Timer>(text).is_ok()
    };
    assert!(STORED.iter().all(|text| read(text)));
}
