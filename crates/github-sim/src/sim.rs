//! The handle of a running simulated GitHub.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::{SimClock, SystemClock};
use crate::courier::{Courier, HttpCourier};
use crate::faults::{Fault, RecordedRequest};
use crate::git::command::GitError;
use crate::limits::{LimitBook, Limits};
use crate::reply::Reply;
use crate::server::{Shared, lock, router};
use crate::state::State;
use crate::webhooks::{Mail, Mishap, MishapRule, WebhookRequest};

/// How to start.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where to listen; port 0 takes a free one, `None` listens nowhere and serves by [`GitHubSim::router`].
    pub listen: Option<SocketAddr>,
    /// What time it is.
    pub clock: Arc<dyn SimClock>,
    /// What each caller may ask.
    pub limits: Limits,
    /// Where the repositories are kept; a temporary folder if `None`.
    pub directory: Option<PathBuf>,
    /// How webhooks travel.
    pub courier: Arc<dyn Courier>,
    /// The address written into answers, if it is not the one listened on: no slash at its end.
    pub server_url: Option<String>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
            directory: None,
            courier: Arc::new(HttpCourier::default()),
            server_url: None,
        }
    }
}

/// What can go wrong in the simulator itself, or be refused by it.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// GitHub would say no.
    #[error("refused with {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// GitHub's message, with its errors.
        message: String,
    },
    /// There is no such thing; the test asked for something it did not set up.
    #[error("there is no {kind} `{name}` in the simulated GitHub: create it first")]
    Unknown {
        /// What kind of thing.
        kind: &'static str,
        /// Which one.
        name: String,
    },
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The machine failed.
    #[error("could not {action}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A key could not be made or read.
    #[error("could not make an RSA key: {0}")]
    Key(String),
}

impl From<Reply> for SimError {
    fn from(reply: Reply) -> Self {
        let json = reply.json();
        let errors = json.get("errors").map(|errors| format!(" {errors}")).unwrap_or_default();
        let message = json.get("message").and_then(Value::as_str).unwrap_or_default();
        Self::Refused { status: reply.status, message: format!("{message}{errors}") }
    }
}

impl SimError {
    pub(crate) fn unknown(kind: &'static str, name: &(impl ToString + ?Sized)) -> Self {
        Self::Unknown { kind, name: name.to_string() }
    }

    pub(crate) fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}

