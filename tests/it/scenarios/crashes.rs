//! The server is killed at every kind of effect, before and after it, and started again: what people see is the same.
//!
//! A kind is a request's method and path with numbers left out. The power is cut before the first request of each kind
//! and after the middle one; with `PAIRBOT_CRASH_ALL` set, before and after every one.

use std::collections::BTreeMap;
use std::sync::Arc;

use pairbot::demo::REPOSITORY;
use pairbot_github_sim::{Fault, Pause};
use pairbot_model_sim::{Fault as ModelFault, When};
use tokio::sync::{Notify, OnceCell};

use super::world::World;

/// The story that nobody disturbs.
struct Undisturbed {
    picture: String,
    /// How often each kind of write was sent.
    writes: BTreeMap<String, usize>,
    creator_calls: usize,
    head: String,
}

static UNDISTURBED: OnceCell<Undisturbed> = OnceCell::const_new();

async fn undisturbed() -> &'static Undisturbed {
    let tell = || async {
        let world = World::start().await;
        let issue = world.issue("findings");
        world.label(issue).await;
        let head = world.pull(issue).head_sha;
        assert!(!world.pull(issue).draft, "{}", world.trace().await);
        world.merge(issue).await;
        let mut writes = BTreeMap::new();
        for write in world.stage.github.writes() {
            *writes.entry(kind(&write)).or_default() += 1;
        }
        let picture = world.picture(issue);
        world.nothing_else_happened().await;
        Undisturbed { picture, writes, creator_calls: creator_calls(&world), head }
    };
    UNDISTURBED.get_or_init(tell).await
}

/// `PATCH /repos/octo-org/invoice/issues/comments/17` as `PATCH /repos/octo-org/invoice/issues/comments/*`.
fn kind(write: &str) -> String {
    let numbered = |part: &str| part.parse::<u64>().is_ok();
    let parts: Vec<&str> = write.split('/').map(|part| if numbered(part) { "*" } else { part }).collect();
    parts.join("/")
}

fn creator_calls(world: &World) -> usize {
    let calls = world.stage.models.as_ref().unwrap().ledger();
    let creator = |call: &&pairbot_model_sim::CallRecord| {
        call.brief.as_ref().is_some_and(|brief| brief.role == pairbot_model_sim::Role::Creator)
    };
    calls.iter().filter(creator).count()
}

/// Tells the story with a power cut at the moment that `at` and `pause` name; gives whether the moment came.
async fn with_power_cut(moment: &str, (at, pause): (Fault, Pause)) -> bool {
    let mut world = World::start().await;
    let issue = world.issue("findings");
    world.stage.github.fault(at);
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    let mut cut = cut_or_quiet(&mut world, &pause).await;
    assert!(!world.pull(issue).draft, "{moment}: {}", world.trace().await);
    world.mona().merge(REPOSITORY, world.pull(issue).number, "squash").unwrap();
    if cut {
        world.quiet().await;
    } else {
        cut = cut_or_quiet(&mut world, &pause).await;
    }
    let expected = &undisturbed().await.picture;
    assert_eq!(&world.picture(issue), expected, "{moment}: {}", world.trace().await);
    world.nothing_else_happened().await;
    cut
}

async fn cut_or_quiet(world: &mut World, pause: &Pause) -> bool {
    tokio::select! {
        () = pause.reached() => {}
        () = world.quiet() => return false,
    }
    world.power_cut().await;
    pause.resume();
    world.quiet().await;
    true
}

/// Whether every write of the story is to be hit.
fn all() -> bool {
    std::env::var_os("PAIRBOT_CRASH_ALL").is_some()
}

async fn before(chosen: impl Fn(&str) -> bool) {
    at(chosen, |_| 0, Fault::pause_before).await;
}

async fn after(chosen: impl Fn(&str) -> bool) {
    at(chosen, |times| times / 2, Fault::pause_after).await;
}

/// Cuts the power at writes whose kind is chosen, each at the time that is sampled of all its times.
#[expect(clippy::print_stdout, reason = "who waits for the world to come to rest does not know the moment")]
async fn at(
    chosen: impl Fn(&str) -> bool,
    sampled: impl Fn(usize) -> usize,
    moment: impl Fn(Fault) -> (Fault, Pause),
) {
    for (kind, &times) in undisturbed().await.writes.iter().filter(|(kind, _)| chosen(kind)) {
        for time in (0..times).filter(|time| all() || *time == sampled(times)) {
            let (method, path) = kind.split_once(' ').unwrap();
            let what = format!("power cut at {kind}, time {} of {times}", time + 1);
            println!("{what}");
            let cut = with_power_cut(&what, moment(Fault::on(method, path).after(time))).await;
            // Some words are said once more or less, depending on who is first; but each kind is said.
            assert!(cut || time > 0, "{kind} was never sent");
        }
    }
}

fn conversation(kind: &str) -> bool {
    kind.contains("/issues/") || kind.contains("/graphql")
}

fn checks(kind: &str) -> bool {
    kind.contains("/check-runs")
}

fn code(kind: &str) -> bool {
    !conversation(kind) && !checks(kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_word_on_the_issue_the_server_says_it_once() {
    before(conversation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_word_on_the_issue_the_server_does_not_say_it_again() {
    after(conversation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_check_run_the_server_reports_it_once() {
    before(checks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_check_run_the_server_does_not_report_it_again() {
    after(checks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_push_pull_request_or_review_the_server_makes_it_once() {
    before(code).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_push_pull_request_or_review_the_server_does_not_make_it_again() {
    after(code).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_effect_is_among_those_at_which_the_server_is_killed() {
    let kinds: Vec<&str> = undisturbed().await.writes.keys().map(String::as_str).collect();
    let expected = [
        "PATCH /repos/octo-org/invoice/check-runs/*",
        "PATCH /repos/octo-org/invoice/issues/comments/*",
        "PATCH /repos/octo-org/invoice/pulls/*",
        "POST /graphql",
        "POST /octo-org/invoice.git/git-receive-pack",
        "POST /repos/octo-org/invoice/check-runs",
        "POST /repos/octo-org/invoice/issues/*/comments",
        "POST /repos/octo-org/invoice/issues/*/reactions",
        "POST /repos/octo-org/invoice/pulls",
        "POST /repos/octo-org/invoice/pulls/*/reviews",
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_killed_in_any_of_its_turns_goes_on_there_and_makes_the_same_commit() {
    let expected = undisturbed().await;
    let turns: Vec<(u32, u32)> = (0..5).map(|turn| (1, turn)).chain((0..6).map(|turn| (2, turn))).collect();
    for (round, turn) in turns.into_iter().filter(|turn| all() || [(1, 2), (2, 5)].contains(turn)) {
        let mut world = World::start().await;
        let issue = world.issue("findings");
        let asked = Arc::new(Notify::new());
        let tell = asked.clone();
        let when = When::next_call().creator().round(round).turn(turn).matching(move |_| {
            tell.notify_one();
            true
        });
        world.stage.models.as_ref().unwrap().inject(when, ModelFault::Hang);
        world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
        asked.notified().await;
        world.power_cut().await;
        world.quiet().await;
        assert_eq!(world.pull(issue).head_sha, expected.head);
        assert_eq!(
            creator_calls(&world),
            expected.creator_calls + 1,
            "killed at turn {turn} of round {round}"
        );
        world.merge(issue).await;
        assert_eq!(world.picture(issue), expected.picture);
        world.nothing_else_happened().await;
    }
}
