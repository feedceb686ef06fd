//! The embedded bus over each store: it waits, and loses nothing.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pairbot::bus::{Bus, EmbeddedBus};
use pairbot::ports::Clock;
use pairbot::store::{AttemptEnd, Store, TaskKinds};
use pairbot_protocol::ids::Timestamp;
use tokio::sync::Notify;

use super::Backend;
use super::fixtures::{LEASE_MS, answer, at, create, go_on, open_run, tasks_of};

const SLOTS: NonZeroUsize = NonZeroUsize::MIN;

/// A clock that a test moves.
#[derive(Debug)]
struct HandClock {
    now: Mutex<Timestamp>,
    asked: Notify,
    moved: Notify,
}

impl HandClock {
    fn new() -> Arc<Self> {
        Arc::new(Self { now: Mutex::new(at(0)), asked: Notify::new(), moved: Notify::new() })
    }

    fn set(&self, ms: u64) {
        *self.now.lock().unwrap() = at(ms);
        self.moved.notify_waiters();
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    async fn sleep_until(&self, until: Timestamp) {
        loop {
            let moved = self.moved.notified();
            if self.now() >= until {
                return;
            }
            self.asked.notify_one();
            moved.await;
        }
    }
}

fn bus(store: &Arc<dyn Store>, clock: &Arc<HandClock>) -> Arc<EmbeddedBus> {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Arc::new(EmbeddedBus::new(Arc::clone(store), clock, "w".to_owned(), LEASE_MS))
}

fn wait(bus: &Arc<EmbeddedBus>) -> tokio::task::JoinHandle<Vec<pairbot::store::Claimed>> {
    let next = {
        let bus = Arc::clone(bus);
        async move { bus.next(TaskKinds::All, SLOTS).await.unwrap() }
    };
    // Only a failure takes this long: a wake-up that never comes.
    tokio::spawn(async { tokio::time::timeout(Duration::from_secs(20), next).await.unwrap() })
}

/// Takes away what earlier changes left for the next who listens.
fn forget_notices(store: &Arc<dyn Store>) {
    let changed = store.outbox_changed();
    while pin!(changed.notified()).enable() {}
}

pub(super) async fn a_task_wakes_who_waits(backend: &dyn Backend) {
    let store = backend.open();
    let clock = HandClock::new();
    let bus = bus(&store, &clock);
    let waiting = wait(&bus);
    let tasks = open_run(&*store, 1, vec![create(1), create(2)]).await;
    let claimed = waiting.await.unwrap();
    assert_eq!(tasks_of(&claimed), [tasks[0]]);
    // The end of a lane's head wakes who waits for the next. It waits once it asks the clock for the lease's end.
    forget_notices(&store);
    let waiting = wait(&bus);
    clock.asked.notified().await;
    store.complete(&claimed[0].lease, pairbot::store::Done::default(), at(0)).await.unwrap();
    assert_eq!(tasks_of(&waiting.await.unwrap()), [tasks[1]]);
}

pub(super) async fn a_delayed_task_comes_when_its_time_has_come(backend: &dyn Backend) {
    let store = backend.open();
    let clock = HandClock::new();
    let bus = bus(&store, &clock);
    open_run(&*store, 1, vec![answer(1)]).await;
    let claimed = wait(&bus).await.unwrap();
    store.retry_later(&claimed[0].lease, at(500), "502", AttemptEnd::Failed).await.unwrap();
    let waiting = wait(&bus);
    clock.asked.notified().await;
    assert!(!waiting.is_finished());
    clock.set(500);
    assert_eq!(waiting.await.unwrap()[0].attempt, 2);
}

pub(super) async fn who_gives_up_waiting_loses_no_task(backend: &dyn Backend) {
    let store = backend.open();
    let bus = bus(&store, &HandClock::new());
    let tasks = open_run(&*store, 1, vec![create(1)]).await;
    for _ in 0..20 {
        // Polled once: its claim is under way when it is dropped.
        let mut next = Box::pin(bus.next(TaskKinds::All, SLOTS));
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        drop(next);
    }
    // The clock stands still, so no lease expires: what comes was given back.
    let claimed = wait(&bus).await.unwrap();
    assert_eq!((tasks_of(&claimed), claimed[0].attempt), (tasks, 1));
    go_on(&*store, 1, vec![]).await;
}
