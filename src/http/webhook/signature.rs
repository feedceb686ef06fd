//! Is this delivery from GitHub? The signature covers the bytes as they came, so it is checked before anything
//! reads them.
//!
//! Source: GitHub Docs, "Validating webhook deliveries".

use std::fmt;

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// The secret that GitHub and this server share, ready to check signatures with.
#[derive(Clone)]
pub struct WebhookSecret {
    keyed: Hmac<Sha256>,
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("WebhookSecret(…)")
    }
}

/// Why a delivery is not believed. No variant holds what was expected or what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is not there: no secret is set at the sender.
    #[error("the header X-Hub-Signature-256 is missing; set a webhook secret in the App's settings")]
    Missing,
    /// The header is not `sha256=` and 64 hex digits.
    #[error("the header X-Hub-Signature-256 is not `sha256=` followed by 64 hex digits")]
    Malformed,
    /// The signature belongs to other bytes or another secret.
    #[error("the signature does not fit the body; is WEBHOOK_SECRET the secret in the App's settings?")]
    Wrong,
}

impl WebhookSecret {
    /// Takes the secret as set in the App's settings.
    pub fn new(secret: &SecretString) -> Self {
        let secret = secret.expose_secret().as_bytes();
        // HMAC takes a key of any length, so this error does not occur; a keyed state nobody can sign for is the
        // safe thing to hold if it ever did.
        let keyed = Hmac::new_from_slice(secret).unwrap_or_else(|_| Hmac::new(&[0; 64].into()));
        Self { keyed }
    }

    /// Checks the value of [`SIGNATURE_HEADER`] against the raw body, in time that does not depend on how much of
    /// it is right.
    pub fn verify(&self, header: Option<&[u8]>, body: &[u8]) -> Result<(), SignatureError> {
        let header = header.ok_or(SignatureError::Missing)?;
        let digits = header.strip_prefix(b"sha256=").ok_or(SignatureError::Malformed)?;
        let mut signature = [0; 32];
        hex::decode_to_slice(digits, &mut signature).map_err(|_| SignatureError::Malformed)?;
        let mut mac = self.keyed.clone();
        mac.update(body);
        mac.verify_slice(&signature).map_err(|_| SignatureError::Wrong)
    }

    /// The header value that signs a body: what GitHub computes.
    pub fn sign(&self, body: &[u8]) -> String {
        let mut mac = self.keyed.clone();
        mac.update(body);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret::new(&SecretString::from(text.to_owned()))
    }

    /// The test vector of GitHub's documentation.
    #[test]
    fn githubs_own_example_is_accepted() {
        let header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let secret = secret("It's a Secret to Everybody");
        assert_eq!(secret.verify(Some(header.as_bytes()), b"Hello, World!"), Ok(()));
        assert_eq!(secret.sign(b"Hello, World!"), header);
    }

    #[test]
    fn another_body_or_secret_is_refused() {
        let signed = secret("a").sign(b"body");
        assert_eq!(secret("a").verify(Some(signed.as_bytes()), b"Body"), Err(SignatureError::Wrong));
        assert_eq!(secret("b").verify(Some(signed.as_bytes()), b"body"), Err(SignatureError::Wrong));
    }

    #[test]
    fn a_header_of_another_form_is_refused() {
        let secret = secret("a");
        assert_eq!(secret.verify(None, b""), Err(SignatureError::Missing));
        let right = secret.sign(b"");
        let sha1 = right.replace("sha256", "sha1");
        let odd = right.trim_end_matches(|_: char| true).to_owned() + "sha256=abc";
        let long = right.clone() + "00";
        let not_hex = right.replace(|c: char| c.is_ascii_digit(), "g");
        for wrong in ["", "sha256=", &sha1, &odd, &long, &not_hex, "\u{fffd}"] {
            assert_eq!(secret.verify(Some(wrong.as_bytes()), b""), Err(SignatureError::Malformed), "{wrong}");
        }
    }

    #[test]
    fn the_secret_does_not_show() {
        assert!(!format!("{:?}", secret("swordfish")).contains("swordfish"));
    }
}
