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
