//! Budgets that runs share: a repository's of the day, an installation's of the month.

use std::sync::Arc;

use pairbot::store::{
    AttemptEnd, Done, Lease, OpenReservation, Owner, Refused, ReservationId, SharedBudget, SharedLimits,
    Store, StoreError,
};
use pairbot_protocol::apply::apply;
use pairbot_protocol::budget::{Amount, Exhausted, Limits, Measure, Period, Quantity, Scope};
use pairbot_protocol::effect::{Effect, StoreChange};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{
    InstallationId, IssueNumber, Money, RepositoryId, RunId, Timestamp, Tokens, Usage,
};
use pairbot_protocol::run::Closing;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::Backend;
use super::fixtures::{INSTALLATION, REPOSITORY, actor, at, claim, create, errand, new_run, opening, run_of};

const HOUR_MS: u64 = 60 * 60 * 1000;

fn amount(cents: u64, tokens: u64) -> Amount {
    Amount { money: Money::from_cents(cents), tokens: Tokens(tokens) }
}

fn used(tokens: u64) -> Usage {
    Usage { output_tokens: tokens, ..Usage::default() }
}

fn dollars(cents: u64) -> Limits {
    Limits { money: Some(Money::from_cents(cents)), tokens: None }
}

fn day(limits: Limits) -> SharedLimits {
    SharedLimits { repository_day: limits, ..SharedLimits::NONE }
}

fn month(limits: Limits) -> SharedLimits {
    SharedLimits { installation_month: limits, ..SharedLimits::NONE }
}

/// A run of its own budget, with these further effects.
async fn opens(store: &dyn Store, run: RunId, installation: InstallationId, own: Limits, more: Vec<Effect>) {
    let limit = own.money.unwrap_or(Money::from_cents(1_000_000));
    let set = Effect::Store(StoreChange::SetBudget { limit, tokens: own.tokens });
    let effects = std::iter::once(set).chain(more).collect();
    store.commit(opening(new_run(run, installation), effects)).await.unwrap();
}

/// What an owner has spent and reserved in the period of a moment.
async fn taken(store: &dyn Store, owner: Owner, now: Timestamp) -> (Amount, Amount) {
    let budgets = store.shared_budgets(now).await.unwrap();
    let own = budgets.into_iter().find(|budget| budget.owner == owner);
    own.map_or((Amount::ZERO, Amount::ZERO), |budget| (budget.spent, budget.reserved))
}

