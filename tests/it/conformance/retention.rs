//! Ledgers are proven, and what has ended is forgotten without a hole in the proof.

use pairbot::store::{
    Accepted, Commit, Content, Cutoff, DeadLetter, Delivery, Kept, Pruned, Store, StoreError,
};
use pairbot_protocol::apply::apply;
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{Money, RunId, Tokens, Usage};
use pairbot_protocol::run::Closing;
use pairbot_protocol::signal::Target;

use super::Backend;
use super::fixtures::{
    INSTALLATION, REPOSITORY, actor, answer, at, claim_one, create, delivery, limit, new_run, open_run,
    opening, run_of, set_aside,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A decision whose run is what its ledger adds up to.
async fn happens(store: &dyn Store, run: RunId, event: Event, ms: u64) {
    let stored = store.run(run).await.unwrap().unwrap();
    let decision = Commit {
        inbox: None,
        run,
        version_before: stored.version,
        run_after: apply(stored.run, &event),
        events: vec![event],
        effects: vec![],
        at: at(ms),
    };
    store.commit(decision).await.unwrap();
}

async fn ends(store: &dyn Store, run: RunId, ms: u64) {
    happens(store, run, Event::Closed { closing: Closing::Stopped, by: actor() }, ms).await;
}

/// So many days after the beginning, everything older than 30 days may go.
fn after(days: u64) -> Cutoff {
    Cutoff::days_before(at(days * DAY_MS), 30).unwrap()
}

async fn prune(store: &dyn Store, days: u64) -> Pruned {
    let expected = store.prunable(after(days)).await.unwrap();
    let pruned = store.prune(after(days), at(days * DAY_MS)).await.unwrap();
    assert_eq!(pruned, expected, "what is forgotten is what was said to be");
    pruned
}

pub(super) async fn a_ledger_is_proven_to_be_what_was_written(backend: &dyn Backend) {
    let store = backend.open();
    for issue in 1..=3 {
        open_run(&*store, issue, vec![]).await;
        happens(&*store, run_of(issue), Event::DeadlineSet { at: at(issue) }, 1).await;
    }
    let all = store.audit(None).await.unwrap();
    assert_eq!((all.runs, all.events, all.faults), (3, 6, vec![]));
    let one = store.audit(Some(run_of(2))).await.unwrap();
    assert_eq!((one.runs, one.events, one.faults), (1, 2, vec![]));
    let none = store.audit(Some(run_of(9))).await.unwrap().faults.remove(0);
    assert_eq!((none.run, none.what.as_str()), (Some(run_of(9)), "there is no such run"));
}

pub(super) async fn a_run_that_is_not_what_its_ledger_adds_up_to_is_named(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![]).await;
    open_run(&*store, 2, vec![]).await;
    // The event moves the deadline; the run that is stored with it has not heard of that.
    super::fixtures::go_on(&*store, 2, vec![]).await;
    let [fault] = &store.audit(None).await.unwrap().faults[..] else { panic!("one fault") };
    assert_eq!((fault.run, fault.seq), (Some(run_of(2)), None));
    assert!(fault.what.contains("not what its ledger adds up to"), "{fault}");
}

