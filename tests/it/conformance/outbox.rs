use std::sync::Arc;

use pairbot::store::{AttemptEnd, Done, Store, StoreError, TaskKinds, TaskState};
use pairbot_protocol::effect::{Effect, Publication, StoreChange};
use pairbot_protocol::ids::{InstallationId, TaskId};
use pairbot_protocol::signal::Envelope;

use super::Backend;
use super::fixtures::{
    INSTALLATION, LEASE_MS, answer, at, claim, claim_one, create, envelope, errand, go_on, new_run, open_run,
    opening, review, run_of, set_aside, show, tasks_of,
};

async fn finish(store: &Arc<dyn Store>, ms: u64) -> TaskId {
    let claimed = claim_one(&**store, ms).await;
    store.complete(&claimed.lease, Done::default(), at(ms)).await.unwrap();
    claimed.lease.task()
}

pub(super) async fn a_lane_is_worked_in_order_and_one_at_a_time(backend: &dyn Backend) {
    let store = backend.open();
    let tasks = open_run(&*store, 1, vec![create(1), create(2), create(3)]).await;
    for expected in tasks {
        let claimed = claim_one(&*store, 1).await;
        assert_eq!(claimed.lease.task(), expected);
        assert_eq!(claim(&*store, 10, 1).await, []);
        store.complete(&claimed.lease, Done::default(), at(1)).await.unwrap();
    }
    assert_eq!(claim(&*store, 10, 1).await, []);
}

pub(super) async fn publications_of_a_run_keep_their_order(backend: &dyn Backend) {
    let store = backend.open();
    let effects = vec![answer(1), show(Publication::Status), show(Publication::DraftState), answer(2)];
    let tasks = open_run(&*store, 1, effects).await;
    for expected in tasks {
        assert_eq!(finish(&store, 1).await, expected);
    }
}

pub(super) async fn lanes_and_runs_go_side_by_side(backend: &dyn Backend) {
    let store = backend.open();
    let mut expected = open_run(&*store, 1, vec![create(1), review(1), answer(1)]).await;
    expected.extend(open_run(&*store, 2, vec![create(1)]).await);
    assert_eq!(tasks_of(&claim(&*store, 10, 1).await), expected);
}

pub(super) async fn a_publication_that_waits_is_not_queued_again(backend: &dyn Backend) {
    let store = backend.open();
    let status = || show(Publication::Status);
    let first = open_run(&*store, 1, vec![answer(1), status(), status()]).await;
    assert_eq!(first[1], first[2]);
    assert_eq!(go_on(&*store, 1, vec![status()]).await, [first[1]]);
    let other = open_run(&*store, 2, vec![status()]).await;
    assert_ne!(other[0], first[1]);
    // One that is tried again later waits, too.
    let claimed = claim(&*store, 10, 1).await;
    assert_eq!(tasks_of(&claimed), [first[0], other[0]]);
    store.retry_later(&claimed[1].lease, at(100), "502", AttemptEnd::Failed).await.unwrap();
    assert_eq!(go_on(&*store, 2, vec![status()]).await, other);
}

pub(super) async fn a_publication_under_way_is_queued_again(backend: &dyn Backend) {
    let store = backend.open();
    let first = open_run(&*store, 1, vec![show(Publication::Status)]).await;
    let claimed = claim_one(&*store, 1).await;
    let second = go_on(&*store, 1, vec![show(Publication::Status)]).await;
    assert_ne!(first, second);
    store.complete(&claimed.lease, Done::default(), at(1)).await.unwrap();
    assert_eq!(finish(&store, 1).await, second[0]);
}

pub(super) async fn only_wanted_kinds_are_claimed(backend: &dyn Backend) {
    let store = backend.open();
    let tasks = open_run(&*store, 1, vec![answer(1), create(1), errand(1)]).await;
    for (kinds, task) in
        [(TaskKinds::Errand, tasks[2]), (TaskKinds::Agent, tasks[1]), (TaskKinds::Publication, tasks[0])]
    {
        let claimed = store.claim(kinds, 10, "w", at(1), LEASE_MS).await.unwrap();
        assert_eq!(tasks_of(&claimed), [task], "{kinds:?}");
    }
}

pub(super) async fn installations_take_turns(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, (0..100).map(errand).collect()).await;
    let mut turns = claim(&*store, 5, 1).await;
    // Two others come late, and are served next all the same.
    for (issue, installation) in [(2, 5), (3, 900)] {
        let run = new_run(run_of(issue), InstallationId(installation));
        store.commit(opening(run, vec![errand(1), errand(2)])).await.unwrap();
    }
    turns.extend(claim(&*store, 4, 1).await);
    for _ in 0..3 {
        turns.extend(claim(&*store, 1, 1).await);
    }
    let turns: Vec<u64> = turns.iter().map(|claimed| claimed.lease.installation().0).collect();
    assert_eq!(turns, [77, 77, 77, 77, 77, 900, 5, 77, 900, 5, 77, 77]);
}

