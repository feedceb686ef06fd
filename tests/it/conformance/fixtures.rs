//! Small runs, deliveries and tasks.

use pairbot::store::{
    Claimed, Commit, Content, Delivery, Lease, ReservationId, SharedLimits, Store, StoreError, TaskKinds,
};
use pairbot_protocol::apply;
use pairbot_protocol::budget::Amount;
use pairbot_protocol::effect::{Effect, Publication, StoreChange, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{
    HeadSha, InstallationId, IssueNumber, Money, RepositoryId, Round, RunId, TaskId, Timestamp, Tokens,
    UserId,
};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{Actor, ActorKind, Envelope, IssueFacts, RequestId, Signal, Target};

pub(crate) const REPOSITORY: RepositoryId = RepositoryId(10_000_000_000);
pub(crate) const INSTALLATION: InstallationId = InstallationId(77);
pub(crate) const LEASE_MS: u64 = 1_000;

/// A moment, in milliseconds from the beginning of the test.
pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_700_000_000_000 + ms)
}

pub(crate) fn head(digit: char) -> HeadSha {
    digit.to_string().repeat(40).parse().unwrap()
}

pub(crate) fn run_of(issue: u64) -> RunId {
    RunId { repository: REPOSITORY, issue: IssueNumber(issue), ordinal: 1 }
}

pub(crate) fn actor() -> Actor {
    Actor { id: UserId(1), login: "ada".parse().unwrap(), kind: ActorKind::Person }
}

pub(crate) fn issue_facts() -> IssueFacts {
    IssueFacts { repository_name: "octo/demo".to_owned(), title: "Greet by name".to_owned() }
}

/// A run as it is when it was just opened.
pub(crate) fn new_run(id: RunId, installation: InstallationId) -> Run {
    apply::opened(id, installation, &actor(), &issue_facts(), at(0))
}

pub(crate) fn opened(run: &Run) -> Event {
    Event::Opened {
        run: run.id,
        installation: run.installation,
        by: actor(),
        issue: issue_facts(),
        at: run.opened_at,
    }
}

/// A decision that opens a run with these effects.
pub(crate) fn opening(run: Run, effects: Vec<Effect>) -> Commit {
    Commit {
        inbox: None,
        run: run.id,
        version_before: 0,
        events: vec![opened(&run)],
        run_after: run,
        effects,
        at: at(0),
    }
}

/// Opens the run of an issue with these effects.
pub(crate) async fn open_run(store: &dyn Store, issue: u64, effects: Vec<Effect>) -> Vec<TaskId> {
    store.commit(opening(new_run(run_of(issue), INSTALLATION), effects)).await.unwrap().tasks
}

/// A further decision on a run: one event, and these effects.
pub(crate) async fn go_on(store: &dyn Store, issue: u64, effects: Vec<Effect>) -> Vec<TaskId> {
    let stored = store.run(run_of(issue)).await.unwrap().unwrap();
    let decision = Commit {
        inbox: None,
        run: stored.run.id,
        version_before: stored.version,
        events: vec![Event::DeadlineSet { at: at(stored.version) }],
        run_after: stored.run,
        effects,
        at: at(stored.version),
    };
    store.commit(decision).await.unwrap().tasks
}

/// Work with a lane of its own.
pub(crate) fn errand(number: u32) -> Effect {
    Effect::Work(Work::ReadPermission { request: RequestId(number), of: actor() })
}

/// Work of the creator's lane.
pub(crate) fn create(round: u32) -> Effect {
    Effect::Work(Work::Create { round: Round(round), attempt: 1, onto: None })
}

pub(crate) fn review(round: u32) -> Effect {
    Effect::Work(Work::Review { reviewer: "security".parse().unwrap(), round: Round(round), head: head('a') })
}

pub(crate) fn show(publication: Publication) -> Effect {
    Effect::Publish(publication)
}

pub(crate) fn answer(number: u32) -> Effect {
    show(Publication::Answer { request: RequestId(number) })
}

pub(crate) fn limit(cents: u64) -> Effect {
    Effect::Store(StoreChange::SetBudget { limit: Money::from_cents(cents), tokens: None })
}

/// Sets money aside, where nothing but the run's budget limits it.
pub(crate) async fn set_aside(
    store: &dyn Store,
    lease: &Lease,
    money: Money,
    now: Timestamp,
) -> Result<ReservationId, StoreError> {
    let amount = Amount { money, tokens: Tokens::ZERO };
    store.reserve(lease, amount, &SharedLimits::NONE, "call", now).await
}

pub(crate) fn envelope(issue: u64) -> Envelope {
    Envelope {
        installation: INSTALLATION,
        target: Target::Issue { repository: REPOSITORY, issue: IssueNumber(issue) },
        signal: Signal::LabelSet { by: actor(), issue: issue_facts() },
    }
}

pub(crate) fn delivery(guid: &str, meaning: Option<&str>, issue: u64) -> Delivery {
    Delivery {
        guid: guid.to_owned(),
        meaning: meaning.map(str::to_owned),
        event: "issues.labeled".to_owned(),
        received_at: at(issue),
        content: Content::Signal(envelope(issue)),
    }
}

/// Claims as worker `w` at a moment.
pub(crate) async fn claim(store: &dyn Store, slots: usize, ms: u64) -> Vec<Claimed> {
    store.claim(TaskKinds::All, slots, "w", at(ms), LEASE_MS).await.unwrap()
}

/// Claims the one task there is.
pub(crate) async fn claim_one(store: &dyn Store, ms: u64) -> Claimed {
    let [claimed] = <[Claimed; 1]>::try_from(claim(store, 10, ms).await).unwrap();
    claimed
}

pub(crate) fn tasks_of(claimed: &[Claimed]) -> Vec<TaskId> {
    claimed.iter().map(|claimed| claimed.lease.task()).collect()
}
