//! What reviewers may say, and what it weighs (section 5 of the design).

use pairbot_protocol::event::Event;
use pairbot_protocol::finding::{Answer, Claim, FindingState, Severity, Standing};
use pairbot_protocol::ids::Round;
use pairbot_protocol::run::Halt;
use pairbot_protocol::signal::{Failure, ReviewOutcome, Signal, Spend, Verdict, WorkKind};

use super::story::*;

/// Round 2 is under review; `alpha` has raised a blocking finding on commit 1.
fn second_round() -> Story {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).approved("beta").found("alpha", Severity::Blocking, "wrong");
    story.pushed(2);
    story
}

#[test]
fn a_blocking_finding_costs_a_round() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).approved("beta");
    story.found("alpha", Severity::Blocking, "wrong");
    assert_eq!(story.run.round, Round(2));
    assert_eq!(story.asked(), ["create:2.1 onto h1"]);
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:review:h1", "review:alpha:h1"]);
}

#[test]
fn minor_findings_never_cost_a_round() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).found("alpha", Severity::Minor, "a name");
    story.found("beta", Severity::Nit, "a blank");
    assert!(story.is_ready());
    assert_eq!(story.run.round, Round(1));
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:review:h1", "review:beta:h1", "draft"]);
}

#[test]
fn every_reviewer_is_waited_for() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).found("alpha", Severity::Blocking, "wrong");
    assert_eq!(story.asked(), ["review:beta of h1"], "what beta finds belongs to the same round");
}

#[test]
fn a_fix_is_believed_only_from_the_reviewer_that_raised_it() {
    let mut story = second_round();
    story.reviewed("beta", submitted(vec![], vec![verification("alpha-1-1", true)]));
    assert_eq!(story.state("alpha-1-1"), &FindingState::Open);
    story.reviewed("alpha", submitted(vec![], vec![verification("alpha-1-1", true)]));
    assert_eq!(story.state("alpha-1-1"), &FindingState::Fixed { head: head(2) });
    assert_eq!(
        story.shown(),
        ["status", "check:ready:h2", "check:review:h2", "review:alpha:h2", "thread:alpha-1-1"]
    );
}

#[test]
fn a_creators_claim_settles_nothing() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).approved("beta").found("alpha", Severity::Blocking, "wrong");
    let claim =
        |claim| Answer { finding: "alpha-1-1".parse().unwrap(), claim, reason: "I say so".to_owned() };
    story.pushed_with(2, vec![claim(Claim::Fixed)]);
    assert_eq!(story.finding("alpha-1-1").answer, Some(claim(Claim::Fixed)));
    story.all_fixed(&[]);
    assert_eq!(story.state("alpha-1-1"), &FindingState::Open);
    assert_eq!(story.run.round, Round(3));
}

#[test]
fn what_was_fixed_stays_fixed() {
    let mut story = second_round();
    story.all_fixed(&["alpha-1-1"]);
    assert!(story.is_ready());
    story.moved(person("mona"), 3);
    story.reviewed("alpha", submitted(vec![], vec![verification("alpha-1-1", false)]));
    assert_eq!(story.state("alpha-1-1"), &FindingState::Fixed { head: head(2) });
}

#[test]
fn new_remarks_on_unchanged_lines_after_the_first_look_hold_nothing() {
    let mut story = second_round();
    let late = vec![
        remark_at(Severity::Blocking, "late", Standing::Unchanged),
        remark_at(Severity::Blocking, "later", Standing::Outside),
    ];
    story.reviewed("alpha", submitted(late, vec![verification("alpha-1-1", true)]));
    assert_eq!(story.state("alpha-2-1"), &FindingState::FollowUp);
    assert_eq!(story.state("alpha-2-2"), &FindingState::FollowUp);
    story.gate("size", Verdict::Green).approved("beta");
    assert!(story.is_ready());
}

#[test]
fn new_remarks_on_changed_lines_hold_in_every_round() {
    let mut story = second_round();
    story.gate("size", Verdict::Green).approved("beta");
    let fixed = vec![verification("alpha-1-1", true)];
    story.reviewed("alpha", submitted(vec![remark(Severity::Major, "broke it")], fixed));
    assert_eq!(story.state("alpha-2-1"), &FindingState::Open);
    assert_eq!(story.run.round, Round(3));
}

