//! Blotting secrets out of text that leaves the process: in a log, or posted to GitHub.
//!
//! Two kinds are known: what has the form of a token or key, and this server's own secrets, which are also seen in part,
//! turned round, in hexadecimal digits and in Base64. Whoever made an agent print a secret will have tried to dodge a
//! search for the whole of it.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::bytes::{Regex, RegexBuilder};
use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret was.
const BLOT: &str = "[redacted]";

/// A secret shorter than this would blot out ordinary words.
const SECRET_BYTES_MIN: usize = 6;
/// So many bytes of a secret in a row are no accident.
const PIECE_BYTES: usize = 16;

/// Forms of secrets, known by their beginning.
const FORMS: [&str; 12] = [
    // GitHub's tokens. Installation tokens hold a signed JSON web token since April 2026, with dots and dashes.
    r"gh[pousr]_[A-Za-z0-9._-]{20,}[A-Za-z0-9_-]",
    r"github_pat_[A-Za-z0-9_]{20,}",
    // Providers of models.
    r"sk-[A-Za-z0-9_-]{16,}",
    r"AIza[A-Za-z0-9_-]{35}",
    // Clouds, registries, chats: the forms that their owners publish for scanners.
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",
    r"npm_[A-Za-z0-9]{36}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    // A signed JSON web token, such as the App's own.
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    // A user name and password inside an address.
    r"://[^/\s:@]*:[^/\s@]+@",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
    // A longer key of hexadecimal digits is known by the word before it.
    r"(?i:api[_-]?key|secret|password) ?[=:] ?[0-9a-f]{32,}",
];
/// What blots out more than secrets: fit for a log, whose readers lose nothing by it, not for prose.
const HEADERS: &str = r"(?i:bearer|basic|token) +[A-Za-z0-9._~+/=-]{12,}";

/// Knows which secrets must not be seen.
#[derive(Clone)]
pub struct Redactor {
    /// None only if the forms above were not a valid expression, which a test rules out.
    pattern: Option<Regex>,
    /// Hashes of all pieces of all disguises, in order: a key file has some twenty thousand, and a server is small.
    pieces: Arc<[u64]>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Redactor(…)")
    }
}

impl Redactor {
    /// For a log: blots out whatever has the form of a token or key, what follows a word that announces one, and these
    /// secrets in particular.
    pub fn for_logs(secrets: &[SecretString]) -> Self {
        Self::knowing(secrets, &[HEADERS])
    }

    /// For what is posted: blots out whatever has the form of a token or key, and these secrets in particular.
    pub fn for_posts(secrets: &[SecretString]) -> Self {
        Self::knowing(secrets, &[])
    }

    fn knowing(secrets: &[SecretString], further: &[&str]) -> Self {
        let known = secrets.iter().map(ExposeSecret::expose_secret);
        // A secret of several lines is seen line by line, and with its line ends escaped.
        let lines = known.flat_map(str::lines).map(str::trim).filter(|line| line.len() >= SECRET_BYTES_MIN);
        let lines: Vec<&str> = lines.collect();
        let forms = FORMS.iter().chain(further).map(|form| (*form).to_owned());
        // What is long enough to have pieces is found by those.
        let short = lines.iter().filter(|line| line.len() < PIECE_BYTES).map(|line| regex::escape(line));
        let all: Vec<String> = forms.chain(short).collect();
        let pattern = RegexBuilder::new(&all.join("|")).unicode(false).build().ok();
        let disguised = lines.iter().filter(|line| !is_announcement(line)).flat_map(|line| disguises(line));
        let mut pieces: Vec<u64> =
            disguised.flat_map(|text| text.windows(PIECE_BYTES).map(hashed).collect::<Vec<_>>()).collect();
        pieces.sort_unstable();
        pieces.dedup();
        Self { pattern, pieces: pieces.into() }
    }