pub(super) async fn an_expired_lease_is_granted_again_under_a_larger_fence(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![create(1), create(2)]).await;
    let first = claim_one(&*store, 0).await;
    assert_eq!((first.attempt, first.lease.until()), (1, at(LEASE_MS)));
    assert_eq!(store.next_task_at().await.unwrap(), Some(at(LEASE_MS)));
    assert_eq!(claim(&*store, 10, LEASE_MS - 1).await, []);
    let second = claim_one(&*store, LEASE_MS).await;
    assert_eq!((second.lease.task(), &second.effect), (first.lease.task(), &first.effect));
    assert!(second.lease.fence() > first.lease.fence());
    assert_eq!(second.attempt, 2);
    let record = store.task(first.lease.task()).await.unwrap().unwrap();
    assert_eq!((record.history.len(), record.history[0].fence), (1, first.lease.fence()));
}

pub(super) async fn a_heartbeat_extends_a_lease(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![create(1)]).await;
    let claimed = claim_one(&*store, 0).await;
    store.heartbeat(&claimed.lease, at(900), LEASE_MS).await.unwrap();
    store.confirm(&claimed.lease).await.unwrap();
    assert_eq!(claim(&*store, 10, 1_899).await, []);
    assert_eq!(claim(&*store, 10, 1_900).await.len(), 1);
}

pub(super) async fn a_lost_lease_cannot_commit_anything(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![create(1), super::fixtures::limit(100)]).await;
    let old = claim_one(&*store, 0).await.lease;
    let new = claim_one(&*store, LEASE_MS).await.lease;
    let done = || Done { signals: vec![envelope(1)], receipts: vec![("status".to_owned(), "1".to_owned())] };
    let now = at(LEASE_MS);
    let refusals = [
        store.confirm(&old).await.unwrap_err(),
        store.heartbeat(&old, now, LEASE_MS).await.unwrap_err(),
        store.complete(&old, done(), now).await.unwrap_err(),
        store.retry_later(&old, now, "late", AttemptEnd::Failed).await.unwrap_err(),
        store.bury(&old, "late", vec![envelope(1)], now).await.unwrap_err(),
        set_aside(&*store, &old, pairbot_protocol::ids::Money::ZERO, now).await.unwrap_err(),
        store.append_turn(&old, "creator", 0, "late").await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, StoreError::LeaseLost { task } if task == old.task()), "{refusal}");
    }
    assert_eq!(store.inbox_pending(10).await.unwrap(), []);
    assert_eq!(store.receipt(run_of(1), "status").await.unwrap(), None);
    store.complete(&new, done(), now).await.unwrap();
    let again = store.complete(&new, done(), now).await;
    assert!(matches!(again, Err(StoreError::LeaseLost { .. })), "done twice");
    assert_eq!(store.inbox_pending(10).await.unwrap().len(), 1);
}

pub(super) async fn results_of_a_task_become_signals_once(backend: &dyn Backend) {
    let store = backend.open();
    let tasks = open_run(&*store, 1, vec![create(1)]).await;
    let claimed = claim_one(&*store, 1).await;
    let done = Done { signals: vec![envelope(1), envelope(2)], receipts: vec![] };
    store.complete(&claimed.lease, done, at(7)).await.unwrap();
    let rows = store.inbox_pending(10).await.unwrap();
    let seen: Vec<(String, Envelope)> = rows.into_iter().map(|row| (row.guid, row.envelope)).collect();
    let guid = |n| format!("task:{}:{n}", tasks[0]);
    assert_eq!(seen, [(guid(0), envelope(1)), (guid(1), envelope(2))]);
    let record = store.task(tasks[0]).await.unwrap().unwrap();
    assert_eq!((record.state, record.finished_at), (TaskState::Done, Some(at(7))));
}

pub(super) async fn a_task_given_back_waits_for_its_time_and_keeps_its_lane(backend: &dyn Backend) {
    let store = backend.open();
    let tasks = open_run(&*store, 1, vec![answer(1), answer(2)]).await;
    let claimed = claim_one(&*store, 0).await;
    store.retry_later(&claimed.lease, at(5_000), "502", AttemptEnd::Failed).await.unwrap();
    assert_eq!(store.next_task_at().await.unwrap(), Some(at(5_000)));
    assert_eq!(claim(&*store, 10, 4_999).await, []);
    let again = claim_one(&*store, 5_000).await;
    assert_eq!((again.lease.task(), again.attempt), (tasks[0], 2));
    assert!(again.lease.fence() > claimed.lease.fence());
}

pub(super) async fn a_snooze_is_no_attempt(backend: &dyn Backend) {
    let store = backend.open();
    let tasks = open_run(&*store, 1, vec![answer(1)]).await;
    for ms in 0..3 {
        let claimed = claim_one(&*store, ms).await;
        assert_eq!(claimed.attempt, 1);
        store.retry_later(&claimed.lease, at(ms), "rate limited", AttemptEnd::Snoozed).await.unwrap();
    }
    assert_eq!(store.task(tasks[0]).await.unwrap().unwrap().attempts, 0);
}

