//! What only a file can suffer: damage, foreign versions, and a process that never closed it.

use std::sync::Arc;

use pairbot::store::{Accepted, DeadLetter, RunFilter, Store, StoreError, TaskState};
use pairbot::wire::WireError;
use pairbot_protocol::effect::{Effect, StoreChange};
use pairbot_protocol::ids::{Money, Usage};
use pairbot_protocol::signal::{Signal, Target, Timer, WorkKind};
use rusqlite::Connection;

use super::fixtures::{at, claim, create, delivery, go_on, limit, open_run, run_of, set_aside, tasks_of};
use super::{Backend, Sqlite};

/// What a newer version might have written.
const NEWER: &str = r#"'{"v":9,"body":{"unheard":"of"}}'"#;

/// An open store, and somebody else's hand on its file.
fn tampered() -> (Sqlite, Arc<dyn Store>, Connection) {
    let place = Sqlite::new();
    let store = place.open();
    let hand = Connection::open(place.path()).unwrap();
    (place, store, hand)
}

#[tokio::test]
async fn a_ledger_that_was_changed_is_found_out() {
    for change in [
        "UPDATE event SET payload = replace(payload, 'deadline-set', 'deadline-sat') WHERE seq = 2",
        "UPDATE event SET payload = replace(payload, '\"at\":', '\"at\":1') WHERE seq = 1",
        "DELETE FROM event WHERE seq = 2",
        "DELETE FROM event WHERE seq = 3",
        "UPDATE event SET hash = zeroblob(32) WHERE seq = 3",
    ] {
        let (_place, store, hand) = tampered();
        open_run(&*store, 1, vec![]).await;
        go_on(&*store, 1, vec![]).await;
        go_on(&*store, 1, vec![]).await;
        assert_eq!(store.ledger(run_of(1)).await.unwrap().len(), 3);
        assert_eq!(hand.execute(change, ()).unwrap(), 1);
        let found = store.ledger(run_of(1)).await;
        assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{change}: {found:?}");
    }
}

#[tokio::test]
async fn a_sum_of_money_that_was_changed_is_found_out() {
    for (change, named) in [
        ("UPDATE budget SET spent_microdollars = 1", "run 10000000000-1-1: its budget has"),
        ("UPDATE reservation SET actual_tokens = 9", "run 10000000000-1-1: its budget has"),
        (
            "UPDATE shared_budget SET spent_microdollars = 1 WHERE scope = 0",
            "repository 10000000000: its budget",
        ),
        ("UPDATE shared_budget SET spent_tokens = 1 WHERE scope = 1", "installation 77: its budget"),
        ("UPDATE reservation SET day = NULL", "repository 10000000000: its budget"),
    ] {
        let (_place, store, hand) = tampered();
        open_run(&*store, 1, vec![limit(100), create(1)]).await;
        let lease = claim(&*store, 1, 0).await.remove(0).lease;
        let call = set_aside(&*store, &lease, Money::from_cents(9), at(0)).await.unwrap();
        let usage = Usage { input_tokens: 5, output_tokens: 2, ..Usage::default() };
        store.settle(call, Money::from_cents(3), usage, "m").await.unwrap();
        assert_eq!(store.audit(None).await.unwrap().faults, []);
        assert_eq!(hand.execute(change, ()).unwrap(), 1);
        let found = store.audit(None).await.unwrap().faults;
        assert!(found.iter().any(|fault| fault.to_string().starts_with(named)), "{change}: {found:?}");
    }
}

#[tokio::test]
async fn a_signal_of_a_newer_version_is_set_aside_and_holds_up_nobody() {
    let (_place, store, hand) = tampered();
    for issue in 1..=3 {
        store.accept(delivery(&format!("g-{issue}"), None, issue)).await.unwrap();
    }
    hand.execute(&format!("UPDATE inbox SET signal = {NEWER} WHERE id <= 2"), ()).unwrap();
    // Even where all that would be handed out is unreadable, what follows comes.
    let rows = store.inbox_pending(2).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.guid.as_str()).collect::<Vec<_>>(), ["g-3"]);
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.pending, counts.unreadable), (1, 2));
    let note: String = hand.query_row("SELECT note FROM inbox WHERE id = 1", (), |row| row.get(0)).unwrap();
    assert!(note.contains("a signal of version 9"), "{note}");
}

#[tokio::test]
async fn a_task_of_a_newer_version_is_a_dead_letter_and_holds_up_nobody() {
    let (_place, store, hand) = tampered();
    let tasks = open_run(&*store, 1, vec![create(1), create(2)]).await;
    hand.execute(&format!("UPDATE task SET payload = {NEWER} WHERE id = {}", tasks[0]), ()).unwrap();
    assert_eq!(tasks_of(&claim(&*store, 1, 0).await), [tasks[1]]);
    let dead = store.dead_letters(10).await.unwrap().remove(0);
    assert_eq!((dead.task, dead.state), (tasks[0], TaskState::Dead));
    assert!(dead.reason.unwrap().contains("an effect of version 9"));
    assert!(dead.payload.contains("unheard"));
    assert_eq!(dead.history.len(), 1);
    // Its run hears of it, and whoever replays it is told that it still cannot be read.
    let told = store.inbox_pending(10).await.unwrap().remove(0).envelope.signal;
    let Signal::TaskFailed { work: WorkKind::Unreadable { lane }, .. } = told else { panic!("{told:?}") };
    assert_eq!(lane, "create");
    let replayed = store.replay(DeadLetter::Task(tasks[0]), "ada", at(1)).await;
    assert!(matches!(replayed, Err(StoreError::Unreadable { .. })), "{replayed:?}");
}

