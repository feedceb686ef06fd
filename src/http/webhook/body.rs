//! From raw bytes to the text of one JSON object, or a refusal that says which rule was broken.

use std::borrow::Cow;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::refusal::Refusal;

/// The largest body that GitHub sends: 25 MB (GitHub Docs, "Webhook events and payloads").
pub(super) const BODY_BYTES_MAX: usize = 25 * 1024 * 1024;

/// How deep objects and arrays may nest. GitHub's payloads stay below ten.
const DEPTH_MAX: usize = 100;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`, the JSON in the field `payload`.
    Form,
}

impl Media {
    /// Reads the header `Content-Type`; parameters such as the character set do not matter.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            Ok(Self::Json)
        } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Ok(Self::Form)
        } else {
            Err(Refusal::MediaType)
        }
    }
}

/// Reads a body whole. One that announces more than it may is refused before its first byte.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
        return Err(Refusal::TooLarge);
    }
    axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
        let too_large = std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
        if too_large { Refusal::TooLarge } else { Refusal::CutShort }
    })
}

/// The JSON object in a body, as text.
pub(super) fn object_text(media: Media, raw: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let text = match media {
        Media::Json => Cow::Borrowed(std::str::from_utf8(raw).map_err(|_| Refusal::NotUtf8)?),
        Media::Form => Cow::Owned(String::from_utf8(form_payload(raw)?).map_err(|_| Refusal::NotUtf8)?),
    };
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return Err(Refusal::NotAnObject);
    }
    if is_too_deep(text.as_bytes()) { Err(Refusal::TooDeep) } else { Ok(text) }
}

/// The value of the form field `payload` with its escapes undone (WHATWG URL Standard, section 5.1).
fn form_payload(raw: &[u8]) -> Result<Vec<u8>, Refusal> {
    let value = raw.split(|byte| *byte == b'&').find_map(|field| field.strip_prefix(b"payload="));
    let mut rest = value.ok_or(Refusal::NoPayloadField)?;
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let mut escaped = [0];
                let digits = rest.get(..2).ok_or(Refusal::FormEscape)?;
                hex::decode_to_slice(digits, &mut escaped).map_err(|_| Refusal::FormEscape)?;
                decoded.extend(escaped);
                rest = rest.get(2..).unwrap_or_default();
            }
            plain => decoded.push(*plain),
        }
    }
    Ok(decoded)
}

/// Whether brackets nest deeper than [`DEPTH_MAX`]. The parser skips what nobody uses without a limit of its own.
fn is_too_deep(text: &[u8]) -> bool {
    // A body with few brackets cannot be deep, and counting is cheap: `{` and `[` differ in one bit, and sums that fit
    // a byte let the compiler count sixteen bytes at a time. It spares most deliveries the second look.
    let in_chunk =
        |chunk: &[u8]| chunk.iter().fold(0_u8, |sum, byte| sum.wrapping_add(u8::from(byte | 0x20 == b'{')));
    let openings: usize = text.chunks(usize::from(u8::MAX)).map(|chunk| usize::from(in_chunk(chunk))).sum();
    if openings <= DEPTH_MAX {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (true | false, _) => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn media(value: &str) -> Result<Media, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, value.parse().unwrap());
        Media::of(&headers)
    }

    #[test]
    fn both_of_githubs_content_types_are_read() {
        assert_eq!(media("application/json"), Ok(Media::Json));
        assert_eq!(media("Application/JSON; charset=utf-8"), Ok(Media::Json));
        assert_eq!(media("application/x-www-form-urlencoded"), Ok(Media::Form));
        for wrong in ["", "text/plain", "application/jsonp", "application/xml", "multipart/form-data"] {
            assert_eq!(media(wrong), Err(Refusal::MediaType), "{wrong}");
        }
        assert_eq!(Media::of(&HeaderMap::new()), Err(Refusal::MediaType));
    }

    #[test]
    fn a_form_gives_the_json_of_its_payload() {
        let form = b"a=1&payload=%7B%22title%22%3A%22a+%2B+b%2C+%C3%A9%22%7D&payload=no";
        assert_eq!(object_text(Media::Form, form), Ok(Cow::Borrowed("{\"title\":\"a + b, é\"}")));
        assert_eq!(object_text(Media::Form, b"a=1"), Err(Refusal::NoPayloadField));
        assert_eq!(object_text(Media::Form, b""), Err(Refusal::NoPayloadField));
        assert_eq!(object_text(Media::Form, b"payload=%7"), Err(Refusal::FormEscape));
        assert_eq!(object_text(Media::Form, b"payload=%+7"), Err(Refusal::FormEscape));
        assert_eq!(object_text(Media::Form, b"payload=%FF"), Err(Refusal::NotUtf8));
        assert_eq!(object_text(Media::Form, b"payload="), Err(Refusal::NotAnObject));
    }

    #[test]
    fn only_an_object_of_sane_depth_is_read() {
        for (body, refusal) in [
            (&b""[..], Refusal::NotAnObject),
            (b"  ", Refusal::NotAnObject),
            (b"null", Refusal::NotAnObject),
            (b"5", Refusal::NotAnObject),
            (b"\"text\"", Refusal::NotAnObject),
            (b"[{}]", Refusal::NotAnObject),
            (b"{\"a\":\"\xff\"}", Refusal::NotUtf8),
        ] {
            assert_eq!(object_text(Media::Json, body), Err(refusal), "{body:?}");
        }
        let nested = |depth: usize| "{\"a\":".repeat(depth - 1) + "{}" + &"}".repeat(depth - 1);
        assert!(object_text(Media::Json, nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(object_text(Media::Json, nested(DEPTH_MAX + 1).as_bytes()), Err(Refusal::TooDeep));
        assert_eq!(object_text(Media::Json, nested(1_000_000).as_bytes()), Err(Refusal::TooDeep));
    }

    #[test]
    fn brackets_in_strings_are_not_depth() {
        let text = format!("{{\"a\":\"\\\"{}\"}}", "[{".repeat(DEPTH_MAX));
        assert!(object_text(Media::Json, text.as_bytes()).is_ok());
        let wide = format!("{{\"a\":[{}0]}}", "[],".repeat(DEPTH_MAX));
        assert!(object_text(Media::Json, wide.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = object_text(Media::Json, &raw);
            let _ = object_text(Media::Form, &raw);
            let _ = object_text(Media::Form, &[b"payload=", raw.as_slice()].concat());
        }
    }
}
