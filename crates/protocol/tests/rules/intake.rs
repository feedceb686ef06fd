//! From the label to the first round.

use pairbot_protocol::effect::StoreChange;
use pairbot_protocol::ids::{Money, Round, Timestamp};
use pairbot_protocol::run::{Closing, Halt, Phase, Refusal};
use pairbot_protocol::signal::{Inspection, IssueFacts, Permission, PullRequestFacts, Signal, Timer};

use super::story::*;

#[test]
fn a_label_is_seen_at_once_and_the_rules_are_read_first() {
    let story = Story::labelled();
    assert_eq!(story.shown(), ["reaction:issue:seen", "status"]);
    assert_eq!(story.asked(), ["inspect"]);
}

#[test]
fn a_label_by_someone_who_may_label_starts_the_creator() {
    let story = Story::creating();
    assert_eq!(story.asked(), ["create:1.1 onto nothing"]);
    assert_eq!(story.run.rounds_allowed, Round(3));
    let set = StoreChange::SetBudget { limit: Money::from_cents(500), tokens: None };
    assert!(story.changes.contains(&set));
    let at = Timestamp::from_unix_ms(1_000 + RUN_MS_MAX);
    assert!(story.changes.contains(&StoreChange::StartTimer { timer: Timer::Deadline, at }));
}

#[test]
fn a_label_by_a_reader_is_refused() {
    for permission in [Permission::None, Permission::Read] {
        let mut story = Story::labelled();
        story.inspected_as(permission);
        assert_eq!(story.run.phase, Phase::Refused { reason: Refusal::NotPermitted { found: permission } });
        assert!(story.work.is_empty());
        assert_eq!(story.shown(), ["status"]);
    }
}

#[test]
fn a_label_told_again_begins_nothing() {
    let mut story = Story::validating();
    let issue = IssueFacts { repository_name: "octo/demo".to_owned(), title: "Mend it".to_owned() };
    story.tell(&Signal::LabelSet { by: person("mona"), issue });
    assert_eq!((story.events.len(), story.shown().len()), (0, 0));
}

#[test]
fn an_issue_that_is_no_longer_labelled_ends_the_run() {
    let mut story = Story::labelled();
    story.tell(&Signal::Inspected(Inspection::Gone));
    assert!(matches!(story.run.phase, Phase::Closed { closing: Closing::LabelRemoved, .. }));
}

#[test]
fn an_invalid_policy_halts_with_every_problem() {
    let mut story = Story::labelled();
    let problems = vec!["1:1: a".to_owned(), "2:1: b".to_owned()];
    story.tell(&Signal::Inspected(Inspection::PolicyInvalid { problems }));
    let Phase::Halted { reason, detail, .. } = &story.run.phase else { panic!("not halted") };
    assert_eq!((*reason, detail.as_str()), (Halt::PolicyInvalid, "1:1: a\n2:1: b"));
}

#[test]
fn a_policy_without_reviewers_never_leads_to_ready() {
    let mut without = policy();
    without.reviewers.clear();
    let mut story = Story::labelled_under(without);
    story.inspected();
    assert_eq!(story.halt(), Some(Halt::PolicyInvalid));
    assert!(story.work.is_empty());
}

#[test]
fn a_policy_cannot_define_what_ready_means() {
    for name in ["ready", "review"] {
        let mut own_ready = policy();
        let kind = own_ready.gates.values().next().unwrap().clone();
        own_ready.gates.insert(name.parse().unwrap(), kind);
        let mut story = Story::labelled_under(own_ready);
        story.inspected();
        assert_eq!(story.halt(), Some(Halt::PolicyInvalid), "{name}");
    }
}

#[test]
fn a_policy_without_gates_is_ready_by_its_reviews_alone() {
    let mut without = policy();
    without.gates.clear();
    let mut story = Story::validating_under(without);
    assert_eq!(story.asked(), ["review:alpha of h1", "review:beta of h1"]);
    story.approved("alpha");
    assert!(!story.is_ready());
    story.approved("beta");
    assert!(story.is_ready());
}

#[test]
fn no_rounds_allowed_still_is_one() {
    let mut none = policy();
    none.rounds_max = 0;
    let mut story = Story::validating_under(none);
    story.gate("size", pairbot_protocol::signal::Verdict::Green);
    story.approved("alpha");
    story.found("beta", pairbot_protocol::finding::Severity::Blocking, "wrong");
    assert_eq!((story.run.round, story.halt()), (Round(1), Some(Halt::RoundsExhausted)));
}

#[test]
fn work_of_an_earlier_run_is_taken_over() {
    let mut story = Story::labelled();
    let inspection = Inspection::Fit {
        permission: Permission::Admin,
        policy: Box::new(policy()),
        base: base(1),
        branch_head: Some(head(5)),
        pull_request: Some(PullRequestFacts {
            number: pairbot_protocol::ids::PullRequestNumber(9),
            node_id: "PR_9".to_owned(),
            draft: true,
        }),
    };
    story.work.clear();
    story.tell(&Signal::Inspected(inspection));
    assert_eq!(story.asked(), ["create:1.1 onto h5"]);
    story.pushed(6);
    assert_eq!(story.asked(), ["gate:size of h6", "review:alpha of h6", "review:beta of h6"]);
}

#[test]
fn who_lost_the_right_while_asking_again_halts_the_run_and_does_not_unmake_it() {
    let mut story = Story::ready();
    story.says("/retry create");
    story.inspected_as(Permission::Read);
    assert_eq!(story.halt(), Some(Halt::PermissionMissing));
    story.says_as("hubot", Permission::Write, "/retry review");
    story.inspected();
    assert_eq!(story.asked(), ["gate:size of h1", "review:alpha of h1", "review:beta of h1"]);
}
