//! The App's key, and the short-lived proofs made with it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use pairbot_protocol::ids::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::ports::Clock;

/// How far in the past a proof claims to be made: GitHub's clock may run behind ours
/// (docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app).
const ISSUED_BEFORE_S: u64 = 60;
/// How long a proof lasts; GitHub refuses more than ten minutes.
const LASTS_S: u64 = 9 * 60;
/// A proof is used again until this long before its end.
const RENEWED_BEFORE_MS: u64 = 2 * 60_000;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It is not PEM text, nor Base64 of such.
    #[error(
        "the private key is not PEM text ({found}); give the file that GitHub offered when the key was made, starting \
         with `-----BEGIN RSA PRIVATE KEY-----`, with real line breaks, with `\\n` in their place, or in Base64"
    )]
    NotPem {
        /// What it looks like instead, without showing any of it.
        found: &'static str,
    },
    /// It is PEM text, but no RSA key that can sign.
    #[error(
        "the private key is PEM text but not a usable RSA key ({reason}); make a new one in the App's settings"
    )]
    NotRsa {
        /// Why.
        reason: String,
    },
    /// The App's id is missing.
    #[error("the App's id is empty; give APP_ID, the number (or client id) on the App's settings page")]
    NoIssuer,
}

/// The App as GitHub's counterpart: who it is and its key.
pub struct AppCredentials {
    issuer: String,
    key: EncodingKey,
    clock: Arc<dyn Clock>,
    last: Mutex<Option<Proof>>,
}

#[derive(Clone)]
struct Proof {
    token: SecretString,
    ends: Timestamp,
}

impl fmt::Debug for AppCredentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AppCredentials").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: u64,
    exp: u64,
    iss: &'a str,
}

impl AppCredentials {
    /// Takes the App's id (or client id) and its key, and proves at once that the key signs.
    pub fn new(
        issuer: &str,
        private_key: &SecretString,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CredentialsError> {
        let issuer = issuer.trim().to_owned();
        if issuer.is_empty() {
            return Err(CredentialsError::NoIssuer);
        }
        let pem = pem_text(private_key.expose_secret())?;
        let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes())
            .map_err(|error| CredentialsError::NotRsa { reason: error.to_string() })?;
        let credentials = Self { issuer, key, clock, last: Mutex::default() };
        credentials.proof()?;
        Ok(credentials)
    }

    /// A JSON web token that says who we are, for at most nine minutes. One is used until it is nearly over.
    pub fn proof(&self) -> Result<SecretString, CredentialsError> {
        let now = self.clock.now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(proof) = &*last
            && proof.ends.ms_since(now) > RENEWED_BEFORE_MS
            // A clock that was set back makes a proof from the future, which GitHub refuses.
            && proof.ends.ms_since(now) <= LASTS_S * 1000
        {
            return Ok(proof.token.clone());
        }
        let now_s = now.unix_ms / 1000;
        let claims = Claims {
            iat: now_s.saturating_sub(ISSUED_BEFORE_S),
            exp: now_s.saturating_add(LASTS_S),
            iss: &self.issuer,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map_err(|error| CredentialsError::NotRsa { reason: error.to_string() })?;
        let proof = Proof { token: token.into(), ends: Timestamp::from_unix_ms(claims.exp * 1000) };
        *last = Some(proof.clone());
        Ok(proof.token)
    }
}

/// PEM text as the parser wants it, whatever an environment variable made of it.
fn pem_text(given: &str) -> Result<SecretString, CredentialsError> {
    let text = given.trim().trim_matches(['"', '\'']).replace("\\r", "").replace("\\n", "\n");
    if text.is_empty() {
        return Err(CredentialsError::NotPem { found: "it is empty" });
    }
    if text.starts_with("-----BEGIN") {
        return pem_with_lines(&text);
    }
    let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = STANDARD
        .decode(packed)
        .map_err(|_| CredentialsError::NotPem { found: "neither a PEM header nor Base64" })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CredentialsError::NotPem { found: "Base64 of something that is not text" })?;
    if text.trim_start().starts_with("-----BEGIN") {
        pem_with_lines(text.trim())
    } else {
        Err(CredentialsError::NotPem { found: "Base64 of text without a PEM header" })
    }
}

fn pem_with_lines(text: &str) -> Result<SecretString, CredentialsError> {
    if text.lines().count() < 3 {
        return Err(CredentialsError::NotPem { found: "a PEM header, but all on one line" });
    }
    if text.contains("PUBLIC KEY-----") {
        return Err(CredentialsError::NotPem { found: "a public key" });
    }
    Ok(text.to_owned().into())
}
