use std::sync::Arc;

use pairbot::store::{Accepted, Done, StoreError};
use pairbot_protocol::ids::Money;

use super::Backend;
use super::fixtures::{
    INSTALLATION, at, claim_one, create, delivery, go_on, limit, new_run, open_run, opening, run_of,
    set_aside,
};

pub(super) async fn everything_answered_survives_closing(backend: &dyn Backend) {
    let store = backend.open();
    store.accept(delivery("g-1", Some("m"), 1)).await.unwrap();
    open_run(&*store, 1, vec![limit(100), create(1), create(2)]).await;
    let claimed = claim_one(&*store, 0).await;
    store.append_turn(&claimed.lease, "creator", 0, "hello").await.unwrap();
    let reservation = set_aside(&*store, &claimed.lease, Money::from_cents(9), at(0)).await.unwrap();
    store
        .settle(reservation, Money::from_cents(3), pairbot_protocol::ids::Usage::default(), "m")
        .await
        .unwrap();
    store.complete(&claimed.lease, Done::default(), at(0)).await.unwrap();
    let (run, ledger) = (store.run(run_of(1)).await.unwrap(), store.ledger(run_of(1)).await.unwrap());
    drop(store);

    let store = backend.open();
    assert_eq!(store.accept(delivery("g-1", None, 1)).await.unwrap(), Accepted::SameDelivery);
    assert_eq!(store.accept(delivery("g-2", Some("m"), 1)).await.unwrap(), Accepted::SameMeaning);
    assert_eq!(store.inbox_pending(10).await.unwrap().len(), 1);
    assert_eq!(store.run(run_of(1)).await.unwrap(), run);
    assert_eq!(store.ledger(run_of(1)).await.unwrap(), ledger);
    assert_eq!(store.turns(run_of(1), "creator").await.unwrap(), ["hello"]);
    assert_eq!(store.budget(run_of(1)).await.unwrap().spent, Money::from_cents(3));
    go_on(&*store, 1, vec![create(3)]).await;
    assert_eq!(store.ledger(run_of(1)).await.unwrap().len(), 2);
    let next = claim_one(&*store, 1).await;
    assert_eq!(next.attempt, 1);
    assert!(next.lease.task() > claimed.lease.task());
}

pub(super) async fn whoever_held_a_lease_before_a_restart_has_lost_it(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![limit(100), create(1)]).await;
    let before = claim_one(&*store, 0).await;
    set_aside(&*store, &before.lease, Money::from_cents(9), at(0)).await.unwrap();
    drop(store);

    // No need to wait for the lease to expire: who held it is gone.
    let store = backend.open();
    let after = claim_one(&*store, 1).await;
    assert_eq!((after.lease.task(), after.attempt), (before.lease.task(), 2));
    assert!(after.lease.fence() > before.lease.fence());
    let lost = store.complete(&before.lease, Done::default(), at(1)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })));
    let budget = store.budget(run_of(1)).await.unwrap();
    assert_eq!((budget.spent, budget.reserved), (Money::from_cents(9), Money::ZERO));
}

pub(super) async fn many_at_once_are_all_answered_and_all_kept(backend: &dyn Backend) {
    let store = backend.open();
    let waiting: Vec<_> = (0..300)
        .map(|issue| {
            let store = Arc::clone(&store);
            // Every third says what its predecessor said, all at the same time.
            let meaning = format!("m-{}", issue - u64::from(issue % 3 == 2));
            let guid = format!("g-{issue}");
            tokio::spawn(async move { store.accept(delivery(&guid, Some(&meaning), issue)).await })
        })
        .collect();
    let mut new = 0;
    for accepted in waiting {
        new += usize::from(accepted.await.unwrap().unwrap() == Accepted::New);
    }
    assert_eq!(new, 200);
    drop(store);
    assert_eq!(backend.open().inbox_pending(1_000).await.unwrap().len(), 200);
}

pub(super) async fn one_that_fails_does_not_fail_those_beside_it(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![]).await;
    let waiting: Vec<_> = (0..100)
        .map(|n| {
            let store = Arc::clone(&store);
            // Every other one decides on a state that is no longer there.
            let issue = if n % 2 == 0 { 1 } else { 100 + n };
            let decision = opening(new_run(run_of(issue), INSTALLATION), vec![create(1)]);
            tokio::spawn(async move { (issue, store.commit(decision).await) })
        })
        .collect();
    for answer in waiting {
        match answer.await.unwrap() {
            (1, result) => assert!(matches!(result, Err(StoreError::Conflict { .. }))),
            (_, result) => assert_eq!(result.unwrap().tasks.len(), 1),
        }
    }
    assert_eq!(store.counts().await.unwrap().tasks.ready, 50);
}
