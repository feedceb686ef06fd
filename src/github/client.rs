//! Typed calls: octocrab's client, put on top of our own layers instead of its own.
//!
//! The answers are read into small types that ask only for what is used. octocrab's models require more, and an answer
//! to a write that cannot be read is a write of which nobody knows whether it happened.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, LINK};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use octocrab::{AuthState, FromResponse, OctoBody, Octocrab, OctocrabBuilder};
use pairbot_protocol::ids::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Licence;
use super::call::Caller;
use super::error::{GitHubError, Outcome, request_name};
use super::exchange::Exchange;
use super::transport::BodyLimit;

/// How many pages of a list are read at most. A list of 10,000 entries is not one that a run needs whole.
const PAGES_MAX: usize = 100;

/// Calls as one caller.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    exchange: Arc<Exchange>,
    clients: Arc<Clients>,
    caller: Caller,
}

/// One octocrab for each caller. It is made inside a call, because making it needs a running executor.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    made: Mutex<BTreeMap<Caller, Octocrab>>,
}

impl Client {
    pub(crate) const fn new(exchange: Arc<Exchange>, clients: Arc<Clients>, caller: Caller) -> Self {
        Self { exchange, clients, caller }
    }

    /// Reads one thing.
    pub(crate) async fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, GitHubError> {
        self.call(Method::GET, route, None::<&()>, Outcome::NotApplied).await
    }

    /// Reads all pages of a list. `key` names the list inside an object; none if the answer is the list.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        route: &str,
        key: Option<&str>,
    ) -> Result<Vec<T>, GitHubError> {
        self.list_while(route, key, |_| true).await
    }

    /// Reads pages of a list for as long as the last entry of each is wanted.
    pub(crate) async fn list_while<T: DeserializeOwned>(
        &self,
        route: &str,
        key: Option<&str>,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, GitHubError> {
        let path = route.split_once('?').map_or(route, |(path, _)| path);
        let mut route = route.to_owned();
        let mut items = Vec::new();
        for _ in 0..PAGES_MAX {
            let response = self.raw(&route, "application/vnd.github+json", None).await?;
            let next = response.headers().get(LINK).and_then(|links| links.to_str().ok()).and_then(next_page);
            items.extend(entries::<T>(response.body(), key).map_err(|detail| GitHubError::Malformed {
                request: request_name(&Method::GET, path),
                detail,
                outcome: Outcome::NotApplied,
            })?);
            let goes_on = items.last().is_some_and(&wanted);
            match next.filter(|_| goes_on) {
                // Only the query is taken from the link: its host and path may be those of GitHub behind a proxy, or
                // of a repository's id, and our credentials go where the first page was.
                Some(query) => route = format!("{path}?{query}"),
                None => return Ok(items),
            }
        }
        Err(GitHubError::Refused {
            request: request_name(&Method::GET, path),
            status: 200,
            message: format!("the list has more than {PAGES_MAX} pages"),
        })
    }

    /// Reads bytes as they are.
    pub(crate) async fn raw(
        &self,
        route: &str,
        accept: &'static str,
        limit: Option<BodyLimit>,
    ) -> Result<Response<Bytes>, GitHubError> {
        let malformed = || malformed_route(&Method::GET, route);
        let mut request = Request::builder().uri(route).body(Bytes::new()).map_err(|_| malformed())?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(limit) = limit {
            request.extensions_mut().insert(limit);
        }
        self.exchange.send(self.caller, request).await
    }

    /// Changes something, for a task that may. No secret gets out by it, whatever an agent or a program was made to say.
    pub(crate) async fn write<T: DeserializeOwned>(
        &self,
        licence: &impl Licence,
        method: Method,
        route: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, GitHubError> {
        confirmed(licence, &method, route).await?;
        let mut body = serde_json::to_value(body).map_err(|_| malformed_route(&method, route))?;
        self.exchange.outgoing.redact_json(&mut body);
        self.call(method, route, Some(&body), Outcome::Unknown).await
    }

    /// Changes by GraphQL, for a task that may, what REST cannot.
    pub(crate) async fn mutate<T: DeserializeOwned>(
        &self,
        licence: &impl Licence,
        document: &str,
        variables: serde_json::Value,
    ) -> Result<T, GitHubError> {
        confirmed(licence, &Method::POST, "/graphql").await?;
        self.graphql(document, variables).await
    }

    /// Asks GitHub to send something once more, which needs no task: nothing that anybody sees changes, and what is sent
    /// again is taken once.
    pub(crate) async fn ask_again(&self, route: &str) -> Result<(), GitHubError> {
        let answer: Result<serde::de::IgnoredAny, _> =
            self.call(Method::POST, route, None::<&()>, Outcome::NotApplied).await;
        answer.map(|_| ())
    }

    /// Whether the caller has requests to spare; else when to ask again.
    pub(crate) fn spare(&self) -> Result<(), Timestamp> {
        self.exchange.cached.authenticated().spare(self.caller)
    }

    /// Asks GraphQL; whether it is a write is decided by the document.
    pub(crate) async fn graphql<T: DeserializeOwned>(
        &self,
        document: &str,
        variables: serde_json::Value,
    ) -> Result<T, GitHubError> {
        let uri =
            self.exchange.address.graphql().ok_or_else(|| malformed_route(&Method::POST, "/graphql"))?;
        let body = serde_json::json!({ "query": document, "variables": variables });
        let writes = document.trim_start().starts_with("mutation");
        let outcome = if writes { Outcome::Unknown } else { Outcome::NotApplied };
        let answer: super::graphql::Answer<T> =
            self.call(Method::POST, &uri.to_string(), Some(&body), outcome).await?;
        answer.into_result(outcome, self.exchange.clock.now())
    }

    /// Sends one request; `outcome` is what is to be thought of it if its answer cannot be read.
    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        route: &str,
        body: Option<&(impl Serialize + Sync)>,
        outcome: Outcome,
    ) -> Result<T, GitHubError> {
        let uri = route.parse::<Uri>().map_err(|_| malformed_route(&method, route))?;
        let name = request_name(&method, uri.path());
        let crab = self.clients.of(self.caller, &self.exchange, &name)?;
        let refine = |error| refined(error, name.clone(), outcome);
        let request = crab
            .build_request(http::request::Builder::new().method(method).uri(uri), body)
            .map_err(refine)?;
        let response = crab.execute(request).await.map_err(refine)?;
        T::from_response(response).await.map_err(refine)
    }
}

