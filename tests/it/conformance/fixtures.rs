//! Small runs, deliveries and tasks.

use std::collections::{BTreeMap, BTreeSet};

use pairbot::store::{Claimed, Commit, Content, Delivery, Store, TaskKinds};
use pairbot_protocol::effect::{Effect, Publication, StoreChange, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{
    HeadSha, InstallationId, IssueNumber, Money, RepositoryId, Round, RunId, TaskId, Timestamp, UserId,
};
use pairbot_protocol::run::{AfterInspection, Phase, Run};
use pairbot_protocol::signal::{Actor, ActorKind, Envelope, IssueFacts, RequestId, Signal, Target};

pub(super) const REPOSITORY: RepositoryId = RepositoryId(10_000_000_000);
pub(super) const INSTALLATION: InstallationId = InstallationId(77);
pub(super) const LEASE_MS: u64 = 1_000;

/// A moment, in milliseconds from the beginning of the test.
pub(super) fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_700_000_000_000 + ms)
}

pub(super) fn head(digit: char) -> HeadSha {
    digit.to_string().repeat(40).parse().unwrap()
}

pub(super) fn run_of(issue: u64) -> RunId {
    RunId { repository: REPOSITORY, issue: IssueNumber(issue), ordinal: 1 }
}

pub(super) fn actor() -> Actor {
    Actor { id: UserId(1), login: "ada".parse().unwrap(), kind: ActorKind::Person }
}

pub(super) fn issue_facts() -> IssueFacts {
    IssueFacts { repository_name: "octo/demo".to_owned(), title: "Greet by name".to_owned() }
}

/// A run as it is when it was just opened.
pub(super) fn new_run(id: RunId, installation: InstallationId) -> Run {
    Run {
        id,
        installation,
        labelled_by: actor(),
        issue: issue_facts(),
        opened_at: at(0),
        deadline: at(0),
        policy: None,
        phase: Phase::Queued { then: AfterInspection::Create },
        paused: false,
        base: None,
        head: None,
        pull_request: None,
        round: Round::FIRST,
        rounds_allowed: Round(3),
        budget: Money::ZERO,
        spent: pairbot_protocol::signal::Spend::default(),
        trees: BTreeSet::new(),
        handed_in: None,
        findings: BTreeMap::new(),
        reviews: Vec::new(),
        feedback: Vec::new(),
        requests: BTreeMap::new(),
    }
}

pub(super) fn opened(run: &Run) -> Event {
    Event::Opened {
        run: run.id,
        installation: run.installation,
        by: actor(),
        issue: issue_facts(),
        at: run.opened_at,
    }
}

/// A decision that opens a run with these effects.
pub(super) fn opening(run: Run, effects: Vec<Effect>) -> Commit {
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
pub(super) async fn open_run(store: &dyn Store, issue: u64, effects: Vec<Effect>) -> Vec<TaskId> {
    store.commit(opening(new_run(run_of(issue), INSTALLATION), effects)).await.unwrap().tasks
}

/// A further decision on a run: one event, and these effects.
pub(super) async fn go_on(store: &dyn Store, issue: u64, effects: Vec<Effect>) -> Vec<TaskId> {
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
pub(super) fn errand(number: u32) -> Effect {
    Effect::Work(Work::ReadPermission { request: RequestId(number), of: actor() })
}

/// Work of the creator's lane.
pub(super) fn create(round: u32) -> Effect {
    Effect::Work(Work::Create { round: Round(round), attempt: 1, onto: None })
}

pub(super) fn review(round: u32) -> Effect {
    Effect::Work(Work::Review { reviewer: "security".parse().unwrap(), round: Round(round), head: head('a') })
}

pub(super) fn show(publication: Publication) -> Effect {
    Effect::Publish(publication)
}

pub(super) fn answer(number: u32) -> Effect {
    show(Publication::Answer { request: RequestId(number) })
}

pub(super) fn limit(cents: u64) -> Effect {
    Effect::Store(StoreChange::SetBudget { limit: Money::from_cents(cents) })
}

pub(super) fn envelope(issue: u64) -> Envelope {
    Envelope {
        installation: INSTALLATION,
        target: Target::Issue { repository: REPOSITORY, issue: IssueNumber(issue) },
        signal: Signal::LabelSet { by: actor(), issue: issue_facts() },
    }
}

pub(super) fn delivery(guid: &str, meaning: Option<&str>, issue: u64) -> Delivery {
    Delivery {
        guid: guid.to_owned(),
        meaning: meaning.map(str::to_owned),
        event: "issues.labeled".to_owned(),
        received_at: at(issue),
        content: Content::Signal(envelope(issue)),
    }
}

/// Claims as worker `w` at a moment.
pub(super) async fn claim(store: &dyn Store, slots: usize, ms: u64) -> Vec<Claimed> {
    store.claim(TaskKinds::Both, slots, "w", at(ms), LEASE_MS).await.unwrap()
}

/// Claims the one task there is.
pub(super) async fn claim_one(store: &dyn Store, ms: u64) -> Claimed {
    let [claimed] = <[Claimed; 1]>::try_from(claim(store, 10, ms).await).unwrap();
    claimed
}

pub(super) fn tasks_of(claimed: &[Claimed]) -> Vec<TaskId> {
    claimed.iter().map(|claimed| claimed.lease.task()).collect()
}
