//! The servers that are compared.

use std::fmt;
use std::io::{Read, Write};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use pairbot::adapters::SystemClock;
use pairbot::github::OwnAccount;
use pairbot::http::webhook::own::OwnApp;
use pairbot::http::webhook::signature::{SIGNATURE_HEADER, WebhookSecret};
use pairbot::http::{HttpState, Inbox, router, serve};
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{self, Accepted, Delivery, Store};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What both sides sign with.
pub(crate) const SECRET: &str = "It's a Secret to Everybody";

/// How much a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It checks the signature.
    Signature,
    /// It also reads the delivery, and forgets it: what of the cost is not the store's.
    Parse,
    /// It is the real door.
    Durable,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::Signature, Self::Parse, Self::Durable];
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Signature => "signature",
            Self::Parse => "parse",
            Self::Durable => "durable",
        })
    }
}

impl FromStr for Mode {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match Self::ALL.into_iter().find(|mode| mode.to_string() == text) {
            Some(mode) => Ok(mode),
            None => bail!("`{text}` is no server"),
        }
    }
}

/// Serves on a free port, which it prints, until standard input ends. Then it prints how many deliveries it holds.
#[tokio::main]
pub(crate) async fn run(mode: Mode) -> anyhow::Result<()> {
    let secret = WebhookSecret::new(&SecretString::from(SECRET.to_owned()));
    let clock = Arc::new(SystemClock);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut store: Option<Arc<dyn Store>> = None;
    let door = |inbox: Arc<dyn Inbox>| {
        let own = Arc::new(OwnApp::new(1_234_567, OwnAccount::default()));
        router(Arc::new(HttpState {
            inbox,
            secret: secret.clone(),
            own,
            clock: clock.clone(),
            engine: None,
            reconciler: None,
            sandbox: None,
        }))
    };
    let routes = match mode {
        Mode::Signature => {
            Router::new().route("/api/github/webhooks", post(check_signature)).with_state(secret.clone())
        }
        Mode::Parse => door(Arc::new(Forgetful)),
        Mode::Durable => {
            let opened: Arc<dyn Store> = Arc::new(SqliteStore::open(&directory.path().join("pairbot.db"))?);
            store = Some(opened.clone());
            door(Arc::new(opened))
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    let stop = CancellationToken::new();
    let stopped_by = stop.clone();
    let input = std::thread::spawn(move || {
        let ended = std::io::stdin().read_to_end(&mut Vec::new());
        stopped_by.cancel();
        ended
    });
    serve(listener, routes, stop, Duration::from_secs(5), clock).await?;
    ensure!(input.join().is_ok(), "the thread that waits for the end of input failed");
    let held = match store {
        Some(store) => store.counts().await?.deliveries,
        None => 0,
    };
    println!("{held}");
    Ok(())
}

async fn check_signature(
    State(secret): State<WebhookSecret>,
    headers: HeaderMap,
    body: Body,
) -> (StatusCode, &'static str) {
    let Ok(raw) = axum::body::to_bytes(body, 25 << 20).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "");
    };
    match secret.verify(headers.get(SIGNATURE_HEADER).map(http::HeaderValue::as_bytes), &raw) {
        Ok(()) => (StatusCode::ACCEPTED, r#"{"status":"accepted"}"#),
        Err(_) => (StatusCode::UNAUTHORIZED, ""),
    }
}

/// An inbox that keeps nothing.
struct Forgetful;

#[async_trait]
impl Inbox for Forgetful {
    async fn accept(&self, _: Delivery) -> store::Result<Accepted> {
        Ok(Accepted::New)
    }

    async fn ping(&self) -> store::Result<()> {
        Ok(())
    }
}
