//! The account under which the App acts, learnt from GitHub once and known to everyone from then on.

use std::sync::{Arc, OnceLock};

use pairbot_protocol::ids::{InstallationId, Login, UserId};

use super::{GitHub, GitHubError, Outcome};

/// The account under which the App acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotAccount {
    /// The App's short name.
    pub slug: String,
    /// The account's id.
    pub id: UserId,
    /// The account's name, `<slug>[bot]`.
    pub login: Login,
}

/// A place where the account is kept once it is known. Ingress reads it to tell our own acts from those of others;
/// whoever is about to act makes sure that it is known before.
#[derive(Debug, Clone, Default)]
pub struct OwnAccount(Arc<OnceLock<BotAccount>>);

impl OwnAccount {
    /// The account, if it is known.
    pub fn known(&self) -> Option<&BotAccount> {
        self.0.get()
    }

    /// Takes note of the account. Only the first time counts: an App's account never changes.
    pub fn learn(&self, account: BotAccount) -> &BotAccount {
        self.0.get_or_init(|| account)
    }

    /// The account, asked for if it is not known yet. Any installation can be asked through.
    pub async fn resolve(
        &self,
        github: &GitHub,
        installation: InstallationId,
    ) -> Result<&BotAccount, GitHubError> {
        if let Some(account) = self.known() {
            return Ok(account);
        }
        let identity = github.app_identity().await?;
        let id = github.bot_user_id(installation).await?;
        let login = identity.bot_login.parse().map_err(|error| GitHubError::Malformed {
            request: "GET /app".to_owned(),
            detail: format!("{error}"),
            outcome: Outcome::NotApplied,
        })?;
        Ok(self.learn(BotAccount { slug: identity.slug, id, login }))
    }
}
