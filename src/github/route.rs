//! Text inside paths and queries.

use std::fmt::Write as _;

/// Percent-encodes everything but letters, digits, `-`, `.`, `_`, `~` (RFC 3986, section 2.3), slashes included.
pub(crate) fn segment(text: &str) -> String {
    encode(text, false)
}

/// The same for a path of several segments: its slashes stay.
pub(crate) fn path(text: &str) -> String {
    encode(text, true)
}

fn encode(text: &str, keep_slashes: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || (keep_slashes && byte == b'/')
        {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place_in_a_route() {
        assert_eq!(segment("a/b?c#d e"), "a%2Fb%3Fc%23d%20e");
        assert_eq!(path("pairbot/issue-7"), "pairbot/issue-7");
        assert_eq!(path("ä&b"), "%C3%A4%26b");
    }
}
