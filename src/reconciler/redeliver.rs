//! Webhooks that did not arrive: GitHub keeps them for three days and sends each again once it is asked to.

use std::collections::{BTreeMap, BTreeSet};

use pairbot_protocol::ids::Timestamp;
use tracing::{info, warn};

use super::{Parts, Trouble};
use crate::github::{DeliveryId, GitHubError, HookDelivery, Moment, Next};
use crate::http::webhook::EVENTS;
use crate::store::{Accepted, Content, Delivery};

/// For how long GitHub can be asked to send a delivery again
/// (<https://docs.github.com/webhooks/testing-and-troubleshooting-webhooks/redelivering-webhooks>).
const KEPT_MS: u64 = 3 * 24 * 3_600_000;
/// How far back is looked again: an attempt is listed a little later than it is made.
const OVERLAP_MS: u64 = 10 * 60_000;

/// What was looked at.
#[derive(Debug, Default)]
pub(super) struct Looked {
    since: Option<Moment>,
    /// What was asked for already, by this process or by one before it.
    asked: BTreeSet<String>,
    /// What was recorded as asked for, and GitHub did not hear.
    owed: BTreeMap<String, DeliveryId>,
}

/// Asks for every delivery none of whose attempts arrived, each once: one that kills its receiver must not be sent to it
/// for ever. How many were asked for.
pub(super) async fn redeliver(parts: &Parts, looked: &mut Looked) -> Result<usize, Trouble> {
    let now = parts.clock.now();
    let horizon = Timestamp::from_unix_ms(now.unix_ms.saturating_sub(KEPT_MS));
    let Some(oldest) = Moment::of(horizon) else { return Ok(0) };
    let since = looked.since.clone().filter(|since| *since > oldest).unwrap_or(oldest);
    let attempts = parts.github.webhook_deliveries_since(&since).await?;
    let mut asked = 0;
    let lost: BTreeMap<String, DeliveryId> =
        lost(&attempts).into_iter().filter(|(guid, _)| !looked.asked.contains(guid)).collect();
    let mut in_order: Vec<(String, DeliveryId)> = looked.owed.clone().into_iter().chain(lost).collect();
    // As they happened: what depends on the order depends on it in the way people did it.
    in_order.sort_by_key(|(_, id)| *id);
    for (guid, id) in in_order {
        if !looked.owed.contains_key(&guid) && !record(parts, &guid, now).await? {
            looked.asked.insert(guid);
            continue;
        }
        looked.asked.insert(guid.clone());
        looked.owed.insert(guid.clone(), id);
        match parts.github.redeliver_webhook(id).await {
            Ok(()) => {
                info!(guid, "asked GitHub for a webhook that did not arrive");
                asked += 1;
            }
            Err(error) => match error.next() {
                Next::Retry | Next::Snooze(_) => return Err(error.into()),
                // It is too old, or gone: what it said is found by looking.
                Next::LookThenRetry | Next::GiveUp => refused(&guid, &error),
            },
        }
        looked.owed.remove(&guid);
    }
    if let Some(newest) = attempts.iter().filter_map(|delivery| delivery.delivered_at.at()).max() {
        looked.since = Moment::of(Timestamp::from_unix_ms(newest.unix_ms.saturating_sub(OVERLAP_MS)));
    }
    Ok(asked)
}

fn refused(guid: &str, error: &GitHubError) {
    warn!(guid, %error, "GitHub does not send a webhook again");
}

/// Makes it durable that this delivery is asked for, before it is. Whether it was not yet.
async fn record(parts: &Parts, guid: &str, now: Timestamp) -> Result<bool, Trouble> {
    let delivery = Delivery {
        guid: format!("redelivery:{guid}"),
        meaning: None,
        event: "reconciler.redelivery".to_owned(),
        received_at: now,
        content: Content::Ignored {
            installation: None,
            reason: "GitHub is asked once to send this delivery again".to_owned(),
        },
    };
    Ok(match parts.store.accept(delivery).await? {
        Accepted::New => true,
        Accepted::SameDelivery | Accepted::SameMeaning => false,
    })
}

/// The deliveries of which no attempt arrived, with their latest attempt. What nobody here understands may stay lost.
fn lost(attempts: &[HookDelivery]) -> BTreeMap<String, DeliveryId> {
    let arrived: BTreeSet<&str> =
        attempts.iter().filter(|attempt| attempt.succeeded()).map(|attempt| attempt.guid.as_str()).collect();
    let mut lost = BTreeMap::new();
    for attempt in attempts {
        if !arrived.contains(attempt.guid.as_str()) && EVENTS.contains(&attempt.event.as_str()) {
            let latest = lost.entry(attempt.guid.clone()).or_insert(attempt.id);
            *latest = attempt.id.max(*latest);
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(id: u64, guid: &str, event: &str, status_code: u16) -> HookDelivery {
        let json = serde_json::json!({
            "id": id, "guid": guid, "event": event, "delivered_at": "2026-01-05T08:00:00Z",
            "status": "OK", "status_code": status_code,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn only_what_never_arrived_and_is_understood_is_asked_for() {
        let list = [
            attempt(9, "b", "issues", 502),
            attempt(8, "d", "star", 502),
            attempt(7, "c", "issues", 202),
            attempt(6, "b", "issues", 503),
            attempt(5, "c", "issues", 502),
            attempt(4, "a", "issue_comment", 202),
        ];
        assert_eq!(lost(&list), BTreeMap::from([("b".to_owned(), DeliveryId(9))]));
    }
}