pub(super) async fn a_dead_letter_keeps_reason_history_and_payload(backend: &dyn Backend) {
    let store = backend.open();
    let tasks = open_run(&*store, 1, vec![create(1), create(2)]).await;
    let first = claim_one(&*store, 0).await;
    store.retry_later(&first.lease, at(1), "502", AttemptEnd::Failed).await.unwrap();
    let second = claim_one(&*store, 1).await;
    store.bury(&second.lease, "tried twice", vec![envelope(1)], at(2)).await.unwrap();

    let [dead] = &store.dead_letters(10).await.unwrap()[..] else { panic!("one is dead") };
    assert_eq!((dead.task, dead.state, dead.attempts), (tasks[0], TaskState::Dead, 2));
    assert_eq!((dead.reason.as_deref(), dead.finished_at), (Some("tried twice"), Some(at(2))));
    let errors: Vec<_> = dead.history.iter().map(|attempt| attempt.error.as_str()).collect();
    assert_eq!(errors, ["502", "tried twice"]);
    assert!(dead.payload.contains(r#""work":"create""#), "{}", dead.payload);
    assert_eq!(store.inbox_pending(10).await.unwrap().len(), 1);
    // It holds up nobody.
    assert_eq!(finish(&store, 3).await, tasks[1]);
}

pub(super) async fn withdrawn_work_is_neither_started_nor_finished(backend: &dyn Backend) {
    let store = backend.open();
    let before = open_run(&*store, 1, vec![create(1), create(2), review(1), answer(1), errand(1)]).await;
    let others = open_run(&*store, 2, vec![create(1)]).await;
    let running = store.claim(TaskKinds::Agent, 1, "w", at(0), LEASE_MS).await.unwrap().remove(0).lease;
    assert_eq!(running.task(), before[0]);
    let after = go_on(&*store, 1, vec![Effect::Store(StoreChange::CancelWork), create(3)]).await;

    let lost = store.complete(&running, Done::default(), at(1)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })));
    assert!(matches!(store.heartbeat(&running, at(1), LEASE_MS).await, Err(StoreError::LeaseLost { .. })));
    assert!(matches!(store.confirm(&running).await, Err(StoreError::LeaseLost { .. })));
    let mut left = tasks_of(&claim(&*store, 10, 1).await);
    left.sort();
    assert_eq!(left, [before[3], others[0], after[0]]);
    // Not even when its lease would have expired.
    let later = claim(&*store, 10, 10 * LEASE_MS).await;
    assert!(later.iter().all(|claimed| claimed.lease.task() != before[0]));
    let states: Vec<_> = store.tasks(run_of(1)).await.unwrap().iter().map(|task| task.state).collect();
    assert_eq!(
        states,
        [
            TaskState::Cancelled,
            TaskState::Cancelled,
            TaskState::Cancelled,
            TaskState::Running,
            TaskState::Cancelled,
            TaskState::Running
        ]
    );
}

pub(super) async fn receipts_are_found_and_replaced(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![answer(1), answer(2)]).await;
    for value in ["101", "102"] {
        let claimed = claim_one(&*store, 0).await;
        let receipts = vec![("status".to_owned(), value.to_owned())];
        store.complete(&claimed.lease, Done { signals: vec![], receipts }, at(0)).await.unwrap();
        assert_eq!(store.receipt(run_of(1), "status").await.unwrap().as_deref(), Some(value));
    }
    assert_eq!(store.receipt(run_of(1), "other").await.unwrap(), None);
    assert_eq!(store.receipt(run_of(2), "status").await.unwrap(), None);
}

pub(super) async fn counts_follow_the_states(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![create(1), create(2), review(1), answer(1), errand(1), errand(2)]).await;
    let claimed = claim(&*store, 4, 0).await;
    let [done, given_back, buried, _running] = &claimed[..] else { panic!("{claimed:?}") };
    store.complete(&done.lease, Done::default(), at(1)).await.unwrap();
    store.retry_later(&given_back.lease, at(100), "later", AttemptEnd::Failed).await.unwrap();
    store.bury(&buried.lease, "never", vec![], at(1)).await.unwrap();
    let counts = store.counts().await.unwrap();
    let tasks = counts.tasks;
    assert_eq!((tasks.waiting, tasks.ready, tasks.delayed, tasks.running), (0, 2, 1, 1));
    assert_eq!((tasks.done, tasks.dead, tasks.cancelled, counts.runs_open), (1, 1, 0, 1));
    assert_eq!(claimed[0].lease.installation(), INSTALLATION);
    go_on(&*store, 1, vec![Effect::Store(StoreChange::CancelWork)]).await;
    assert!(store.counts().await.unwrap().tasks.cancelled > 0);
}
