use pairbot::store::StoreError;

use super::Backend;
use super::fixtures::{LEASE_MS, claim_one, create, open_run, run_of};

pub(super) async fn turns_are_kept_in_order(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![create(1)]).await;
    let lease = claim_one(&*store, 0).await.lease;
    for (turn, payload) in (0..).zip(["zero", "one", "two"]) {
        store.append_turn(&lease, "creator-1", turn, payload).await.unwrap();
    }
    store.append_turn(&lease, "creator-2", 0, "other").await.unwrap();
    assert_eq!(store.turns(run_of(1), "creator-1").await.unwrap(), ["zero", "one", "two"]);
    assert_eq!(store.turns(run_of(1), "creator-3").await.unwrap(), [] as [&str; 0]);
    assert_eq!(store.turns(run_of(2), "creator-1").await.unwrap(), [] as [&str; 0]);
}

pub(super) async fn a_turn_written_again_drops_what_followed(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![create(1)]).await;
    let lease = claim_one(&*store, 0).await.lease;
    for turn in 0..4 {
        store.append_turn(&lease, "creator", turn, "old").await.unwrap();
    }
    store.append_turn(&lease, "creator", 1, "new").await.unwrap();
    assert_eq!(store.turns(run_of(1), "creator").await.unwrap(), ["old", "new"]);
}

pub(super) async fn a_turn_is_never_left_out(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![create(1)]).await;
    let lease = claim_one(&*store, 0).await.lease;
    let gap = store.append_turn(&lease, "creator", 1, "too early").await;
    assert!(matches!(gap, Err(StoreError::Contradiction { .. })));
    assert_eq!(store.turns(run_of(1), "creator").await.unwrap(), [] as [&str; 0]);
}

pub(super) async fn an_old_holder_cannot_write_a_turn(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![create(1)]).await;
    let old = claim_one(&*store, 0).await.lease;
    store.append_turn(&old, "creator", 0, "kept").await.unwrap();
    let new = claim_one(&*store, LEASE_MS).await.lease;
    let late = store.append_turn(&old, "creator", 0, "late").await;
    assert!(matches!(late, Err(StoreError::LeaseLost { .. })));
    store.append_turn(&new, "creator", 1, "next").await.unwrap();
    assert_eq!(store.turns(run_of(1), "creator").await.unwrap(), ["kept", "next"]);
}
