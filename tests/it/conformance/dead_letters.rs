//! What becomes of what was given up.

use std::sync::Arc;

use pairbot::store::{
    Act, AttemptEnd, Commit, DeadLetter, Done, InboxId, Replayed, Store, StoreError, TaskState,
};
use pairbot_protocol::awaits::Unwanted;
use pairbot_protocol::effect::{Effect, Publication, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::TaskId;
use pairbot_protocol::run::{Closing, Phase, Run};

use super::Backend;
use super::fixtures::{
    actor, answer, at, claim_one, create, delivery, go_on, open_run, opening, run_of, show, tasks_of,
};

/// Work that a run which has just begun waits for.
pub(super) fn inspect() -> Effect {
    Effect::Work(Work::Inspect { by: actor() })
}

/// Claims the one task there is and gives it up.
pub(super) async fn bury_one(store: &Arc<dyn Store>, ms: u64) -> TaskId {
    let claimed = claim_one(&**store, ms).await;
    store.bury(&claimed.lease, "no use", vec![], at(ms)).await.unwrap();
    claimed.lease.task()
}

async fn replay(store: &Arc<dyn Store>, task: TaskId) -> Replayed {
    store.replay(DeadLetter::Task(task), "ada", at(50)).await.unwrap()
}

pub(super) async fn a_replayed_task_has_fresh_attempts_a_new_fence_and_its_history(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![inspect()]).await;
    let first = claim_one(&*store, 0).await;
    store.retry_later(&first.lease, at(1), "502", AttemptEnd::Failed).await.unwrap();
    let second = claim_one(&*store, 1).await;
    store.bury(&second.lease, "tried twice", vec![], at(2)).await.unwrap();
    assert_eq!(replay(&store, first.lease.task()).await, Replayed::Queued);
    assert_eq!(store.dead_letters(10).await.unwrap(), []);

    let third = claim_one(&*store, 60).await;
    assert_eq!((third.lease.task(), third.attempt, third.outages), (first.lease.task(), 1, 0));
    assert!(third.lease.fence() > second.lease.fence());
    let late = store.complete(&second.lease, Done::default(), at(61)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost { .. })));
    store.complete(&third.lease, Done::default(), at(61)).await.unwrap();
    let record = store.task(third.lease.task()).await.unwrap().unwrap();
    assert_eq!((record.state, record.reason, record.history.len()), (TaskState::Done, None, 2));
    let [done] = &record.interventions[..] else { panic!("{:?}", record.interventions) };
    assert_eq!((done.act, done.at, done.by.as_str()), (Act::Replayed, at(50), "ada"));
}

pub(super) async fn a_replayed_task_joins_its_lane(backend: &dyn Backend) {
    let store = backend.open();
    let tasks = open_run(&*store, 1, vec![answer(1), answer(2), answer(3)]).await;
    assert_eq!(bury_one(&store, 0).await, tasks[0]);
    let running = claim_one(&*store, 1).await;
    assert_eq!(replay(&store, tasks[0]).await, Replayed::Queued);
    // Its lane has one that runs: of a lane never two are handed out.
    assert_eq!(super::fixtures::claim(&*store, 10, 2).await, []);
    store.complete(&running.lease, Done::default(), at(3)).await.unwrap();
    for expected in [tasks[0], tasks[2]] {
        let claimed = claim_one(&*store, 4).await;
        assert_eq!(claimed.lease.task(), expected);
        store.complete(&claimed.lease, Done::default(), at(4)).await.unwrap();
    }
}

pub(super) async fn a_replayed_publication_is_not_queued_twice(backend: &dyn Backend) {
    let store = backend.open();
    let status = || show(Publication::Status);
    open_run(&*store, 1, vec![status()]).await;
    let dead = bury_one(&store, 0).await;
    let [waiting] = go_on(&*store, 1, vec![status()]).await[..] else { panic!("one task") };
    assert_eq!(replay(&store, dead).await, Replayed::QueuedAlready(waiting));
    assert_eq!(tasks_of(&[claim_one(&*store, 60).await]), [waiting]);
    assert_eq!(store.dead_letters(10).await.unwrap().len(), 1);
}

pub(super) async fn work_that_nobody_waits_for_is_not_replayed(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![create(1)]).await;
    let dead = bury_one(&store, 0).await;
    assert_eq!(replay(&store, dead).await, Replayed::Unwanted(Unwanted::WentOn));
    open_run(&*store, 2, vec![inspect(), answer(1)]).await;
    for claimed in super::fixtures::claim(&*store, 10, 1).await {
        store.bury(&claimed.lease, "no use", vec![], at(1)).await.unwrap();
    }
    let stored = store.run(run_of(2)).await.unwrap().unwrap();
    let closed = Phase::Closed { closing: Closing::Stopped, by: actor(), last: None };
    let decision = Commit {
        version_before: stored.version,
        events: vec![Event::Closed { closing: Closing::Stopped, by: actor() }],
        ..opening(Run { phase: closed, ..stored.run }, vec![])
    };
    store.commit(decision).await.unwrap();
    let letters: Vec<_> = store.dead_letters(10).await.unwrap().iter().map(|dead| dead.task).collect();
    let [_, inspect, answer] = letters[..] else { panic!("{letters:?}") };
    assert_eq!(replay(&store, inspect).await, Replayed::Unwanted(Unwanted::Over));
    assert_eq!(store.task(inspect).await.unwrap().unwrap().state, TaskState::Dead);
    // What people are shown is the end of the run, and that is wanted.
    assert_eq!(replay(&store, answer).await, Replayed::Queued);
}

