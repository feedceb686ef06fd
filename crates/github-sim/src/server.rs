//! Takes requests in, applies faults, and answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::State as AxumState;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use tokio::sync::Notify;

use crate::api;
use crate::call::{Request, pairs, percent_decoded};
use crate::courier::Courier;
use crate::faults::{Effect, Faults, RecordedRequest};
use crate::reply::{Body, Reply};
use crate::state::State;

/// Larger requests are refused; a push of a whole repository fits.
const REQUEST_BYTES_MAX: usize = 1 << 30;
/// How much of a request's body is kept in the record.
const RECORDED_CHARS_MAX: usize = 65_536;

/// What all handles and tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) log: Mutex<Vec<RecordedRequest>>,
    /// Rung when mail was queued.
    pub(crate) mail: Notify,
    /// Rung when a delivery was attempted.
    pub(crate) delivered: Notify,
    /// One push at a time, so that each moved ref has its pusher.
    pub(crate) push: tokio::sync::Mutex<()>,
    pub(crate) courier: Arc<dyn Courier>,
    /// The folder of the repositories, removed at the end if it is ours.
    pub(crate) _directory: Option<tempfile::TempDir>,
}

/// Locks, even after a panic in another test's thread.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(state: State, courier: Arc<dyn Courier>, directory: Option<tempfile::TempDir>) -> Self {
        Self {
            state: Mutex::new(state),
            faults: Mutex::default(),
            log: Mutex::default(),
            mail: Notify::new(),
            delivered: Notify::new(),
            push: tokio::sync::Mutex::new(()),
            courier,
            _directory: directory,
        }
    }

    /// Works on the state and wakes the courier if that queued mail.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = work(&mut state);
        if !state.mail.ready.is_empty() {
            self.mail.notify_one();
        }
        result
    }

    /// Works on the state on a thread that may block: handlers run git.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> Option<T> {
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || shared.with(work)).await.ok()
    }

    pub(crate) fn record(&self, parts: &Parts, path: &str, body: &[u8], who: String, status: u16) {
        let body =
            String::from_utf8_lossy(body.get(..body.len().min(RECORDED_CHARS_MAX)).unwrap_or_default());
        let recorded = RecordedRequest {
            at_ms: self.with(|state| state.now_ms()),
            method: parts.method.to_string(),
            path: path.to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            who,
            status,
            body: body.into_owned(),
        };
        lock(&self.log).push(recorded);
    }
}

/// The whole service.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

/// Splits GitHub Enterprise's prefix off.
fn without_prefix(path: &str) -> (&'static str, &str) {
    if path == "/api/graphql" {
        return ("/api", "/graphql");
    }
    match path.strip_prefix("/api/v3") {
        Some("") => ("/api/v3", "/"),
        Some(rest) if rest.starts_with('/') => ("/api/v3", rest),
        Some(_) | None => ("", path),
    }
}

async fn handle(AxumState(shared): AxumState<Arc<Shared>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let (prefix, path) = without_prefix(parts.uri.path());
    let path = path.to_owned();
    let Ok(body) = axum::body::to_bytes(body, REQUEST_BYTES_MAX).await else {
        return respond(Reply::refuse(413, "Payload Too Large"), &HeaderMap::new());
    };
    let effect = lock(&shared.faults).meet(parts.method.as_str(), &path, &body);
    match &effect {
        Some(Effect::Answer { status, headers, body: answer }) => {
            shared.record(&parts, &path, &body, shared.who(&parts.headers), *status);
            return planned(*status, headers, answer);
        }
        Some(Effect::Hang) => {
            shared.record(&parts, &path, &body, shared.who(&parts.headers), 0);
            return std::future::pending().await;
        }
        Some(Effect::Cut) => {
            shared.record(&parts, &path, &body, shared.who(&parts.headers), 0);
            return cut();
        }
        Some(Effect::PauseBefore(point)) => point.wait().await,
        Some(Effect::LoseAnswer(_) | Effect::CutAfter | Effect::Malformed | Effect::PauseAfter(_)) | None => {
        }
    }
    // A client that hangs up does not stop GitHub from finishing what it began.
    let executing = tokio::spawn(execute(Arc::clone(&shared), parts, prefix, path, body));
    let response =
        executing.await.unwrap_or_else(|_| respond(Reply::refuse(500, "Server Error"), &HeaderMap::new()));
    match effect {
        Some(Effect::LoseAnswer(status)) => {
            planned(status, &[("content-type".to_owned(), "text/html".to_owned())], "<html>Unicorn!</html>")
        }
        Some(Effect::CutAfter) => cut(),
        Some(Effect::Malformed) => malformed(response).await,
        Some(Effect::PauseAfter(point)) => {
            point.wait().await;
            response
        }
        Some(Effect::PauseBefore(_) | Effect::Answer { .. } | Effect::Hang | Effect::Cut) | None => response,
    }
}

