use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream;
use http::{HeaderMap, Request};
use pairbot_protocol::ids::Timestamp;
use pairbot_protocol::signal::Signal;
use proptest::prelude::*;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tower::ServiceExt;

use super::*;
use crate::adapters::ManualClock;
use crate::store::sqlite::SqliteStore;
use crate::store::{Content, StoreError};

const LABELED: &str = include_str!("../../tests/fixtures/webhooks/issues.labeled.json");
const GUID: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

/// Remembers what it took, and fails when told to.
#[derive(Default)]
struct MemoryInbox {
    taken: Mutex<Vec<Delivery>>,
    keys: Mutex<BTreeSet<String>>,
    fails_with: Mutex<Option<StoreError>>,
    /// Told when a delivery is kept waiting for ever.
    stalls: Option<Notify>,
}

#[async_trait]
impl Inbox for MemoryInbox {
    async fn accept(&self, delivery: Delivery) -> store::Result<Accepted> {
        self.ping().await?;
        if let Some(stalled) = &self.stalls {
            stalled.notify_one();
            std::future::pending::<()>().await;
        }
        let mut keys = self.keys.lock().unwrap();
        if !keys.insert(format!("guid {}", delivery.guid)) {
            return Ok(Accepted::SameDelivery);
        }
        if delivery.meaning.as_ref().is_some_and(|meaning| !keys.insert(format!("meaning {meaning}"))) {
            return Ok(Accepted::SameMeaning);
        }
        self.taken.lock().unwrap().push(delivery);
        Ok(Accepted::New)
    }

    async fn ping(&self) -> store::Result<()> {
        self.fails_with.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

struct Server {
    inbox: Arc<MemoryInbox>,
    clock: ManualClock,
    engine: EngineHealth,
    secret: WebhookSecret,
    router: Router,
}

impl Server {
    fn new() -> Self {
        Self::with(MemoryInbox::default())
    }

    fn with(inbox: MemoryInbox) -> Self {
        let inbox = Arc::new(inbox);
        Self::before(inbox.clone(), inbox)
    }

    /// A server before the embedded store in this folder.
    fn before_store(folder: &Path) -> (Self, Arc<dyn Store>) {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.join("pairbot.db")).unwrap());
        (Self::before(Arc::default(), Arc::new(store.clone())), store)
    }

    fn before(inbox: Arc<MemoryInbox>, door: Arc<dyn Inbox>) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_ms(1_000_000));
        let engine = EngineHealth::new();
        let secret = WebhookSecret::new(&SecretString::from("a secret".to_owned()));
        let state = HttpState {
            inbox: door,
            secret: secret.clone(),
            own: Arc::new(OwnApp::new(1_234_567, crate::github::OwnAccount::default())),
            clock: Arc::new(clock.clone()),
            engine: Some(engine.clone()),
            reconciler: None,
            sandbox: None,
        };
        Self { inbox, clock, engine, secret, router: router(Arc::new(state)) }
    }

    async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a signed delivery with these headers changed; an empty value takes one away.
    async fn deliver(&self, body: &[u8], changes: &[(&'static str, &str)]) -> (StatusCode, Value) {
        let mut request = self.delivery(body, Body::from(body.to_vec()));
        for (name, value) in changes {
            match *value {
                "" => drop(request.headers_mut().remove(*name)),
                value => drop(request.headers_mut().insert(*name, value.parse().unwrap())),
            }
        }
        read(self.send(request).await).await
    }

    fn delivery(&self, signed: &[u8], body: Body) -> Request<Body> {
        Request::post("/api/github/webhooks")
            .header("content-type", "application/json")
            .header("x-github-event", "issues")
            .header("x-github-delivery", GUID)
            .header("x-hub-signature-256", self.secret.sign(signed))
            .body(body)
            .unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        read(self.send(Request::get(path).body(Body::empty()).unwrap()).await).await
    }

    fn taken(&self) -> Vec<Delivery> {
        self.inbox.taken.lock().unwrap().clone()
    }
}

async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_delivery_is_stored_before_it_is_acknowledged() {
    let server = Server::new();
    let (status, answer) = server.deliver(LABELED.as_bytes(), &[]).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "status": "accepted" })));
    let [delivery] = server.taken().try_into().unwrap();
    assert_eq!((delivery.guid.as_str(), delivery.event.as_str()), (GUID, "issues.labeled"));
    assert_eq!(delivery.received_at, Timestamp::from_unix_ms(1_000_000));
    assert!(
        matches!(delivery.content, Content::Signal(envelope) if matches!(envelope.signal, Signal::LabelSet { .. }))
    );
}

