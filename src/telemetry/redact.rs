//! Blotting secrets out of text that leaves the process by a log.

use std::borrow::Cow;

use regex::bytes::Regex;
use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret was.
const BLOT: &str = "[redacted]";

/// A secret shorter than this would blot out ordinary words.
const SECRET_BYTES_MIN: usize = 6;

/// Forms of secrets, known by their beginning.
const FORMS: [&str; 7] = [
    // GitHub's tokens. Installation tokens hold a signed JSON web token since April 2026, with dots and dashes.
    r"gh[pousr]_[A-Za-z0-9._-]{20,}",
    r"github_pat_[A-Za-z0-9_]{20,}",
    // Providers of models.
    r"sk-[A-Za-z0-9_-]{16,}",
    // A signed JSON web token, such as the App's own.
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    r"(?i:bearer|basic|token) +[A-Za-z0-9._~+/=-]{12,}",
    // A user name and password inside an address.
    r"://[^/\s:@]*:[^/\s@]+@",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
];

/// Knows which secrets must not be seen.
#[derive(Clone)]
pub struct Redactor {
    /// None only if the forms above were not a valid expression, which a test rules out.
    pattern: Option<Regex>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Redactor(…)")
    }
}

impl Redactor {
    /// Blots out whatever has the form of a token or key, and these secrets in particular.
    pub fn new(secrets: &[SecretString]) -> Self {
        let known = secrets.iter().map(ExposeSecret::expose_secret);
        // A secret of several lines is seen line by line, and with its line ends escaped.
        let lines = known.flat_map(str::lines).map(str::trim).filter(|line| line.len() >= SECRET_BYTES_MIN);
        let forms = FORMS.into_iter().map(str::to_owned);
        let all: Vec<String> = forms.chain(lines.map(regex::escape)).collect();
        Self { pattern: Regex::new(&all.join("|")).ok() }
    }

    /// The text without its secrets.
    pub fn redact<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        match &self.pattern {
            Some(pattern) => pattern.replace_all(text, BLOT.as_bytes()),
            // Without a pattern nothing is known to be harmless.
            None => Cow::Borrowed(b"[redacted]\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str, secrets: &[&str]) -> String {
        let secrets: Vec<SecretString> =
            secrets.iter().map(|secret| SecretString::from((*secret).to_owned())).collect();
        String::from_utf8(Redactor::new(&secrets).redact(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn every_form_of_secret_is_blotted_out() {
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMiJ9.c2lnbmF0-XJlc2ln_mF0dXJl";
        for secret in [
            &format!("ghs_12_{jwt}"),
            "ghp_0123456789abcdefghijABCDEFGHIJ012345",
            "github_pat_11ABCDEFG0123456789_abcdefghij",
            "sk-ant-api03-0123456789abcdef",
            jwt,
            "Bearer 0123456789abcdef",
            "-----BEGIN RSA PRIVATE KEY-----\\nMIIE\\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nMIIE and cut",
        ] {
            assert_eq!(redacted(&format!("a {secret}"), &[]), "a [redacted]", "{secret}");
        }
        assert_eq!(
            redacted("https://x-access-token:abc@github.com/o/r", &[]),
            "https[redacted]github.com/o/r"
        );
    }

    #[test]
    fn the_secrets_of_the_settings_are_blotted_out() {
        assert_eq!(redacted("it is s3cret+! here", &["s3cret+!"]), "it is [redacted] here");
        assert_eq!(
            redacted("key line-one-of-it\\nline-two-of-it", &["line-one-of-it\nline-two-of-it"]),
            "key [redacted]\\n[redacted]"
        );
    }

    #[test]
    fn ordinary_text_stays() {
        let text = "run 1-2-3 of https://github.com/o/r:8080 token expired, task sk-1, abc";
        assert_eq!(redacted(text, &["abc", ""]), text);
    }
}
