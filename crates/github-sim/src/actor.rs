//! Who asks: nobody, an app, an installation of an app, or a person.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::ids::Kind;
use crate::reply::Reply;
use crate::role::{Access, Permissions};
use crate::state::State;

/// GitHub ends an installation token after one hour.
pub(crate) const TOKEN_LIFE_MS: u64 = 3_600_000;
/// GitHub accepts an app's own token for at most ten minutes.
const JWT_LIFE_S_MAX: u64 = 600;
/// What GitHub's clock may differ from the client's.
const JWT_SKEW_S: u64 = 5;

/// A token that was given out.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) actor: Actor,
    /// `None` for a person's token, which does not expire.
    pub(crate) expires_ms: Option<u64>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actor {
    Anonymous,
    App(u64),
    Installation(InstallationActor),
    Person(u64),
}

/// An installation with what its token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstallationActor {
    pub(crate) installation: u64,
    pub(crate) app: u64,
    pub(crate) bot: u64,
    pub(crate) permissions: Permissions,
    pub(crate) repositories: Option<BTreeSet<u64>>,
}

impl Actor {
    /// The account that what it does is attributed to.
    pub(crate) fn account(&self) -> Option<u64> {
        match self {
            Self::Anonymous | Self::App(_) => None,
            Self::Installation(actor) => Some(actor.bot),
            Self::Person(account) => Some(*account),
        }
    }

    /// The app behind it, if there is one.
    pub(crate) fn app(&self) -> Option<u64> {
        match self {
            Self::Anonymous | Self::Person(_) => None,
            Self::App(app) => Some(*app),
            Self::Installation(actor) => Some(actor.app),
        }
    }
}

/// The credential of an `Authorization` header: a token, or the password of basic authentication.
fn credential(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("authorization")?.to_str().ok()?.trim();
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(rest.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        return text.split_once(':').map(|(_, password)| password.to_owned());
    }
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token"))
        .then(|| rest.trim().to_owned())
}

fn claims_of(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn issuer(claims: &Value) -> Option<String> {
    claims.get("iss").and_then(|issuer| match issuer {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

impl State {
    /// Finds out who sent a request; a credential that does not hold is 401.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Actor, Reply> {
        if !headers.contains_key("authorization") {
            return Ok(Actor::Anonymous);
        }
        let token = credential(headers).ok_or_else(Reply::bad_credentials)?;
        self.actor_of_token(&token)
    }

    /// Who a token stands for, if it still holds.
    pub(crate) fn actor_of_token(&self, token: &str) -> Result<Actor, Reply> {
        if let Some(known) = self.tokens.get(token) {
            let alive = known.expires_ms.is_none_or(|expires| self.now_ms() < expires);
            return if alive { self.still_installed(&known.actor) } else { Err(Reply::bad_credentials()) };
        }
        if token.split('.').count() == 3 && token.starts_with("ey") {
            return self.app_of_jwt(token).map(Actor::App);
        }
        Err(Reply::bad_credentials())
    }

    fn still_installed(&self, actor: &Actor) -> Result<Actor, Reply> {
        match actor {
            Actor::Installation(found) => match self.installations.get(&found.installation) {
                Some(installation) if installation.suspended => {
                    Err(Reply::refuse(403, "This installation has been suspended"))
                }
                Some(_) => Ok(actor.clone()),
                None => Err(Reply::bad_credentials()),
            },
            Actor::Anonymous | Actor::App(_) | Actor::Person(_) => Ok(actor.clone()),
        }
    }

    /// Checks an app's own token by the rules GitHub documents: RS256, `iss` the app's id or client id, `exp` at
    /// most ten minutes ahead.
    /// <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>
    fn app_of_jwt(&self, token: &str) -> Result<u64, Reply> {
        let undecodable = || Reply::refuse(401, "A JSON web token could not be decoded");
        let claims = claims_of(token).ok_or_else(undecodable)?;
        let issuer = issuer(&claims)
            .ok_or_else(|| Reply::refuse(401, "'Issuer' claim ('iss') must be an Integer or a client ID"))?;
        let app = self
            .apps
            .values()
            .find(|app| app.id.to_string() == issuer || app.client_id == issuer)
            .ok_or_else(|| Reply::refuse(404, "Integration not found"))?;
        let key = DecodingKey::from_rsa_pem(app.public_key_pem.as_bytes()).map_err(|_| undecodable())?;
        let mut validation = Validation::new(Algorithm::RS256);
        // The times below are checked by the simulator's clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(|_| undecodable())?;
        let now_s = self.now_ms() / 1000;
        let expires = claims.get("exp").and_then(Value::as_u64).ok_or_else(|| {
            Reply::refuse(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future time",
            )
        })?;
        let issued = claims.get("iat").and_then(Value::as_u64).filter(|issued| *issued <= now_s + JWT_SKEW_S);
        if issued.is_none() {
            return Err(Reply::refuse(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ));
        }
        if expires <= now_s {
            return Err(Reply::refuse(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future time",
            ));
        }
        if expires > now_s + JWT_LIFE_S_MAX + JWT_SKEW_S {
            return Err(Reply::refuse(401, "'Expiration time' claim ('exp') is too far in the future"));
        }
        Ok(app.id)
    }

    /// Gives out an installation token; `permissions` and `repositories` may only narrow.
    pub(crate) fn mint_installation_token(&mut self, actor: InstallationActor) -> (String, u64) {
        let expires_ms = self.now_ms() + TOKEN_LIFE_MS;
        let number = self.next_id(Kind::Token);
        let token = installation_token(actor.app, actor.installation, number, expires_ms / 1000);
        self.tokens
            .insert(token.clone(), Token { actor: Actor::Installation(actor), expires_ms: Some(expires_ms) });
        (token, expires_ms)
    }

    /// What a fresh token of an installation allows.
    pub(crate) fn installation_actor(&self, installation: u64) -> Option<InstallationActor> {
        let installation = self.installations.get(&installation)?;
        let app = self.apps.get(&installation.app)?;
        Some(InstallationActor {
            installation: installation.id,
            app: app.id,
            bot: app.bot,
            permissions: installation.permissions.clone(),
            repositories: installation.repositories.clone(),
        })
    }
}

/// A token of the form that GitHub uses since 2026: `ghs_APPID_` and something like a JWT, about 520 characters.
fn installation_token(app: u64, installation: u64, number: u64, expires_s: u64) -> String {
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "RS256", "typ": "JWT"}).to_string());
    let payload =
        json!({"app": app, "installation": installation, "jti": number, "exp": expires_s}).to_string();
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let mut signature = Vec::new();
    let mut block = Sha256::digest(format!("installation token {app} {installation} {number} {expires_s}"));
    for _ in 0..9 {
        signature.extend_from_slice(&block);
        block = Sha256::digest(block);
    }
    format!("ghs_{app}_{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Narrows permissions to those asked for; `Err` names one that the installation does not have.
pub(crate) fn narrowed(
    granted: &Permissions,
    asked: &BTreeMap<String, Value>,
) -> Result<Permissions, String> {
    let mut narrowed = Permissions::new();
    for (name, level) in asked {
        let level = level.as_str().and_then(Access::parse).ok_or_else(|| name.clone())?;
        if granted.get(name).is_none_or(|granted| *granted < level) {
            return Err(name.clone());
        }
        narrowed.insert(name.clone(), level);
    }
    Ok(narrowed)
}
