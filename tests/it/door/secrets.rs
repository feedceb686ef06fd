//! The operator's key does not come in, and the token of a door does not get out.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use pairbot::gateway::{Api, CallOutcome};
use secrecy::ExposeSecret as _;

use super::stage::{ALL, DOLLAR, KEY, Stage, ask, body};

/// A provider, or a proxy before one, that quotes whatever it is sent, in pieces of a few bytes.
async fn echo(headers: HeaderMap, body: Bytes) -> Response<Body> {
    let refuses = body.windows(6).any(|window| window == b"refuse");
    let streams = body.windows(6).any(|window| window == b"stream");
    let keys: Vec<&str> = ["x-api-key", "authorization", "x-goog-api-key"]
        .into_iter()
        .filter_map(|name| headers.get(name)?.to_str().ok())
        .collect();
    assert!(keys.iter().any(|key| key.contains(KEY)), "the key was not put in: {headers:?}");
    let words = format!("data: {{\"error\":{{\"message\":\"you sent {keys:?} and {headers:?}\"}}}}\n\n");
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        words.as_bytes().chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut response = Response::new(Body::from_stream(futures_util::stream::iter(pieces)));
    *response.status_mut() = if refuses { 401 } else { 200 }.try_into().unwrap();
    let kind = if streams { "text/event-stream" } else { "application/json" };
    response.headers_mut().insert("content-type", kind.parse().unwrap());
    response.headers_mut().insert("x-operator-account", KEY.parse().unwrap());
    response
}

#[tokio::test]
async fn the_operators_key_is_in_nothing_that_an_agent_hears() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
    let sim = Stage::with(DOLLAR).await.sim;
    let stage = Stage::before(Arc::clone(&sim), [url.clone(), url.clone(), url], DOLLAR, None).await;
    let door = stage.door().await;
    for (api, streamed) in ALL {
        for text in ["go", "refuse me", "a stream", "refuse a stream"] {
            // `ask` looks through all that comes back.
            let answer = ask(&door, api, &body(api, streamed, text, None)).await;
            assert!(answer.text().contains("[key]"), "{answer:?}");
            assert!(!answer.headers.contains_key("x-operator-account"));
        }
    }
    let counted = ask(&door, Api::CountTokens, &body(Api::CountTokens, false, "go", None)).await;
    assert!(counted.text().contains("[key]"));
    door.settled().await;
    let token = door.token().expose_secret();
    let seen = format!("{door:?} {:?} {:?} {:?}", door.calls(), door.spent(), stage.gateway);
    assert!(!seen.contains(KEY) && !seen.contains(token), "{seen}");
    assert!(door.calls().iter().any(|call| matches!(call.outcome, CallOutcome::Rejected { .. })));
}

#[tokio::test]
async fn the_provider_sees_the_operators_key_and_never_the_token() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    for (api, streamed) in ALL {
        ask(&door, api, &body(api, streamed, "go", None)).await;
    }
    assert!(stage.sim.ledger().iter().all(|call| call.key == KEY));
}

#[tokio::test]
async fn the_socket_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    assert_eq!(std::fs::metadata(door.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    // In a form that the log takes out wherever it comes by.
    assert!(door.token().expose_secret().starts_with("sk-"));
}