#[test]
fn a_first_look_may_remark_on_any_line() {
    let mut story = Story::validating();
    let outside = vec![remark_at(Severity::Blocking, "elsewhere", Standing::Outside)];
    story.reviewed("alpha", submitted(outside, vec![]));
    assert_eq!(story.state("alpha-1-1"), &FindingState::Open);
}

#[test]
fn what_was_said_is_not_said_again() {
    let mut story = second_round();
    let again = vec![remark(Severity::Blocking, "wrong")];
    story.reviewed("alpha", submitted(again, vec![]));
    assert_eq!(story.run.findings.len(), 1);
}

#[test]
fn a_verdict_for_an_older_head_is_voided() {
    let mut story = Story::validating();
    story.moved(person("mona"), 2);
    let spend = Spend { cost: pairbot_protocol::ids::Money::from_cents(3), ..Spend::default() };
    story.tell(&Signal::Reviewed {
        reviewer: "alpha".parse().unwrap(),
        head: head(1),
        outcome: submitted(vec![remark(Severity::Blocking, "wrong")], vec![]),
        spend,
    });
    let voided = Event::VerdictVoided { of: "reviewer alpha".to_owned(), head: head(1), spend };
    assert_eq!(story.events, [voided]);
    assert_eq!((story.run.findings.len(), story.run.reviews.len()), (0, 0));
    assert_eq!(story.run.spent.cost, spend.cost, "it was paid for all the same");
    assert_eq!(story.shown(), ["status"]);
}

#[test]
fn a_person_pushing_while_reviewers_read_voids_their_verdicts() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).approved("alpha");
    story.moved(person("mona"), 2);
    assert_eq!(story.asked(), ["gate:size of h2", "review:alpha of h2", "review:beta of h2"]);
    assert_eq!(
        story.shown(),
        ["status", "check:ready:h1", "check:ready:h2", "check:review:h1", "check:review:h2", "check:size:h2"],
        "what was green on the old head stays what it was"
    );
    story.approved("beta").gate("size", Verdict::Green);
    assert!(!story.is_ready(), "alpha has read another head");
    story.approved("alpha");
    assert!(story.is_ready());
}

#[test]
fn a_review_told_twice_counts_once() {
    let mut story = Story::validating();
    let signal = Signal::Reviewed {
        reviewer: "alpha".parse().unwrap(),
        head: head(1),
        outcome: submitted(vec![remark(Severity::Blocking, "wrong")], vec![]),
        spend: Spend::default(),
    };
    story.tell(&signal).tell(&signal);
    assert_eq!((story.run.findings.len(), story.run.reviews.len()), (1, 1));
}

#[test]
fn a_review_by_someone_the_policy_does_not_name_is_voided() {
    let mut story = Story::validating();
    story.tell(&Signal::Reviewed {
        reviewer: "gamma".parse().unwrap(),
        head: head(1),
        outcome: submitted(vec![], vec![]),
        spend: Spend::default(),
    });
    assert!(matches!(story.events.as_slice(), [Event::VerdictVoided { .. }]));
}

#[test]
fn a_withheld_review_brings_the_head_that_github_shows_into_question() {
    let mut story = Story::ready();
    story.tell(&Signal::ReviewWithheld {
        reviewer: "beta".parse().unwrap(),
        head: head(1),
        actual: Some(head(2)),
    });
    assert!(!story.is_ready());
    assert_eq!(story.asked(), ["gate:size of h2", "review:alpha of h2", "review:beta of h2"]);
}

#[test]
fn a_failed_review_is_no_approval() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).approved("alpha");
    let failed = ReviewOutcome::Failed { failure: Failure::Agent, detail: "refused".to_owned() };
    story.reviewed("beta", failed);
    assert_eq!(story.halt(), Some(Halt::AgentFailed));
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:review:h1"]);
    story.says("/retry");
    story.inspected().all_good();
    assert!(story.is_ready(), "a bare retry asks for what was missing");
}

#[test]
fn a_reviewer_task_that_cannot_be_done_is_a_failed_review() {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).approved("alpha");
    let work = WorkKind::Review { reviewer: "beta".parse().unwrap(), head: head(1) };
    story.tell(&Signal::TaskFailed { work, failure: Failure::Time, detail: "slow".to_owned() });
    assert_eq!(story.halt(), Some(Halt::AgentFailed));
}
