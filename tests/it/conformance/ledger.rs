use pairbot::store::{Commit, RunFilter, StoreError};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{HeadSha, IssueNumber, PullRequestNumber, RunId};
use pairbot_protocol::run::{Closing, Phase, Run};
use pairbot_protocol::signal::{PullRequestFacts, Target};
use sha2::{Digest, Sha256};

use super::Backend;
use super::fixtures::{
    INSTALLATION, REPOSITORY, actor, at, claim, create, delivery, go_on, head, limit, new_run, open_run,
    opened, opening, run_of,
};

pub(super) async fn a_decision_is_stored_whole(backend: &dyn Backend) {
    let store = backend.open();
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    let inbox = store.inbox_pending(1).await.unwrap().remove(0).id;
    let run = new_run(run_of(1), INSTALLATION);
    let decision = Commit { inbox: Some(inbox), ..opening(run.clone(), vec![create(1), limit(500)]) };
    let committed = store.commit(decision).await.unwrap();

    let stored = store.run(run_of(1)).await.unwrap().unwrap();
    assert_eq!((stored.run, stored.version), (run.clone(), 1));
    let ledger = store.ledger(run_of(1)).await.unwrap();
    assert_eq!((ledger.len(), ledger[0].seq, ledger[0].at, &ledger[0].event), (1, 1, at(0), &opened(&run)));
    assert_eq!(store.inbox_pending(1).await.unwrap(), []);
    assert_eq!(store.budget(run_of(1)).await.unwrap().limit.to_string(), "$5.00");
    let [task] = committed.tasks[..] else { panic!("{committed:?}") };
    assert_eq!(store.task(task).await.unwrap().unwrap().run, run_of(1));
}

pub(super) async fn of_two_decisions_on_one_state_the_second_is_refused_whole(backend: &dyn Backend) {
    let store = backend.open();
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    let inbox = store.inbox_pending(1).await.unwrap().remove(0).id;
    open_run(&*store, 1, vec![]).await;
    let late = Commit {
        inbox: Some(inbox),
        ..opening(new_run(run_of(1), INSTALLATION), vec![create(1), limit(500)])
    };
    let refusal = store.commit(late).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Conflict { expected: 0, found: 1, .. }), "{refusal}");
    assert_eq!(store.inbox_pending(1).await.unwrap().len(), 1);
    assert_eq!(store.ledger(run_of(1)).await.unwrap().len(), 1);
    assert_eq!(claim(&*store, 9, 1).await, []);
    assert_eq!(store.budget(run_of(1)).await.unwrap(), pairbot::store::Budget::default());
}

pub(super) async fn a_signal_is_decided_once(backend: &dyn Backend) {
    let store = backend.open();
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    let inbox = store.inbox_pending(1).await.unwrap().remove(0).id;
    let decide = |issue, effects| Commit {
        inbox: Some(inbox),
        ..opening(new_run(run_of(issue), INSTALLATION), effects)
    };
    store.commit(decide(1, vec![])).await.unwrap();
    let again = store.commit(decide(2, vec![create(1)])).await;
    assert!(matches!(again, Err(StoreError::AlreadySettled { .. })));
    assert_eq!(store.run(run_of(2)).await.unwrap(), None);
    assert_eq!(claim(&*store, 9, 1).await, []);
}

pub(super) async fn a_decision_for_nobody_settles_its_signal(backend: &dyn Backend) {
    let store = backend.open();
    store.accept(delivery("g-1", None, 1)).await.unwrap();
    let inbox = store.inbox_pending(1).await.unwrap().remove(0).id;
    let nothing =
        Commit { inbox: Some(inbox), events: vec![], ..opening(new_run(run_of(1), INSTALLATION), vec![]) };
    store.commit(nothing).await.unwrap();
    assert_eq!(store.inbox_pending(1).await.unwrap(), []);
    assert_eq!(store.run(run_of(1)).await.unwrap(), None);
}

pub(super) async fn a_decision_that_contradicts_itself_is_refused(backend: &dyn Backend) {
    let store = backend.open();
    let other = Commit { run: run_of(2), ..opening(new_run(run_of(1), INSTALLATION), vec![]) };
    let causeless = Commit { events: vec![], ..opening(new_run(run_of(1), INSTALLATION), vec![create(1)]) };
    for decision in [other, causeless] {
        let refusal = store.commit(decision).await.unwrap_err();
        assert!(matches!(refusal, StoreError::Contradiction { .. }), "{refusal}");
    }
}