async fn execute(
    shared: Arc<Shared>,
    parts: Parts,
    prefix: &'static str,
    path: String,
    body: Bytes,
) -> Response {
    let segments: Vec<String> =
        path.split('/').filter(|part| !part.is_empty()).map(|part| percent_decoded(part, false)).collect();
    if let Some(target) = crate::git::http::target(&segments) {
        return crate::git::http::serve(&shared, &parts, &path, target, body).await;
    }
    let request = Request {
        method: parts.method.clone(),
        prefix,
        path: path.clone(),
        segments,
        query: pairs(parts.uri.query().unwrap_or_default()),
        headers: parts.headers.clone(),
        body: body.clone(),
        json: serde_json::Value::Null,
    };
    if prefix.is_empty() && crate::page::is_page(&request) {
        let reply = shared.blocking(move |state| crate::page::serve(state, &request)).await;
        return respond(reply.unwrap_or_else(|| Reply::refuse(500, "Server Error")), &HeaderMap::new());
    }
    let answered = shared.blocking(move |state| api::answer(state, request)).await;
    let (reply, who) = answered.unwrap_or_else(|| (Reply::refuse(500, "Server Error"), "?".to_owned()));
    shared.record(&parts, &path, &body, who, reply.status);
    respond(reply, &HeaderMap::new())
}

/// A reply as HTTP.
pub(crate) fn respond(reply: Reply, more: &HeaderMap) -> Response {
    let mut builder =
        Response::builder().status(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK));
    for (name, value) in reply.headers {
        builder = builder.header(name, value);
    }
    for (name, value) in more {
        builder = builder.header(name, value);
    }
    let result = match reply.body {
        Body::Empty => builder.body(AxumBody::empty()),
        Body::Json(value) => builder
            .header("content-type", "application/json; charset=utf-8")
            .body(AxumBody::from(value.to_string())),
        Body::Raw { content_type, bytes } => {
            builder.header("content-type", content_type).body(AxumBody::from(bytes))
        }
    };
    result.unwrap_or_else(|_| Response::new(AxumBody::empty()))
}

fn planned(status: u16, headers: &[(String, String)], body: &str) -> Response {
    let mut builder =
        Response::builder().status(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY));
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    builder.body(AxumBody::from(body.to_owned())).unwrap_or_else(|_| Response::new(AxumBody::empty()))
}

/// An answer that breaks off before its announced length: the client sees its connection cut.
fn cut() -> Response {
    broken(Bytes::new())
}

fn broken(start: Bytes) -> Response {
    let failing = stream::iter([Ok(start), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]);
    Response::builder()
        .header("content-length", "1000000")
        .header("content-type", "application/json; charset=utf-8")
        .body(AxumBody::from_stream(failing))
        .unwrap_or_else(|_| Response::new(AxumBody::empty()))
}

/// The first half of the answer, well framed: valid HTTP, invalid JSON.
async fn malformed(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, REQUEST_BYTES_MAX).await.unwrap_or_default();
    let half = bytes.slice(..bytes.len() / 2);
    let mut response = Response::new(AxumBody::from(half));
    *response.status_mut() = parts.status;
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

impl Shared {
    fn who(&self, headers: &HeaderMap) -> String {
        self.with(|state| match state.authenticate(headers) {
            Ok(actor) => state.caller_name(&actor),
            Err(_) => "refused".to_owned(),
        })
    }
}
