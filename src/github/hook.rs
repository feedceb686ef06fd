//! The App's own webhook: where it points, and how its deliveries of late went.

use pairbot_protocol::ids::{InstallationId, Timestamp};
use serde::Deserialize;

use super::app::GitHub;
use super::call::Caller;
use super::error::{GitHubError, found};
use super::moment::Moment;

/// One attempt to deliver a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HookDelivery {
    /// The attempt's own number; later attempts have larger ones.
    pub id: DeliveryId,
    /// What all attempts at one delivery share.
    pub guid: String,
    /// The event's name.
    pub event: String,
    /// When it was attempted.
    pub delivered_at: Moment,
    /// GitHub's word for the outcome, such as `OK` or `failed to connect to host`.
    #[serde(default)]
    pub status: String,
    /// What was answered, or what GitHub put in its place.
    #[serde(default)]
    pub status_code: u16,
}

/// Number of an attempt to deliver a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub u64);

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

    /// The attempts to deliver the App's webhook since a moment, the newest first.
    pub async fn webhook_deliveries_since(&self, since: &Moment) -> Result<Vec<HookDelivery>, GitHubError> {
        let is_new = |delivery: &HookDelivery| delivery.delivered_at >= *since;
        let route = "/app/hook/deliveries?per_page=100";
        let mut list: Vec<HookDelivery> = self.client(Caller::App).list_while(route, None, is_new).await?;
        list.retain(is_new);
        Ok(list)
    }

    /// Asks GitHub to deliver a webhook once more, under its GUID. GitHub never does so by itself.
    pub async fn redeliver_webhook(&self, delivery: DeliveryId) -> Result<(), GitHubError> {
        let route = format!("/app/hook/deliveries/{}/attempts", delivery.0);
        self.client(Caller::App).ask_again(&route).await
    }

    /// Whether an installation, or the App itself, has requests to spare for what can wait; else when to ask again.
    pub fn spare_requests(&self, installation: Option<InstallationId>) -> Result<(), Timestamp> {
        self.client(installation.map_or(Caller::App, Caller::Installation)).spare()
    }

    /// The latest deliveries of the App's webhook, the newest first. GitHub keeps three days of them.
    pub async fn webhook_deliveries(&self) -> Result<Vec<HookDelivery>, GitHubError> {
        self.client(Caller::App).get("/app/hook/deliveries?per_page=10").await
    }
}
