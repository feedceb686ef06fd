//! Secrets out of text, for logs and for whatever a person may read.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";

/// GitHub's tokens by their prefixes, signed JSON web tokens, private keys, and passwords in URLs. Installation tokens
/// have carried a JSON web token since April 2026, with dots and dashes, and are about 520 characters long.
const SECRETS: &str = concat!(
    r"gh[pousr]_[A-Za-z0-9._\-]{36,}",
    r"|github_pat_[A-Za-z0-9_]{22,}",
    r"|eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}",
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
    r"|x-access-token:[^@\s]+",
);

static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(SECRETS).ok());

/// The text with every secret of GitHub's kind replaced. Nothing at all is shown should the pattern not compile.
pub fn redact(text: &str) -> Cow<'_, str> {
    match &*PATTERN {
        Some(pattern) => pattern.replace_all(text, REDACTED),
        None => Cow::Borrowed(REDACTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_both_forms_are_hidden() {
        let short = format!("ghs_{}", "a1".repeat(18));
        let long = format!("ghs_12345_eyJ{}.{}.{}-_x", "a".repeat(60), "b".repeat(300), "c".repeat(100));
        for token in
            [short, long, format!("ghp_{}", "x".repeat(36)), format!("github_pat_{}", "y".repeat(30))]
        {
            assert_eq!(redact(&format!("token {token}, end")), "token [redacted], end");
        }
    }

    #[test]
    fn keys_proofs_and_urls_are_hidden() {
        let text = "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b";
        assert_eq!(redact(text), "a [redacted] b");
        assert_eq!(redact("-----BEGIN PRIVATE KEY-----\ncut"), REDACTED);
        assert_eq!(redact("eyJhbGciOiJI.eyJpc3MiOiIx.c2lnbmF0dXJl"), REDACTED);
        assert_eq!(redact("https://x-access-token:abc@host/o/r.git"), "https://[redacted]@host/o/r.git");
    }

    #[test]
    fn plain_words_stay() {
        let text = "ghs_short eyJust a.b.c and a sha 0123456789012345678901234567890123456789";
        assert_eq!(redact(text), text);
    }
}
