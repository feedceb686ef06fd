//! How bytes get to GitHub and back. Everything above works on whole requests and responses, so a simulation can put a
//! router of its own here.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use tower::{Service, ServiceExt};

/// How many bytes of an answer are read unless the caller sets another [`BodyLimit`]. A full page of GitHub's largest
/// lists stays far below.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A request's extension: how many bytes of its answer are read at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimit {
    /// The bytes.
    pub bytes_max: usize,
}

impl BodyLimit {
    /// The limit that a request carries, or the general one.
    pub fn of<B>(request: &Request<B>) -> usize {
        request.extensions().get::<Self>().map_or(BODY_BYTES_MAX, |limit| limit.bytes_max)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The request never left: no name, no connection, no TLS.
    #[error("no connection: {0}")]
    NotSent(String),
    /// It was sent, wholly or in part, and the answer did not arrive.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer is larger than the request's [`BodyLimit`].
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
}

/// A way to exchange one request for one response, of any status. It follows no redirects and retries nothing.
#[async_trait]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends a request with an absolute URI; reads the whole answer within the request's [`BodyLimit`].
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError>;
}

/// HTTP/1.1 and HTTP/2 over the network.
///
/// Its client is made at the first request: to read the machine's certificates takes longer than all else that a server
/// does before it listens.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    /// Whether the server is this machine itself, which no proxy could reach.
    direct: bool,
    client: Arc<OnceLock<reqwest::Client>>,
}

impl HttpTransport {
    /// A transport with an own pool of connections to the server of `api_url`, over https or plain http. The proxy
    /// variables of the environment are honoured, but not for this machine itself: no proxy could reach it.
    pub fn new(api_url: &str) -> Self {
        Self { direct: is_this_machine(api_url), client: Arc::default() }
    }

    fn client(&self) -> Result<&reqwest::Client, TransportError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let builder = reqwest::Client::builder();
        let builder = if self.direct { builder.no_proxy() } else { builder };
        let client = builder
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            // A loopback or Enterprise server may close idle connections early; a write on a dead one has an unknown
            // outcome, so they are given up before the usual 60 s of servers.
            .pool_idle_timeout(Duration::from_secs(45))
            .build()
            .map_err(|error| TransportError::NotSent(chain(&error)))?;
        // Of two first requests at a time the later one takes the client of the earlier.
        Ok(self.client.get_or_init(|| client))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let bytes_max = BodyLimit::of(&request);
        let request =
            reqwest::Request::try_from(request).map_err(|error| TransportError::NotSent(chain(&error)))?;
        let mut answer = self.client()?.execute(request).await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                TransportError::NotSent(chain(&error))
            } else {
                TransportError::Broken(chain(&error))
            }
        })?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| TransportError::Broken(chain(&error)))? {
            if body.len().saturating_add(chunk.len()) > bytes_max {
                return Err(TransportError::TooLarge { bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        *response.body_mut() = body.freeze();
        Ok(response)
    }
}

fn is_this_machine(url: &str) -> bool {
    url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

/// An error and its causes on one line, without the URL (paths are named elsewhere, queries may be long).
fn chain(error: &reqwest::Error) -> String {
    let mut words = match error.url() {
        Some(url) => error.to_string().replace(url.as_str(), url.host_str().unwrap_or("GitHub")),
        None => error.to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        words.push_str(": ");
        words.push_str(&inner.to_string());
        cause = inner.source();
    }
    words
}

/// A tower service, such as an `axum::Router`, called inside this process.
#[derive(Clone)]
pub struct ServiceTransport<S> {
    service: S,
}

impl<S> ServiceTransport<S> {
    /// A transport that calls `service`; each call gets a clone of its own.
    pub const fn new(service: S) -> Self {
        Self { service }
    }
}

impl<S> fmt::Debug for ServiceTransport<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ServiceTransport")
    }
}

#[async_trait]
impl<S> Transport for ServiceTransport<S>
where
    S: Service<Request<axum::body::Body>, Response = Response<axum::body::Body>>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    S::Error: fmt::Display + Send,
{
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let bytes_max = BodyLimit::of(&request);
        let answer = self
            .service
            .clone()
            .oneshot(request.map(axum::body::Body::from))
            .await
            .map_err(|error| TransportError::Broken(error.to_string()))?;
        let (parts, body) = answer.into_parts();
        let body = http_body_util::BodyExt::collect(http_body_util::Limited::new(body, bytes_max))
            .await
            .map_err(|error| {
                if error.downcast_ref::<http_body_util::LengthLimitError>().is_some() {
                    TransportError::TooLarge { bytes_max }
                } else {
                    TransportError::Broken(error.to_string())
                }
            })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_name_and_by_address() {
        for own in ["http://127.0.0.1:3/api/v3", "http://localhost:3", "http://[::1]:3", "http://127.8.0.1"] {
            assert!(is_this_machine(own), "{own}");
        }
        for other in ["https://api.github.com", "http://10.0.0.1", "http://localhost.example", "nonsense url"]
        {
            assert!(!is_this_machine(other), "{other}");
        }
    }
}
