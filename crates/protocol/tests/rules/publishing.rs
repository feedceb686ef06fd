//! What people are shown is the difference, no more and no less.

use pairbot_protocol::checks::CheckState;
use pairbot_protocol::finding::Severity;
use pairbot_protocol::publish::{difference, wants_draft};
use pairbot_protocol::run::Halt;
use pairbot_protocol::signal::{Failure, Signal, Verdict, WorkKind};

use super::story::*;

#[test]
fn publications_are_the_difference_only() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green);
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:size:h1"]);
    story.approved("alpha");
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:review:h1", "review:alpha:h1"]);
    story.approved("beta");
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:review:h1", "review:beta:h1", "draft"]);
    assert_eq!(difference(Some(&story.run), &story.run), []);
}

#[test]
fn the_pull_request_is_a_draft_until_a_person_may_merge() {
    let mut story = Story::creating();
    assert_eq!(wants_draft(&story.run), None);
    story.pushed(1).opened(1);
    assert_eq!(wants_draft(&story.run), Some(true));
    story.all_good();
    assert_eq!(wants_draft(&story.run), Some(false));
    story.moved(person("mona"), 2);
    assert_eq!(wants_draft(&story.run), Some(true));
    story.tell(&Signal::LabelRemoved { by: person("mona") });
    assert_eq!(wants_draft(&story.run), None, "what ended is a person's own");
}

#[test]
fn a_thread_is_touched_only_when_its_finding_is_settled() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).approved("beta").found("alpha", Severity::Blocking, "wrong");
    story.pushed(2);
    story.reviewed("alpha", submitted(vec![], vec![verification("alpha-1-1", false)]));
    assert_eq!(story.shown(), ["status", "check:ready:h2", "check:review:h2", "review:alpha:h2"]);
    story.gate("size", Verdict::Green).approved("beta");
    story.pushed(3);
    story.reviewed("alpha", submitted(vec![], vec![verification("alpha-1-1", true)]));
    assert!(story.shown().contains(&"thread:alpha-1-1".to_owned()));
}

#[test]
fn a_head_left_behind_keeps_its_verdicts() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Red).approved("alpha").found("beta", Severity::Blocking, "wrong");
    story.pushed(2);
    assert_eq!(story.shown(), ["status", "check:ready:h2", "check:review:h2", "check:size:h2"]);
}

#[test]
fn a_head_that_comes_back_to_an_open_breaker_has_all_its_checks_told_anew() {
    let mut story = Story::validating();
    story.moved(person("mona"), 2).moved(person("mona"), 1);
    let (work, detail) = (WorkKind::Publish { publication: None }, "403".to_owned());
    story.tell(&Signal::TaskFailed { work, failure: Failure::Permission, detail });
    assert_eq!(story.halt(), Some(Halt::PermissionMissing));
    story.moved(person("mona"), 2);
    assert_eq!(
        story.shown(),
        ["status", "check:ready:h2", "check:review:h2", "check:size:h2"],
        "they said `cancelled` since the branch was taken back"
    );
    for gate in ["size", "review", "ready"] {
        assert_eq!(story.check(gate, 2), CheckState::ActionRequired, "{gate}");
    }
}

#[test]
fn a_second_reading_does_not_replace_the_first_that_was_not_posted_yet() {
    let mut story = Story::ready();
    story.says("/review").found("alpha", Severity::Blocking, "wrong");
    assert!(story.shown().contains(&"review:alpha:h1:2".to_owned()), "{:?}", story.shown());
}
