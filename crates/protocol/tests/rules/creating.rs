//! The creator's turns and the branch.

use pairbot_protocol::effect::StoreChange;
use pairbot_protocol::event::Event;
use pairbot_protocol::finding::Severity;
use pairbot_protocol::ids::Round;
use pairbot_protocol::run::{Halt, Phase};
use pairbot_protocol::signal::{Contact, CreateOutcome, Failure, Signal, Spend, Verdict};

use super::story::*;

#[test]
fn the_first_push_opens_the_pull_request_before_anyone_reads() {
    let mut story = Story::creating();
    story.pushed(1);
    assert_eq!(story.asked(), ["open of h1"]);
    assert_eq!(story.shown(), ["status"], "no pull request, no checks");
    story.opened(1);
    assert_eq!(story.asked(), ["gate:size of h1", "review:alpha of h1", "review:beta of h1"]);
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:review:h1", "check:size:h1", "draft"],);
}

#[test]
fn a_later_push_is_validated_in_the_same_pull_request() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).approved("alpha").found("beta", Severity::Major, "wrong");
    assert_eq!(story.asked(), ["create:2.1 onto h1"]);
    story.pushed(2);
    assert_eq!(story.asked(), ["gate:size of h2", "review:alpha of h2", "review:beta of h2"]);
    assert_eq!(story.shown(), ["status", "check:ready:h2", "check:review:h2", "check:size:h2"]);
}

#[test]
fn what_a_set_up_reached_is_in_the_ledger_and_decides_nothing_even_where_the_run_has_ended() {
    let (round, attempt, report) = (Round(1), 1, report(Verdict::Red));
    let contacts = vec![Contact { asked: "a:443".to_owned(), refused: None, times: 1, sent: 2, received: 3 }];
    let ran = Signal::SetUpRan { round, attempt, report: report.clone(), contacts: contacts.clone() };
    let kept = Event::SetUpRan { round, attempt, report, contacts };
    let mut merged = Story::ready();
    merged.merged(1);
    for mut story in [Story::creating(), merged] {
        let before = story.run.clone();
        story.tell(&ran);
        assert_eq!(story.events, std::slice::from_ref(&kept));
        assert_eq!((&story.run.phase, &story.run.spent), (&before.phase, &before.spent));
        assert!(story.shown().is_empty() && story.changes.is_empty());
    }
}

#[test]
fn a_tree_that_was_there_before_is_no_progress() {
    let mut story = Story::creating();
    story.created(CreateOutcome::NoProgress);
    assert_eq!(story.halt(), Some(Halt::NoProgress));
}

#[test]
fn each_failure_of_the_creator_is_a_halt_of_its_own() {
    for (failure, halt) in [
        (Failure::Agent, Halt::AgentFailed),
        (Failure::Budget, Halt::BudgetExhausted),
        (Failure::Time, Halt::TimedOut),
        (Failure::Permission, Halt::PermissionMissing),
        (Failure::Conflict, Halt::MergeConflict),
    ] {
        let mut story = Story::creating();
        story.created(CreateOutcome::Failed { failure, detail: "why".to_owned() });
        assert_eq!(story.halt(), Some(halt));
    }
}

#[test]
fn a_branch_that_moved_before_there_is_a_pull_request_is_built_upon() {
    let mut story = Story::creating();
    story.created(CreateOutcome::HeadMoved { actual: Some(head(4)) });
    assert_eq!(story.asked(), ["create:1.2 onto h4"]);
}

#[test]
fn a_branch_that_keeps_moving_halts() {
    let mut story = Story::creating();
    for n in 4..7 {
        assert_eq!(story.halt(), None);
        story.created(CreateOutcome::HeadMoved { actual: Some(head(n)) });
    }
    assert_eq!(story.halt(), Some(Halt::MergeConflict));
}

#[test]
fn a_persons_push_before_there_is_a_pull_request_restarts_the_creator_on_top() {
    let mut story = Story::creating();
    story.moved(person("mona"), 4);
    assert!(story.changes.contains(&StoreChange::CancelWork));
    assert_eq!(story.asked(), ["create:1.2 onto h4"]);
}

#[test]
fn a_persons_push_while_the_creator_works_is_reviewed_instead() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Red).approved("alpha").approved("beta");
    assert_eq!(story.asked(), ["create:2.1 onto h1"]);
    story.moved(person("mona"), 4);
    assert_eq!(story.asked(), ["gate:size of h4", "review:alpha of h4", "review:beta of h4"]);
}

#[test]
fn a_push_of_the_app_is_told_by_its_result_not_by_its_webhook() {
    let mut story = Story::creating();
    story.moved(own(), 1);
    assert_eq!((story.events.len(), story.asked()), (0, vec!["create:1.1 onto nothing".to_owned()]));
    story.pushed(1).opened(1);
    story.moved(own(), 1);
    assert!(story.events.is_empty());
}

#[test]
fn a_result_of_a_withdrawn_attempt_only_costs() {
    let mut story = Story::creating();
    let late = pairbot_protocol::signal::Signal::Created {
        round: Round(1),
        attempt: 7,
        outcome: CreateOutcome::NoProgress,
        spend: Spend::default(),
    };
    story.tell(&late);
    assert_eq!(story.events, [Event::Spent { spend: Spend::default() }]);
    assert!(matches!(story.run.phase, Phase::Creating { .. }));
}

#[test]
fn a_head_seen_before_is_read_again_after_a_push_back() {
    let mut story = Story::validating();
    story.moved(person("mona"), 2);
    story.all_good();
    assert!(story.is_ready());
    story.moved(person("mona"), 1);
    assert!(!story.is_ready());
    assert_eq!(story.asked(), ["gate:size of h1", "review:alpha of h1", "review:beta of h1"]);
    assert_eq!(
        story.shown(),
        ["status", "check:ready:h1", "check:ready:h2", "check:review:h1", "check:size:h1", "draft"],
        "`ready` is withdrawn from the head that was left"
    );
}

#[test]
fn a_pull_request_that_opened_on_a_newer_head_is_about_that_head() {
    let mut story = Story::creating();
    story.pushed(1);
    story.tell(&opened(3));
    assert_eq!(story.run.head, Some(head(3)));
    assert!(story.asked().contains(&"review:alpha of h3".to_owned()));
}
