//! The machine's own time.

#![expect(clippy::disallowed_methods, reason = "this is the adapter that the lint sends everyone to")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pairbot_protocol::ids::Timestamp;

use crate::ports::Clock;

/// How long the clock sleeps before it looks at the wall again. A sleep counts monotonic time, a deadline is wall
/// time: after a suspended machine or a corrected clock the two differ, and this bounds by how much.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The machine's own time: the wall clock, and the runtime's timer to wait on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A machine set to before 1970 is treated as standing at 1970: no deadline is passed by mistake.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_ms(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left_ms = at.ms_since(self.now());
            if left_ms == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left_ms).min(LOOK_AGAIN_AFTER)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleep_ends_at_or_after_its_moment() {
        let clock = SystemClock;
        let at = clock.now().plus_ms(5);
        clock.sleep_until(at).await;
        assert!(clock.now() >= at);
        clock.sleep_until(Timestamp::default()).await;
    }
}
