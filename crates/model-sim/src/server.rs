//! The server: where it listens, what it knows, and its routes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::exchange;
use crate::faults::{Fault, Faults, When};
use crate::ledger::{CallRecord, Ledger};
use crate::script::Script;
use crate::stories;
use crate::usage::Usage;

/// Both providers refuse larger bodies (<https://docs.anthropic.com/en/api/errors>, "Request size limits").
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// The port on loopback, 0 for a free one.
    pub port: u16,
    /// The keys that are accepted; any where nothing is said.
    pub keys: Option<BTreeSet<String>>,
    /// The models that exist; any where nothing is said.
    pub models: Option<Vec<String>>,
    /// The window of every model.
    pub context_tokens_max: u64,
    /// Scripts beside the demo's stories. The last for a title counts.
    pub scripts: Vec<Script>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self { port: 0, keys: None, models: None, context_tokens_max: 200_000, scripts: Vec::new() }
    }
}

/// What one running server knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) keys: Option<BTreeSet<String>>,
    pub(crate) models: Option<Vec<String>>,
    pub(crate) context_tokens_max: u64,
    pub(crate) scripts: Mutex<Vec<Script>>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) ledger: Mutex<Ledger>,
}

/// A lock that outlives a panic of its holder: all that is behind these locks is whole after every statement.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[error("the model server could not listen on 127.0.0.1:{port}; is the port taken? {source}")]
pub struct StartError {
    /// The port that was asked for.
    pub port: u16,
    /// What the system said.
    pub source: std::io::Error,
}

/// A running model server. It stops listening when it is dropped.
#[derive(Debug)]
pub struct ModelSim {
    address: SocketAddr,
    state: Arc<State>,
    serving: Option<JoinHandle<()>>,
}

impl Drop for ModelSim {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

impl State {
    fn of(config: SimConfig) -> Self {
        let mut scripts: Vec<Script> = stories::STORIES.iter().map(stories::Story::script).collect();
        scripts.extend(config.scripts);
        Self {
            keys: config.keys,
            models: config.models,
            context_tokens_max: config.context_tokens_max,
            scripts: Mutex::new(scripts),
            faults: Mutex::default(),
            ledger: Mutex::default(),
        }
    }
}

impl ModelSim {
    /// Starts a server on loopback.
    pub async fn start(config: SimConfig) -> Result<Self, StartError> {
        let port = config.port;
        let failed = |source| StartError { port, source };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let state = Arc::new(State::of(config));
        let router = router(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the model server stopped");
            }
        });
        Ok(Self { address, state, serving: Some(serving) })
    }

    /// A server that listens nowhere and answers by its [`router`](Self::router) alone, under the address that its
    /// configuration names.
    pub fn without_socket(config: SimConfig) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], config.port));
        Self { address, state: Arc::new(State::of(config)), serving: None }
    }

    /// The same service without a socket.
    pub fn router(&self) -> Router {
        router(Arc::clone(&self.state))
    }

    /// What to set as `ANTHROPIC_BASE_URL`: calls go to `/v1/messages` below it.
    pub fn anthropic_base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What to set as `OPENAI_BASE_URL`: calls go to `/chat/completions` and `/responses` below it.
    pub fn openai_base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What to set as `GEMINI_BASE_URL`: calls go to `/v1beta/models/` below it.
    pub fn gemini_base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a script; it replaces an earlier one of the same title.
    pub fn add_script(&self, script: Script) {
        hold(&self.state.scripts).push(script);
    }

    /// Makes something go wrong at the calls that `when` names.
    pub fn inject(&self, when: When, fault: Fault) {
        hold(&self.state.faults).add(when, fault);
    }

    /// How many injected faults have not hit all their calls yet.
    pub fn faults_waiting(&self) -> usize {
        hold(&self.state.faults).waiting()
    }

    /// Every call so far, oldest first.
    pub fn ledger(&self) -> Vec<CallRecord> {
        hold(&self.state.ledger).calls().to_vec()
    }

    /// Everything billed so far.
    pub fn usage(&self) -> Usage {
        hold(&self.state.ledger).calls().iter().fold(Usage::default(), |sum, call| sum.plus(call.usage))
    }
}

fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/v1/messages", post(exchange::messages))
        .route("/v1/messages/count_tokens", post(exchange::count_tokens))
        .route("/v1/chat/completions", post(exchange::chat_completions))
        .route("/v1/responses", post(exchange::responses))
        .route("/v1beta/models/{call}", post(exchange::generate))
        .route("/v1/models", get(exchange::models))
        .fallback(exchange::not_found)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}
