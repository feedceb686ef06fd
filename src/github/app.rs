//! The App itself: how it is reached, who it is on GitHub, and where it is installed.

use std::collections::BTreeMap;
use std::sync::Arc;

use pairbot_protocol::ids::{InstallationId, RepositoryId, UserId};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::address::{AddressError, ApiAddress, ServerAddress};
use super::cache::Cached;
use super::call::Caller;
use super::client::{Client, Clients};
use super::credentials::{AppCredentials, CredentialsError};
use super::error::GitHubError;
use super::exchange::Exchange;
use super::limits::Metered;
use super::names::{FullName, RepositoryNames};
use super::repository::RepositoryClient;
use super::route::segment;
use super::tokens::{Authenticated, GitAccess, TokenScope};
use super::transport::Transport;
use super::wire::Wire;
use crate::ports::{Clock, Entropy};
use crate::redact::Redactor;

/// What is needed to speak with GitHub as an App.
#[derive(Debug, Clone)]
pub struct GitHubSettings {
    /// `GITHUB_API_URL`.
    pub api_url: String,
    /// `GITHUB_SERVER_URL`.
    pub server_url: String,
    /// `APP_ID`: the App's number or its client id.
    pub app_id: String,
    /// `PRIVATE_KEY`: PEM text, also with `\n` for line breaks or in Base64.
    pub private_key: SecretString,
    /// What must not appear in anything that is posted, whoever wrote it.
    pub secrets: Vec<SecretString>,
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An address.
    #[error("GITHUB_API_URL or GITHUB_SERVER_URL: {0}")]
    Address(#[from] AddressError),
    /// The App's id or key.
    #[error("APP_ID or PRIVATE_KEY: {0}")]
    Credentials(#[from] CredentialsError),
}

/// GitHub, seen by this App. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GitHub {
    shared: Arc<Shared>,
}

/// What all clients of one App have in common.
#[derive(Debug)]
pub(super) struct Shared {
    exchange: Arc<Exchange>,
    clients: Arc<Clients>,
    pub(super) names: Arc<RepositoryNames>,
    pub(super) server: ServerAddress,
    identity: OnceCell<AppIdentity>,
    bot: OnceCell<UserId>,
}

/// GitHub's numeric id of the App.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct AppId(pub u64);

/// Who the App is on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppIdentity {
    /// Its id.
    pub app_id: AppId,
    /// Its name in URLs.
    pub slug: String,
    /// The login of what it does: `slug[bot]`. No person can have a login with brackets.
    pub bot_login: String,
}

impl AppIdentity {
    /// Whether an account is this App's. Logins are compared without case.
    pub fn is(&self, login: &str) -> bool {
        self.bot_login.eq_ignore_ascii_case(login)
    }
}

/// What the App may do and hears of, as registered or as one installation accepted it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AppGrants {
    /// `read`, `write` or `admin` by the name of each permission.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// Names of the webhook events.
    #[serde(default)]
    pub events: Vec<String>,
}

/// A place where the App is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Its id.
    pub id: InstallationId,
    /// The account it is installed on.
    pub account: String,
    /// Whether its owner suspended it: no token is given then.
    pub suspended: bool,
    /// What was accepted there; it may be less than the App asks for today.
    pub grants: AppGrants,
}

#[derive(Deserialize)]
struct AppWire {
    id: AppId,
    slug: String,
    #[serde(flatten)]
    grants: AppGrants,
}

#[derive(Deserialize)]
struct InstallationWire {
    id: u64,
    account: Option<AccountWire>,
    suspended_at: Option<serde_json::Value>,
    #[serde(flatten)]
    grants: AppGrants,
}

#[derive(Deserialize)]
struct AccountWire {
    /// Enterprises have a slug instead.
    login: Option<String>,
    slug: Option<String>,
}

