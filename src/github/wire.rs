//! The lowest layer: headers that every request carries, a time limit, and errors by what they mean.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};

use super::answer;
use super::call::{Nature, name_of};
use super::error::{GitHubError, Outcome};
use super::transport::{Transport, TransportError};
use crate::ports::Clock;

/// How long one request may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// GitHub answers 403 to a request without one.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("pairbot/", env!("CARGO_PKG_VERSION")));

/// Newer versions drop fields of pull requests.
const API_VERSION: HeaderValue = HeaderValue::from_static("2022-11-28");

/// Sends one request once.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Wire {
    /// The answer, if its status is below 500.
    pub(crate) async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, GitHubError> {
        let name = name_of(&request);
        let unanswered = Nature::of(&request).outcome_if_unanswered();
        dress(&mut request);
        let exchange = std::pin::pin!(self.transport.exchange(request));
        let response = match select(exchange, self.clock.sleep(REQUEST_TIMEOUT)).await {
            Either::Left((Ok(response), _)) => response,
            Either::Left((Err(error), _)) => return Err(failed(name, &error, unanswered)),
            Either::Right(_) => {
                let detail = format!("no answer within {} s", REQUEST_TIMEOUT.as_secs());
                return Err(GitHubError::Unavailable { request: name, detail, outcome: unanswered });
            }
        };
        let status = response.status();
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Err(answer::unavailable(name, &response, unanswered));
        }
        Ok(response)
    }
}

fn failed(request: String, error: &TransportError, unanswered: Outcome) -> GitHubError {
    match error {
        TransportError::NotSent(_) => {
            GitHubError::Unavailable { request, detail: error.to_string(), outcome: Outcome::NotApplied }
        }
        TransportError::Broken(_) => {
            GitHubError::Unavailable { request, detail: error.to_string(), outcome: unanswered }
        }
        TransportError::TooLarge { bytes_max } => GitHubError::TooLarge { request, bytes_max: *bytes_max },
    }
}

fn dress(request: &mut Request<Bytes>) {
    let with_body = !request.body().is_empty();
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, AGENT);
    headers.insert(HeaderName::from_static("x-github-api-version"), API_VERSION);
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/vnd.github+json"));
    if with_body {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
}
