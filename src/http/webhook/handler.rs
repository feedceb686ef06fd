//! `POST /api/github/webhooks`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use tracing::Instrument;

use crate::http::HttpState;
use crate::store::{Accepted, Content, Delivery};
use crate::telemetry::spans;

use super::body::{self, Media};
use super::delivery_headers::{EventName, delivery_id};
use super::normalise::{is_hint, normalise};
use super::refusal::Refusal;
use super::signature::SIGNATURE_HEADER;

/// GitHub gives up on a delivery after ten seconds (GitHub Docs, "Best practices for using webhooks").
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a sender should wait before it tries a full or unreachable store again.
const RETRY_AFTER_SECONDS: u16 = 30;

/// What became of a delivery.
enum Receipt {
    Accepted,
    Duplicate,
    Ignored { reason: String },
}

/// Takes one delivery. Nothing is done for it before it is durable and acknowledged.
pub(in crate::http) async fn receive(State(state): State<Arc<HttpState>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match take(&state, &parts, body).await {
        Ok(receipt) => receipt.into_response(),
        Err(refusal) => {
            tracing::warn!(reason = %refusal, "a delivery was refused");
            refusal.into_response()
        }
    }
}

async fn take(state: &HttpState, parts: &Parts, body: Body) -> Result<Receipt, Refusal> {
    let headers = &parts.headers;
    let raw = read_in_time(state, headers, body).await?;
    // Before anything else looks at the body: what nobody signed is not worth parsing.
    let signature = headers.get(SIGNATURE_HEADER).map(HeaderValue::as_bytes);
    state.secret.verify(signature, &raw)?;
    let event = EventName::of(headers)?;
    let guid = delivery_id(headers)?;
    let text = body::object_text(Media::of(headers)?, &raw)?;
    let normalised = normalise(event, &text, &state.own)?;
    let span = spans::delivery(guid, &normalised.event);
    let reason = match &normalised.content {
        Content::Signal(_) => None,
        Content::Ignored { reason, installation: _ } => Some(reason.clone()),
    };
    let delivery = Delivery {
        guid: guid.to_owned(),
        meaning: normalised.meaning,
        event: normalised.event,
        received_at: state.clock.now(),
        content: normalised.content,
    };
    let hint = is_hint(&delivery.event);
    let receipt = store(state, delivery, reason).instrument(span).await?;
    if let (true, Some(reconciler)) = (hint, &state.reconciler) {
        reconciler.ask();
    }
    Ok(receipt)
}

async fn read_in_time(state: &HttpState, headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    tokio::select! {
        // A body that is already here is taken without ever starting the timer.
        biased;
        raw = body::read(headers, body) => raw,
        () = state.clock.sleep(BODY_TIMEOUT) => Err(Refusal::TooSlow),
    }
}

async fn store(state: &HttpState, delivery: Delivery, ignored: Option<String>) -> Result<Receipt, Refusal> {
    match (state.inbox.accept(delivery).await, ignored) {
        (Ok(Accepted::New), None) => {
            tracing::debug!("accepted");
            Ok(Receipt::Accepted)
        }
        (Ok(Accepted::New), Some(reason)) => {
            tracing::info!(reason, "ignored");
            Ok(Receipt::Ignored { reason })
        }
        (Ok(Accepted::SameDelivery | Accepted::SameMeaning), _) => {
            tracing::info!("already known");
            Ok(Receipt::Duplicate)
        }
        (Err(error), _) => {
            tracing::error!(%error, "the store took no delivery");
            Err(Refusal::NotStored { retry_after_seconds: RETRY_AFTER_SECONDS })
        }
    }
}

impl IntoResponse for Receipt {
    fn into_response(self) -> Response {
        // The two frequent answers are constant, and so are their bytes.
        let constant = |body: &'static str| {
            let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
            (StatusCode::ACCEPTED, headers, body).into_response()
        };
        match self {
            Self::Accepted => constant(r#"{"status":"accepted"}"#),
            Self::Duplicate => constant(r#"{"status":"duplicate"}"#),
            Self::Ignored { reason } => {
                (StatusCode::ACCEPTED, Json(json!({ "status": "ignored", "reason": reason }))).into_response()
            }
        }
    }
}
