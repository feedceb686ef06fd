//! Where a repository is fetched from and pushed to, and with what right.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

/// A repository on a server, with the token that opens it.
///
/// The token is kept apart from the address, so that the address can be logged and put into arguments.
#[derive(Clone)]
pub struct Remote {
    url: String,
    origin: String,
    token: Option<SecretString>,
}

/// An address that git must not be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the git address {found:?} {problem}; give a plain https:// or http:// address")]
pub struct MalformedRemote {
    found: String,
    problem: &'static str,
}

impl Remote {
    /// A repository by its address, `https://` or `http://`, without user, query or fragment.
    pub fn new(url: &str, token: Option<SecretString>) -> Result<Self, MalformedRemote> {
        let malformed =
            |found: &str, problem| Err(MalformedRemote { found: found.chars().take(200).collect(), problem });
        let Some((scheme @ ("https" | "http"), rest)) = url.split_once("://") else {
            return malformed("", "is neither https:// nor http://");
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            // What was found is not repeated: it holds a secret.
            return malformed("", "carries a user or a token");
        }
        if authority.is_empty() {
            return malformed(url, "names no host");
        }
        if url.contains(|c: char| c.is_whitespace() || c.is_control() || "?#\\\"'".contains(c)) {
            return malformed(url, "holds a space, a quote, a query or a fragment");
        }
        Ok(Self { url: url.to_owned(), origin: format!("{scheme}://{authority}/"), token })
    }

    /// The address, free of secrets.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The configuration that lets git show the token to this server and to no other: key and value.
    pub(super) fn authorization(&self) -> Option<(String, String)> {
        let basic = STANDARD.encode(format!("x-access-token:{}", self.token.as_ref()?.expose_secret()));
        Some((format!("http.{}.extraHeader", self.origin), format!("Authorization: Basic {basic}")))
    }

    /// Every form in which the token could show up in what git prints.
    pub(super) fn secrets(&self) -> Vec<String> {
        let Some(token) = &self.token else { return Vec::new() };
        let token = token.expose_secret();
        vec![token.to_owned(), STANDARD.encode(format!("x-access-token:{token}"))]
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = if self.token.is_some() { "[redacted]" } else { "none" };
        write!(out, "Remote({}, token: {token})", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_remotes() {
        assert!(Remote::new("http://127.0.0.1:4000/o/r.git", None).is_ok());
        let token = SecretString::from("ghs_secret");
        let remote = Remote::new("https://github.com/o/r.git", Some(token)).unwrap();
        let (key, value) = remote.authorization().unwrap();
        assert_eq!(key, "http.https://github.com/.extraHeader");
        assert_eq!(value, "Authorization: Basic eC1hY2Nlc3MtdG9rZW46Z2hzX3NlY3JldA==");
        assert!(!format!("{remote:?}").contains("ghs_secret"));
        for bad in [
            "",
            "/etc",
            "file:///etc",
            "ssh://h/r",
            "ext::sh -c id",
            "--upload-pack=x",
            "https://",
            "https:///r",
            "https://h/a b",
            "https://h/a\nb",
            "https://h/?a",
            "git@github.com:o/r",
        ] {
            assert!(Remote::new(bad, None).is_err(), "{bad}");
        }
        let error = Remote::new("https://x:ghs_secret@h/r", None).unwrap_err().to_string();
        assert!(!error.contains("ghs_secret"), "{error}");
    }
}
