//! The breaker: when it opens, what it leaves, who closes it.

use pairbot_protocol::awaits::{Unwanted, unwanted};
use pairbot_protocol::budget::{Exhausted, Measure, Scope};
use pairbot_protocol::checks::{CheckState, Why};
use pairbot_protocol::effect::{Publication, StoreChange, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::finding::Severity;
use pairbot_protocol::ids::Round;
use pairbot_protocol::run::{Closing, Halt, Phase, Problem};
use pairbot_protocol::signal::{
    CreateOutcome, Failure, Permission, ReviewOutcome, Signal, Timer, Verdict, WorkKind,
};

use super::story::*;

/// Three rounds went by, and `alpha` is not satisfied.
fn exhausted() -> Story {
    let mut story = Story::validating();
    story.gate("size", Verdict::Green).approved("beta").found("alpha", Severity::Blocking, "wrong");
    for n in 2..4 {
        story.pushed(n).gate("size", Verdict::Green).approved("beta").approved("alpha");
    }
    story
}

#[test]
fn rounds_exhausted_opens_the_breaker_and_only_a_writer_closes_it() {
    let mut story = exhausted();
    assert_eq!((story.run.round, story.halt()), (Round(3), Some(Halt::RoundsExhausted)));
    assert_eq!(story.check("ready", 3), CheckState::ActionRequired);
    story.says_as("eve", Permission::Triage, "/retry");
    assert_eq!(story.halt(), Some(Halt::RoundsExhausted));
    story.says("/retry");
    story.inspected();
    assert_eq!(story.asked(), ["create:4.1 onto h3"]);
    assert_eq!(story.run.rounds_allowed, Round(6), "a person granted as many again");
}

#[test]
fn nothing_but_a_person_closes_an_open_breaker() {
    let mut story = exhausted();
    story.moved(person("mona"), 9);
    story.tell(&Signal::ForeignCheckChanged { head: head(9) });
    story.tell(&Signal::TimerFired { timer: Timer::Deadline });
    story.tell(&Signal::TaskFailed {
        work: WorkKind::Create,
        failure: Failure::Agent,
        detail: String::new(),
    });
    story.tell(&opened(9));
    assert_eq!(story.halt(), Some(Halt::RoundsExhausted));
    assert!(story.work.is_empty());
    story.says("/retry");
    story.inspected();
    assert!(story.asked().contains(&"review:alpha of h9".to_owned()), "nobody has read that head");
}

#[test]
fn budget_exhausted_halts_and_keeps_the_work() {
    let mut story = Story::validating();
    story.approved("alpha");
    let failed = ReviewOutcome::Failed { failure: Failure::Budget, detail: "no money".to_owned() };
    story.reviewed("beta", failed);
    assert_eq!(story.halt(), Some(Halt::BudgetExhausted));
    assert!(story.changes.contains(&StoreChange::CancelWork), "the others would spend what is left");
    assert_eq!((story.run.head.clone(), story.run.reviews.len()), (Some(head(1)), 1));
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:review:h1", "check:size:h1"]);
    story.says("/budget +5\n/retry").inspected();
    // Who has read this head is not paid to read it again.
    assert_eq!(story.asked(), ["gate:size of h1", "review:beta of h1"]);
}

#[test]
fn a_budget_that_runs_share_halts_with_when_it_opens_again_and_a_person_closes_the_breaker() {
    let mut story = Story::validating();
    let now = story.now;
    let exhausted = Exhausted::at(Scope::RepositoryDay, Measure::Money, now);
    let failure = Failure::Exhausted(exhausted);
    story.reviewed("beta", ReviewOutcome::Failed { failure, detail: "no money".to_owned() });
    assert_eq!(story.halt(), Some(Halt::BudgetExhausted));
    let Why::Halted { exhausted: Some(Exhausted::RepositoryDay { opens_at, .. }), .. } =
        story.why("ready", 1)
    else {
        panic!("{:?}", story.why("ready", 1))
    };
    assert!(opens_at > now && opens_at.ms_since(now) <= 24 * 60 * 60 * 1000);
    story.tell(&Signal::TimerFired { timer: Timer::Deadline });
    assert_eq!(story.halt(), Some(Halt::BudgetExhausted));
    story.says("/retry").inspected();
    assert_eq!(story.asked(), ["gate:size of h1", "review:alpha of h1", "review:beta of h1"]);
}

#[test]
fn a_halted_run_says_of_what_it_did_not_finish_that_a_person_must_look() {
    let mut story = Story::validating();
    story.now = story.run.deadline;
    story.tell(&Signal::TimerFired { timer: Timer::Deadline });
    assert_eq!(story.halt(), Some(Halt::TimedOut));
    for gate in ["review", "size"] {
        assert_eq!(story.check(gate, 1), CheckState::ActionRequired, "{gate}");
        assert_eq!(story.why(gate, 1), Why::StoppedBefore, "{gate}");
    }
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:review:h1", "check:size:h1"]);
}

#[test]
fn a_gate_that_waits_when_the_breaker_opens_does_not_wait_for_ever() {
    let mut story = Story::validating_under(policy_with_ci(required("build")));
    story.gate("ci", Verdict::Waiting);
    story.now = story.run.deadline;
    story.tell(&Signal::TimerFired { timer: Timer::Deadline });
    assert_eq!((story.check("ci", 1), story.why("ci", 1)), (CheckState::ActionRequired, Why::StoppedBefore));
    assert!(story.shown().contains(&"check:ci:h1".to_owned()));
}

#[test]
fn a_deadline_that_was_moved_is_not_met_by_its_old_timer() {
    let mut story = Story::validating();
    story.now = story.now.plus_ms(5);
    story.tell(&Signal::TimerFired { timer: Timer::Deadline });
    assert!(story.events.is_empty());
}

#[test]
fn a_ready_run_waits_for_a_person_as_long_as_it_takes() {
    let mut story = Story::ready();
    story.now = story.run.deadline.plus_ms(RUN_MS_MAX);
    story.tell(&Signal::TimerFired { timer: Timer::Deadline });
    assert!(story.is_ready());
}

#[test]
fn a_gate_that_stays_red_halts_after_the_last_round() {
    let mut story = Story::validating();
    for n in 2..5 {
        story.approved("alpha").approved("beta").gate("size", Verdict::Red);
        if n < 4 {
            story.pushed(n);
        }
    }
    assert_eq!((story.run.round, story.halt()), (Round(3), Some(Halt::GateFailing)));
}

#[test]
fn a_halt_lifts_a_pause_so_that_one_command_is_enough() {
    let mut story = Story::creating();
    let result = story.work.clone();
    story.says("/pause");
    story.work = result;
    story.created(CreateOutcome::NoProgress);
    assert_eq!((story.halt(), story.run.paused), (Some(Halt::NoProgress), false));
    story.says("/retry");
    assert_eq!(story.asked(), ["inspect"]);
}

#[test]
fn stop_ends_a_halted_run() {
    let mut story = exhausted();
    story.says("/stop");
    assert!(matches!(story.run.phase, Phase::Closed { closing: Closing::Stopped, .. }));
    assert_eq!(story.shown(), ["status", "reaction:comment-100:accepted"], "each check had its verdict");
    for command in ["/retry", "/stop", "/pause", "/resume", "/budget +1", "/review"] {
        story.says(command);
        assert_eq!(story.last_problems(), [Problem::Over], "{command}");
    }
}

#[test]
fn a_halt_before_there_is_a_pull_request_has_no_head_to_review() {
    let mut story = Story::creating();
    story.created(CreateOutcome::NoProgress);
    story.says("/retry review");
    assert_eq!(story.last_problems(), [Problem::NoHead]);
    story.says("/retry");
    story.inspected();
    assert_eq!(story.asked(), ["create:1.2 onto nothing"], "the round was not used up");
}

#[test]
fn a_halt_while_the_pull_request_opens_shows_on_the_pushed_head() {
    let mut story = Story::creating();
    story.pushed(1);
    let work = WorkKind::OpenPullRequest;
    story.tell(&Signal::TaskFailed { work, failure: Failure::Permission, detail: "403".to_owned() });
    assert_eq!(story.halt(), Some(Halt::PermissionMissing));
    assert_eq!(story.shown(), ["status", "check:ready:h1", "check:review:h1"]);
}

#[test]
fn what_cannot_be_written_for_want_of_a_permission_halts_what_works() {
    let check = Publication::Check { gate: "size".parse().unwrap(), head: head(1) };
    let failed = Signal::TaskFailed {
        work: WorkKind::Publish { publication: Some(check.clone()) },
        failure: Failure::Permission,
        detail: "checks: write".to_owned(),
    };
    let mut working = Story::validating();
    working.tell(&failed);
    assert_eq!(working.halt(), Some(Halt::PermissionMissing));
    let mut ready = Story::ready();
    ready.tell(&failed);
    assert_eq!(
        ready.events,
        [Event::PublicationFailed { detail: "checks: write".to_owned(), publication: Some(check) }]
    );
}

fn not_shown(publication: Publication) -> Signal {
    let work = WorkKind::Publish { publication: Some(publication) };
    Signal::TaskFailed { work, failure: Failure::Agent, detail: "502".to_owned() }
}

#[test]
fn what_could_not_be_shown_is_said_until_it_is_shown_after_all() {
    let mut story = Story::ready();
    let check = Publication::Check { gate: "size".parse().unwrap(), head: head(1) };
    for shown in [vec!["status".to_owned()], vec![]] {
        story.tell(&not_shown(check.clone()));
        assert_eq!((story.run.unpublished.len(), story.shown()), (1, shown));
    }
    story.tell(&Signal::Published { publication: Publication::DraftState });
    assert_eq!((story.run.unpublished.len(), story.shown()), (1, vec![]));
    story.tell(&Signal::Published { publication: check });
    assert_eq!((story.run.unpublished.len(), story.shown()), (0, vec!["status".to_owned()]));
}

#[test]
fn a_status_comment_that_fails_is_not_said_in_the_status_comment_without_end() {
    let mut story = Story::ready();
    story.tell(&not_shown(Publication::Status));
    assert!(story.run.unpublished.is_empty() && story.shown().is_empty());
}

fn unreadable(lane: &str) -> Signal {
    let work = WorkKind::Unreadable { lane: lane.to_owned() };
    Signal::TaskFailed { work, failure: Failure::Agent, detail: "of version 9".to_owned() }
}

#[test]
fn work_that_nobody_can_read_halts_what_works_and_a_publication_is_only_said() {
    let mut story = Story::validating();
    story.tell(&unreadable("publications"));
    assert_eq!(
        (story.halt(), story.run.unpublished.len(), story.shown()),
        (None, 1, vec!["status".to_owned()])
    );
    story.tell(&unreadable("review:alpha"));
    assert_eq!(story.halt(), Some(Halt::AgentFailed));
    let mut ready = Story::ready();
    ready.tell(&unreadable("gate:size"));
    assert_eq!(ready.halt(), None);
}

#[test]
fn work_is_wanted_only_while_its_run_waits_for_it() {
    let create = |attempt| Work::Create { round: Round(1), attempt, onto: None };
    let review = Work::Review { reviewer: "alpha".parse().unwrap(), round: Round(1), head: head(1) };
    let mut story = Story::creating();
    assert_eq!(unwanted(&story.run, &create(1)), None);
    assert_eq!(unwanted(&story.run, &create(2)), Some(Unwanted::WentOn));
    let validating = Story::validating();
    assert_eq!(unwanted(&validating.run, &review), None);
    assert_eq!(unwanted(&validating.run, &create(1)), Some(Unwanted::WentOn));
    let (work, detail) = (WorkKind::Create, String::new());
    story.tell(&Signal::TaskFailed { work, failure: Failure::Agent, detail });
    assert_eq!(unwanted(&story.run, &create(1)), Some(Unwanted::Halted(Halt::AgentFailed)));
    story.tell(&Signal::LabelRemoved { by: person("mona") });
    assert_eq!(unwanted(&story.run, &create(1)), Some(Unwanted::Over));
}

#[test]
fn a_late_failure_of_withdrawn_work_halts_nothing() {
    let mut story = Story::validating();
    for work in [WorkKind::Inspect, WorkKind::Create, WorkKind::OpenPullRequest] {
        story.tell(&Signal::TaskFailed { work, failure: Failure::Agent, detail: String::new() });
        assert!(story.events.is_empty());
    }
}

#[test]
fn a_halt_shown_late_leaves_nothing_in_progress_on_a_head_that_nobody_examines() {
    let mut story = Story::creating();
    story.pushed(1);
    let failed = Signal::TaskFailed {
        work: WorkKind::OpenPullRequest,
        failure: Failure::Permission,
        detail: "403".to_owned(),
    };
    story.tell(&failed).says("/retry");
    assert_eq!(story.check("ready", 1), CheckState::Withdrawn, "the next head may be another one");
}
