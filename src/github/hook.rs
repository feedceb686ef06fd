//! The App's own webhook: where it points, and how its deliveries of late went.

use serde::Deserialize;

use super::app::GitHub;
use super::call::Caller;
use super::error::{GitHubError, found};

/// One attempt to deliver a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HookDelivery {
    /// The event's name.
    pub event: String,
    /// When it was attempted, in ISO 8601.
    pub delivered_at: String,
    /// GitHub's word for the outcome, such as `OK` or `failed to connect to host`.
    pub status: String,
    /// What was answered, or what GitHub put in its place.
    pub status_code: u16,
}

impl HookDelivery {
    /// Whether GitHub counts it as delivered.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

#[derive(Deserialize)]
struct HookWire {
    url: Option<String>,
}

impl GitHub {
    /// The address that webhooks are sent to, if there is one.
    pub async fn webhook_url(&self) -> Result<Option<String>, GitHubError> {
        let hook: Option<HookWire> = found(self.client(Caller::App).get("/app/hook/config").await)?;
        Ok(hook.and_then(|hook| hook.url).filter(|url| !url.is_empty()))
    }

    /// The latest deliveries of the App's webhook, the newest first. GitHub keeps three days of them.
    pub async fn webhook_deliveries(&self) -> Result<Vec<HookDelivery>, GitHubError> {
        self.client(Caller::App).get("/app/hook/deliveries?per_page=10").await
    }
}