impl Clients {
    fn of(&self, caller: Caller, exchange: &Arc<Exchange>, request: &str) -> Result<Octocrab, GitHubError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(crab) = made.get(&caller) {
            return Ok(crab.clone());
        }
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(GitHubError::Unavailable {
                request: request.to_owned(),
                detail: "called outside an executor".to_owned(),
                outcome: Outcome::NotApplied,
            });
        }
        let service = Layers { exchange: Arc::clone(exchange), caller };
        let Ok(crab) = OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build();
        made.insert(caller, crab.clone());
        Ok(crab)
    }
}

/// Our layers as octocrab's transport.
struct Layers {
    exchange: Arc<Exchange>,
    caller: Caller,
}

impl tower::Service<Request<OctoBody>> for Layers {
    type Response = Response<Full<Bytes>>;
    type Error = GitHubError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, GitHubError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), GitHubError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OctoBody>) -> Self::Future {
        let (exchange, caller) = (Arc::clone(&self.exchange), self.caller);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            // octocrab says "0" for every request without a body; the transport knows better.
            parts.headers.remove(CONTENT_LENGTH);
            let name = request_name(&parts.method, parts.uri.path());
            let body =
                body.collect().await.map_err(|error| refined(error, name, Outcome::NotApplied))?.to_bytes();
            exchange
                .send(caller, Request::from_parts(parts, body))
                .await
                .map(|response| response.map(Full::new))
        })
    }
}

/// Our own error where it passed through octocrab, and otherwise what octocrab could not do.
#[expect(clippy::wildcard_enum_match_arm, reason = "octocrab's list of errors is long, open, and not ours")]
fn refined(error: octocrab::Error, request: String, outcome: Outcome) -> GitHubError {
    match error {
        octocrab::Error::Service { source, .. } => match source.downcast::<GitHubError>() {
            Ok(error) => *error,
            Err(other) => GitHubError::Unavailable { request, detail: other.to_string(), outcome },
        },
        octocrab::Error::Json { source, .. } => GitHubError::Malformed {
            request,
            detail: format!("at `{}`: {}", source.path(), source.inner()),
            outcome,
        },
        other => GitHubError::Malformed { request, detail: other.to_string(), outcome },
    }
}

async fn confirmed(licence: &impl Licence, method: &Method, route: &str) -> Result<(), GitHubError> {
    tracing::debug!(task = %licence.task(), %method, route, "writing to GitHub");
    let unlicensed = |why| GitHubError::Unlicensed { request: request_name(method, route), why };
    licence.confirm().await.map_err(unlicensed)
}

fn malformed_route(method: &Method, route: &str) -> GitHubError {
    GitHubError::Malformed {
        request: request_name(method, route),
        detail: "it is not a path that can be asked for".to_owned(),
        outcome: Outcome::NotApplied,
    }
}

fn entries<T: DeserializeOwned>(body: &[u8], key: Option<&str>) -> Result<Vec<T>, String> {
    let Some(key) = key else {
        return serde_json::from_slice(body).map_err(|error| error.to_string());
    };
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let list = object.remove(key).ok_or_else(|| format!("`{key}` is missing"))?;
    serde_json::from_value(list).map_err(|error| format!("in `{key}`: {error}"))
}

/// The query of the link whose relation is "next" (RFC 8288). A URL may hold commas, so the header is cut at `<`.
fn next_page(links: &str) -> Option<String> {
    links.split('<').skip(1).find_map(|link| {
        let (url, parameters) = link.split_once('>')?;
        let is_next = parameters
            .split([';', ','])
            .any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
        let uri = url.parse::<Uri>().ok().filter(|_| is_next)?;
        uri.query().map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let links = r#"<https://h/a?page=1&q=x,y>; rel="prev", <https://h/a?q=x,y&page=3>; rel="next", <https://h/a?page=9>; rel="last""#;
        assert_eq!(next_page(links).as_deref(), Some("q=x,y&page=3"));
        assert_eq!(next_page(r#"<https://h/a?page=9>; rel="last""#), None);
        assert_eq!(next_page("garbage"), None);
    }

    #[test]
    fn a_list_is_read_with_and_without_its_object() {
        assert_eq!(entries::<u8>(b"[1,2]", None), Ok(vec![1, 2]));
        assert_eq!(entries::<u8>(br#"{"total_count":1,"check_runs":[3]}"#, Some("check_runs")), Ok(vec![3]));
        assert!(entries::<u8>(b"{}", Some("check_runs")).is_err());
        assert!(entries::<u8>(b"null", None).is_err());
    }
}
