//! A clock that stands still until it is told to move.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pairbot_protocol::ids::Timestamp;
use tokio::sync::oneshot;

use crate::ports::Clock;

/// A clock for tests and simulations. Clones show the same time.
///
/// Sleepers wake in the order of their moments, and among equal moments in the order they fell asleep, so one run
/// of a simulation equals the next.
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    sleepers: BTreeMap<Bed, oneshot::Sender<()>>,
    beds_made: u64,
}

/// Where a sleeper lies: its moment, then the order of falling asleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Bed {
    at: Timestamp,
    position: u64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { state: Arc::new(Mutex::new(State { now, ..State::default() })) }
    }

    /// Moves time forward and wakes everyone whose moment has come, in order.
    pub fn advance(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let until = self.state().now.plus_ms(ms);
        self.advance_to(until);
    }

    /// Moves time to `until`, never backwards, and wakes everyone whose moment has come, in order.
    pub fn advance_to(&self, until: Timestamp) {
        let mut state = self.state();
        state.now = state.now.max(until);
        while let Some(first) = state.sleepers.first_entry() {
            if first.key().at > until {
                break;
            }
            // A sleeper that was cancelled meanwhile is not there to hear it.
            let _gone = first.remove().send(());
        }
    }

    /// The moment of the next sleeper; none if nobody sleeps.
    pub fn next_moment(&self) -> Option<Timestamp> {
        Some(self.state().sleepers.keys().next()?.at)
    }

    /// Moves time to the moment of the next sleeper, wakes all of that moment, and says which it was; nothing if
    /// nobody sleeps.
    pub fn advance_to_next(&self) -> Option<Timestamp> {
        let next = self.next_moment()?;
        self.advance_to(next);
        Some(next)
    }

    /// How many wait for a moment.
    pub fn sleepers(&self) -> usize {
        self.state().sleepers.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a cancelled sleeper out of the row.
struct Leave<'a> {
    clock: &'a ManualClock,
    bed: Bed,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.bed);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    async fn sleep_until(&self, at: Timestamp) {
        let (bed, woken) = {
            let mut state = self.state();
            if state.now >= at {
                return;
            }
            let bed = Bed { at, position: state.beds_made };
            state.beds_made += 1;
            let (wake, woken) = oneshot::channel();
            state.sleepers.insert(bed, wake);
            (bed, woken)
        };
        let _leave = Leave { clock: self, bed };
        // The sender lives in the clock we borrow, so it cannot be dropped unsent while we wait.
        let _sent = woken.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_moments() {
        let clock = ManualClock::at(Timestamp::from_unix_ms(1_000));
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (name, ms) in [("late", 30), ("first", 10), ("second", 10), ("never", 100)] {
            let (clock, order) = (clock.clone(), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                clock.sleep(Duration::from_millis(ms)).await;
                order.lock().unwrap().push((name, clock.now().unix_ms));
            }));
        }
        while clock.sleepers() < 4 {
            tokio::task::yield_now().await;
        }
        while clock.now().unix_ms < 1_030 {
            clock.advance_to_next();
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(*order.lock().unwrap(), [("first", 1_010), ("second", 1_010), ("late", 1_030)]);
        assert_eq!(clock.sleepers(), 1);
        for task in tasks {
            task.abort();
        }
    }

    #[tokio::test]
    async fn a_cancelled_sleeper_leaves_and_time_never_goes_back() {
        let clock = ManualClock::at(Timestamp::from_unix_ms(50));
        let mut sleeping = Box::pin(clock.sleep(Duration::from_secs(1)));
        assert!(futures_util::poll!(&mut sleeping).is_pending());
        assert_eq!(clock.sleepers(), 1);
        drop(sleeping);
        assert_eq!(clock.sleepers(), 0);
        clock.advance_to(Timestamp::from_unix_ms(10));
        assert_eq!(clock.now().unix_ms, 50);
        assert_eq!(clock.advance_to_next(), None);
    }
}
