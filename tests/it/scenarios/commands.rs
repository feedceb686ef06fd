//! What people say to Pairbot: who is heard, what is answered, and what nobody meant as a command.

use std::time::Duration;

use pairbot::demo::REPOSITORY;
use pairbot_github_sim::{Fault, NewApp, RecordedRequest};
use pairbot_model_sim::When;

use super::world::{World, writes};

/// The reactions to a comment, by their names.
fn reactions(world: &World, comment: u64) -> Vec<String> {
    let seen = world.stage.github.comment_reactions(REPOSITORY, comment).unwrap();
    seen.into_iter().map(|reaction| reaction.content).collect()
}

/// The last comment of a conversation.
fn last_words(world: &World, number: u64) -> String {
    world.stage.github.comments(REPOSITORY, number).unwrap().pop().unwrap().body
}

/// A piece of work that waits for a person, everything about it looked at.
async fn ready() -> (World, u64) {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    world.picture(issue);
    (world, issue)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_command_is_refused_in_words_once() {
    let (world, issue) = ready().await;
    for _ in 0..2 {
        world.stranger().comment(REPOSITORY, issue, "/retry").unwrap();
        world.quiet().await;
    }
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  stranger: /retry :confused:
  stranger: /retry :confused:
pull ready: A piece
  pairbot[bot]: Commands are taken from people with write access; `stranger` has read access. This is said once.
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maintainers_retry_is_another_round() {
    let (world, issue) = ready().await;
    world.mona_says(issue, "/retry").await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c2` waits for you
  mona: /retry :+1:
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 paths=success ready=failure review=success size=success tests=success
  c2 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_edited_in_quoted_in_or_said_by_a_program_is_no_command() {
    let (world, issue) = ready().await;
    let app = world.stage.github.register_app(&NewApp::new("other", "no key"));
    world.stage.github.install(app, "octo-org", None).unwrap();
    let before = world.run(issue).await;
    let innocent =
        world.mona_says(issue, "> /stop\n\nI would not, and neither /stop here.\n```\n/stop\n```").await;
    world.stranger().comment(REPOSITORY, issue, "Nice.").unwrap();
    let app = world.stage.github.app("other").unwrap();
    let said = serde_json::json!({"body": "/stop"});
    app.request(REPOSITORY, "POST", &format!("/issues/{issue}/comments"), said).unwrap();
    world.quiet().await;
    world.mona().edit_comment(REPOSITORY, innocent, "/stop").unwrap();
    world.quiet().await;
    let after = world.run(issue).await;
    assert_eq!((after.phase, after.head), (before.phase, before.head));
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /stop :eyes:
  stranger: Nice.
  other[bot]: /stop
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_written_wrongly_is_answered_with_the_reason() {
    let (world, issue) = ready().await;
    let pull = world.pull(issue).number;
    let comment = world.mona_says(pull, "/budget 5\n/retry everything").await;
    assert_eq!(reactions(&world, comment), ["confused"]);
    let answer = last_words(&world, pull);
    assert!(answer.contains("`/budget` takes what to add: dollars, such as `+5`"), "{answer}");
    assert!(answer.contains("`/retry` takes one of `create`, `review`, `gate`"), "{answer}");
    assert_eq!(world.phase(issue).await, "awaiting-human");
    world.picture(issue);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn help_status_and_budget_are_acknowledged_and_change_nothing_else() {
    let (world, issue) = ready().await;
    let pull = world.pull(issue).number;
    let limit = world.run(issue).await.budget;
    for (text, seen) in [("/help", "+1"), ("/status", "+1"), ("/budget +5", "+1")] {
        let comment = world.mona_says(pull, text).await;
        assert_eq!(reactions(&world, comment), [seen], "{text}");
    }
    let raised = pairbot_protocol::ids::Money::from_cents(500);
    assert_eq!(world.run(issue).await.budget, limit.plus(raised));
    assert_eq!(world.store().budget(world.run(issue).await.id).await.unwrap().limit, limit.plus(raised));
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
pull ready: A piece
  mona: /help :+1:
  pairbot[bot]: | command | does |
  mona: /status :+1:
  mona: /budget +5 :+1:
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn review_and_retry_review_read_the_head_once_more() {
    let (world, issue) = ready().await;
    world.mona_says(issue, "/review").await;
    world.mona_says(issue, "/retry review").await;
    world.mona_says(issue, "/retry gate").await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /review :+1:
  mona: /retry review :+1:
  mona: /retry gate :+1:
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_starts_nothing_until_it_is_resumed() {
    let (world, issue) = World::piecework().await;
    world.hang(When::next_call().creator());
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    world.still(1).await;
    world.mona_says(issue, "/pause").await;
    assert!(world.run(issue).await.paused);
    assert_eq!(world.pull_count(), 0);
    world.mona_says(issue, "/pause").await;
    world.mona_says(issue, "/resume").await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /pause :+1:
  mona: /pause :confused:
  pairbot[bot]: Not everything was carried out:
  mona: /resume :+1:
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_paused_while_reviewers_read_is_not_ready_and_goes_on_when_resumed() {
    let (world, issue) = World::piecework().await;
    world.hang(When::next_call().reviewer("correctness"));
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    world.still(1).await;
    world.mona_says(issue, "/pause").await;
    assert_eq!(world.check(issue, "ready").conclusion.as_deref(), Some("action_required"));
    world.mona_says(issue, "/resume").await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /pause :+1:
  mona: /resume :+1:
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_comes_together_with_another_is_heard_too() {
    let (world, issue) = World::piecework().await;
    let creator = world.label_and_hold_creator(issue).await;
    let asking = world.stop_at("GET", "/collaborators/mona/permission", 0);
    world.mona().comment(REPOSITORY, issue, "Please be brief.").unwrap();
    asking.reached().await;
    world.mona().comment(REPOSITORY, issue, "/pause").unwrap();
    world.quiet().await;
    // What the pause withdrew went on in vain.
    asking.resume();
    creator.resume();
    world.quiet().await;
    world.mona_says(issue, "/resume").await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: Please be brief. :eyes:
  mona: /pause :+1:
  mona: /resume :+1:
pull ready: A piece: Please be brief.
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rerun_buttons_examine_and_read_the_head_again() {
    let (world, issue) = ready().await;
    for gate in ["tests", "review", "ready"] {
        let check = world.check(issue, gate);
        world.mona().rerun_check(REPOSITORY, check.id).unwrap();
        world.quiet().await;
        assert_eq!(world.phase(issue).await, "awaiting-human", "{gate}");
    }
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buttons_of_an_open_breaker_retry_and_stop() {
    let world = World::with_policy("version: 1\nrounds: 1\ngates:\n  tests:\n    command: \"false\"\n").await;
    let issue = world.issue("smooth");
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(gate-failing)");
    let buttons = world.check(issue, "ready");
    assert_eq!(buttons.actions, ["retry", "stop"]);
    world.mona().click_action(REPOSITORY, buttons.id, "retry").unwrap();
    world.quiet().await;
    assert_eq!(world.phase(issue).await, "halted(no-progress)");
    world.mona().click_action(REPOSITORY, world.check(issue, "ready").id, "stop").unwrap();
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ended without a merge
pull draft: Name the file and line of a malformed item
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
    tests/test-place.sh:2
  c1 paths=success ready=action_required review=success size=success tests=failure
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

/// The question who may stop a run is asked beside the agents, not after them.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_agents_hold_every_slot() {
    let world = World::with(|settings| settings.tuning.pool.agent_slots = 1).await;
    let issue = world.issue_of(writes("Be long", &[("one.txt", "1\n")]));
    world.hang(When::next_call().creator());
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    world.still(1).await;
    world.mona_says(issue, "/stop").await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ended without a merge
  mona: /stop :+1:
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

/// People are answered on the pull request once there is one; what was said on the issue before, was said.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_own_was_lost_before_the_pull_request_opened_is_not_given_there_again() {
    let world = World::with_policy("rounds: 1\n").await;
    let issue = world.issue_of(writes("Say it once", &[("one.txt", "1\n")]));
    let creator = world.label_and_hold_creator(issue).await;
    let path = format!("/repos/{REPOSITORY}/issues/{issue}/comments");
    world.stage.github.fault(Fault::on("POST", &path).lose_answer(502));
    world.mona().comment(REPOSITORY, issue, "/retry").unwrap();
    // Beside the status comment.
    let told = |request: &&RecordedRequest| request.method == "POST" && request.path == path;
    let mut looks = 0;
    while world.stage.github.requests().iter().filter(told).count() < 2 {
        looks += 1;
        assert!(looks < 2_000, "{}", world.trace().await);
        world.something_is_stored().await;
    }
    creator.resume();
    world.quiet().await;
    world.leap(Duration::from_mins(5)).await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /retry :confused:
  pairbot[bot]: Not everything was carried out:
pull ready: Say it once
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}
