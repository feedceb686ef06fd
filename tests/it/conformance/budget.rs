use std::sync::Arc;

use pairbot::store::{AttemptEnd, Done, SpendLine, Store, StoreError};
use pairbot_protocol::budget::{Exhausted, Measure, Quantity};
use pairbot_protocol::effect::{Effect, StoreChange};
use pairbot_protocol::ids::{Money, Round, Usage};
use pairbot_protocol::signal::Spend;

use super::Backend;
use super::fixtures::{
    LEASE_MS, at, claim, claim_one, create, errand, go_on, limit, open_run, review, run_of, set_aside,
};

fn cents(cents: u64) -> Money {
    Money::from_cents(cents)
}

fn tokens(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

async fn sums(store: &Arc<dyn Store>) -> (Money, Money) {
    let budget = store.budget(run_of(1)).await.unwrap();
    (budget.spent, budget.reserved)
}

pub(super) async fn what_does_not_fit_is_refused_with_the_sums(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![limit(100), create(1)]).await;
    let lease = claim_one(&*store, 0).await.lease;
    let first = set_aside(&*store, &lease, cents(60), at(1)).await.unwrap();
    store.settle(first, cents(50), tokens(1, 1), "m").await.unwrap();
    set_aside(&*store, &lease, cents(30), at(1)).await.unwrap();
    let refusal = set_aside(&*store, &lease, cents(21), at(1)).await.unwrap_err();
    let StoreError::BudgetExhausted(refused) = refusal else { panic!("{refusal}") };
    assert_eq!(refused.exhausted, Exhausted::Run { measure: Measure::Money });
    let named = [refused.limit, refused.spent, refused.reserved];
    assert_eq!(named, [100, 50, 30].map(|amount| Quantity::Money(cents(amount))));
    assert_eq!(sums(&store).await, (cents(50), cents(30)));
    set_aside(&*store, &lease, cents(20), at(1)).await.unwrap();
    let refusal = set_aside(&*store, &lease, Money::from_microdollars(1), at(1)).await;
    assert!(matches!(refusal, Err(StoreError::BudgetExhausted(_))));
    let refusal = set_aside(&*store, &lease, Money::from_microdollars(u64::MAX), at(1)).await;
    assert!(matches!(refusal, Err(StoreError::BudgetExhausted(_))));
}

pub(super) async fn fifty_tasks_race_for_the_last_dollar(backend: &dyn Backend) {
    let store = backend.open();
    let mut effects: Vec<_> = (0..50).map(errand).collect();
    effects.push(limit(100));
    open_run(&*store, 1, effects).await;
    let racers: Vec<_> = claim(&*store, 50, 0)
        .await
        .into_iter()
        .map(|claimed| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { set_aside(&*store, &claimed.lease, cents(7), at(1)).await })
        })
        .collect();
    let mut granted = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(_) => granted += 1,
            Err(refusal) => assert!(matches!(refusal, StoreError::BudgetExhausted(_)), "{refusal}"),
        }
    }
    assert_eq!(granted, 14);
    assert_eq!(sums(&store).await, (Money::ZERO, cents(98)));
}

pub(super) async fn settling_replaces_the_reservation(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![limit(100), create(1)]).await;
    let lease = claim_one(&*store, 0).await.lease;
    let reservation = set_aside(&*store, &lease, cents(60), at(1)).await.unwrap();
    for _ in 0..2 {
        store.settle(reservation, cents(12), tokens(300, 20), "m").await.unwrap();
        store.release(reservation).await.unwrap();
        let budget = store.budget(run_of(1)).await.unwrap();
        assert_eq!((budget.spent, budget.reserved, budget.calls), (cents(12), Money::ZERO, 1));
        assert_eq!(budget.usage, tokens(300, 20));
    }
    let spend = store.spend_of(lease.task()).await.unwrap();
    assert_eq!(spend, Spend { cost: cents(12), usage: tokens(300, 20) });
    let unknown = store.settle(pairbot::store::ReservationId(9_999), cents(1), tokens(0, 0), "m").await;
    assert!(matches!(unknown, Err(StoreError::NoReservation { .. })));
}

pub(super) async fn releasing_gives_everything_back(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![limit(100), create(1)]).await;
    let lease = claim_one(&*store, 0).await.lease;
    let reservation = set_aside(&*store, &lease, cents(100), at(1)).await.unwrap();
    store.release(reservation).await.unwrap();
    store.settle(reservation, cents(12), tokens(1, 1), "m").await.unwrap();
    assert_eq!(sums(&store).await, (Money::ZERO, Money::ZERO));
    assert_eq!(store.spend_of(lease.task()).await.unwrap(), Spend::default());
}

