use axum::Router;
use axum::http::{HeaderMap, Uri};
use axum::routing::{get, post};
use bytes::Bytes;
use http::Request;

use crate::github::{BodyLimit, HttpTransport, ServiceTransport, Transport, TransportError};

fn router() -> Router {
    let echo = async |uri: Uri, headers: HeaderMap, body: String| {
        let agent = headers.get("user-agent").map_or("", |value| value.to_str().unwrap()).to_owned();
        ([("x-seen", uri.path_and_query().unwrap().to_string())], format!("{agent}:{body}"))
    };
    Router::new()
        .route("/api/v3/echo", post(echo))
        .route("/large", get(async || "x".repeat(2_000)))
        .route("/moved", get(async || axum::response::Redirect::permanent("/large")))
}

fn request(method: &str, uri: &str, body: &'static str) -> Request<Bytes> {
    Request::builder().method(method).uri(uri).header("user-agent", "me").body(Bytes::from(body)).unwrap()
}

async fn keeps_its_promises(transport: &dyn Transport, base: &str) {
    let answer = transport.exchange(request("POST", &format!("{base}/api/v3/echo?a=b"), "hi")).await.unwrap();
    assert_eq!(answer.headers()["x-seen"], "/api/v3/echo?a=b");
    assert_eq!(answer.body(), "me:hi");
    let moved = transport.exchange(request("GET", &format!("{base}/moved"), "")).await.unwrap();
    assert_eq!(moved.status(), 308, "it follows nothing by itself");
    let missing = transport.exchange(request("GET", &format!("{base}/none"), "")).await.unwrap();
    assert_eq!(missing.status(), 404, "a refusal is an answer");
    let mut large = request("GET", &format!("{base}/large"), "");
    large.extensions_mut().insert(BodyLimit { bytes_max: 1_999 });
    let error = transport.exchange(large.clone()).await.unwrap_err();
    assert_eq!(error, TransportError::TooLarge { bytes_max: 1_999 });
    large.extensions_mut().insert(BodyLimit { bytes_max: 2_000 });
    assert_eq!(transport.exchange(large).await.unwrap().body().len(), 2_000);
}

#[tokio::test]
async fn plain_http_on_a_port_is_spoken() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router()).await });
    keeps_its_promises(&HttpTransport::new(&base), &base).await;
    server.abort();
}

#[tokio::test]
async fn a_router_of_this_process_is_called_without_a_network() {
    keeps_its_promises(&ServiceTransport::new(router()), "http://github.test").await;
}

#[tokio::test]
async fn a_closed_port_means_that_nothing_was_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x?secret=1", listener.local_addr().unwrap());
    drop(listener);
    let error = HttpTransport::new(&url).exchange(request("GET", &url, "")).await.unwrap_err();
    assert!(matches!(error, TransportError::NotSent(_)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_may_have_carried_the_request() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut start = [0; 16];
        stream.read_exact(&mut start).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
    });
    let error = HttpTransport::new(&url).exchange(request("POST", &url, "body")).await.unwrap_err();
    assert!(matches!(error, TransportError::Broken(_)), "{error}");
    server.await.unwrap();
}