pub(super) async fn a_pruned_run_leaves_a_tombstone_and_its_name_is_not_given_again(backend: &dyn Backend) {
    let store = backend.open();
    let run = run_of(1);
    open_run(&*store, 1, vec![limit(100), create(1)]).await;
    let lease = claim_one(&*store, 0).await.lease;
    let call = set_aside(&*store, &lease, Money::from_cents(9), at(0)).await.unwrap();
    let usage = Usage { input_tokens: 5, output_tokens: 2, ..Usage::default() };
    store.settle(call, Money::from_cents(3), usage, "m").await.unwrap();
    store.append_turn(&lease, "creator", 0, "hello").await.unwrap();
    store.complete(&lease, pairbot::store::Done::default(), at(1)).await.unwrap();
    ends(&*store, run, 2).await;
    open_run(&*store, 2, vec![]).await;
    let last = store.ledger(run).await.unwrap().pop().unwrap().hash;

    assert_eq!(prune(&*store, 29).await.runs, []);
    assert_eq!(prune(&*store, 31).await.runs, [run]);
    assert_eq!(store.run(run).await.unwrap(), None);
    assert_eq!(
        (store.tasks(run).await.unwrap(), store.turns(run, "creator").await.unwrap()),
        (vec![], vec![])
    );
    let [tombstone] = &store.tombstones().await.unwrap()[..] else { panic!("one tombstone") };
    assert_eq!((tombstone.run, tombstone.events, tombstone.outcome.as_str()), (run, 2, "closed"));
    assert_eq!((&tombstone.hash, tombstone.spend.cost), (&hex::encode(last), Money::from_cents(3)));
    assert_eq!((tombstone.spend.usage, tombstone.ended_at), (usage, at(2)));
    let audited = store.audit(None).await.unwrap();
    assert_eq!((audited.runs, audited.tombstones, audited.events_pruned), (1, 1, 2));
    assert_eq!(audited.faults, []);
    assert_eq!(store.counts().await.unwrap().tasks, pairbot::store::TaskCounts::default());

    // A label set again begins the next run of the issue, never this one anew.
    let issue = Target::Issue { repository: REPOSITORY, issue: run.issue };
    assert_eq!(store.runs_for(&issue).await.unwrap(), [run]);
    let again = store.commit(opening(new_run(run, INSTALLATION), vec![])).await.unwrap_err();
    assert!(matches!(again, StoreError::Contradiction { .. }), "{again}");
    let next = RunId { ordinal: 2, ..run };
    store.commit(opening(new_run(next, INSTALLATION), vec![])).await.unwrap();
    assert_eq!(store.runs_for(&issue).await.unwrap(), [next]);
    assert_eq!(store.audit(None).await.unwrap().faults, []);
}

pub(super) async fn money_of_a_pruned_run_counts_as_long_as_its_period(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![limit(100), create(1)]).await;
    let lease = claim_one(&*store, 0).await.lease;
    let call = set_aside(&*store, &lease, Money::from_cents(9), at(0)).await.unwrap();
    let usage = Usage { input_tokens: 5, output_tokens: 2, ..Usage::default() };
    store.settle(call, Money::from_cents(3), usage, "m").await.unwrap();
    store.complete(&lease, pairbot::store::Done::default(), at(1)).await.unwrap();
    ends(&*store, run_of(1), 2).await;
    open_run(&*store, 2, vec![]).await;
    let before = store.shared_budgets(at(0)).await.unwrap();
    assert_eq!(before.len(), 2, "{before:?}");
    let now = at(8 * DAY_MS);
    let cutoff = Cutoff::days_before(now, 7).unwrap();
    assert_eq!(store.prune(cutoff, now).await.unwrap().runs, [run_of(1)]);
    assert_eq!(store.shared_budgets(at(0)).await.unwrap(), before);
    // The month is not over: what is gone from it is not there to be spent again.
    let [month] = &store.shared_budgets(now).await.unwrap()[..] else { panic!("the month alone") };
    assert_eq!((month.spent.money, month.spent.tokens), (Money::from_cents(3), Tokens(7)));
    assert_eq!(store.audit(None).await.unwrap().faults, []);
}

pub(super) async fn what_somebody_waits_for_is_not_pruned(backend: &dyn Backend) {
    let store = backend.open();
    for issue in 1..=4 {
        open_run(&*store, issue, vec![answer(1)]).await;
    }
    let claimed = super::fixtures::claim(&*store, 4, 0).await;
    store.bury(&claimed[1].lease, "no use", vec![], at(1)).await.unwrap();
    for done in [&claimed[0], &claimed[2]] {
        store.complete(&done.lease, pairbot::store::Done::default(), at(1)).await.unwrap();
    }
    // The second has a dead letter, the third a ledger that does not hold, the fourth a task that runs.
    super::fixtures::go_on(&*store, 3, vec![]).await;
    for issue in 2..=4 {
        ends(&*store, run_of(issue), 2).await;
    }
    let pruned = prune(&*store, 400).await;
    assert_eq!(pruned.runs, []);
    let [(two, dead), (three, faulty), (four, unfinished)] = &pruned.kept[..] else { panic!("{pruned:?}") };
    assert_eq!((*two, *three, *four), (run_of(2), run_of(3), run_of(4)));
    assert_eq!((dead, unfinished), (&Kept::DeadLetters, &Kept::Unfinished));
    assert!(matches!(faulty, Kept::Faulty(_)), "{faulty}");
    // An open run is not even thought of, however old.
    assert!(store.run(run_of(1)).await.unwrap().is_some());
    let letter = DeadLetter::Task(claimed[1].lease.task());
    store.drop_letter(letter, "ada", "old", at(3)).await.unwrap();
    assert_eq!(prune(&*store, 400).await.runs, [run_of(2)]);
}