#[tokio::test]
async fn a_form_is_stored_like_json() {
    let server = Server::new();
    let escaped = LABELED.bytes().fold(String::from("payload="), |mut form, byte| {
        write!(form, "%{byte:02X}").unwrap();
        form
    });
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let (status, answer) = server.deliver(escaped.as_bytes(), &form).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "status": "accepted" })));
    let as_json = Server::new();
    as_json.deliver(LABELED.as_bytes(), &[]).await;
    assert_eq!(server.taken()[0].meaning, as_json.taken()[0].meaning);
}

#[tokio::test]
async fn a_redelivery_and_a_second_hook_are_acknowledged_once_stored() {
    let server = Server::new();
    server.deliver(LABELED.as_bytes(), &[]).await;
    let duplicate = (StatusCode::ACCEPTED, json!({ "status": "duplicate" }));
    assert_eq!(server.deliver(LABELED.as_bytes(), &[]).await, duplicate);
    let other_hook = [("x-github-delivery", "00000000-cc78-11e3-81ab-4c9367dc0958")];
    assert_eq!(server.deliver(LABELED.as_bytes(), &other_hook).await, duplicate);
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test]
async fn what_was_acknowledged_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (server, _store) = Server::before_store(folder.path());
        assert_eq!(server.deliver(LABELED.as_bytes(), &[]).await.1["status"], "accepted");
    }
    let (server, store) = Server::before_store(folder.path());
    let [waiting] = store.inbox_pending(10).await.unwrap().try_into().unwrap();
    assert_eq!(waiting.guid, GUID);
    assert!(matches!(waiting.envelope.signal, Signal::LabelSet { .. }));
    assert_eq!(server.deliver(LABELED.as_bytes(), &[]).await.1["status"], "duplicate");
    let other_hook = [("x-github-delivery", "another-hook")];
    assert_eq!(server.deliver(LABELED.as_bytes(), &other_hook).await.1["status"], "duplicate");
    assert_eq!(store.inbox_pending(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_repository_hook_first_does_not_cost_the_delivery() {
    let server = Server::new();
    let mut payload: Value = serde_json::from_str(LABELED).unwrap();
    payload.as_object_mut().unwrap().remove("installation");
    let (_, answer) = server.deliver(payload.to_string().as_bytes(), &[("x-github-delivery", "first")]).await;
    assert_eq!(answer["status"], "ignored");
    assert_eq!(server.deliver(LABELED.as_bytes(), &[]).await.1["status"], "accepted");
}

#[tokio::test]
async fn what_does_not_matter_is_recorded_and_said_to_be_ignored() {
    let server = Server::new();
    for (guid, event, body) in [
        ("a", "ping", r#"{"zen":"Speak like a human."}"#),
        ("b", "workflow_run", r#"{"action":"completed","installation":{"id":1}}"#),
        ("c", "issues", r#"{"action":"labeled"}"#),
        ("d", "issues", "{}"),
        ("e", "issues", r#"{"repository":{"id":"x"}}"#),
    ] {
        let headers = [("x-github-delivery", guid), ("x-github-event", event)];
        let (status, answer) = server.deliver(body.as_bytes(), &headers).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        assert_eq!(answer["status"], "ignored");
        assert!(!answer["reason"].as_str().unwrap().is_empty());
    }
    assert_eq!(server.taken().len(), 5);
}

#[tokio::test]
async fn bad_bodies_get_a_clean_answer_and_the_server_lives_on() {
    let server = Server::new();
    let deep_object = "{\"a\":".repeat(100_000) + "1" + &"}".repeat(100_000);
    let deep_array = "[".repeat(100_000);
    let bodies: [(&[u8], StatusCode); 14] = [
        (b"", StatusCode::BAD_REQUEST),
        (b"null", StatusCode::BAD_REQUEST),
        (b"true", StatusCode::BAD_REQUEST),
        (b"42", StatusCode::BAD_REQUEST),
        (b"\"text\"", StatusCode::BAD_REQUEST),
        (b"[]", StatusCode::BAD_REQUEST),
        (b"{", StatusCode::BAD_REQUEST),
        (b"{}}", StatusCode::BAD_REQUEST),
        (b"{\"action\":\"labeled\",}", StatusCode::BAD_REQUEST),
        (b"{\"action\":\"\xff\xfe\"}", StatusCode::BAD_REQUEST),
        (b"\x00", StatusCode::BAD_REQUEST),
        (b"not json", StatusCode::BAD_REQUEST),
        (deep_object.as_bytes(), StatusCode::BAD_REQUEST),
        (deep_array.as_bytes(), StatusCode::BAD_REQUEST),
    ];
    for (body, expected) in bodies {
        let (status, answer) = server.deliver(body, &[]).await;
        let shown = String::from_utf8_lossy(body.get(..30).unwrap_or(body)).into_owned();
        assert_eq!(status, expected, "{shown}");
        assert!(answer["error"].is_string(), "{shown}");
    }
    assert!(server.taken().is_empty());
    assert_eq!(server.deliver(LABELED.as_bytes(), &[]).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn bad_headers_get_a_clean_answer() {
    let server = Server::new();
    for (name, value, expected) in [
        ("x-hub-signature-256", "", StatusCode::UNAUTHORIZED),
        ("x-hub-signature-256", "sha256=00", StatusCode::UNAUTHORIZED),
        ("x-hub-signature-256", &*format!("sha256={}", "0".repeat(64)), StatusCode::UNAUTHORIZED),
        ("content-type", "", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("content-type", "text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("x-github-event", "", StatusCode::BAD_REQUEST),
        ("x-github-event", "issues; drop table", StatusCode::BAD_REQUEST),
        ("x-github-delivery", "", StatusCode::BAD_REQUEST),
        ("x-github-delivery", "task:1:0", StatusCode::BAD_REQUEST),
        ("content-length", "26214401", StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (status, answer) = server.deliver(LABELED.as_bytes(), &[(name, value)]).await;
        assert_eq!(status, expected, "{name}: {value}");
        assert!(answer["error"].is_string());
    }
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn the_signature_is_checked_before_anything_is_read() {
    let server = Server::new();
    let all_wrong = [
        ("x-hub-signature-256", "sha256=00"),
        ("content-type", "text/plain"),
        ("x-github-event", ""),
        ("x-github-delivery", ""),
    ];
    assert_eq!(server.deliver(b"not json", &all_wrong).await.0, StatusCode::UNAUTHORIZED);
    let (status, _) = server.deliver(b"not json", &all_wrong[1..]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_while_it_comes() {
    let server = Server::new();
    let chunk = vec![b' '; 1 << 20];
    let endless = stream::repeat(chunk).map(Ok::<_, io::Error>);
    let request = server.delivery(b"", Body::from_stream(endless));
    assert_eq!(read(server.send(request).await).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let mut largest = LABELED.as_bytes().to_vec();
    largest.resize(25 << 20, b' ');
    assert_eq!(server.deliver(&largest, &[]).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let server = Server::new();
    let broken = stream::iter([Ok(b"{".to_vec()), Err(io::Error::other("reset"))]);
    let request = server.delivery(b"", Body::from_stream(broken));
    assert_eq!(read(server.send(request).await).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::new();
    let silent = stream::pending::<io::Result<Vec<u8>>>();
    let waiting = server.send(server.delivery(b"", Body::from_stream(silent)));
    let (response, ()) = tokio::join!(waiting, async { server.clock.advance(Duration::from_secs(10)) });
    assert_eq!(read(response).await.0, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_said_to_be_passing() {
    let server = Server::new();
    for error in [
        StoreError::Busy { detail: "1 waiting".to_owned() },
        StoreError::Full { detail: "disk".to_owned() },
        StoreError::Unavailable { detail: "gone".to_owned() },
    ] {
        *server.inbox.fails_with.lock().unwrap() = Some(error);
        let request = server.delivery(LABELED.as_bytes(), Body::from(LABELED));
        let response = server.send(request).await;
        assert_eq!(response.headers()["retry-after"], "30");
        let (status, answer) = read(response).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer["error"], "the delivery could not be stored; send it again later");
    }
    *server.inbox.fails_with.lock().unwrap() = None;
    assert_eq!(server.deliver(LABELED.as_bytes(), &[]).await.1["status"], "accepted");
}

#[tokio::test]
async fn ready_means_that_store_and_engine_work() {
    let server = Server::new();
    let answer = |ready: bool, store: &str, engine: &str| {
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (
            status,
            json!({ "ready": ready, "store": store, "engine": engine, "reconciler": null, "sandbox": null }),
        )
    };
    assert_eq!(server.get("/readyz").await, answer(false, "reachable", "silent"));
    server.engine.beat(server.clock.now());
    server.clock.advance(Duration::from_millis(health::ENGINE_SILENCE_MS_MAX));
    assert_eq!(server.get("/readyz").await, answer(true, "reachable", "running"));
    server.clock.advance(Duration::from_millis(1));
    assert_eq!(server.get("/readyz").await, answer(false, "reachable", "silent"));
    server.engine.beat(server.clock.now());
    *server.inbox.fails_with.lock().unwrap() = Some(StoreError::Unavailable { detail: "gone".to_owned() });
    assert_eq!(server.get("/readyz").await, answer(false, "unreachable", "running"));
    assert_eq!(server.get("/healthz").await, (StatusCode::OK, json!({ "status": "alive" })));
}

#[tokio::test]
async fn who_opens_the_server_s_address_is_told_where_its_work_is_seen() {
    let server = Server::new();
    let request = Request::get("/").body(Body::empty()).unwrap();
    let response = server.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains("`agent:pair`") && text.contains("/readyz"), "{text}");
}

#[tokio::test]
async fn other_addresses_and_methods_are_answered_in_json() {
    let server = Server::new();
    let (status, answer) = server.get("/api/github/webhook").await;
    assert_eq!((status, answer["error"].is_string()), (StatusCode::NOT_FOUND, true));
    let (status, answer) = server.get("/api/github/webhooks").await;
    assert_eq!((status, answer["error"].is_string()), (StatusCode::METHOD_NOT_ALLOWED, true));
}

/// A server on loopback, the end of its task, and what stops it.
async fn listening(
    server: &Server,
) -> (TcpStream, tokio::task::JoinHandle<io::Result<()>>, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (clock, drain) = (Arc::new(server.clock.clone()), Duration::from_secs(20));
    let serving = tokio::spawn(serve(listener, server.router.clone(), stop.clone(), drain, clock));
    (TcpStream::connect(address).await.unwrap(), serving, stop)
}

fn head_of(request: &Request<Body>, length: usize) -> String {
    let headers: &HeaderMap = request.headers();
    let head = headers
        .iter()
        .fold(String::new(), |head, (name, value)| format!("{head}{name}: {}\r\n", value.to_str().unwrap()));
    format!("POST {} HTTP/1.1\r\nhost: localhost\r\n{head}content-length: {length}\r\n\r\n", request.uri())
}

#[tokio::test]
async fn a_delivery_under_way_is_finished_before_the_server_ends() {
    let server = Server::new();
    let (mut stream, serving, stop) = listening(&server).await;
    let request = server.delivery(LABELED.as_bytes(), Body::empty());
    let (first, rest) = LABELED.as_bytes().split_at(100);
    // Asking for leave to send the body proves that the handler is inside the request when the server is told to stop.
    let head = head_of(&request, LABELED.len()).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).await.unwrap();
    assert!(leave.starts_with(b"HTTP/1.1 100 Continue"));
    stop.cancel();
    stream.write_all(first).await.unwrap();
    stream.write_all(rest).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 Accepted"), "{answer}");
    serving.await.unwrap().unwrap();
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test]
async fn a_delivery_that_never_ends_does_not_hold_the_server() {
    let server = Server::with(MemoryInbox { stalls: Some(Notify::new()), ..MemoryInbox::default() });
    let (mut stream, serving, stop) = listening(&server).await;
    let request = server.delivery(LABELED.as_bytes(), Body::empty());
    stream.write_all(head_of(&request, LABELED.len()).as_bytes()).await.unwrap();
    stream.write_all(LABELED.as_bytes()).await.unwrap();
    server.inbox.stalls.as_ref().unwrap().notified().await;
    stop.cancel();
    server.clock.advance(Duration::from_millis(19_999));
    tokio::task::yield_now().await;
    assert!(!serving.is_finished());
    server.clock.advance(Duration::from_secs(20));
    serving.await.unwrap().unwrap();
    assert!(server.taken().is_empty());
}

proptest! {
    #[test]
    fn any_signed_bytes_get_a_clean_answer(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        form in any::<bool>(),
        event in proptest::sample::select(&webhook::EVENTS[..]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let media = if form { "application/x-www-form-urlencoded" } else { "application/json" };
        let server = Server::new();
        let headers = [("content-type", media), ("x-github-event", event)];
        let (status, answer) = runtime.block_on(server.deliver(&body, &headers));
        prop_assert!(status.is_client_error() || answer["status"] == "ignored");
    }
}