/// Ends the background tasks with the last handle.
#[derive(Debug, Default)]
struct Tasks(Vec<tokio::task::AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// A running simulated GitHub. Clones are handles of the same; the last one ends it.
#[derive(Debug, Clone)]
pub struct GitHubSim {
    pub(crate) shared: Arc<Shared>,
    url: Arc<str>,
    _tasks: Arc<Tasks>,
}

impl GitHubSim {
    /// Starts serving. Must be called inside a tokio runtime.
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        let listener = match config.listen {
            Some(address) => Some(
                tokio::net::TcpListener::bind(address)
                    .await
                    .map_err(SimError::io("listen for the simulated GitHub"))?,
            ),
            None => None,
        };
        let bound = match &listener {
            Some(listener) => {
                Some(listener.local_addr().map_err(SimError::io("learn the port listened on"))?)
            }
            None => None,
        };
        let url = config.server_url.or_else(|| bound.map(|address| format!("http://{address}")));
        let url = url.unwrap_or_else(|| "http://github.sim".to_owned());
        let temporary = match &config.directory {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(SimError::io("make a temporary folder"))?),
        };
        let directory =
            config.directory.or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned()));
        let directory = directory.unwrap_or_default();
        let state = State {
            server: url.clone(),
            clock: config.clock,
            ids: crate::ids::Ids::default(),
            directory,
            accounts: std::collections::BTreeMap::new(),
            apps: std::collections::BTreeMap::new(),
            installations: std::collections::BTreeMap::new(),
            tokens: std::collections::BTreeMap::new(),
            repos: std::collections::BTreeMap::new(),
            former_names: std::collections::BTreeMap::new(),
            mail: Mail::default(),
            limits: LimitBook::new(config.limits),
            looked: crate::looked::Looked::default(),
        };
        let shared = Arc::new(Shared::new(state, config.courier, temporary));
        let mut tasks = vec![tokio::spawn(crate::courier::run(Arc::downgrade(&shared))).abort_handle()];
        if let Some(listener) = listener {
            let app = router(Arc::clone(&shared));
            let serving = tokio::spawn(async move {
                if let Err(error) = axum::serve(listener, app).await {
                    tracing::error!(%error, "the simulated GitHub stopped listening");
                }
            });
            tasks.push(serving.abort_handle());
        }
        Ok(Self { shared, url: url.into(), _tasks: Arc::new(Tasks(tasks)) })
    }

    /// Scheme, host and port: the value of `GITHUB_API_URL` and of `GITHUB_SERVER_URL`. The API is also under
    /// `/api/v3`, as on GitHub Enterprise.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same service without a socket.
    pub fn router(&self) -> axum::Router {
        router(Arc::clone(&self.shared))
    }

    /// The time it is for the simulator, in milliseconds since 1970-01-01 UTC.
    pub fn now_ms(&self) -> u64 {
        self.shared.with(|state| state.now_ms())
    }

    /// Sets the limits of every caller from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.with(|state| state.limits.limits = limits);
    }

    /// Adds a rule for requests to come. Rules are asked in the order they were added.
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared.faults).add(fault);
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Every request answered so far, those of [`Person`](crate::Person) handles excepted.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        lock(&self.shared.log).clone()
    }

    /// The requests that asked for a change, as `METHOD /path`, without those for tokens.
    pub fn writes(&self) -> Vec<String> {
        let requests = self.requests();
        let writes =
            requests.iter().filter(|request| request.is_write() && !request.path.ends_with("/access_tokens"));
        writes.map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        lock(&self.shared.log).clear();
    }

    /// Returns once every delivery that is queued, and not held, was attempted.
    pub async fn settled(&self) {
        loop {
            let delivered = self.shared.delivered.notified();
            tokio::pin!(delivered);
            delivered.as_mut().enable();
            if self.shared.with(|state| state.mail.is_settled()) {
                return;
            }
            delivered.await;
        }
    }

    /// Keeps deliveries back from now on.
    pub fn hold_webhooks(&self) {
        self.shared.with(|state| state.mail.holding = true);
    }

    /// Sends what was kept back, in order, and everything after.
    pub fn release_webhooks(&self) {
        self.shared.with(|state| {
            state.mail.holding = false;
            let held = std::mem::take(&mut state.mail.held);
            state.mail.ready.extend(held);
        });
    }

    /// Sends what was kept back, the newest first, and everything after.
    pub fn release_webhooks_reversed(&self) {
        self.shared.with(|state| state.mail.held.make_contiguous().reverse());
        self.release_webhooks();
    }

    /// Sends one delivery that was kept back, before the others; `false` if it is not among them.
    pub fn release_webhook(&self, id: u64) -> bool {
        self.shared.with(|state| {
            let index = state.mail.held.iter().position(|held| *held == id);
            let found = index.and_then(|index| state.mail.held.remove(index));
            state.mail.ready.extend(found);
            found.is_some()
        })
    }

    /// The numbers of the deliveries that are kept back, oldest first.
    pub fn held_webhook_ids(&self) -> Vec<u64> {
        self.shared.with(|state| state.mail.held.iter().copied().collect())
    }

    /// Takes one delivery out of those that were kept back, as the request that it is, for whoever carries webhooks
    /// without a courier; `None` if it is not among them or has no address. It waits for [`Self::webhook_answered`].
    pub fn take_webhook(&self, id: u64) -> Option<WebhookRequest> {
        self.shared.with(|state| {
            let index = state.mail.held.iter().position(|held| *held == id)?;
            state.mail.held.remove(index);
            state.webhook_request(id)
        })
    }

    /// Notes what the receiver of a delivery answered, or why it did not.
    pub fn webhook_answered(&self, id: u64, answer: Result<u16, &str>) {
        self.shared.with(|state| state.note_answer(id, answer));
    }

    /// Loses one delivery that was kept back, as if its receiver had been down; `false` if it is not among them.
    pub fn lose_webhook(&self, id: u64) -> bool {
        self.shared.with(|state| {
            let index = state.mail.held.iter().position(|held| *held == id);
            let found = index.and_then(|index| state.mail.held.remove(index));
            if let Some(id) = found {
                state.record_attempt(id, 502, "failed to connect to host");
            }
            found.is_some()
        })
    }

    /// Lets something happen to the next delivery of `event`, such as `issues` or `issues.labeled`.
    pub fn mishap(&self, event: &str, mishap: Mishap) {
        self.shared.with(|state| state.mail.mishaps.push(MishapRule { event: event.to_owned(), mishap }));
    }

    /// Sends a delivery again under its GUID, as the button of an app's settings does; gives the new id.
    pub fn redeliver(&self, id: u64) -> Result<u64, SimError> {
        self.shared.with(|state| state.redeliver(id)).ok_or_else(|| SimError::unknown("delivery", &id))
    }
}