#[track_caller]
fn refused(answer: Result<ReservationId, StoreError>) -> Refused {
    match answer {
        Err(StoreError::BudgetExhausted(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

/// Fifty tasks of these runs all want seven cents of a dollar at once; gives how many got them.
async fn race(store: &Arc<dyn Store>, runs: Vec<RunId>, limits: SharedLimits, scope: Scope) -> usize {
    for run in &runs {
        opens(&**store, *run, INSTALLATION, Limits::NONE, (0..10).map(errand).collect()).await;
    }
    let claimed = claim(&**store, 50, 0).await;
    assert_eq!(claimed.len(), 50);
    let racers: Vec<_> = claimed
        .into_iter()
        .map(|claimed| {
            let store = Arc::clone(store);
            let wanted = amount(7, 1);
            tokio::spawn(async move { store.reserve(&claimed.lease, wanted, &limits, "call", at(1)).await })
        })
        .collect();
    let mut granted = 0;
    for racer in racers {
        let answer = racer.await.unwrap();
        if answer.is_ok() {
            granted += 1;
        } else {
            assert_eq!(refused(answer).exhausted.scope(), scope);
        }
    }
    granted
}

pub(super) async fn fifty_tasks_race_for_the_last_dollar_of_a_repository(backend: &dyn Backend) {
    let store = backend.open();
    let runs = (1..=5).map(run_of).collect();
    assert_eq!(race(&store, runs, day(dollars(100)), Scope::RepositoryDay).await, 14);
    let (spent, reserved) = taken(&*store, Owner::Repository(REPOSITORY), at(1)).await;
    assert_eq!((spent, reserved), (Amount::ZERO, amount(98, 14)));
}

pub(super) async fn fifty_tasks_race_for_the_last_dollar_of_an_installation(backend: &dyn Backend) {
    let store = backend.open();
    let run = |repository| RunId { repository: RepositoryId(repository), issue: IssueNumber(1), ordinal: 1 };
    let runs = (1..=5).map(run).collect();
    assert_eq!(race(&store, runs, month(dollars(100)), Scope::InstallationMonth).await, 14);
    let (spent, reserved) = taken(&*store, Owner::Installation(INSTALLATION), at(1)).await;
    assert_eq!((spent, reserved), (Amount::ZERO, amount(98, 14)));
    assert_eq!(store.audit(None).await.unwrap().faults, []);
}

/// One run, with the lease of its only task.
async fn one_run(store: &dyn Store, issue: u64, own: Limits) -> Lease {
    opens(store, run_of(issue), INSTALLATION, own, vec![create(1)]).await;
    claim(store, 1, 0).await.remove(0).lease
}

pub(super) async fn what_one_budget_refuses_is_set_aside_in_none(backend: &dyn Backend) {
    let store = backend.open();
    let lease = one_run(&*store, 1, dollars(90)).await;
    let limits = SharedLimits { repository_day: dollars(60), installation_month: dollars(30) };
    for (wanted, scope, limit) in
        [(91, Scope::Run, 90), (61, Scope::RepositoryDay, 60), (31, Scope::InstallationMonth, 30)]
    {
        let refusal = refused(store.reserve(&lease, amount(wanted, 0), &limits, "call", at(1)).await);
        assert_eq!(refusal.exhausted, Exhausted::at(scope, Measure::Money, at(1)));
        assert_eq!(refusal.limit, Quantity::Money(Money::from_cents(limit)), "{refusal}");
    }
    let budgets = store.budgets(&lease, at(1)).await.unwrap();
    let sums = [budgets.run.taken(), budgets.repository_day.taken(), budgets.installation_month.taken()];
    assert_eq!(sums, [Amount::ZERO; 3]);
    assert_eq!(store.shared_budgets(at(1)).await.unwrap(), []);
    store.reserve(&lease, amount(30, 0), &limits, "call", at(1)).await.unwrap();
}

pub(super) async fn tokens_are_limited_beside_dollars(backend: &dyn Backend) {
    let store = backend.open();
    let tokens = |tokens| Limits { money: None, tokens: Some(Tokens(tokens)) };
    let own = Limits { tokens: Some(Tokens(900)), ..dollars(0) };
    let lease = one_run(&*store, 1, own).await;
    let limits = SharedLimits { repository_day: tokens(600), installation_month: tokens(300) };
    for (wanted, scope) in [(901, Scope::Run), (601, Scope::RepositoryDay), (301, Scope::InstallationMonth)] {
        let refusal = refused(store.reserve(&lease, amount(0, wanted), &limits, "call", at(1)).await);
        assert_eq!(refusal.exhausted, Exhausted::at(scope, Measure::Tokens, at(1)));
        assert!(refusal.to_string().contains("tokens, does not allow it"), "{refusal}");
    }
    // A call without a price costs no money, so a run with none left may make it.
    let call = store.reserve(&lease, amount(0, 300), &limits, "call", at(1)).await.unwrap();
    store.settle(call, Money::ZERO, used(120), "house").await.unwrap();
    let budgets = store.budgets(&lease, at(1)).await.unwrap();
    assert_eq!((budgets.run.spent_tokens, budgets.run.reserved_tokens), (Tokens(120), Tokens::ZERO));
    assert_eq!(budgets.installation_month.spent, amount(0, 120));
    refused(store.reserve(&lease, amount(0, 181), &limits, "call", at(1)).await);
    store.reserve(&lease, amount(0, 180), &limits, "call", at(1)).await.unwrap();
}

pub(super) async fn a_used_up_day_and_month_open_again_by_themselves(backend: &dyn Backend) {
    let store = backend.open();
    let lease = one_run(&*store, 1, Limits::NONE).await;
    let (limits, wanted) =
        (SharedLimits { repository_day: dollars(10), installation_month: dollars(15) }, amount(10, 5));
    let call = store.reserve(&lease, wanted, &limits, "call", at(0)).await.unwrap();
    store.settle(call, wanted.money, used(5), "m").await.unwrap();
    let refusal = refused(store.reserve(&lease, amount(1, 0), &limits, "call", at(HOUR_MS)).await);
    let Exhausted::RepositoryDay { opens_at, .. } = refusal.exhausted else { panic!("{refusal}") };
    assert_eq!(opens_at, Period::day(at(0)).ends_at);
    let last = Timestamp::from_unix_ms(opens_at.unix_ms - 1);
    refused(store.reserve(&lease, amount(1, 0), &limits, "call", last).await);
    store.reserve(&lease, amount(5, 0), &limits, "call", opens_at).await.unwrap();
    // The day has room; the month has none.
    let refusal = refused(store.reserve(&lease, amount(1, 0), &limits, "call", opens_at).await);
    let Exhausted::InstallationMonth { opens_at, .. } = refusal.exhausted else { panic!("{refusal}") };
    assert_eq!(opens_at, Period::month(at(0)).ends_at);
    store.reserve(&lease, amount(10, 0), &limits, "call", opens_at).await.unwrap();
}

pub(super) async fn a_reservation_counts_for_the_period_it_was_made_in(backend: &dyn Backend) {
    let store = backend.open();
    let lease = one_run(&*store, 1, Limits::NONE).await;
    let repository = Owner::Repository(REPOSITORY);
    let midnight = Period::day(at(0)).ends_at;
    let (limits, evening) = (day(dollars(10)), Timestamp::from_unix_ms(midnight.unix_ms - 1));
    let call = store.reserve(&lease, amount(10, 50), &limits, "call", evening).await.unwrap();
    let late = store.reserve(&lease, amount(10, 50), &limits, "call", midnight).await.unwrap();
    store.settle(call, Money::from_cents(4), used(20), "m").await.unwrap();
    assert_eq!(taken(&*store, repository, evening).await, (amount(4, 20), Amount::ZERO));
    assert_eq!(taken(&*store, repository, midnight).await, (Amount::ZERO, amount(10, 50)));
    store.release(late).await.unwrap();
    assert_eq!(taken(&*store, repository, midnight).await, (Amount::ZERO, Amount::ZERO));
    assert_eq!(store.audit(None).await.unwrap().faults, []);
}

pub(super) async fn a_charge_in_full_counts_for_all_and_a_late_settlement_replaces_it(backend: &dyn Backend) {
    let store = backend.open();
    let lease = one_run(&*store, 1, Limits::NONE).await;
    let owners = [Owner::Repository(REPOSITORY), Owner::Installation(INSTALLATION)];
    let call = store.reserve(&lease, amount(10, 50), &SharedLimits::NONE, "call", at(0)).await.unwrap();
    store.retry_later(&lease, at(0), "gone", AttemptEnd::Failed).await.unwrap();
    for owner in owners {
        assert_eq!(taken(&*store, owner, at(0)).await, (amount(10, 50), Amount::ZERO));
    }
    for _ in 0..2 {
        store.settle(call, Money::from_cents(3), used(7), "m").await.unwrap();
        for owner in owners {
            assert_eq!(taken(&*store, owner, at(0)).await, (amount(3, 7), Amount::ZERO));
        }
    }
    let budget = store.budget(run_of(1)).await.unwrap();
    assert_eq!((budget.spent(), budget.calls), (amount(3, 7), 1));
}

pub(super) async fn whoever_pays_can_see_what_is_left_and_what_is_under_way(backend: &dyn Backend) {
    let store = backend.open();
    let lease = one_run(&*store, 1, dollars(100)).await;
    let limits = SharedLimits { repository_day: dollars(60), installation_month: dollars(90) };
    let call = store.reserve(&lease, amount(10, 50), &limits, "creator, round 1", at(5)).await.unwrap();
    let budget = |owner: Owner, limits| SharedBudget {
        owner,
        period: owner.period(at(5)),
        limits,
        spent: Amount::ZERO,
        reserved: amount(10, 50),
        calls: 0,
    };
    let (repository, installation) = (Owner::Repository(REPOSITORY), Owner::Installation(INSTALLATION));
    let shared = store.shared_budgets(at(6)).await.unwrap();
    assert_eq!(shared, [budget(repository, dollars(60)), budget(installation, dollars(90))]);
    let open = OpenReservation {
        id: call,
        run: run_of(1),
        task: lease.task(),
        amount: amount(10, 50),
        since: at(5),
        purpose: "creator, round 1".to_owned(),
    };
    assert_eq!(store.open_reservations(None).await.unwrap(), std::slice::from_ref(&open));
    assert_eq!(store.open_reservations(Some(run_of(1))).await.unwrap(), [open]);
    assert_eq!(store.open_reservations(Some(run_of(2))).await.unwrap(), []);
    store.complete(&lease, Done::default(), at(7)).await.unwrap();
    assert_eq!(store.open_reservations(None).await.unwrap(), []);
}

pub(super) async fn ended_runs_tell_what_they_cost(backend: &dyn Backend) {
    let store = backend.open();
    for (issue, cents) in [(1, 10), (2, 20), (3, 0), (4, 40), (5, 50)] {
        let lease = one_run(&*store, issue, Limits::NONE).await;
        if cents > 0 {
            let call =
                store.reserve(&lease, amount(90, 0), &SharedLimits::NONE, "call", at(0)).await.unwrap();
            store.settle(call, Money::from_cents(cents), used(1), "m").await.unwrap();
        }
        store.complete(&lease, Done::default(), at(1)).await.unwrap();
        if issue != 4 {
            let stored = store.run(run_of(issue)).await.unwrap().unwrap();
            let event = Event::Closed { closing: Closing::Stopped, by: actor() };
            let mut decision = opening(apply(stored.run, &event), vec![]);
            (decision.version_before, decision.events) = (stored.version, vec![event]);
            store.commit(decision).await.unwrap();
        }
    }
    // Of what is not over nothing is foretold, nor of what called nobody.
    let costs = store.costs_of_ended(REPOSITORY, 10).await.unwrap();
    assert_eq!(costs, [50, 20, 10].map(Money::from_cents));
    assert_eq!(store.costs_of_ended(REPOSITORY, 1).await.unwrap(), [Money::from_cents(50)]);
    assert_eq!(store.costs_of_ended(RepositoryId(9), 10).await.unwrap(), []);
}

// Random histories.

const RUNS: usize = 4;
const HISTORIES: u64 = 16;

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    Reserve {
        run: usize,
        wanted: (u64, u64),
    },
    /// Of what was ever reserved, one; so much of it, in percent, was needed.
    Settle {
        which: prop::sample::Index,
        percent: u64,
    },
    Release {
        which: prop::sample::Index,
    },
    /// The worker of a run gives its task back, and another takes it up.
    HandOver {
        run: usize,
    },
    /// The process dies and comes back.
    Crash,
    Later {
        hours: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        8 => (0..RUNS, (0..60_u64, 0..600_u64)).prop_map(|(run, wanted)| Step::Reserve { run, wanted }),
        6 => (which(), 0..=100_u64).prop_map(|(which, percent)| Step::Settle { which, percent }),
        2 => which().prop_map(|which| Step::Release { which }),
        1 => (0..RUNS).prop_map(|run| Step::HandOver { run }),
        1 => Just(Step::Crash),
        2 => (1..40_u64).prop_map(|hours| Step::Later { hours }),
        1 => (400..800_u64).prop_map(|hours| Step::Later { hours }),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Open,
    Charged,
    Final(Amount),
}

/// A reservation as it ought to be.
#[derive(Debug)]
struct Entry {
    id: ReservationId,
    run: usize,
    made_at: Timestamp,
    amount: Amount,
    state: State,
}

impl Entry {
    fn spent(&self) -> Amount {
        match self.state {
            State::Open => Amount::ZERO,
            State::Charged => self.amount,
            State::Final(cost) => cost,
        }
    }

    fn reserved(&self) -> Amount {
        if self.state == State::Open { self.amount } else { Amount::ZERO }
    }
}

/// What was reserved, kept as a list and never as a sum.
struct History<'a> {
    backend: &'a dyn Backend,
    store: Option<Arc<dyn Store>>,
    runs: [(RunId, InstallationId); RUNS],
    leases: Vec<Lease>,
    entries: Vec<Entry>,
    now: Timestamp,
}

fn own_limits() -> Limits {
    Limits { money: Some(Money::from_cents(400)), tokens: Some(Tokens(4_000)) }
}

fn shared_limits() -> SharedLimits {
    SharedLimits {
        repository_day: Limits { money: Some(Money::from_cents(150)), tokens: Some(Tokens(1_500)) },
        installation_month: Limits { money: Some(Money::from_cents(300)), tokens: Some(Tokens(3_000)) },
    }
}

impl<'a> History<'a> {
    /// Two runs in one repository, a third in another of the same installation, a fourth elsewhere.
    async fn begin(backend: &'a dyn Backend, number: u64) -> Self {
        let place = [(1, 1), (1, 1), (2, 1), (3, 2)];
        let runs = [0, 1, 2, 3].map(|position| {
            let (repository, installation) = place[position];
            let repository = RepositoryId(number * 10 + repository);
            let issue = IssueNumber(position as u64 + 1);
            (RunId { repository, issue, ordinal: 1 }, InstallationId(number * 10 + installation))
        });
        let store = backend.open();
        for (run, installation) in runs {
            opens(&*store, run, installation, own_limits(), vec![create(1)]).await;
        }
        let (entries, leases, now) = (Vec::new(), Vec::new(), at(0));
        let mut history = Self { backend, store: Some(store), runs, leases, entries, now };
        history.claim().await;
        history
    }

    fn store(&self) -> &dyn Store {
        &**self.store.as_ref().unwrap()
    }

    /// Takes up every task that nobody has.
    async fn claim(&mut self) {
        let ms = self.now.unix_ms - at(0).unix_ms;
        let claimed = claim(self.store(), RUNS, ms).await;
        for claimed in claimed {
            self.leases.retain(|lease| lease.run() != claimed.lease.run());
            self.charge(self.position(claimed.lease.run()));
            self.leases.push(claimed.lease);
        }
    }

    fn position(&self, run: RunId) -> usize {
        self.runs.iter().position(|(own, _)| *own == run).unwrap()
    }

    fn lease(&self, run: usize) -> Lease {
        self.leases.iter().find(|lease| lease.run() == self.runs[run].0).unwrap().clone()
    }

    fn charge(&mut self, run: usize) {
        for entry in self.entries.iter_mut().filter(|entry| entry.run == run && entry.state == State::Open) {
            entry.state = State::Charged;
        }
    }

    /// Sums of what counts, as spent and as reserved.
    fn sums(&self, counts: impl Fn(&Entry) -> bool) -> [Amount; 2] {
        let of = |amount: fn(&Entry) -> Amount| {
            let counted = self.entries.iter().filter(|entry| counts(entry)).map(amount);
            counted.fold(Amount::ZERO, Amount::plus)
        };
        [of(Entry::spent), of(Entry::reserved)]
    }

    fn of_run(&self, run: usize) -> [Amount; 2] {
        self.sums(|entry| entry.run == run)
    }

    fn of_owner(&self, owner: Owner) -> [Amount; 2] {
        let period = owner.period(self.now);
        self.sums(|entry| {
            let (run, installation) = self.runs[entry.run];
            let owns = match owner {
                Owner::Repository(id) => run.repository == id,
                Owner::Installation(id) => installation == id,
            };
            owns && owner.period(entry.made_at) == period
        })
    }

    async fn reserve(&mut self, run: usize, wanted: Amount) {
        let (id, installation) = self.runs[run];
        let taken = |[spent, reserved]: [Amount; 2]| spent.plus(reserved);
        let limits = shared_limits();
        let budgets = [
            (Scope::Run, own_limits(), taken(self.of_run(run))),
            (
                Scope::RepositoryDay,
                limits.repository_day,
                taken(self.of_owner(Owner::Repository(id.repository))),
            ),
            (
                Scope::InstallationMonth,
                limits.installation_month,
                taken(self.of_owner(Owner::Installation(installation))),
            ),
        ];
        let expected = budgets.iter().find_map(|(scope, limits, taken)| {
            limits.refuses(*taken, wanted).map(|measure| Exhausted::at(*scope, measure, self.now))
        });
        let lease = self.lease(run);
        let answer = self.store().reserve(&lease, wanted, &limits, "call", self.now).await;
        match (answer, expected) {
            (Ok(id), None) => {
                let (made_at, state) = (self.now, State::Open);
                self.entries.push(Entry { id, run, made_at, amount: wanted, state });
            }
            (answer, Some(expected)) => assert_eq!(refused(answer).exhausted, expected),
            (Err(error), None) => panic!("{error}"),
        }
    }

    async fn end(&mut self, which: prop::sample::Index, percent: Option<u64>) {
        if self.entries.is_empty() {
            return;
        }
        let position = which.index(self.entries.len());
        let (id, amount) = (self.entries[position].id, self.entries[position].amount);
        let cost = percent.map_or(Amount::ZERO, |percent| Amount {
            money: Money::from_microdollars(amount.money.microdollars * percent / 100),
            tokens: Tokens(amount.tokens.0 * percent / 100),
        });
        match percent {
            Some(_) => self.store().settle(id, cost.money, used(cost.tokens.0), "m").await.unwrap(),
            None => self.store().release(id).await.unwrap(),
        }
        let entry = &mut self.entries[position];
        if !matches!(entry.state, State::Final(_)) {
            entry.state = State::Final(cost);
        }
    }

    async fn happens(&mut self, step: Step) {
        match step {
            Step::Reserve { run, wanted: (cents, tokens) } => self.reserve(run, amount(cents, tokens)).await,
            Step::Settle { which, percent } => self.end(which, Some(percent)).await,
            Step::Release { which } => self.end(which, None).await,
            Step::HandOver { run } => {
                let lease = self.lease(run);
                self.store().retry_later(&lease, self.now, "gone", AttemptEnd::Snoozed).await.unwrap();
                self.charge(run);
                self.claim().await;
            }
            Step::Crash => {
                self.store = None;
                self.store = Some(self.backend.open());
                self.claim().await;
            }
            // Leases have no end but in a claim, and only this history claims.
            Step::Later { hours } => self.now = self.now.plus_ms(hours * HOUR_MS),
        }
    }

    /// Every sum is that of its reservations, and within its limit.
    async fn holds(&self) {
        for (position, (run, _)) in self.runs.iter().enumerate() {
            let budget = self.store().budget(*run).await.unwrap();
            let reserved = Amount { money: budget.reserved, tokens: budget.reserved_tokens };
            assert_eq!([budget.spent(), reserved], self.of_run(position), "run {run}");
            within(budget.taken(), own_limits());
        }
        let shared = self.store().shared_budgets(self.now).await.unwrap();
        for (run, installation) in self.runs {
            for owner in [Owner::Repository(run.repository), Owner::Installation(installation)] {
                let found = shared.iter().find(|budget| budget.owner == owner);
                let sums = found.map_or([Amount::ZERO; 2], |budget| [budget.spent, budget.reserved]);
                assert_eq!(sums, self.of_owner(owner), "{owner:?} at {:?}", self.now);
                within(sums[0].plus(sums[1]), shared_limits().of(owner));
            }
        }
    }
}

#[track_caller]
fn within(taken: Amount, limits: Limits) {
    assert!(taken.money <= limits.money.unwrap() && taken.tokens <= limits.tokens.unwrap(), "{taken:?}");
}

pub(super) async fn random_histories_add_up_and_pass_no_limit(backend: &dyn Backend) {
    // The same histories each time.
    let mut runner = TestRunner::deterministic();
    let steps = prop::collection::vec(step(), 60);
    for number in 1..=HISTORIES {
        let steps = steps.new_tree(&mut runner).unwrap().current();
        let mut history = History::begin(backend, number).await;
        for step in steps {
            history.happens(step).await;
            history.holds().await;
        }
        for run in 0..RUNS {
            let lease = history.lease(run);
            history.store().complete(&lease, Done::default(), history.now).await.unwrap();
            history.charge(run);
        }
        history.holds().await;
        let audited = history.store().audit(None).await.unwrap();
        assert_eq!(audited.faults, [], "history {number}");
    }
}
