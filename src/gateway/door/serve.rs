//! One request: who asks, for what, and is it small and quick enough to be read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Shared;
use super::api::{Form, Route, keys};
use super::call::{self, Asked};
use super::refusal::Refusal;
use crate::gateway::prices::ModelChoice;
use crate::gateway::providers::ProviderKind;

/// How large a request may be. The longest conversation that a model reads is below 5 MiB of text; the rest is for images.
const BODY_BYTES_MAX: usize = 16 * MEBIBYTE;
const MEBIBYTE: usize = 1024 * 1024;
/// How much of requests is held at a time: an agent must not use up the server's memory.
pub(super) const BODIES_MEBIBYTES: usize = 32;
/// How many connections an agent may have: it must not use up the server's files either.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take to send its request.
const REQUEST_WITHIN: Duration = Duration::from_mins(2);

/// Serves until the door is closed.
pub(super) async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    let gone = shared.gone.clone();
    let router = Router::new().fallback(answer).with_state(shared);
    let listener = Seats { listener, free: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
    let serving = axum::serve(listener, router).with_graceful_shutdown(gone.cancelled_owned());
    if let Err(error) = serving.await {
        tracing::error!(%error, "a door to the models stopped");
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let route = Route::of(&head.method, head.uri.path(), &head.headers);
    let form = route.form();
    let known = keys(&head.headers, head.uri.query()).any(|key| shared.knows(key));
    let answered = if !known {
        Err(Refusal::Unauthorized)
    } else if shared.closing.is_cancelled() {
        Err(closed())
    } else {
        match route {
            Route::Nowhere(_) => Err(Refusal::NotFound),
            Route::Models(form) => return models(&shared, form),
            Route::Call { api, model } => match read(&shared, &head.headers, body).await {
                Ok((body, room)) => {
                    let asked =
                        Asked { api, model, body, room, sse: query(&head, "alt=sse"), headers: head.headers };
                    begin(&shared, asked).await
                }
                Err(refusal) => Err(refusal),
            },
        }
    };
    answered.unwrap_or_else(|refusal| {
        shared.record().turn_away();
        refusal.response(form)
    })
}

fn closed() -> Refusal {
    Refusal::Down { seconds: None, reason: "the task of this agent has ended".to_owned() }
}

fn query(head: &Parts, wanted: &str) -> bool {
    head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == wanted))
}

/// The call lives on its own, because it is to be settled whether or not the client stays to hear the answer.
async fn begin(shared: &Arc<Shared>, asked: Asked) -> Result<Response, Refusal> {
    let (reply, heard) = oneshot::channel();
    let of_call = Arc::clone(shared);
    tokio::spawn(async move {
        let gone = of_call.gone.clone();
        tokio::select! {
            biased;
            () = gone.cancelled() => {}
            () = call::run(&of_call, asked, reply) => {}
        }
    });
    heard.await.map_err(|_| closed())
}

/// Reads a body, and answers with the room that it takes.
async fn read(
    shared: &Shared,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
    let coding = headers.get(header::CONTENT_ENCODING);
    if coding.is_some_and(|coding| coding != "identity") {
        return Err(Refusal::invalid("the request body must not be compressed"));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let bytes = length.unwrap_or(BODY_BYTES_MAX);
    if bytes > BODY_BYTES_MAX {
        return Err(Refusal::TooLarge { bytes_max: BODY_BYTES_MAX });
    }
    let mebibytes = u32::try_from(bytes.div_ceil(MEBIBYTE).max(1)).unwrap_or(u32::MAX);
    let read = async {
        // The semaphore is never closed.
        let room = Arc::clone(&shared.bodies).acquire_many_owned(mebibytes).await.map_err(|_| closed())?;
        match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(whole) => Ok((whole.to_bytes(), room)),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(Refusal::TooLarge { bytes_max: BODY_BYTES_MAX })
            }
            Err(_) => Err(Refusal::invalid("the request body broke off")),
        }
    };
    tokio::select! {
        biased;
        read = read => read,
        () = shared.gateway.clock.sleep(REQUEST_WITHIN) => Err(Refusal::Slow),
    }
}

/// The models that may be called, in the words of who asks.
fn models(shared: &Shared, form: Form) -> Response {
    let named = |anthropic: bool| {
        let of_form = move |choice: &&ModelChoice| (choice.provider == ProviderKind::Anthropic) == anthropic;
        shared.visit.models.iter().filter(of_form).map(|choice| choice.model.as_str())
    };
    let list = match form {
        Form::Anthropic => {
            let created = "1970-01-01T00:00:00Z";
            let model = |id| json!({ "type": "model", "id": id, "display_name": id, "created_at": created });
            let data: Vec<Value> = named(true).map(model).collect();
            let (first, last) = (named(true).next(), named(true).next_back());
            json!({ "data": data, "has_more": false, "first_id": first, "last_id": last })
        }
        Form::Chat | Form::Responses | Form::Gemini => {
            let model = |id| json!({ "id": id, "object": "model", "created": 0, "owned_by": "pairbot" });
            json!({ "object": "list", "data": named(false).map(model).collect::<Vec<Value>>() })
        }
    };
    axum::Json(list).into_response()
}

/// Listens, and lets in only as many as there are seats. Who finds none waits outside.
struct Seats {
    listener: UnixListener,
    free: Arc<Semaphore>,
}

impl Listener for Seats {
    type Io = Seated;
    type Addr = ();

    async fn accept(&mut self) -> (Seated, ()) {
        // The semaphore is never closed; if it were, nobody would be counted.
        let seat = Arc::clone(&self.free).acquire_owned().await.ok();
        let (stream, _nameless) = Listener::accept(&mut self.listener).await;
        (Seated { stream, _seat: seat }, ())
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A connection, and the seat that is free again when it ends.
struct Seated {
    stream: UnixStream,
    _seat: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Seated {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