pub(super) async fn a_call_whose_end_nobody_saw_is_charged_in_full(backend: &dyn Backend) {
    let store = backend.open();
    let effects = vec![limit(1_000), create(1), review(1), errand(1), errand(2), errand(3)];
    open_run(&*store, 1, effects).await;
    let leases: Vec<_> = claim(&*store, 5, 0).await.into_iter().map(|claimed| claimed.lease).collect();
    let [done, retried, buried, withdrawn, expired] = &leases[..] else { panic!("{leases:?}") };
    for (lease, amount) in leases.iter().zip([1, 10, 100, 0, 200]) {
        set_aside(&*store, lease, cents(amount), at(0)).await.unwrap();
    }
    store.complete(done, Done::default(), at(1)).await.unwrap();
    assert_eq!(sums(&store).await, (cents(1), cents(310)));
    store.retry_later(retried, at(50_000), "502", AttemptEnd::Failed).await.unwrap();
    assert_eq!(sums(&store).await, (cents(11), cents(300)));
    store.bury(buried, "never", vec![], at(1)).await.unwrap();
    assert_eq!(sums(&store).await, (cents(111), cents(200)));
    store.heartbeat(withdrawn, at(0), 10 * LEASE_MS).await.unwrap();
    assert_eq!(claim(&*store, 5, LEASE_MS).await[0].lease.task(), expired.task());
    assert_eq!(sums(&store).await, (cents(311), Money::ZERO));
    set_aside(&*store, withdrawn, cents(300), at(1)).await.unwrap();
    go_on(&*store, 1, vec![Effect::Store(StoreChange::CancelWork)]).await;
    assert_eq!(sums(&store).await, (cents(611), Money::ZERO));
}

pub(super) async fn a_late_settlement_replaces_the_charge(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![limit(100), create(1)]).await;
    let lease = claim_one(&*store, 0).await.lease;
    let settled = set_aside(&*store, &lease, cents(40), at(0)).await.unwrap();
    let released = set_aside(&*store, &lease, cents(30), at(0)).await.unwrap();
    claim_one(&*store, LEASE_MS).await;
    assert_eq!(sums(&store).await, (cents(70), Money::ZERO));
    store.settle(settled, cents(5), tokens(10, 1), "m").await.unwrap();
    store.release(released).await.unwrap();
    let budget = store.budget(run_of(1)).await.unwrap();
    assert_eq!((budget.spent, budget.reserved, budget.calls), (cents(5), Money::ZERO, 1));
}

pub(super) async fn a_raised_limit_makes_room(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![create(1)]).await;
    let lease = claim_one(&*store, 0).await.lease;
    let without = set_aside(&*store, &lease, cents(1), at(0)).await;
    assert!(matches!(without, Err(StoreError::BudgetExhausted(_))));
    go_on(&*store, 1, vec![limit(10)]).await;
    set_aside(&*store, &lease, cents(10), at(0)).await.unwrap();
    go_on(&*store, 1, vec![limit(15)]).await;
    set_aside(&*store, &lease, cents(5), at(0)).await.unwrap();
    assert_eq!(sums(&store).await, (Money::ZERO, cents(15)));
}

pub(super) async fn spending_is_listed_by_round_agent_and_model(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![limit(1_000), create(1), create(2), review(1)]).await;
    for (amount, model) in [(1, "big"), (2, "small"), (4, "big")] {
        let claimed = claim(&*store, 1, 0).await.remove(0);
        for _ in 0..2 {
            let reservation = set_aside(&*store, &claimed.lease, cents(50), at(0)).await.unwrap();
            store.settle(reservation, cents(amount), tokens(10, 1), model).await.unwrap();
        }
        store.complete(&claimed.lease, Done::default(), at(0)).await.unwrap();
    }
    let line = |round, agent: &str, model: &str, amount| SpendLine {
        round: Some(Round(round)),
        agent: agent.to_owned(),
        model: Some(model.to_owned()),
        cost: cents(amount),
        usage: tokens(20, 2),
        calls: 2,
    };
    let lines = store.spend_lines(run_of(1)).await.unwrap();
    let total = lines.iter().fold(Money::ZERO, |sum, line| sum.plus(line.cost));
    assert_eq!(total, store.budget(run_of(1)).await.unwrap().spent);
    assert_eq!(
        lines,
        [line(1, "creator", "big", 2), line(1, "security", "big", 8), line(2, "creator", "small", 4)]
    );
}