#[tokio::test]
async fn a_timer_of_a_newer_version_is_kept_and_holds_up_nobody() {
    let (_place, store, hand) = tampered();
    let deadline = |ms| Effect::Store(StoreChange::StartTimer { timer: Timer::Deadline, at: at(ms) });
    open_run(&*store, 1, vec![deadline(1)]).await;
    open_run(&*store, 2, vec![deadline(2)]).await;
    hand.execute(&format!("UPDATE timer SET timer = {NEWER} WHERE run = 1"), ()).unwrap();
    assert_eq!(store.fire_timers(at(5)).await.unwrap(), 2);
    assert_eq!(store.fire_timers(at(5)).await.unwrap(), 0);
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.pending, counts.unreadable), (1, 1));
    // Once it can be read, as by a newer version, it is the signal that it would have been.
    let kept = store.unreadable_signals(10).await.unwrap().remove(0);
    let letter = DeadLetter::Signal(kept.id);
    assert!(matches!(store.replay(letter, "ada", at(6)).await, Err(StoreError::Unreadable { .. })));
    let timer = pairbot::wire::encode(&Timer::Deadline).unwrap();
    hand.execute("UPDATE inbox SET signal = ?1 WHERE state = 3", [timer]).unwrap();
    store.replay(letter, "ada", at(7)).await.unwrap();
    let rows = store.inbox_pending(10).await.unwrap();
    let runs: Vec<_> = rows.iter().map(|row| (&row.envelope.target, &row.envelope.signal)).collect();
    let fired = Signal::TimerFired { timer: Timer::Deadline };
    let (one, two) = (Target::Run { run: run_of(1) }, Target::Run { run: run_of(2) });
    assert_eq!(runs, [(&one, &fired), (&two, &fired)]);
}

#[tokio::test]
async fn a_run_of_a_newer_version_is_refused_by_name_and_hides_no_other() {
    let (_place, store, hand) = tampered();
    open_run(&*store, 1, vec![]).await;
    open_run(&*store, 2, vec![]).await;
    hand.execute(&format!("UPDATE run SET snapshot = {NEWER} WHERE issue = 1"), ()).unwrap();
    let refusal = store.run(run_of(1)).await.unwrap_err();
    let StoreError::Unreadable { source, .. } = refusal else { panic!("{refusal}") };
    assert_eq!(source, WireError::UnknownVersion { format: "a run", found: 9, known: 1 });
    let listed = store.run_list(RunFilter { open_only: true, limit: 9 }).await.unwrap();
    assert_eq!(listed.iter().map(|run| run.run).collect::<Vec<_>>(), [run_of(2)]);
}

#[tokio::test]
async fn what_was_answered_is_there_though_the_file_was_never_closed() {
    let place = Sqlite::new();
    let store = place.open();
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    open_run(&*store, 1, vec![create(1)]).await;
    // What a crash would leave: the files as they are now.
    let after = Sqlite::new();
    for suffix in ["", "-wal"] {
        let name = format!("pairbot.db{suffix}");
        std::fs::copy(place.folder.path().join(&name), after.folder.path().join(&name)).unwrap();
    }
    let store = after.open();
    assert_eq!(store.accept(delivery("g-1", None, 1)).await.unwrap(), Accepted::SameDelivery);
    assert_eq!(store.ledger(run_of(1)).await.unwrap().len(), 1);
    assert_eq!(claim(&*store, 9, 0).await.len(), 1);
}

#[test]
fn a_second_server_on_one_file_is_refused_and_told_who_has_it() {
    let place = Sqlite::new();
    let first = place.open();
    let refusal = pairbot::store::sqlite::SqliteStore::open(&place.path()).unwrap_err().to_string();
    assert!(refusal.contains(&format!("in use by process {}", std::process::id())), "{refusal}");
    drop(first);
    place.open();
}

#[test]
fn a_link_to_the_file_leads_to_the_same_lock() {
    let place = Sqlite::new();
    let _first = place.open();
    let link = place.folder.path().join("link.db");
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    let refusal = pairbot::store::sqlite::SqliteStore::open(&link).unwrap_err();
    assert!(matches!(refusal, StoreError::InUse { .. }), "{refusal}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let refusal = pairbot::store::sqlite::SqliteStore::open(std::path::Path::new("/nowhere/at/all.db"));
    assert!(refusal.unwrap_err().to_string().contains("/nowhere/at/all.db"));
}