    /// The text without its secrets.
    pub fn redact<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        // Without a pattern nothing is known to be harmless.
        let Some(pattern) = &self.pattern else { return Cow::Borrowed(b"[redacted]\n") };
        match self.without_pieces(text) {
            None => pattern.replace_all(text, BLOT.as_bytes()),
            Some(rest) => Cow::Owned(pattern.replace_all(&rest, BLOT.as_bytes()).into_owned()),
        }
    }

    /// The same for a text of characters.
    pub fn redact_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.redact(text.as_bytes()) {
            Cow::Borrowed(_) if self.pattern.is_some() => Cow::Borrowed(text),
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Every text in a document, keys left alone.
    pub fn redact_json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => {
                if let Cow::Owned(redacted) = self.redact_text(text) {
                    *text = redacted;
                }
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item)),
            serde_json::Value::Object(fields) => {
                fields.values_mut().for_each(|field| self.redact_json(field));
            }
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
        }
    }

    /// By its hash: one text in some 10^14 is taken for a piece that is none.
    fn is_piece(&self, bytes: &[u8]) -> bool {
        self.pieces.binary_search(&hashed(bytes)).is_ok()
    }

    /// The text without the pieces of known secrets; nothing if there are none in it.
    fn without_pieces(&self, text: &[u8]) -> Option<Vec<u8>> {
        if self.pieces.is_empty() {
            return None;
        }
        let mut rest: Option<Vec<u8>> = None;
        let mut kept_to = 0;
        let mut at = 0;
        while let Some(piece) = text.get(at..at + PIECE_BYTES) {
            if !self.is_piece(piece) {
                at += 1;
                continue;
            }
            let rest = rest.get_or_insert_default();
            rest.extend_from_slice(text.get(kept_to..at).unwrap_or_default());
            rest.extend_from_slice(BLOT.as_bytes());
            // As far as pieces follow one another without a gap.
            let mut end = at + PIECE_BYTES;
            while text.get(end + 1 - PIECE_BYTES..=end).is_some_and(|next| self.is_piece(next)) {
                end += 1;
            }
            (kept_to, at) = (end, end);
        }
        let mut rest = rest?;
        rest.extend_from_slice(text.get(kept_to..).unwrap_or_default());
        Some(rest)
    }
}

fn hashed(piece: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(piece);
    hasher.finish()
}

/// The first and last line of a key file, which are the same in all of them.
fn is_announcement(line: &str) -> bool {
    line.starts_with("-----")
}

/// What a text can look like that somebody wants past a search for it.
fn disguises(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut all = vec![bytes.to_vec(), bytes.iter().rev().copied().collect()];
    all.extend([hex::encode(bytes).into_bytes(), hex::encode_upper(bytes).into_bytes()]);
    // In Base64 a byte looks different in each of three places; the first and last signs depend on its neighbours.
    for skipped in 0..3 {
        let rest = bytes.get(skipped..).unwrap_or_default();
        for encoded in [STANDARD_NO_PAD.encode(rest), URL_SAFE_NO_PAD.encode(rest)] {
            let sure = rest.len() / 3 * 4;
            all.push(encoded.into_bytes().into_iter().take(sure).collect());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str, secrets: &[&str]) -> String {
        let secrets: Vec<SecretString> =
            secrets.iter().map(|secret| SecretString::from((*secret).to_owned())).collect();
        String::from_utf8(Redactor::for_logs(&secrets).redact(text.as_bytes()).into_owned()).unwrap()
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

    const KEY: &str = "sk-ant-api03-Zm9vYmFyYmF6cXV4-0123456789";

    fn posted(text: &str) -> String {
        Redactor::for_posts(&[SecretString::from(KEY.to_owned())]).redact_text(text).into_owned()
    }

    #[test]
    fn a_secret_is_known_in_part_turned_round_and_encoded() {
        let reversed: String = KEY.chars().rev().collect();
        let mut disguised =
            vec![KEY.get(9..).unwrap().to_owned(), KEY.get(8..30).unwrap().to_owned(), reversed];
        disguised.extend([hex::encode(KEY), hex::encode_upper(KEY)]);
        for before in ["", "k", "ke"] {
            let text = format!("{before}{KEY} and more");
            disguised.extend([STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)]);
        }
        for text in disguised {
            let left = posted(&format!("see {text} there"));
            assert!(left.starts_with("see ") && left.contains("[redacted]"), "{text}: {left}");
            assert!(left.len() < 50, "{text}: {left}");
        }
    }

    #[test]
    fn prose_about_secrets_is_posted_as_it_is() {
        let text = "Basic authentication needs a token authenticated by `sk-` keys; see https://a.b/c:d, password: x";
        assert_eq!(posted(text), text);
        assert_eq!(posted("Bearer ghp_0123456789abcdefghijABCDEFGHIJ012345"), "Bearer [redacted]");
        assert_eq!(posted("AKIAABCDEFGHIJKLMNOP"), "[redacted]");
    }

    #[test]
    fn every_text_of_a_document_is_searched() {
        let mut document = serde_json::json!({ "a": [{ "b": format!("x {KEY}") }], "n": 1, "t": null });
        Redactor::for_posts(&[]).redact_json(&mut document);
        assert_eq!(document, serde_json::json!({ "a": [{ "b": "x [redacted]" }], "n": 1, "t": null }));
    }

    #[test]
    fn pieces_are_cut_out_where_they_are_and_nothing_else() {
        let key = "zyxwvutsrqponmlkjihgfedcba9876543210";
        let redactor = Redactor::for_posts(&[SecretString::from(key.to_owned())]);
        let piece = key.get(3..25).unwrap();
        let text = format!("{piece} a {} b{piece}", key.get(..15).unwrap());
        assert_eq!(
            redactor.redact_text(&text),
            format!("[redacted] a {} b[redacted]", key.get(..15).unwrap())
        );
    }
}