impl GitHub {
    /// GitHub behind `transport`. Nothing is sent yet; the key is tried at once.
    pub fn new(
        settings: &GitHubSettings,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SettingsError> {
        let address = ApiAddress::parse(&settings.api_url)?;
        let server = ServerAddress::parse(&settings.server_url)?;
        let credentials = AppCredentials::new(&settings.app_id, &settings.private_key, Arc::clone(&clock))?;
        let wire = Wire { transport, clock: Arc::clone(&clock) };
        let metered = Metered::new(wire, Arc::clone(&clock));
        let authenticated = Authenticated::new(metered, address.clone(), credentials, Arc::clone(&clock));
        let names = Arc::new(RepositoryNames::new(Arc::clone(&clock)));
        let exchange = Arc::new(Exchange {
            cached: Cached::new(authenticated),
            outgoing: Redactor::for_posts(&settings.secrets),
            address,
            names: Arc::clone(&names),
            clock,
            entropy,
        });
        let shared = Shared {
            exchange,
            clients: Arc::default(),
            names,
            server,
            identity: OnceCell::new(),
            bot: OnceCell::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A repository of an installation. Nothing is sent yet.
    pub fn repository(&self, installation: InstallationId, repository: RepositoryId) -> RepositoryClient {
        RepositoryClient {
            shared: Arc::clone(&self.shared),
            client: self.shared.client(Caller::Installation(installation)),
            installation,
            id: repository,
        }
    }

    /// A text without any secret, as everything that is posted is; for what reaches GitHub another way.
    pub fn without_secrets(&self, text: &str) -> String {
        self.shared.exchange.outgoing.redact_text(text).into_owned()
    }

    /// Who we are. Asked once.
    pub async fn app_identity(&self) -> Result<AppIdentity, GitHubError> {
        self.shared.identity().await.cloned()
    }

    /// The user id of our bot account, for the address its commits carry. Asked once, as any installation.
    pub async fn bot_user_id(&self, installation: InstallationId) -> Result<UserId, GitHubError> {
        self.shared.bot_user_id(installation).await
    }

    /// What the App is registered to do and to hear.
    pub async fn app_grants(&self) -> Result<AppGrants, GitHubError> {
        Ok(self.shared.client(Caller::App).get::<AppWire>("/app").await?.grants)
    }

    /// Where the App is installed.
    pub async fn installations(&self) -> Result<Vec<Installation>, GitHubError> {
        let client = self.shared.client(Caller::App);
        let list: Vec<InstallationWire> = client.list("/app/installations?per_page=100", None).await?;
        Ok(list
            .into_iter()
            .map(|wire| Installation {
                id: InstallationId(wire.id),
                account: wire.account.and_then(|account| account.login.or(account.slug)).unwrap_or_default(),
                suspended: wire.suspended_at.is_some(),
                grants: wire.grants,
            })
            .collect())
    }

    pub(super) fn learn_name(&self, repository: RepositoryId, name: FullName) {
        self.shared.names.keep(repository, name);
    }

    pub(super) fn client(&self, caller: Caller) -> Client {
        self.shared.client(caller)
    }

    /// A token for git over https (user `x-access-token`), good for one repository's contents alone.
    pub async fn installation_token_for_git(
        &self,
        installation: InstallationId,
        repository: RepositoryId,
        access: GitAccess,
    ) -> Result<SecretString, GitHubError> {
        self.shared.installation_token_for_git(installation, repository, access).await
    }
}

impl Shared {
    fn client(&self, caller: Caller) -> Client {
        Client::new(Arc::clone(&self.exchange), Arc::clone(&self.clients), caller)
    }

    pub(super) async fn identity(&self) -> Result<&AppIdentity, GitHubError> {
        self.identity
            .get_or_try_init(|| async {
                let app: AppWire = self.client(Caller::App).get("/app").await?;
                let bot_login = format!("{}[bot]", app.slug);
                Ok(AppIdentity { app_id: app.id, slug: app.slug, bot_login })
            })
            .await
    }

    async fn bot_user_id(&self, installation: InstallationId) -> Result<UserId, GitHubError> {
        #[derive(Deserialize)]
        struct User {
            id: UserId,
        }
        let login = &self.identity().await?.bot_login;
        self.bot
            .get_or_try_init(|| async {
                let route = format!("/users/{}", segment(login));
                let user: User = self.client(Caller::Installation(installation)).get(&route).await?;
                Ok(user.id)
            })
            .await
            .copied()
    }

    pub(super) async fn installation_token_for_git(
        &self,
        installation: InstallationId,
        repository: RepositoryId,
        access: GitAccess,
    ) -> Result<SecretString, GitHubError> {
        let scope = TokenScope { installation, git: Some((repository, access)) };
        self.exchange.cached.authenticated().token(scope).await
    }

    pub(super) async fn refuse_git_token(
        &self,
        installation: InstallationId,
        repository: RepositoryId,
        access: GitAccess,
        token: &SecretString,
    ) {
        let scope = TokenScope { installation, git: Some((repository, access)) };
        self.exchange.cached.authenticated().reject(scope, token).await;
    }
}
