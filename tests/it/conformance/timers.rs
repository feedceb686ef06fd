use pairbot::store::Commit;
use pairbot_protocol::effect::{Effect, StoreChange};
use pairbot_protocol::signal::{Envelope, Signal, Target, Timer};

use super::Backend;
use super::fixtures::{INSTALLATION, at, go_on, head, new_run, open_run, opening, run_of};

fn start(timer: Timer, ms: u64) -> Effect {
    Effect::Store(StoreChange::StartTimer { timer, at: at(ms) })
}

fn fired(issue: u64, timer: Timer) -> Envelope {
    Envelope {
        installation: INSTALLATION,
        target: Target::Run { run: run_of(issue) },
        signal: Signal::TimerFired { timer },
    }
}

pub(super) async fn a_timer_goes_off_once(backend: &dyn Backend) {
    let store = backend.open();
    assert_eq!(store.next_timer().await.unwrap(), None);
    let ci = Timer::CiWait { head: head('a') };
    open_run(&*store, 1, vec![start(Timer::Deadline, 100), start(ci.clone(), 50)]).await;
    open_run(&*store, 2, vec![start(Timer::Deadline, 200)]).await;
    assert_eq!(store.next_timer().await.unwrap(), Some(at(50)));
    assert_eq!(store.fire_timers(at(49)).await.unwrap(), 0);
    assert_eq!(store.fire_timers(at(100)).await.unwrap(), 2);
    assert_eq!(store.fire_timers(at(100)).await.unwrap(), 0);
    let rows = store.inbox_pending(10).await.unwrap();
    let seen: Vec<_> = rows.into_iter().map(|row| row.envelope).collect();
    assert_eq!(seen, [fired(1, ci), fired(1, Timer::Deadline)]);
    assert_eq!(store.next_timer().await.unwrap(), Some(at(200)));
}

pub(super) async fn a_timer_set_again_is_moved(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![start(Timer::Deadline, 100)]).await;
    go_on(&*store, 1, vec![start(Timer::Deadline, 300)]).await;
    assert_eq!(store.fire_timers(at(299)).await.unwrap(), 0);
    assert_eq!(store.fire_timers(at(300)).await.unwrap(), 1);
}

pub(super) async fn a_timer_set_again_for_the_same_moment_goes_off_again(backend: &dyn Backend) {
    let store = backend.open();
    store.commit(opening(new_run(run_of(1), INSTALLATION), vec![start(Timer::Deadline, 1)])).await.unwrap();
    assert_eq!(store.fire_timers(at(5)).await.unwrap(), 1);
    let row = store.inbox_pending(1).await.unwrap().remove(0);
    let stored = store.run(run_of(1)).await.unwrap().unwrap();
    let decision = Commit {
        inbox: Some(row.id),
        version_before: stored.version,
        ..opening(stored.run, vec![start(Timer::Deadline, 1)])
    };
    store.commit(decision).await.unwrap();
    assert_eq!(store.fire_timers(at(5)).await.unwrap(), 1);
    assert_eq!(store.inbox_pending(10).await.unwrap().len(), 1);
}
