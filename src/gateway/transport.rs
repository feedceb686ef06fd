//! How bytes get to a model provider and back. The answer stays a stream, because it may break off or fall silent in
//! its middle; a simulation puts a way of its own here.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use http::{Request, Response};

/// The body of an answer, piece by piece; an error is a connection that broke, in words.
pub type AnswerBody = BoxStream<'static, Result<Bytes, String>>;

/// Why there is no answer. The words name no address: it may hold a proxy's token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The request never left, so it cost nothing.
    #[error("{0}")]
    NotSent(String),
    /// The connection broke with the request on its way: it may have been read, and paid for.
    #[error("{0}")]
    Broken(String),
}

/// A way to send one request to a provider. It follows no redirects, since they would carry the provider's key to
/// another host, and it retries nothing, since each attempt has a reservation of its own (promise P3).
#[async_trait]
pub trait ModelTransport: Send + Sync + fmt::Debug {
    /// Sends a request with an absolute URI; returns once the head of the answer is there.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<AnswerBody>, SendError>;
}

#[async_trait]
impl ModelTransport for Arc<dyn ModelTransport> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<AnswerBody>, SendError> {
        (**self).send(request).await
    }
}

#[async_trait]
impl ModelTransport for reqwest::Client {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<AnswerBody>, SendError> {
        let request = reqwest::Request::try_from(request).map_err(|error| unsent(&error.without_url()))?;
        let mut answer = self.execute(request).await.map_err(|error| unsent(&error.without_url()))?;
        let mut head = Response::new(());
        *head.status_mut() = answer.status();
        *head.headers_mut() = std::mem::take(answer.headers_mut());
        let body = answer.bytes_stream();
        let body = body.map(|piece| piece.map_err(|error| error.without_url().to_string())).boxed();
        Ok(head.map(|()| body))
    }
}

/// The network. Its client is made at the first call: to read the machine's certificates takes longer than all else
/// that a server does before it listens.
#[derive(Debug, Default)]
pub struct ProviderClient(OnceLock<reqwest::Client>);

#[async_trait]
impl ModelTransport for ProviderClient {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<AnswerBody>, SendError> {
        let client = if let Some(client) = self.0.get() {
            client
        } else {
            let made = super::http_client().map_err(|error| unsent(&error))?;
            // Of two first calls at a time the later one takes the client of the earlier.
            self.0.get_or_init(|| made)
        };
        client.send(request).await
    }
}

fn unsent(error: &reqwest::Error) -> SendError {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    if error.is_connect() || error.is_builder() {
        SendError::NotSent(words)
    } else {
        SendError::Broken(words)
    }
}