pub(super) async fn a_delivery_is_known_as_long_as_it_may_come_again(backend: &dyn Backend) {
    let store = backend.open();
    let ignored = |guid: &str, day: u64| Delivery {
        received_at: at(day * DAY_MS),
        content: Content::Ignored { installation: None, reason: "a star".to_owned() },
        ..delivery(guid, Some(guid), 1)
    };
    for day in 0..700 {
        store.accept(ignored(&format!("g-{day}"), day)).await.unwrap();
    }
    // One that waits, and one that cannot be read, are no less needed for being old.
    let waiting = Delivery { received_at: at(0), ..delivery("waits", None, 1) };
    store.accept(waiting).await.unwrap();
    store.accept(Delivery { received_at: at(0), ..delivery("aside", None, 2) }).await.unwrap();
    let aside = store.inbox_pending(10).await.unwrap().remove(1).id;
    store.inbox_set_aside(aside, "unreadable").await.unwrap();
    store.accept(ignored("last", 0)).await.unwrap();

    assert_eq!(prune(&*store, 700).await.deliveries, 670);
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.deliveries, counts.pending, counts.unreadable), (33, 1, 1));
    for (guid, expected) in [("g-670", Accepted::SameDelivery), ("g-669", Accepted::New)] {
        assert_eq!(store.accept(ignored(guid, 700)).await.unwrap(), expected, "{guid}");
    }
    assert_eq!(prune(&*store, 700).await.deliveries, 0);
}

pub(super) async fn what_an_open_run_may_be_told_again_is_known_however_old(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![]).await;
    let signals = [("comment", Some("comment:5")), ("star", None), ("last", None)];
    for (guid, meaning) in signals {
        store.accept(Delivery { received_at: at(DAY_MS), ..delivery(guid, meaning, 1) }).await.unwrap();
        let row = store.inbox_pending(1).await.unwrap().remove(0).id;
        store.inbox_settle(row, "done", at(DAY_MS)).await.unwrap();
    }
    assert_eq!(prune(&*store, 400).await.deliveries, 1);
    let told_again = delivery("under another name", Some("comment:5"), 1);
    assert_eq!(store.accept(told_again).await.unwrap(), Accepted::SameMeaning);
    ends(&*store, run_of(1), 400 * DAY_MS).await;
    assert_eq!(prune(&*store, 401).await.deliveries, 1);
}

pub(super) async fn a_number_of_the_inbox_is_not_given_twice(backend: &dyn Backend) {
    let store = backend.open();
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    let first = store.inbox_pending(1).await.unwrap().remove(0).id;
    store.inbox_settle(first, "for nobody", at(1)).await.unwrap();
    prune(&*store, 400).await;
    store.accept(delivery("g-2", None, 1)).await.unwrap();
    assert!(store.inbox_pending(1).await.unwrap().remove(0).id > first);
}

pub(super) async fn an_event_names_the_signal_it_was_decided_on(backend: &dyn Backend) {
    let store = backend.open();
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    let inbox = store.inbox_pending(1).await.unwrap().remove(0).id;
    let decision =
        Commit { inbox: Some(inbox), ..opening(new_run(run_of(1), INSTALLATION), vec![create(1)]) };
    let task = store.commit(decision).await.unwrap().tasks[0];
    happens(&*store, run_of(1), Event::DeadlineSet { at: at(9) }, 9).await;
    let [origin] = &store.origins(run_of(1)).await.unwrap()[..] else { panic!("one origin") };
    assert_eq!((origin.seq, origin.inbox), (1, inbox));
    let known = origin.delivery.as_ref().unwrap();
    assert_eq!((known.guid.as_str(), known.event.as_str()), ("g-1", "issues.labeled"));
    assert_eq!(store.task(task).await.unwrap().unwrap().version, Some(1));
}
