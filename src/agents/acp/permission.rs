//! What is answered where an agent asks whether it may. In the cage it may whatever it can, once.

use serde_json::{Value, json};

/// Options in the order they are preferred. The kind says what an option means; its place and its id say nothing.
const KINDS: [&str; 4] = ["allow_once", "allow_always", "reject_once", "reject_always"];

/// The outcome for a request of permission.
pub(super) fn outcome(params: &Value, cancelled: bool) -> Value {
    let options = params.get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of_kind = |kind: &str| {
        let option = options.iter().find(|option| option.get("kind").and_then(Value::as_str) == Some(kind));
        option.and_then(|option| option.get("optionId")).cloned()
    };
    match KINDS.into_iter().find_map(of_kind) {
        Some(id) if !cancelled => json!({ "outcome": { "outcome": "selected", "optionId": id } }),
        Some(_) | None => json!({ "outcome": { "outcome": "cancelled" } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(options: &[(&str, &str)]) -> Value {
        let options: Vec<Value> =
            options.iter().map(|(id, kind)| json!({ "optionId": id, "name": id, "kind": kind })).collect();
        json!({ "sessionId": "s", "options": options })
    }

    #[test]
    fn a_permission_is_chosen_by_its_kind_and_never_by_place_or_id() {
        let asked = asked(&[
            ("allow_once", "reject_always"),
            ("b", "allow_always"),
            ("c", "allow_once"),
            ("d", "allow_once"),
        ]);
        assert_eq!(outcome(&asked, false)["outcome"]["optionId"], "c");
    }

    #[test]
    fn after_a_cancel_every_question_is_answered_with_it() {
        let asked = asked(&[("a", "allow_once")]);
        assert_eq!(outcome(&asked, true)["outcome"]["outcome"], "cancelled");
        assert_eq!(outcome(&json!({}), false)["outcome"]["outcome"], "cancelled");
    }
}