pub(super) async fn hashes_chain_every_event_to_its_predecessor(backend: &dyn Backend) {
    let store = backend.open();
    open_run(&*store, 1, vec![]).await;
    open_run(&*store, 2, vec![]).await;
    for _ in 0..3 {
        go_on(&*store, 1, vec![]).await;
    }
    let ledger = store.ledger(run_of(1)).await.unwrap();
    assert_eq!(ledger.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let mut previous = [0; 32];
    for entry in ledger {
        let recorded = pairbot::wire::RecordedEvent { at: entry.at, event: entry.event };
        let payload = pairbot::wire::encode(&recorded).unwrap();
        let expected: [u8; 32] = Sha256::new().chain_update(previous).chain_update(payload).finalize().into();
        assert_eq!(entry.hash, expected);
        previous = expected;
    }
}

/// A run with a pull request and a head.
fn with_head(id: RunId, number: u64, head: HeadSha) -> Run {
    let pull_request =
        PullRequestFacts { number: PullRequestNumber(number), node_id: "PR".to_owned(), draft: true };
    Run { pull_request: Some(pull_request), head: Some(head), ..new_run(id, INSTALLATION) }
}

pub(super) async fn a_target_names_its_runs(backend: &dyn Backend) {
    let store = backend.open();
    let second = RunId { ordinal: 2, ..run_of(1) };
    let over = Phase::Closed { closing: Closing::Stopped, by: actor(), last: None };
    store.commit(opening(Run { phase: over, ..with_head(run_of(1), 5, head('a')) }, vec![])).await.unwrap();
    store.commit(opening(with_head(second, 9, head('a')), vec![])).await.unwrap();
    store.commit(opening(with_head(run_of(3), 6, head('a')), vec![])).await.unwrap();
    open_run(&*store, 4, vec![]).await;

    let repository = REPOSITORY;
    let issue = |number| Target::Issue { repository, issue: IssueNumber(number) };
    let pull_request = |number, branch: Option<&str>| Target::PullRequest {
        repository,
        number: PullRequestNumber(number),
        branch: branch.map(str::to_owned),
    };
    for (target, expected) in [
        (issue(1), vec![second]),
        (issue(2), vec![]),
        (pull_request(5, None), vec![run_of(1)]),
        (pull_request(9, Some("pairbot/issue-4")), vec![second]),
        (pull_request(50, Some("pairbot/issue-4")), vec![run_of(4)]),
        (pull_request(50, Some("pairbot/issue-1")), vec![second]),
        (pull_request(50, Some("main")), vec![]),
        (pull_request(u64::MAX, None), vec![]),
        (Target::Head { repository, head: head('a') }, vec![second, run_of(3)]),
        (Target::Head { repository, head: head('b') }, vec![]),
        (Target::Run { run: run_of(1) }, vec![run_of(1)]),
        (Target::Run { run: run_of(2) }, vec![]),
    ] {
        assert_eq!(store.runs_for(&target).await.unwrap(), expected, "{target:?}");
    }
}

pub(super) async fn runs_are_listed_newest_first(backend: &dyn Backend) {
    let store = backend.open();
    for issue in 1..=3 {
        open_run(&*store, issue, vec![limit(issue)]).await;
    }
    let stored = store.run(run_of(2)).await.unwrap().unwrap();
    let closing = Phase::Closed { closing: Closing::Stopped, by: actor(), last: None };
    let decision = Commit {
        version_before: stored.version,
        events: vec![Event::Closed { closing: Closing::Stopped, by: actor() }],
        at: at(9),
        ..opening(Run { phase: closing, ..stored.run }, vec![])
    };
    store.commit(decision).await.unwrap();

    let all = store.run_list(RunFilter { open_only: false, limit: 2 }).await.unwrap();
    assert_eq!(all.iter().map(|run| run.run).collect::<Vec<_>>(), [run_of(3), run_of(2)]);
    assert_eq!((all[1].phase, all[1].open, all[1].updated_at), ("closed", false, at(9)));
    let open = store.run_list(RunFilter { open_only: true, limit: 10 }).await.unwrap();
    assert_eq!(open.iter().map(|run| run.run).collect::<Vec<_>>(), [run_of(3), run_of(1)]);
    assert_eq!((open[0].limit.to_string().as_str(), open[0].title.as_str()), ("$0.03", "Greet by name"));
}
