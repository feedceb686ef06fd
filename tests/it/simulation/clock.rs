//! The server's clock: the world's time, unless somebody set it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use pairbot::adapters::ManualClock;
use pairbot::ports::Clock;
use pairbot_protocol::ids::Timestamp;

/// A clock that may be behind the world's.
#[derive(Debug, Clone)]
pub(super) struct WrongClock {
    world: ManualClock,
    behind_ms: Arc<AtomicU64>,
}

impl WrongClock {
    pub(super) fn of(world: &ManualClock) -> Self {
        Self { world: world.clone(), behind_ms: Arc::default() }
    }

    /// Sets it back to so much behind the world's time, or right again.
    pub(super) fn set_behind_ms(&self, ms: u64) {
        self.behind_ms.store(ms, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        let now_ms = self.world.now().unix_ms;
        Timestamp::from_unix_ms(now_ms.saturating_sub(self.behind_ms.load(Ordering::SeqCst)))
    }

    async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left_ms = at.ms_since(self.now());
            if left_ms == 0 {
                return;
            }
            // Set right, the clock may be at its moment long before: looks again every half minute, as the real one.
            let behind = self.behind_ms.load(Ordering::SeqCst) > 0;
            let nap_ms = if behind { left_ms.min(30_000) } else { left_ms };
            self.world.sleep_until(self.world.now().plus_ms(nap_ms)).await;
        }
    }
}
