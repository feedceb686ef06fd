//! Gates, ours and other apps'.

use pairbot_protocol::checks::{CheckState, Why};
use pairbot_protocol::effect::StoreChange;
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{Round, Timestamp};
use pairbot_protocol::policy::CiRule;
use pairbot_protocol::run::Halt;
use pairbot_protocol::signal::{CheckButton, Failure, Signal, Timer, Verdict, WorkKind};

use super::story::*;

fn foreign(n: u32) -> Signal {
    Signal::ForeignCheckChanged { head: head(n) }
}

#[test]
fn a_red_gate_costs_a_round() {
    let mut story = Story::validating();
    story.approved("alpha").approved("beta").gate("size", Verdict::Red);
    assert_eq!(story.run.round, Round(2));
    assert_eq!(story.asked(), ["create:2.1 onto h1"]);
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:size:h1"]);
    assert_eq!(story.check("size", 1), CheckState::Failure);
}

#[test]
fn a_gate_that_could_not_be_examined_needs_a_person() {
    let mut story = Story::validating();
    story.approved("alpha").approved("beta").gate("size", Verdict::Unknown);
    assert_eq!(story.halt(), Some(Halt::GateFailing));
    assert_eq!(story.check("size", 1), CheckState::ActionRequired);
}

#[test]
fn what_a_failed_gate_said_is_kept_apart_from_markdown() {
    let mut story = Story::validating();
    let work = WorkKind::Gate { gate: "size".parse().unwrap(), head: head(1) };
    let detail = "@octocat <!-- x -->".to_owned();
    story.tell(&Signal::TaskFailed { work, failure: Failure::Agent, detail: detail.clone() });
    let Why::Reported(report) = story.why("size", 1) else { panic!("not reported") };
    assert_eq!((report.verdict, report.summary, report.detail), (Verdict::Unknown, String::new(), detail));
}

#[test]
fn a_gates_verdict_for_an_older_head_is_voided() {
    let mut story = Story::validating();
    story.moved(person("mona"), 2);
    story.tell(&Signal::GateReported {
        gate: "size".parse().unwrap(),
        head: head(1),
        report: report(Verdict::Green),
    });
    assert!(matches!(story.events.as_slice(), [Event::VerdictVoided { .. }]));
    assert_eq!(story.check("size", 2), CheckState::InProgress);
}

#[test]
fn a_gate_the_policy_does_not_name_is_voided() {
    for name in ["coverage", "ready", "review"] {
        let mut story = Story::validating();
        story.tell(&Signal::GateReported {
            gate: name.parse().unwrap(),
            head: head(1),
            report: report(Verdict::Green),
        });
        assert!(matches!(story.events.as_slice(), [Event::VerdictVoided { .. }]), "{name}");
    }
}

#[test]
fn a_required_check_that_never_reports_is_unknown_not_green() {
    let mut story = Story::validating_under(policy_with_ci(required("build")));
    let at = Timestamp::from_unix_ms(1_000 + CI_MS_MAX);
    let timer = Timer::CiWait { head: head(1) };
    assert!(story.changes.contains(&StoreChange::StartTimer { timer: timer.clone(), at }));
    story.gate("ci", Verdict::Waiting).gate("size", Verdict::Green).approved("alpha").approved("beta");
    assert!(!story.is_ready());
    story.now = at;
    story.tell(&Signal::TimerFired { timer });
    assert_eq!(story.halt(), Some(Halt::GateFailing));
    assert_eq!(story.check("ci", 1), CheckState::ActionRequired);
    assert_eq!(story.shown(), ["status", "check:ci:h1", "check:ready:h1"]);
}

#[test]
fn an_old_heads_waiting_time_ends_nothing() {
    let mut story = Story::validating_under(policy_with_ci(required("build")));
    story.moved(person("mona"), 2);
    story.tell(&Signal::TimerFired { timer: Timer::CiWait { head: head(1) } });
    assert!(story.events.is_empty());
}

#[test]
fn an_observed_check_is_claimed_only_where_something_reports() {
    let mut story = Story::validating_under(policy_with_ci(CiRule::Observed));
    story.gate("ci", Verdict::Green);
    assert_eq!((story.events.len(), story.shown().len()), (0, 0));
    story.all_good();
    assert!(story.is_ready());
    story.tell(&foreign(1)).gate("ci", Verdict::Green);
    assert_eq!(story.check("ci", 1), CheckState::Success);
}

