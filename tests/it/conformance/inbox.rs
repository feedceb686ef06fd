use pairbot::store::{Accepted, Content, Delivery, InboxId, InboxRow, StoreError};
use pairbot_protocol::ids::InstallationId;
use pairbot_protocol::signal::Envelope;

use super::Backend;
use super::fixtures::{INSTALLATION, at, delivery, envelope};

pub(super) async fn a_redelivered_guid_is_stored_once(backend: &dyn Backend) {
    let store = backend.open();
    assert_eq!(store.accept(delivery("g-1", Some("m-1"), 1)).await.unwrap(), Accepted::New);
    assert_eq!(store.accept(delivery("g-1", Some("m-1"), 1)).await.unwrap(), Accepted::SameDelivery);
    // An upgrade may find another meaning in the same delivery: its name alone tells.
    assert_eq!(store.accept(delivery("g-1", Some("m-2"), 1)).await.unwrap(), Accepted::SameDelivery);
    assert_eq!(store.accept(delivery("g-1", None, 1)).await.unwrap(), Accepted::SameDelivery);
    assert_eq!(store.inbox_pending(10).await.unwrap().len(), 1);
}

pub(super) async fn the_same_meaning_under_a_new_guid_is_stored_once(backend: &dyn Backend) {
    let store = backend.open();
    assert_eq!(store.accept(delivery("g-1", Some("m"), 1)).await.unwrap(), Accepted::New);
    assert_eq!(store.accept(delivery("g-2", Some("m"), 1)).await.unwrap(), Accepted::SameMeaning);
    assert_eq!(store.accept(delivery("g-3", None, 1)).await.unwrap(), Accepted::New);
    assert_eq!(store.accept(delivery("g-4", None, 1)).await.unwrap(), Accepted::New);
    assert_eq!(store.inbox_pending(10).await.unwrap().len(), 3);
}

pub(super) async fn an_ignored_delivery_is_recorded_and_waits_for_nobody(backend: &dyn Backend) {
    let store = backend.open();
    let ignored = || Delivery {
        content: Content::Ignored { installation: Some(INSTALLATION), reason: "a star".to_owned() },
        ..delivery("g-1", None, 1)
    };
    assert_eq!(store.accept(ignored()).await.unwrap(), Accepted::New);
    assert_eq!(store.accept(ignored()).await.unwrap(), Accepted::SameDelivery);
    assert_eq!(store.inbox_pending(10).await.unwrap(), []);
    assert_eq!(store.counts().await.unwrap().deliveries, 1);
}

pub(super) async fn signals_come_oldest_first_and_as_they_went_in(backend: &dyn Backend) {
    let store = backend.open();
    for issue in 1..=5 {
        store.accept(delivery(&format!("g-{issue}"), None, issue)).await.unwrap();
    }
    let rows = store.inbox_pending(3).await.unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row.guid.as_str(), row.received_at, &row.envelope)).collect();
    let (one, two, three) = (envelope(1), envelope(2), envelope(3));
    assert_eq!(seen, [("g-1", at(1), &one), ("g-2", at(2), &two), ("g-3", at(3), &three)]);
    assert!(rows.is_sorted_by_key(|row| row.id));
}

pub(super) async fn an_installation_with_much_waiting_holds_up_no_other(backend: &dyn Backend) {
    let store = backend.open();
    let of = |installation: u64, issue: u64| Delivery {
        content: Content::Signal(Envelope { installation: InstallationId(installation), ..envelope(issue) }),
        ..delivery(&format!("g-{installation}-{issue}"), None, issue)
    };
    for issue in 1..=50 {
        store.accept(of(1, issue)).await.unwrap();
    }
    for installation in [2, 3] {
        store.accept(of(installation, 1)).await.unwrap();
        store.accept(of(installation, 2)).await.unwrap();
    }
    let guids = |rows: Vec<InboxRow>| rows.into_iter().map(|row| row.guid).collect::<Vec<_>>();
    let rows = store.inbox_pending(6).await.unwrap();
    assert_eq!(guids(rows.clone()), ["g-1-1", "g-1-2", "g-2-1", "g-2-2", "g-3-1", "g-3-2"]);
    assert!(rows.is_sorted_by_key(|row| row.id));
    // Room that the others do not need is not wasted, and with less room than installations the oldest come first.
    assert_eq!(store.inbox_pending(40).await.unwrap().len(), 40);
    assert_eq!(guids(store.inbox_pending(2).await.unwrap()), ["g-1-1", "g-2-1"]);
    for row in store.inbox_pending(2).await.unwrap() {
        store.inbox_settle(row.id, "looked at", at(90)).await.unwrap();
    }
    assert_eq!(guids(store.inbox_pending(2).await.unwrap()), ["g-1-2", "g-2-2"]);
}

pub(super) async fn a_settled_signal_is_settled_once(backend: &dyn Backend) {
    let store = backend.open();
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    let id = store.inbox_pending(1).await.unwrap().remove(0).id;
    store.inbox_settle(id, "no such run", at(5)).await.unwrap();
    assert_eq!(store.inbox_pending(1).await.unwrap(), []);
    for id in [id, InboxId(u64::MAX)] {
        let again = store.inbox_settle(id, "again", at(6)).await;
        assert!(matches!(again, Err(StoreError::AlreadySettled { inbox }) if inbox == id));
    }
    assert_eq!(store.accept(delivery("g-1", None, 1)).await.unwrap(), Accepted::SameDelivery);
}

pub(super) async fn whoever_waits_hears_of_a_new_signal(backend: &dyn Backend) {
    let store = backend.open();
    let changed = store.inbox_changed();
    let early = changed.notified();
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    early.await;
    store.accept(delivery("g-2", None, 2)).await.unwrap();
    changed.notified().await;
}
