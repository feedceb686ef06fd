//! One repository, as an installation of the App sees it. What can be read and written there is in the files named
//! after it: [`super::issues`], [`super::comments`], [`super::pulls`], and so on.

use std::sync::Arc;

use http::Method;
use pairbot_protocol::ids::{InstallationId, RepositoryId};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Licence;
use super::app::Shared;
use super::client::Client;
use super::error::GitHubError;
use super::names::FullName;
use super::route::segment;
use super::tokens::GitAccess;

/// A repository. Cheap to clone; it holds no connection and no token of its own.
#[derive(Debug, Clone)]
pub struct RepositoryClient {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) installation: InstallationId,
    pub(super) id: RepositoryId,
}

/// What is known of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// Its id, which never changes.
    pub id: RepositoryId,
    /// Its name at the moment.
    pub full_name: FullName,
    /// The branch that pull requests go to unless told otherwise.
    pub default_branch: String,
    /// Whether only some may read it.
    pub private: bool,
    /// Whether it takes no changes.
    pub archived: bool,
    /// Where git fetches it from, without credentials.
    pub clone_url: String,
}

#[derive(Deserialize)]
struct RepositoryWire {
    id: u64,
    name: String,
    owner: OwnerWire,
    default_branch: String,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    archived: bool,
}

#[derive(Deserialize)]
struct OwnerWire {
    login: String,
}

impl RepositoryClient {
    /// Which repository this is.
    pub const fn id(&self) -> RepositoryId {
        self.id
    }

    /// As whose installation it is used.
    pub const fn installation(&self) -> InstallationId {
        self.installation
    }

    /// Reads what the repository is, now.
    pub async fn facts(&self) -> Result<RepositoryFacts, GitHubError> {
        let wire: RepositoryWire = self.client.get(&format!("/repositories/{}", self.id)).await?;
        let full_name = FullName { owner: wire.owner.login, name: wire.name };
        self.shared.names.keep(self.id, full_name.clone());
        Ok(RepositoryFacts {
            id: RepositoryId(wire.id),
            clone_url: self.shared.server.clone_url(&full_name.owner, &full_name.name),
            full_name,
            default_branch: wire.default_branch,
            private: wire.private,
            archived: wire.archived,
        })
    }

    /// What the repository is called, at most a few minutes ago.
    pub async fn full_name(&self) -> Result<FullName, GitHubError> {
        match self.shared.names.find(self.id) {
            Some(name) => Ok(name),
            None => Ok(self.facts().await?.full_name),
        }
    }

    /// A token for git over https (user `x-access-token`), good for this repository's contents alone.
    pub async fn git_token(&self, access: GitAccess) -> Result<SecretString, GitHubError> {
        self.shared.installation_token_for_git(self.installation, self.id, access).await
    }

    /// Gives back a token that git says was refused, so that the next one is new.
    pub async fn refuse_git_token(&self, access: GitAccess, token: &SecretString) {
        self.shared.refuse_git_token(self.installation, self.id, access, token).await;
    }

    pub(super) async fn route(&self, rest: &str) -> Result<String, GitHubError> {
        let FullName { owner, name } = self.full_name().await?;
        Ok(format!("/repos/{}/{}{rest}", segment(&owner), segment(&name)))
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, rest: &str) -> Result<T, GitHubError> {
        self.client.get(&self.route(rest).await?).await
    }

    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        rest: &str,
        key: Option<&str>,
    ) -> Result<Vec<T>, GitHubError> {
        self.client.list(&self.route(rest).await?, key).await
    }

    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        lease: &impl Licence,
        method: Method,
        rest: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, GitHubError> {
        self.client.write(lease, method, &self.route(rest).await?, body).await
    }
}
