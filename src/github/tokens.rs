//! Installation tokens: minted once for whoever needs them at the same time, kept until shortly before they end.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Request, Response, Uri};
use pairbot_protocol::ids::{InstallationId, RepositoryId, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::address::ApiAddress;
use super::answer;
use super::call::{Caller, name_of};
use super::credentials::AppCredentials;
use super::error::{GitHubError, Outcome};
use super::limits::Metered;
use crate::ports::Clock;

/// A token lasts an hour; a request that takes its time must not outlive it.
const RENEWED_BEFORE_MS: u64 = 5 * 60_000;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TokenScope {
    pub(crate) installation: InstallationId,
    /// None: everything the installation may do, for our own calls.
    pub(crate) git: Option<(RepositoryId, GitAccess)>,
}

/// What git may do with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GitAccess {
    /// Fetch.
    Fetch,
    /// Fetch and push.
    Push,
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

#[derive(Clone)]
struct Token {
    secret: SecretString,
    ends: Timestamp,
}

/// Adds the caller's credentials to each request, and mints tokens.
pub(crate) struct Authenticated {
    metered: Metered,
    address: ApiAddress,
    credentials: AppCredentials,
    clock: Arc<dyn Clock>,
    slots: std::sync::Mutex<BTreeMap<TokenScope, Slot>>,
}

impl std::fmt::Debug for Authenticated {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Authenticated").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl Authenticated {
    pub(crate) fn new(
        metered: Metered,
        address: ApiAddress,
        credentials: AppCredentials,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { metered, address, credentials, clock, slots: std::sync::Mutex::default() }
    }

    /// Whether a caller has requests to spare; else when to ask again.
    pub(crate) fn spare(&self, caller: Caller) -> Result<(), Timestamp> {
        self.metered.spare(caller)
    }

    /// Sends a request as `caller`. A token that GitHub no longer takes is replaced once; a request answered 401 was
    /// not applied, so even a write may be sent again.
    pub(crate) async fn send(
        &self,
        caller: Caller,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, GitHubError> {
        let Caller::Installation(installation) = caller else {
            return self.send_as_app(request).await;
        };
        let scope = TokenScope { installation, git: None };
        let token = self.token(scope).await?;
        let response = self.metered.send(caller, authorized(request.clone(), &token)?).await?;
        if response.status() != http::StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        tracing::info!(%installation, "GitHub no longer takes the installation's token; minting another");
        self.reject(scope, &token).await;
        let token = self.token(scope).await?;
        self.metered.send(caller, authorized(request, &token)?).await
    }

    /// The token for a scope, from memory or from GitHub. Whoever asks while it is being minted waits for that one.
    pub(crate) async fn token(&self, scope: TokenScope) -> Result<SecretString, GitHubError> {
        let slot = self.slot(scope);
        let mut current = slot.lock().await;
        if let Some(token) = &*current
            && token.ends.ms_since(self.clock.now()) > RENEWED_BEFORE_MS
        {
            return Ok(token.secret.clone());
        }
        *current = None;
        let token = self.mint(scope).await?;
        let secret = token.secret.clone();
        *current = Some(token);
        Ok(secret)
    }

    /// Forgets a token that was refused, unless another has taken its place already.
    pub(crate) async fn reject(&self, scope: TokenScope, refused: &SecretString) {
        let slot = self.slot(scope);
        let mut current = slot.lock().await;
        if current.as_ref().is_some_and(|token| token.secret.expose_secret() == refused.expose_secret()) {
            *current = None;
        }
    }

    fn slot(&self, scope: TokenScope) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if !slots.contains_key(&scope) {
            // One per repository that git ever touched would grow for ever: what is over and in nobody's hands goes.
            let now = self.clock.now();
            slots.retain(|_, slot| {
                Arc::strong_count(slot) > 1
                    || slot.try_lock().is_ok_and(|token| token.as_ref().is_some_and(|token| token.ends > now))
            });
        }
        Arc::clone(slots.entry(scope).or_default())
    }

    async fn mint(&self, scope: TokenScope) -> Result<Token, GitHubError> {
        #[derive(Deserialize)]
        struct Minted {
            token: String,
            expires_at: DateTime<Utc>,
        }
        let body = match scope.git {
            None => Bytes::new(),
            Some((repository, access)) => {
                let contents = match access {
                    GitAccess::Fetch => "read",
                    GitAccess::Push => "write",
                };
                let body =
                    json!({ "repository_ids": [repository.0], "permissions": { "contents": contents } });
                Bytes::from(body.to_string())
            }
        };
        let path = format!("/app/installations/{}/access_tokens", scope.installation);
        let request = path
            .parse::<Uri>()
            .ok()
            .and_then(|route| self.address.resolve(&route))
            .and_then(|uri| Request::builder().method(Method::POST).uri(uri).body(body).ok());
        let malformed = |detail: String| GitHubError::Malformed {
            request: format!("POST {path}"),
            detail,
            // A token that nobody uses harms nobody.
            outcome: Outcome::NotApplied,
        };
        let request = request.ok_or_else(|| malformed("the address is not a URL".to_owned()))?;
        let name = name_of(&request);
        let response = self.send_as_app(request).await?;
        if !response.status().is_success() {
            return Err(answer::refusal(name, &response));
        }
        let minted: Minted = serde_json::from_slice(response.body())
            // serde's words can quote the value, which is the token.
            .map_err(|error| malformed(format!("line {}, column {}", error.line(), error.column())))?;
        let ends = u64::try_from(minted.expires_at.timestamp_millis()).unwrap_or(0);
        Ok(Token { secret: minted.token.into(), ends: Timestamp::from_unix_ms(ends) })
    }

    async fn send_as_app(&self, request: Request<Bytes>) -> Result<Response<Bytes>, GitHubError> {
        let proof = self.credentials.proof().map_err(|error| GitHubError::Unauthorized {
            request: name_of(&request),
            message: error.to_string(),
        })?;
        self.metered.send(Caller::App, authorized(request, &proof)?).await
    }
}

fn authorized(mut request: Request<Bytes>, token: &SecretString) -> Result<Request<Bytes>, GitHubError> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
    let mut value = value.map_err(|_| GitHubError::Unauthorized {
        request: name_of(&request),
        message: "the token holds characters that no header may hold".to_owned(),
    })?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(request)
}