pub(super) async fn a_dropped_letter_is_kept_with_who_when_and_why(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![inspect()]).await;
    let task = bury_one(&store, 0).await;
    let letter = DeadLetter::Task(task);
    store.drop_letter(letter, "ada", "the repository is gone", at(7)).await.unwrap();
    assert_eq!(store.dead_letters(10).await.unwrap(), []);
    let record = store.task(task).await.unwrap().unwrap();
    assert_eq!((record.state, record.reason.as_deref()), (TaskState::Dropped, Some("no use")));
    assert!(!record.payload.is_empty() && record.history.len() == 1);
    let [done] = &record.interventions[..] else { panic!("{:?}", record.interventions) };
    assert_eq!((done.act, done.at, done.by.as_str()), (Act::Dropped, at(7), "ada"));
    assert_eq!(done.reason.as_deref(), Some("the repository is gone"));
    assert_eq!(store.counts().await.unwrap().tasks.dropped, 1);
    let again = store.replay(letter, "ada", at(8)).await.unwrap_err();
    assert!(matches!(again, StoreError::NotDead { state: "dropped", .. }), "{again}");
}

pub(super) async fn only_a_dead_letter_is_replayed_or_dropped(backend: &dyn Backend) {
    let store = backend.open();
    let [task] = open_run(&*store, 1, vec![inspect()]).await[..] else { panic!("one task") };
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    let row = store.inbox_pending(1).await.unwrap().remove(0).id;
    for letter in [
        DeadLetter::Task(task),
        DeadLetter::Task(TaskId(999)),
        DeadLetter::Signal(row),
        DeadLetter::Signal(InboxId(999)),
    ] {
        let replayed = store.replay(letter, "ada", at(1)).await;
        assert!(matches!(replayed, Err(StoreError::NotDead { .. })), "{letter}: {replayed:?}");
        let dropped = store.drop_letter(letter, "ada", "why not", at(1)).await;
        assert!(matches!(dropped, Err(StoreError::NotDead { .. })), "{letter}: {dropped:?}");
    }
    assert_eq!(claim_one(&*store, 1).await.lease.task(), task);
    assert_eq!(store.inbox_pending(1).await.unwrap().len(), 1);
}

pub(super) async fn a_signal_set_aside_is_kept_replayed_and_dropped(backend: &dyn Backend) {
    let store = backend.open();
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    let row = store.inbox_pending(1).await.unwrap().remove(0);
    store.inbox_set_aside(row.id, "its run cannot be read").await.unwrap();
    assert_eq!(store.inbox_pending(1).await.unwrap(), []);
    let [kept] = &store.unreadable_signals(10).await.unwrap()[..] else { panic!("one") };
    assert_eq!((kept.id, kept.guid.as_str(), kept.dropped), (row.id, "g-1", false));
    assert_eq!(kept.reason, "its run cannot be read");
    assert!(kept.payload.contains("label-set"), "{}", kept.payload);

    let letter = DeadLetter::Signal(row.id);
    assert_eq!(store.replay(letter, "ada", at(5)).await.unwrap(), Replayed::Queued);
    assert_eq!(store.inbox_pending(1).await.unwrap().first(), Some(&row));
    assert_eq!(store.unreadable_signals(10).await.unwrap(), []);

    store.inbox_set_aside(row.id, "still not").await.unwrap();
    store.drop_letter(letter, "ada", "a test", at(6)).await.unwrap();
    assert_eq!(
        (store.inbox_pending(1).await.unwrap(), store.unreadable_signals(10).await.unwrap()),
        (vec![], vec![])
    );
    let dropped = store.unreadable_signal(row.id).await.unwrap().unwrap();
    assert!(dropped.dropped && dropped.interventions.len() == 2, "{dropped:?}");
    // Its delivery is known all the same.
    let again = store.accept(delivery("g-1", None, 1)).await.unwrap();
    assert_eq!(again, pairbot::store::Accepted::SameDelivery);
}

pub(super) async fn an_outage_and_a_failure_are_counted_apart(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![inspect()]).await;
    for (ms, end) in [(0, AttemptEnd::Outage), (1, AttemptEnd::Outage), (2, AttemptEnd::Failed)] {
        let claimed = claim_one(&*store, ms).await;
        assert_eq!((claimed.attempt, claimed.outages), (1, u32::try_from(ms).unwrap()));
        store.retry_later(&claimed.lease, at(ms + 1), "502", end).await.unwrap();
    }
    let claimed = claim_one(&*store, 3).await;
    assert_eq!((claimed.attempt, claimed.outages), (2, 2));
    let record = store.task(claimed.lease.task()).await.unwrap().unwrap();
    let outages: Vec<_> = record.history.iter().map(|attempt| attempt.outage).collect();
    assert_eq!((record.attempts, record.outages, outages), (2, 2, vec![true, true, false]));
}
