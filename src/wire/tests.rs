mod fuzz;

use pairbot_protocol::effect::{Publication, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{Round, Timestamp};
use pairbot_protocol::signal::Timer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::store::TaskEffect;

/// What version 1 wrote. These texts are in ledgers: they may be added to, never changed.
#[test]
fn what_version_1_wrote_is_read() {
    let event = r#"{"v":1,"body":{"at":5,"event":{"event":"deadline-set","at":9}}}"#;
    let recorded = RecordedEvent {
        at: Timestamp::from_unix_ms(5),
        event: Event::DeadlineSet { at: Timestamp::from_unix_ms(9) },
    };
    assert_eq!(decode::<RecordedEvent>(event).unwrap(), recorded);
    assert_eq!(encode(&recorded).unwrap(), event);

    let work = r#"{"v":1,"body":{"effect":"work","work":"create","round":2,"attempt":1,"onto":null}}"#;
    let create = TaskEffect::Work(Work::Create { round: Round(2), attempt: 1, onto: None });
    assert_eq!(decode::<TaskEffect>(work).unwrap(), create);
    assert_eq!(encode(&create).unwrap(), work);

    let status = r#"{"v":1,"body":{"effect":"publication","publish":"status"}}"#;
    assert_eq!(decode::<TaskEffect>(status).unwrap(), TaskEffect::Publication(Publication::Status));

    let timer = r#"{"v":1,"body":{"timer":"deadline"}}"#;
    assert_eq!(decode::<Timer>(timer).unwrap(), Timer::Deadline);
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    for (text, found) in [(r#"{"v":2,"body":{}}"#, 2), (r#"{"v":0,"body":{}}"#, 0)] {
        assert_eq!(
            decode::<Timer>(text),
            Err(WireError::UnknownVersion { format: "a timer", found, known: 1 })
        );
    }
}

#[test]
fn what_has_no_form_is_refused_with_its_place() {
    for text in ["", "null", "[]", r#"{"v":1}"#, r#"{"v":-1,"body":1}"#, r#"{"v":1,"body":{"timer":"x"}}"#] {
        assert!(matches!(decode::<Timer>(text), Err(WireError::Malformed { .. })), "{text}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Grown {
    name: String,
    length: usize,
}

impl Format for Grown {
    const NAME: &'static str = "a grown thing";
    const VERSION: u32 = 3;

    fn upgrade(from: u32, mut body: Value) -> Result<Value, WireError> {
        match from {
            1 => Ok(json!({ "name": body })),
            2 => {
                let length = body["name"].as_str().map_or(0, str::len);
                body["length"] = json!(length);
                Ok(body)
            }
            found => Err(WireError::UnknownVersion { format: Self::NAME, found, known: Self::VERSION }),
        }
    }
}

#[test]
fn an_old_form_is_upgraded_step_by_step() {
    let expected = Grown { name: "abc".to_owned(), length: 3 };
    assert_eq!(decode::<Grown>(r#"{"v":1,"body":"abc"}"#).unwrap(), expected);
    assert_eq!(decode::<Grown>(r#"{"v":2,"body":{"name":"abc"}}"#).unwrap(), expected);
    assert_eq!(decode::<Grown>(&encode(&expected).unwrap()).unwrap(), expected);
}
