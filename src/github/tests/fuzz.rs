//! Names by which we find again what we wrote, out of what anybody can paste.

use proptest::prelude::*;

use crate::github::{ExternalId, Marker};

fn any_external_id() -> impl Strategy<Value = String> {
    (any::<u64>(), any::<u64>(), any::<u32>(), "[a-z0-9-]{1,30}", "[0-9a-f]{40}").prop_map(
        |(repository, issue, ordinal, gate, head)| format!("{repository}-{issue}-{ordinal}:{gate}:{head}"),
    )
}

proptest! {
    #[test]
    fn an_external_id_is_read_as_it_was_written(text in any_external_id()) {
        prop_assert_eq!(text.parse::<ExternalId>().unwrap().to_string(), text);
    }

    #[test]
    fn any_text_is_an_external_id_or_none(text in "([0-9]{1,25}|[-:+ a-f]|\\PC){0,90}") {
        if let Ok(id) = text.parse::<ExternalId>() {
            prop_assert_eq!(id.to_string().parse::<ExternalId>(), Ok(id));
        }
    }

    #[test]
    fn a_damaged_external_id_is_refused_or_another(text in any_external_id(), at in any::<prop::sample::Index>(), put in "\\PC?") {
        let mut chars: Vec<String> = text.chars().map(String::from).collect();
        let at = at.index(chars.len());
        chars[at] = put;
        let damaged: String = chars.concat();
        if let Ok(id) = damaged.parse::<ExternalId>() {
            prop_assert_eq!(id.to_string().parse::<ExternalId>(), Ok(id));
        }
    }

    #[test]
    fn a_marker_is_found_in_what_it_signed_and_in_nothing_else(
        name in "\\PC{0,30}|[a-z0-9.:/-]{1,210}", other in "[a-z0-9.:/]{1,30}", text in "(\\PC|\\n|<!-- pairbot:|-->){0,60}",
    ) {
        let Ok(marker) = Marker::new(&name) else { return Ok(()) };
        let signed = marker.sign(&text);
        prop_assert!(marker.signs(&signed));
        prop_assert!(signed.len() <= text.len() + marker.bytes());
        prop_assert_eq!(signed.matches("-->").count(), text.trim_end().matches("-->").count() + 1, "a name ends no comment");
        if let Ok(other) = Marker::new(&other) {
            prop_assert_eq!(other.signs(&signed), other == marker);
        }
    }
}
