//! Forgets what has ended long ago, if the operator wants that.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::ports::Clock;
use crate::store::{Cutoff, Store};

/// How long to wait from one time to the next. What is kept is counted in days.
const PAUSE: Duration = Duration::from_hours(6);

/// Prunes the store now and again, until told to stop.
pub async fn keep(store: Arc<dyn Store>, clock: Arc<dyn Clock>, days: u32, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let now = clock.now();
        if let Some(cutoff) = Cutoff::days_before(now, days) {
            match store.prune(cutoff, now).await {
                Ok(pruned) => {
                    info!(
                        deliveries = pruned.deliveries,
                        runs = pruned.runs.len(),
                        "pruned what ended long ago"
                    );
                    for (run, why) in pruned.kept {
                        warn!(%run, %why, "a run is old enough to be pruned, and is kept");
                    }
                }
                // What is not forgotten costs disk and nothing else.
                Err(error) => error!(%error, "could not prune; trying again later"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = clock.sleep(PAUSE) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use pairbot_protocol::ids::Timestamp;

    use super::*;
    use crate::adapters::ManualClock;
    use crate::store::sqlite::SqliteStore;
    use crate::store::{Content, Delivery};

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;

    #[tokio::test]
    async fn what_ended_long_ago_is_forgotten_from_the_start_on() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("pairbot.db")).unwrap());
        for day in [0, 1, 95] {
            let content = Content::Ignored { installation: None, reason: "a star".to_owned() };
            let received_at = Timestamp::from_unix_ms(day * DAY_MS);
            let (guid, event) = (format!("g-{day}"), "star.created".to_owned());
            store.accept(Delivery { guid, meaning: None, event, received_at, content }).await.unwrap();
        }
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_ms(100 * DAY_MS)));
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(keep(store.clone(), clock, 90, stop.clone()));
        let forgotten = async {
            while store.counts().await.unwrap().deliveries > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), forgotten).await.unwrap();
        stop.cancel();
        keeping.await.unwrap();
    }
}
