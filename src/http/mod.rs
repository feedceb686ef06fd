//! What the server answers over HTTP: webhooks and its health.

pub mod health;
pub mod webhook;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use http::StatusCode;
use pairbot_protocol::policy::LABEL;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::ports::Clock;
use crate::reconciler::Pulse;
use crate::sandbox::ToldStanding;
use crate::store::{self, Accepted, Delivery, Store};

use health::EngineHealth;
use webhook::own::OwnApp;
use webhook::signature::WebhookSecret;

/// The one part of the store that ingress may use.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Makes a delivery durable.
    async fn accept(&self, delivery: Delivery) -> store::Result<Accepted>;

    /// Returns once the store has answered.
    async fn ping(&self) -> store::Result<()>;
}

#[async_trait]
impl Inbox for Arc<dyn Store> {
    async fn accept(&self, delivery: Delivery) -> store::Result<Accepted> {
        (**self).accept(delivery).await
    }

    async fn ping(&self) -> store::Result<()> {
        (**self).ping().await
    }
}

/// What the routes work with.
pub struct HttpState {
    /// Where deliveries go.
    pub inbox: Arc<dyn Inbox>,
    /// What deliveries are signed with.
    pub secret: WebhookSecret,
    /// Who we are on GitHub.
    pub own: Arc<OwnApp>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The engine's heartbeat; none if this process runs no engine.
    pub engine: Option<EngineHealth>,
    /// The reconciler's pulse; none if this process runs none.
    pub reconciler: Option<Pulse>,
    /// Which sandbox holds; none if this process runs no programs.
    pub sandbox: Option<ToldStanding>,
}

/// Every route of the server.
pub fn router(state: Arc<HttpState>) -> Router {
    Router::new()
        .route("/api/github/webhooks", post(webhook::handler::receive))
        .route("/", get(front))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

/// Serves until `stop` is cancelled; then takes no new connection and finishes what it has begun, for at most `drain`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    drain: Duration,
    clock: Arc<dyn Clock>,
) -> io::Result<()> {
    // Answers are single small writes: waiting to fill a packet would only delay them.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let deadline = async {
        stop.cancelled().await;
        clock.sleep(drain).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = deadline => {
            tracing::warn!("connections were still open when the time to finish them was over");
            Ok(())
        }
    }
}

/// `GET /`: what a person who opens the server's address must know.
async fn front() -> String {
    format!(
        "Pairbot {} runs here.\n\n\
         Its work is seen on GitHub: set the label `{LABEL}` on an issue and follow its status comment.\n\n\
         POST /api/github/webhooks   takes GitHub's webhooks\n\
         GET  /healthz               whether this process is alive\n\
         GET  /readyz                whether store and engine work\n",
        env!("CARGO_PKG_VERSION")
    )
}

async fn not_found() -> (StatusCode, Json<Value>) {
    (StatusCode::NOT_FOUND, Json(json!({ "error": "there is nothing at this address" })))
}

async fn method_not_allowed() -> (StatusCode, Json<Value>) {
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "error": "this address does not answer this method" })))
}

#[cfg(test)]
mod tests;
