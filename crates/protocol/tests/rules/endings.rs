//! How runs end, and what stays.

use pairbot_protocol::checks::{self, CheckState};
use pairbot_protocol::effect::StoreChange;
use pairbot_protocol::ids::PullRequestNumber;
use pairbot_protocol::run::{Closing, Phase};
use pairbot_protocol::signal::{AccessLoss, Signal, Verdict};

use super::story::*;

#[test]
fn a_persons_merge_is_the_good_end() {
    let mut story = Story::ready();
    story.merged(1);
    assert!(matches!(&story.run.phase, Phase::Merged { head: merged, .. } if *merged == head(1)));
    assert_eq!(story.changes, [StoreChange::CancelWork]);
    assert_eq!(story.shown(), ["status"], "green checks stay green");
}

#[test]
fn merge_wins_over_the_closed_issue_in_any_order() {
    let closed = Signal::IssueClosed { by: person("mona") };
    let mut merge_first = Story::ready();
    merge_first.merged(1).tell(&closed);
    let mut issue_first = Story::ready();
    issue_first.tell(&closed);
    assert!(matches!(issue_first.run.phase, Phase::Closed { closing: Closing::IssueClosed, .. }));
    issue_first.merged(1);
    assert_eq!(merge_first.run, issue_first.run);
    issue_first.tell(&closed).merged(1);
    assert_eq!(merge_first.run, issue_first.run, "told again, it is the same");
    assert!(issue_first.events.is_empty());
}

#[test]
fn an_ended_run_keeps_its_evidence() {
    let mut story = Story::ready();
    let known = story.run.validation().cloned();
    story.tell(&Signal::IssueClosed { by: person("mona") });
    assert_eq!(story.run.validation().cloned(), known);
    story.merged(1);
    assert_eq!(story.run.validation().cloned(), known);
    let known = known.unwrap();
    for gate in ["review", "size"] {
        let found = checks::found(&story.run, &gate.parse().unwrap(), &known);
        assert_eq!(found.state, CheckState::Success, "{gate}");
    }
}

#[test]
fn an_end_withdraws_only_what_was_not_finished() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green);
    story.tell(&Signal::LabelRemoved { by: person("mona") });
    assert!(matches!(story.run.phase, Phase::Closed { closing: Closing::LabelRemoved, .. }));
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:review:h1"]);
    assert_eq!(story.check("review", 1), CheckState::Withdrawn);
}

#[test]
fn a_red_gate_stays_red_after_the_end() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Red);
    story.says("/stop");
    assert!(!story.shown().contains(&"check:size:h1".to_owned()));
}

#[test]
fn a_closed_pull_request_ends_the_run() {
    let mut story = Story::ready();
    story.tell(&Signal::PullRequestClosed { by: person("mona"), merged: false, head: head(1) });
    assert!(matches!(story.run.phase, Phase::Closed { closing: Closing::PullRequestClosed, .. }));
    assert_eq!(story.asked(), Vec::<String>::new());
}

#[test]
fn a_merge_while_the_creator_works_is_a_merge() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Red).approved("alpha").approved("beta");
    story.merged(1);
    assert_eq!(story.run.phase_name(), "merged");
    assert!(story.work.is_empty());
}

#[test]
fn what_arrives_after_the_end_changes_nothing_but_the_bill() {
    let mut story = Story::validating();
    let late = story.work.clone();
    story.says("/stop");
    story.work = late;
    story.all_good();
    story.moved(person("mona"), 5);
    story.tell(&Signal::ForeignCheckChanged { head: head(1) });
    story.tell(&Signal::IssueClosed { by: person("mona") });
    assert_eq!((story.run.phase_name(), story.run.head.clone()), ("closed", Some(head(1))));
    assert!(story.run.reviews.is_empty());
}

#[test]
fn an_end_during_a_pause_is_an_end() {
    let mut story = Story::validating();
    story.says("/pause");
    story.tell(&Signal::IssueClosed { by: person("mona") });
    assert!(story.run.is_over() && !story.run.paused);
}

#[test]
fn a_run_that_lost_its_access_ends_and_asks_for_nothing() {
    let mut story = Story::validating();
    let loss = AccessLoss::InstallationSuspended;
    story.tell(&Signal::AccessLost { by: person("ghost"), loss });
    assert!(matches!(story.run.phase, Phase::Closed { closing: Closing::AccessLost { .. }, .. }));
    assert_eq!(story.changes, [StoreChange::CancelWork]);
    assert!(story.shown().is_empty(), "nothing can be written there");
    story.tell(&Signal::AccessLost { by: person("ghost"), loss });
    assert!(story.events.is_empty(), "told again, it is the same");
}

#[test]
fn a_pull_request_that_comes_after_the_end_is_taken_back_and_one_that_was_known_is_not() {
    let mut story = Story::creating();
    story.pushed(1);
    story.tell(&Signal::LabelRemoved { by: person("mona") });
    let number = PullRequestNumber(9);
    let opened = Signal::PullRequestOpened { number, node_id: "PR_9".to_owned(), draft: true, head: head(1) };
    story.tell(&opened);
    assert_eq!(story.shown(), ["status", "stray"]);
    story.tell(&opened);
    assert!(story.shown().is_empty(), "told again, it is the same");
    let mut known = Story::validating();
    known.tell(&Signal::LabelRemoved { by: person("mona") });
    assert!(!known.shown().contains(&"stray".to_owned()));
}
