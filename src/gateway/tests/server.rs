//! A model server on loopback that answers from a queue and keeps what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, Response, StatusCode, Uri};
use futures_util::StreamExt;
use serde_json::{Value, json};

/// One prepared answer.
#[derive(Debug, Clone)]
pub(crate) enum Prepared {
    /// A status, headers and a whole body.
    Whole(u16, Vec<(&'static str, &'static str)>, Vec<u8>),
    /// A stream that breaks off after these bytes, as a lost connection does.
    Broken(Vec<u8>),
    /// No answer at all.
    Hang,
}

/// What the server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct Shared {
    answers: Mutex<VecDeque<Prepared>>,
    asked: Mutex<Vec<Asked>>,
}

/// The server. It ends with the test's runtime.
#[derive(Debug, Clone)]
pub(crate) struct ModelServer {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl ModelServer {
    pub(crate) async fn start(answers: impl IntoIterator<Item = Prepared>) -> Self {
        let shared =
            Arc::new(Shared { answers: Mutex::new(answers.into_iter().collect()), ..Shared::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub(crate) fn push(&self, answer: Prepared) {
        self.shared.answers.lock().unwrap().push_back(answer);
    }

    /// Returns once the server has been asked `count` times.
    pub(crate) async fn asked_times(&self, count: usize) {
        while self.shared.asked.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, request: Request<Body>) -> Response<Body> {
    let headers = request.headers().clone();
    let bytes = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap();
    shared.asked.lock().unwrap().push(Asked {
        path: uri.path().to_owned(),
        headers,
        body,
        bytes: bytes.len(),
    });
    let prepared = shared.answers.lock().unwrap().pop_front();
    match prepared {
        Some(Prepared::Whole(status, headers, body)) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Some(Prepared::Broken(body)) => {
            let first = futures_util::stream::once(async move { Ok::<_, std::io::Error>(Bytes::from(body)) });
            let cut = futures_util::stream::once(async { Err(std::io::Error::other("cut")) });
            Response::new(Body::from_stream(first.chain(cut)))
        }
        Some(Prepared::Hang) => {
            futures_util::future::pending::<Result<(), Infallible>>().await.unwrap();
            Response::new(Body::empty())
        }
        None => {
            let mut response =
                Response::new(Body::from("{\"error\":{\"message\":\"no answer is prepared\"}}"));
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            response
        }
    }
}

pub(crate) fn sse(events: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        let name = event["type"].as_str().unwrap_or("message");
        bytes.extend_from_slice(format!("event: {name}\ndata: {event}\n\n").as_bytes());
    }
    bytes
}

/// The events of a streamed Anthropic answer, its tool arguments and texts in two parts.
pub(crate) fn anthropic_events(blocks: &[Value], stop: &str, input: u64, output: u64) -> Vec<Value> {
    let mut events = vec![
        json!({"type":"message_start","message":{"id":"m","role":"assistant","content":[],
               "usage":{"input_tokens":input,"cache_read_input_tokens":7,"cache_creation_input_tokens":3,"output_tokens":1}}}),
        json!({"type":"ping"}),
    ];
    for (index, block) in blocks.iter().enumerate() {
        let (start, kind, field, text) = if block["type"] == "text" {
            let text = block["text"].as_str().unwrap().to_owned();
            (json!({"type":"text","text":""}), "text_delta", "text", text)
        } else {
            let raw = block["input"].as_str().map_or_else(|| block["input"].to_string(), str::to_owned);
            let start = json!({"type":"tool_use","id":block["id"],"name":block["name"],"input":{}});
            (start, "input_json_delta", "partial_json", raw)
        };
        events.push(json!({"type":"content_block_start","index":index,"content_block":start}));
        let half = text.chars().count() / 2;
        for part in [text.chars().take(half).collect::<String>(), text.chars().skip(half).collect()] {
            events
                .push(json!({"type":"content_block_delta","index":index,"delta":{"type":kind, field:part}}));
        }
        events.push(json!({"type":"content_block_stop","index":index}));
    }
    events
        .push(json!({"type":"message_delta","delta":{"stop_reason":stop},"usage":{"output_tokens":output}}));
    events.push(json!({"type":"message_stop"}));
    events
}

/// A streamed Anthropic answer.
pub(crate) fn anthropic_stream(blocks: &[Value], stop: &str) -> Prepared {
    Prepared::Whole(
        200,
        vec![("content-type", "text/event-stream")],
        sse(&anthropic_events(blocks, stop, 100, 20)),
    )
}

/// An error with Anthropic's body.
pub(crate) fn error(status: u16, headers: Vec<(&'static str, &'static str)>) -> Prepared {
    let body = json!({"type":"error","error":{"type":"some_error","message":"some words"}});
    Prepared::Whole(status, headers, body.to_string().into_bytes())
}

pub(crate) fn text(text: &str) -> Value {
    json!({"type":"text","text":text})
}

pub(crate) fn tool(id: &str, name: &str, input: impl Into<Value>) -> Value {
    json!({"type":"tool_use","id":id,"name":name,"input":input.into()})
}
