//! The gateway for agents that make their calls themselves: a door to the models for exactly one task.
//!
//! An agent, ours or a vendor's, is told that its provider is at an address inside its cage and that its key is a token.
//! Behind the address is a Unix socket, and the token is good for this door alone. What comes through is reserved before
//! it is sent, forwarded with the operator's key, passed back byte for byte and settled as the provider reports, exactly
//! as the builtin agent's calls are (promise P3). Neither key nor token is ever written down.
//!
//! In reading order: [`api`] and [`refusal`] (what is let through, and the words for what is not), [`body`], [`content`] and
//! [`fields`] (what a request asks for), [`serve`] (a request), [`call`] (from reservation to settlement), [`events`],
//! [`meter`] and [`blot`] (an answer that passes by), [`record`] (what is remembered).

mod api;
mod blot;
mod body;
mod call;
mod content;
mod events;
mod fields;
mod meter;
mod record;
mod refusal;
mod serve;

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pairbot_protocol::ids::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

pub use api::Api;
pub use record::{CallOutcome, DoorCall, Spent};

use super::account::BudgetAccount;
use super::call::{CallError, Gateway};
use super::prices::ModelChoice;
use super::providers::ProviderKind;
use record::Record;

/// The name of the socket inside the directory that is given.
const SOCKET: &str = "gateway.sock";

/// For whom a door is opened.
pub struct Visit {
    /// Who pays.
    pub account: Arc<dyn BudgetAccount>,
    /// The models that may be called, and no others.
    pub models: Vec<ModelChoice>,
    /// The most tokens that one answer may have.
    pub output_tokens_max: u64,
    /// When the task must have ended.
    pub deadline: Option<Timestamp>,
    /// What the calls are for, as people read it in the account.
    pub purpose: String,
}

/// Why a door could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// No model may be called through it.
    #[error("no model is allowed for this task, so its agent could call none; name one")]
    NoModels,
    /// A model has no price and no budget counts its tokens, or nobody can say what is left.
    #[error(transparent)]
    Unpayable(#[from] CallError),
    /// The server has no key for a provider.
    #[error("no key is configured for the provider {provider}; set its API key in the server's environment")]
    NoProvider {
        /// The provider.
        provider: ProviderKind,
    },
    /// The socket could not be made.
    #[error("the socket {} could not be made (its path may have 100 bytes at most): {source}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A door that is open until this is dropped.
///
/// Whatever is under way then is no longer waited for: it stays reserved, as any call whose end nobody saw, and is charged
/// in full with its task. [`Door::close`] waits for it.
pub struct Door {
    shared: Arc<Shared>,
    socket: PathBuf,
    token: SecretString,
}

impl fmt::Debug for Door {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Door").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// What all requests through one door share.
struct Shared {
    gateway: Arc<Gateway>,
    visit: Visit,
    /// Of the token, so that comparing takes as long whatever is shown.
    token: [u8; 32],
    record: Mutex<Record>,
    traffic: watch::Sender<Traffic>,
    /// Set once a call did not fit the budget.
    refused: CancellationToken,
    /// Set once no new call is taken.
    closing: CancellationToken,
    /// Set once nothing is waited for any more.
    gone: CancellationToken,
    /// Mebibytes of request bodies that may be held at a time.
    bodies: Arc<Semaphore>,
    /// A large body takes many times its size while it is read: one at a time.
    large: Semaphore,
}

/// Paid calls, so that one that does not fit can wait for those that have more reserved than they will cost.
#[derive(Debug, Default, Clone, Copy)]
struct Traffic {
    under_way: usize,
    ended: u64,
}

impl Gateway {
    /// Opens a door for one task, as a socket in `directory` that only this user may open.
    pub async fn open_door(self: &Arc<Self>, directory: &Path, visit: Visit) -> Result<Door, DoorError> {
        if visit.models.is_empty() {
            return Err(DoorError::NoModels);
        }
        for model in &visit.models {
            self.facts_for(visit.account.as_ref(), model).await?;
            if !self.has_provider(model.provider) {
                return Err(DoorError::NoProvider { provider: model.provider });
            }
        }
        let socket = directory.join(SOCKET);
        let listener =
            listen(&socket).map_err(|source| DoorError::Socket { path: socket.clone(), source })?;
        // In a form that the log's redactor knows, in case an agent prints it.
        let bits = [(); 4].map(|()| self.entropy.bits());
        let token = SecretString::from(format!(
            "sk-pairbot-{:016x}{:016x}{:016x}{:016x}",
            bits[0], bits[1], bits[2], bits[3]
        ));
        let shared = Arc::new(Shared {
            gateway: Arc::clone(self),
            visit,
            token: Sha256::digest(token.expose_secret()).into(),
            record: Mutex::default(),
            traffic: watch::Sender::default(),
            refused: CancellationToken::new(),
            closing: CancellationToken::new(),
            gone: CancellationToken::new(),
            bodies: Arc::new(Semaphore::new(serve::BODIES_MEBIBYTES)),
            large: Semaphore::new(1),
        });
        tokio::spawn(serve::serve(listener, Arc::clone(&shared)));
        Ok(Door { shared, socket, token })
    }
}

fn listen(socket: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

impl Door {
    /// Where it is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What to give the agent as its key.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// Returns once a call did not fit the budget. Not every agent ends by itself then.
    pub fn refused(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.refused.clone().cancelled_owned()
    }

    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        self.shared.record().spent()
    }

    /// The calls so far, oldest first.
    pub fn calls(&self) -> Vec<DoorCall> {
        self.shared.record().calls()
    }

    /// Returns once no call is under way, as after the agent has ended.
    pub async fn settled(&self) {
        let mut traffic = self.shared.traffic.subscribe();
        // The sender lives in this door, so it is never gone before the wait is over.
        let _there = traffic.wait_for(|traffic| traffic.under_way == 0).await.is_ok();
    }

    /// Takes no new call, and waits for those under way, but no longer than `patience`.
    pub async fn close(&self, patience: Duration) -> Spent {
        self.shared.closing.cancel();
        tokio::select! {
            biased;
            () = self.settled() => {}
            () = self.shared.gateway.clock.sleep(patience) => {}
        }
        self.spent()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.closing.cancel();
        self.shared.gone.cancel();
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "a door's socket was gone before it was closed");
        }
    }
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        // Every change is whole after one call, so what a panicking holder left is sound.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the token of this door.
    fn knows(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        shown == self.token
    }

    fn now(&self) -> Timestamp {
        self.gateway.clock.now()
    }
}

#[cfg(test)]
mod tests;
