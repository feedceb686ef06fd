//! The way of a request, from the outside in: a span without secrets, a few retries where nothing can happen twice,
//! redirects of renamed repositories, conditional requests ([`Cached`]), credentials ([`super::tokens`]), the budget
//! ([`super::limits`]), and the wire ([`super::wire`]).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use tracing::Instrument as _;

use super::address::ApiAddress;
use super::answer;
use super::cache::Cached;
use super::call::{Caller, name_of};
use super::error::{GitHubError, Outcome};
use super::names::{RepositoryNames, id_in_route};
use crate::ports::{Clock, Entropy};
use crate::redact::Redactor;

/// How often one call is sent at most, when nothing can have happened.
const ATTEMPTS_MAX: u32 = 3;
/// The pause before the first repetition; it doubles.
const FIRST_PAUSE_MS: u64 = 250;
/// How many redirects in a row are followed: a rename and a transfer, and one to spare.
const REDIRECTS_MAX: u32 = 3;

/// Sends requests to GitHub.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) cached: Cached,
    /// What is written passes it.
    pub(crate) outgoing: Redactor,
    pub(crate) address: ApiAddress,
    pub(crate) names: Arc<RepositoryNames>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Exchange {
    /// Sends a request whose URI is a route (`/repos/…`) or absolute on GitHub's API. The answer has a status of 2xx.
    pub(crate) async fn send(
        &self,
        caller: Caller,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, GitHubError> {
        let span = tracing::debug_span!(
            "github.request",
            method = %request.method(),
            path = request.uri().path(),
            ?caller,
            status = tracing::field::Empty,
        );
        async {
            let name = name_of(&request);
            let response = self.resolved(caller, request).await?;
            tracing::Span::current().record("status", response.status().as_u16());
            tracing::debug!("GitHub answered");
            if response.status().is_success() {
                return Ok(response);
            }
            Err(answer::refusal(name, &response))
        }
        .instrument(span)
        .await
    }

    async fn resolved(
        &self,
        caller: Caller,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, GitHubError> {
        let uri = self.address.resolve(request.uri()).ok_or_else(|| GitHubError::Malformed {
            request: name_of(&request),
            detail: "it leads away from GITHUB_API_URL, where our credentials do not go".to_owned(),
            outcome: Outcome::NotApplied,
        })?;
        *request.uri_mut() = uri;
        self.retried(caller, request).await
    }

    async fn retried(&self, caller: Caller, request: Request<Bytes>) -> Result<Response<Bytes>, GitHubError> {
        let mut attempt = 1;
        loop {
            match self.redirected(caller, request.clone()).await {
                Err(GitHubError::Unavailable { outcome: Outcome::NotApplied, .. })
                    if attempt < ATTEMPTS_MAX =>
                {
                    self.clock.sleep(self.pause(attempt)).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Between half and one and a half of 250 ms, 500 ms, …: many callers that failed together do not come back together.
    fn pause(&self, attempt: u32) -> Duration {
        let middle = FIRST_PAUSE_MS << attempt.saturating_sub(1).min(4);
        Duration::from_millis(middle / 2 + self.entropy.bits() % middle)
    }

    async fn redirected(
        &self,
        caller: Caller,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, GitHubError> {
        for _ in 0..REDIRECTS_MAX {
            let response = self.cached.send(caller, request.clone()).await?;
            let followed = match response.status().as_u16() {
                // "The request should be repeated verbatim" (docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api).
                301 | 307 | 308 => true,
                302 => request.method() == Method::GET,
                _ => false,
            };
            if !followed {
                return Ok(response);
            }
            let target = self.target(&request, &response)?;
            let meant = self.names.forget_route(self.address.route(request.uri()));
            let found = id_in_route(self.address.route(&target));
            if meant.is_some() && found.is_some() && meant != found {
                // An issue that was transferred is answered with its place in the other repository. A run has no
                // business there.
                return Err(GitHubError::NotFound { request: name_of(&request) });
            }
            *request.uri_mut() = target;
        }
        Err(GitHubError::Malformed {
            request: name_of(&request),
            detail: format!("more than {REDIRECTS_MAX} redirects in a row"),
            outcome: Outcome::NotApplied,
        })
    }

    fn target(&self, request: &Request<Bytes>, response: &Response<Bytes>) -> Result<Uri, GitHubError> {
        let refused = |detail: &str| GitHubError::Malformed {
            request: name_of(request),
            detail: detail.to_owned(),
            outcome: Outcome::NotApplied,
        };
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| Uri::try_from(value.as_bytes()).ok())
            .ok_or_else(|| refused("a redirect without a usable Location"))?;
        if location.authority().is_some() {
            return if self.address.owns(&location) {
                Ok(location)
            } else {
                Err(refused("a redirect away from GITHUB_API_URL, where our credentials do not go"))
            };
        }
        // A path alone is meant from the root of the host, prefix included (RFC 9110, section 10.2.2).
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query =
            location.path_and_query().map(PathAndQuery::as_str).and_then(|path| path.parse().ok());
        Uri::from_parts(parts).map_err(|_| refused("a redirect without a usable Location"))
    }
}
