//! The worst case of a request, before it is sent.

/// Tokens that a provider adds for tool use and framing, beyond what is in the request. Anthropic documents 264 to
/// 804 tokens of its own tool prompt depending on the model ("Tool use with Claude", pricing); this is above all.
const PROVIDER_TOKENS: u64 = 1_500;

/// The most tokens that a request body can be counted as.
///
/// No tokenizer is public for every model, so this counts per class of bytes, each class at a rate that ordinary
/// byte-pair tokenizers stay below: a byte outside ASCII, a digit and a punctuation mark are one token each, letters
/// are half a token, a run of white space is one. Source code counts at about twice its real size that way. As a floor
/// the whole body counts at three bytes a token, which a body of long runs would otherwise undercut.
///
/// The body is counted as it goes over the wire, so keys, quotes and escapes are counted too.
pub(super) fn input_tokens_max(body: &[u8]) -> u64 {
    input_tokens_max_without(body, [])
}

/// The same without some texts that stand in the body and are counted otherwise, as images are.
pub(super) fn input_tokens_max_without<'a>(body: &[u8], texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let (mut halves, mut bytes) = (halves(body), body.len() as u64);
    for text in texts {
        // In the body a text may be longer, by its escapes, and never shorter.
        halves = halves.saturating_sub(self::halves(text.as_bytes()));
        bytes = bytes.saturating_sub(text.len() as u64);
    }
    halves.div_ceil(2).max(bytes.div_ceil(3)).saturating_add(PROVIDER_TOKENS)
}

/// The most tokens that a text can have been written with.
pub(super) fn output_tokens_max(halves: u64, bytes: u64) -> u64 {
    halves.div_ceil(2).max(bytes.div_ceil(3))
}

/// Half tokens, by classes of bytes.
pub(super) fn halves(text: &[u8]) -> u64 {
    let mut halves: u64 = 0;
    let mut in_space = false;
    for byte in text {
        let space = byte.is_ascii_whitespace();
        halves += match byte {
            _ if space && in_space => 0,
            b'a'..=b'z' | b'A'..=b'Z' => 1,
            _ => 2,
        };
        in_space = space;
    }
    halves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_bytes_counts_at_least_a_third_of_its_length() {
        for text in ["a".repeat(9000), " ".repeat(9000), "7".repeat(9000), "ü".repeat(9000), "{}".repeat(500)]
        {
            assert!(input_tokens_max(text.as_bytes()) * 3 >= text.len() as u64, "{text:.10}");
        }
    }

    #[test]
    fn what_is_counted_otherwise_is_left_out() {
        let image = "iVBORw0KGgo".repeat(1_000);
        let body = format!("{{\"text\":\"look\",\"data\":\"{image}\"}}");
        let rest = body.replace(&image, "");
        let without = input_tokens_max_without(body.as_bytes(), [image.as_str()]);
        assert_eq!(without, input_tokens_max(rest.as_bytes()));
    }

    #[test]
    fn text_outside_ascii_counts_a_token_a_byte() {
        assert_eq!(input_tokens_max("漢字".as_bytes()), 6 + PROVIDER_TOKENS);
    }
}
