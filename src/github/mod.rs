//! Our side of GitHub.
//!
//! [`GitHub`] is the App's view, [`RepositoryClient`] one repository's. Below them, each request goes through the layers
//! of `exchange`. Every write takes the [`Licence`] of the task it is done for, and every write that makes something
//! can be told to look first, because an answer can get lost after GitHub has done what was asked.

mod address;
mod answer;
mod app;
mod cache;
mod call;
mod checks;
mod client;
mod comments;
mod contents;
mod credentials;
mod error;
mod exchange;
mod external_id;
mod graphql;
mod history;
mod hook;
mod issues;
mod limits;
pub mod limits_of_texts;
mod markers;
mod moment;
mod names;
mod own_account;
mod permissions;
mod pulls;
mod reactions;
mod refs;
mod reports;
mod repository;
mod reviews;
mod route;
mod statuses;
mod threads;
mod tokens;
mod transport;
mod wire;

#[cfg(test)]
mod tests;

use pairbot_protocol::ids::TaskId;

pub use address::{AddressError, ApiAddress, ServerAddress};
pub use app::{AppGrants, AppId, AppIdentity, GitHub, GitHubSettings, Installation, SettingsError};
pub use checks::{CheckAction, CheckRun, CheckState, Conclusion, ForeignCheck, ForeignState};
pub use comments::IssueComment;
pub use credentials::{AppCredentials, CredentialsError};
pub use error::{GitHubError, Next, Outcome};
pub use external_id::{ExternalId, ForeignExternalId};
pub use history::{IssueEvent, ReachedRepository, RecentComment};
pub use hook::{DeliveryId, HookDelivery};
pub use issues::{Account, Issue};
pub use markers::{Marker, MarkerError};
pub use moment::Moment;
pub use names::FullName;
pub use own_account::{BotAccount, OwnAccount};
pub use pulls::{ChangedFile, NewPullRequest, Opened, PullRequest};
pub use reactions::ReactionPlace;
pub use reports::ForeignReport;
pub use repository::{RepositoryClient, RepositoryFacts};
pub use reviews::{LineComment, NewReview, PostedReview, Review, Side};
pub use threads::ReviewThread;
pub use tokens::GitAccess;
pub use transport::{BODY_BYTES_MAX, BodyLimit, HttpTransport, ServiceTransport, Transport, TransportError};

/// The right to change something on GitHub: shown by whoever holds the lease of a task. Only the keeper of leases can
/// make one, so nothing is written that was not recorded as an intention first.
pub trait Licence: Send + Sync {
    /// The task that is executed.
    fn task(&self) -> TaskId;

    /// Whether the lease still holds, asked right before each write. GitHub cannot compare fencing tokens, so an attempt
    /// that was slow for longer than its lease must find out by itself that another one has taken over; else it would
    /// put older words over newer ones.
    fn confirm(&self) -> impl Future<Output = Result<(), Unconfirmed>> + Send;
}

/// Why a licence could not be confirmed. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unconfirmed {
    /// Another attempt carries out the task, or it is no longer wanted.
    #[error("its lease is lost")]
    Lost,
    /// The keeper of leases did not answer.
    #[error("it is not known whether its lease holds: {0}")]
    Unknown(String),
}