#[test]
fn an_observed_check_that_was_red_before_anyone_looked_is_found() {
    let mut story = Story::validating_under(policy_with_ci(CiRule::Observed));
    story.gate("ci", Verdict::Red);
    assert_eq!(story.shown(), ["status", "check:ci:h1"]);
    story.all_good();
    assert_eq!(story.asked(), ["create:2.1 onto h1"]);
}

#[test]
fn an_observed_foreign_check_that_turns_red_withdraws_ready() {
    let mut story = Story::ready_under(policy_with_ci(CiRule::Observed));
    story.tell(&foreign(1));
    assert!(!story.is_ready(), "it is looked at before it counts");
    assert_eq!(story.shown(), ["status", "check:ci:h1", "check:ready:h1", "draft"]);
    story.gate("ci", Verdict::Green);
    assert!(story.is_ready());
    story.tell(&foreign(1)).gate("ci", Verdict::Red);
    assert_eq!(story.asked(), ["create:2.1 onto h1"]);
    assert_eq!(story.check("ready", 1), CheckState::Failure);
    assert_eq!(story.shown(), ["status", "check:ci:h1", "check:ready:h1", "draft"]);
}

#[test]
fn a_foreign_check_that_starts_over_on_a_ready_head_gets_its_time_again() {
    let mut story = Story::ready_under(policy_with_ci(required("build")));
    story.now = story.now.plus_ms(2 * CI_MS_MAX);
    story.tell(&foreign(1));
    let timer = Timer::CiWait { head: head(1) };
    let at = story.now.plus_ms(CI_MS_MAX);
    assert_eq!(story.changes, [StoreChange::StartTimer { timer: timer.clone(), at }]);
    story.gate("ci", Verdict::Waiting);
    assert!(!story.is_ready());
    story.tell(&foreign(1));
    assert_eq!(story.changes, [], "a check that keeps reporting does not put the end off");
    story.tell(&Signal::TimerFired { timer });
    assert_eq!(story.halt(), Some(Halt::GateFailing));
}

#[test]
fn a_foreign_check_that_turns_red_during_a_pause_is_not_missed() {
    let mut story = Story::validating_under(policy_with_ci(required("build")));
    story.gate("ci", Verdict::Green).says("/pause");
    story.tell(&foreign(1));
    assert_eq!(story.asked(), Vec::<String>::new());
    story.says("/resume");
    assert!(story.asked().contains(&"gate:ci of h1".to_owned()), "{:?}", story.asked());
    story.gate("ci", Verdict::Red);
    story.all_good();
    assert!(!story.is_ready());
}

#[test]
fn a_red_foreign_check_is_not_forgotten_when_the_same_head_is_reviewed_again() {
    let mut story = Story::validating_under(policy_with_ci(CiRule::Observed));
    story.gate("ci", Verdict::Red).gate("size", Verdict::Unknown).approved("alpha").approved("beta");
    assert_eq!(story.halt(), Some(Halt::GateFailing));
    story.says("/retry review").inspected();
    assert!(story.asked().contains(&"gate:ci of h1".to_owned()));
    story.approved("alpha").approved("beta").gate("size", Verdict::Green);
    assert!(!story.is_ready());
}

#[test]
fn a_foreign_check_of_another_head_is_nothing_to_us() {
    let mut story = Story::validating_under(policy_with_ci(CiRule::Observed));
    story.tell(&foreign(9));
    assert!(story.events.is_empty());
}

#[test]
fn rerun_examines_the_one_gate_again_and_withdraws_ready() {
    let mut story = Story::ready();
    story.presses("size", 1, CheckButton::Rerun);
    assert_eq!(story.asked(), ["gate:size of h1"]);
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:size:h1", "draft"]);
    story.gate("size", Verdict::Green);
    assert!(story.is_ready());
}

#[test]
fn rerun_on_an_old_heads_check_is_not_asked_for() {
    let mut story = Story::validating();
    story.moved(person("mona"), 2);
    let gate = "size".parse().unwrap();
    story.tell(&Signal::CheckPressed { by: person("mona"), gate, head: head(1), button: CheckButton::Rerun });
    assert!(story.events.is_empty());
}

#[test]
fn a_gate_found_waiting_when_its_time_was_over_waits_anew_and_not_for_ever() {
    let mut story = Story::validating_under(policy_with_ci(required("build")));
    let timer = Timer::CiWait { head: head(1) };
    // The worker looked, the time ran out, and then it told what it saw.
    story.tell(&Signal::TimerFired { timer: timer.clone() });
    story.gate("ci", Verdict::Waiting);
    let at = story.now.plus_ms(CI_MS_MAX);
    assert!(story.changes.contains(&StoreChange::StartTimer { timer, at }), "{:?}", story.changes);
}
