//! The two headers that name a delivery. They end up in keys and logs, so their form is bounded here.

use std::fmt;

use http::HeaderMap;

use super::refusal::Refusal;

/// The name of an event, such as `issues`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventName<'a>(&'a str);

impl<'a> EventName<'a> {
    /// Reads the header `X-GitHub-Event`.
    pub(super) fn of(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let name = headers.get("x-github-event").and_then(|value| value.to_str().ok());
        name.filter(|name| is_word(name, 50)).map(Self).ok_or(Refusal::EventName)
    }

    /// The name as GitHub writes it.
    pub(super) fn as_str(self) -> &'a str {
        self.0
    }

    /// The name with an action, as GitHub's documentation writes it: `issues.labeled`.
    pub(super) fn with_action(self, action: Option<&str>) -> String {
        match action.filter(|action| is_word(action, 50)) {
            Some(action) => format!("{}.{action}", self.0),
            None => self.0.to_owned(),
        }
    }
}

impl fmt::Display for EventName<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

fn is_word(text: &str, length_max: usize) -> bool {
    (1..=length_max).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'))
}

/// Reads the header `X-GitHub-Delivery`. GitHub sends a UUID; a redelivery carries the same one. A colon is not
/// allowed, so that no delivery can take the place of a signal that the server raises itself.
pub(super) fn delivery_id(headers: &HeaderMap) -> Result<&str, Refusal> {
    headers
        .get("x-github-delivery")
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=64).contains(&id.len()))
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        .ok_or(Refusal::DeliveryId)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, http::HeaderValue::from_bytes(value).unwrap());
        headers
    }

    #[test]
    fn names_of_another_form_are_refused() {
        assert!(EventName::of(&headers("x-github-event", b"pull_request_review")).is_ok());
        for wrong in [&b""[..], b"Issues", b"issues.labeled", b"a b", b"\xff", &[b'a'; 51]] {
            assert_eq!(EventName::of(&headers("x-github-event", wrong)), Err(Refusal::EventName));
        }
        assert_eq!(EventName::of(&HeaderMap::new()), Err(Refusal::EventName));
    }

    #[test]
    fn ids_of_another_form_are_refused() {
        assert!(delivery_id(&headers("x-github-delivery", b"72d3162e-cc78-11e3-81ab-4c9367dc0958")).is_ok());
        for wrong in [&b""[..], b"task:1:2", b"a b", b"\xff", &[b'a'; 65]] {
            assert_eq!(delivery_id(&headers("x-github-delivery", wrong)), Err(Refusal::DeliveryId));
        }
        assert_eq!(delivery_id(&HeaderMap::new()), Err(Refusal::DeliveryId));
    }

    #[test]
    fn an_action_is_named_only_if_it_is_a_word() {
        let headers = headers("x-github-event", b"issues");
        let event = EventName::of(&headers).unwrap();
        assert_eq!(event.with_action(Some("labeled")), "issues.labeled");
        assert_eq!(event.with_action(Some("<b>")), "issues");
        assert_eq!(event.with_action(None), "issues");
    }
}
