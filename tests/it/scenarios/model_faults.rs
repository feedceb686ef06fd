//! Models fail in every way they know, and a run either goes on or says why not.

use std::time::Duration;

use pairbot::demo::REPOSITORY;
use pairbot_model_sim::{Fault, When};

use super::world::{World, writes};

const MINUTE: Duration = Duration::from_mins(1);

/// One round, tasks of two minutes.
const SHORT: &str = "rounds: 1\ntime: { run: 30m, task: 2m }\n";

/// What a person sees of the story `smooth`, however the models behaved meanwhile.
const UNDISTURBED: &str = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
pull ready: Name the file and line of a malformed item
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
    tests/test-place.sh:2
  c1 paths=success ready=success review=success size=success tests=success
";

impl World {
    /// Plays an issue with faults of the models.
    async fn troubled_by(&self, issue: u64, faults: impl IntoIterator<Item = (When, Fault)>) {
        for (when, fault) in faults {
            self.models().inject(when, fault);
        }
        self.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
        self.through(30 * MINUTE).await;
        assert_eq!(self.models().faults_waiting(), 0, "a fault hit nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_trouble_of_a_provider_is_outlasted() {
    let world = World::start().await;
    let issue = world.issue("smooth");
    let creator = [
        Fault::rate_limited(20),
        Fault::status(529),
        Fault::ErrorInStream,
        Fault::Cut,
        Fault::MalformedToolJson,
        Fault::MaxTokens,
        Fault::Garbage,
        Fault::status(500),
        Fault::PauseTurn,
    ];
    let at = |position: usize| When::next_call().creator().nth(u32::try_from(position).unwrap() + 1);
    let mut faults: Vec<_> =
        creator.into_iter().enumerate().map(|(position, fault)| (at(position * 2), fault)).collect();
    for fault in [Fault::Cut, Fault::ErrorInStream, Fault::MalformedToolJson] {
        faults.push((When::next_call().reviewer("correctness"), fault));
    }
    world.troubled_by(issue, faults).await;
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_that_refuses_halts_the_run_with_its_words() {
    let world = World::start().await;
    let issue = world.issue("smooth");
    world.troubled_by(issue, [(When::next_call().creator(), Fault::Refusal)]).await;
    assert_eq!(world.phase(issue).await, "halted(agent-failed)");
    assert!(world.status(issue).contains("refused"), "{}", world.status(issue));
    assert_eq!(world.picture(issue), "");
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_that_refuses_is_no_approval_and_a_retry_asks_it_again() {
    let world = World::start().await;
    let issue = world.issue("smooth");
    world.troubled_by(issue, [(When::next_call().reviewer("correctness"), Fault::Refusal)]).await;
    assert_eq!(world.phase(issue).await, "halted(agent-failed)");
    assert_eq!(world.check(issue, "review").conclusion.as_deref(), Some("action_required"));
    assert_eq!(world.check(issue, "ready").conclusion.as_deref(), Some("action_required"));
    world.mona().comment(REPOSITORY, issue, "/retry").unwrap();
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /retry :+1:
pull ready: Name the file and line of a malformed item
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
    tests/test-place.sh:2
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_hangs_until_the_task_is_over_halts_the_run() {
    let world = World::with_policy(SHORT).await;
    let issue = world.issue_of(writes("Hang", &[("one.txt", "1\n")]));
    world.troubled_by(issue, [(When::next_call().creator(), Fault::Hang)]).await;
    assert_eq!(world.phase(issue).await, "halted(timed-out)");
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: the time is over
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_falls_silent_is_asked_again() {
    let world = World::start().await;
    let issue = world.issue("smooth");
    world.troubled_by(issue, [(When::next_call().creator().turn(1), Fault::HangInStream)]).await;
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_for_minutes_is_waited_for() {
    let world = World::start().await;
    let issue = world.issue("smooth");
    let down = (When::next_call().times(20), Fault::status(503));
    world.troubled_by(issue, [down]).await;
    assert_eq!(world.picture(issue), UNDISTURBED);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_never_hands_in_ends_in_bounded_turns() {
    let world = World::start().await;
    let issue = world.issue("smooth");
    let talk = (When::next_call().creator().times(4), Fault::VeryLong { bytes: 500 });
    world.troubled_by(issue, [talk]).await;
    assert_eq!(world.phase(issue).await, "halted(agent-failed)");
    assert_eq!(world.picture(issue), "");
    world.nothing_else_happened().await;
}
