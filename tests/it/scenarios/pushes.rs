//! People push to the branch: what was known of another head counts no more, and theirs is read like any other.

use std::time::Duration;

use pairbot::demo::REPOSITORY;
use pairbot_github_sim::ReviewVerdict;
use pairbot_model_sim::When;
use serde_json::json;

use super::world::World;

const OWN: (&str, Option<&str>) = ("docs/own.md", Some("Written by hand.\n"));

/// The maintainer pushes a commit to the branch of an issue.
fn mona_pushes(world: &World, issue: u64) -> String {
    world.mona().push(REPOSITORY, &format!("pairbot/issue-{issue}"), &[OWN]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_while_reviewers_read_leaves_their_head_without_a_verdict() {
    let (world, issue) = World::piecework().await;
    world.label_and_hang_reviewers(issue).await;
    mona_pushes(&world, issue);
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c2` waits for you
pull ready: A piece
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 paths=success ready=cancelled review=cancelled size=success tests=success
  c2 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_is_stale_when_it_is_to_be_posted_is_not_posted() {
    let (world, issue) = World::piecework().await;
    // While another reviewer reads, nothing but a finished review looks at the pull request.
    world.hang(When::next_call().reviewer("correctness"));
    let posting = world.stop_at("GET", &format!("/pulls/{}", issue + 1), 0);
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    posting.reached().await;
    world.still(2).await;
    // Nobody tells the server of the push: it has to see for itself.
    world.stage.github.hold_webhooks();
    mona_pushes(&world, issue);
    posting.resume();
    world.quiet().await;
    world.stage.github.release_webhooks();
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c2` waits for you
pull ready: A piece
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 ready=cancelled review=cancelled
  c2 ready=success review=success
";
    assert_eq!(world.picture_without(issue, &["paths", "size", "tests"]), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_ready_pull_request_withdraws_ready_until_it_was_read() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    world.hang(When::next_call().reviewer("correctness"));
    mona_pushes(&world, issue);
    world.still(1).await;
    assert!(world.pull(issue).draft);
    assert_eq!(world.check(issue, "ready").status, "in_progress");
    world.mona_says(issue, "/pause").await;
    world.mona_says(issue, "/resume").await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c2` waits for you
  mona: /pause :+1:
  mona: /resume :+1:
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 paths=success ready=cancelled review=success size=success tests=success
  c2 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_while_the_creator_works_is_kept_and_its_round_is_made_up_for() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    world.hang(When::next_call().creator());
    let pull = world.pull(issue).number;
    world.mona().review(REPOSITORY, pull, ReviewVerdict::RequestChanges, "Please be brief.").unwrap();
    world.still(1).await;
    mona_pushes(&world, issue);
    world.quiet().await;
    assert_eq!(world.commits(issue), ["A piece", "Change docs/own.md", "A piece: Please be brief."]);
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c3` waits for you
pull ready: A piece: Please be brief.
  mona CHANGES_REQUESTED on c1: Please be brief.
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  pairbot[bot] COMMENTED on c3: Review by `correctness`
  pairbot[bot] COMMENTED on c3: Review by `maintainability`
  c1 paths=success ready=failure review=success size=success tests=success
  c2 paths=success ready=failure review=success size=success tests=success
  c3 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_the_creator_did_not_hear_of_is_not_pushed_over() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    world.stage.github.hold_webhooks();
    mona_pushes(&world, issue);
    let told = world.stage.github.held_webhooks();
    let pull = world.pull(issue).number;
    world.mona().review(REPOSITORY, pull, ReviewVerdict::RequestChanges, "Please be brief.").unwrap();
    for delivery in told {
        assert!(world.stage.github.lose_webhook(delivery.id));
    }
    world.stage.github.release_webhooks();
    world.quiet().await;
    assert_eq!(world.commits(issue), ["A piece", "Change docs/own.md", "A piece: Please be brief."]);
    assert_eq!(world.phase(issue).await, "awaiting-human");
    world.picture(issue);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_pushed_back_to_an_older_head_is_read_and_examined_again() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    let old = world.pull(issue).head_sha;
    mona_pushes(&world, issue);
    world.quiet().await;
    world.leap(Duration::from_secs(2)).await;
    let path = format!("/repos/{REPOSITORY}/git/refs/heads/pairbot/issue-{issue}");
    world.mona().request("PATCH", &path, json!({"sha": old, "force": true})).unwrap();
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
  c2 paths=success ready=cancelled review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_branch_ends_the_run() {
    let (world, issue) = World::piecework().await;
    world.label_and_hang_reviewers(issue).await;
    world.mona().delete_branch(REPOSITORY, &format!("pairbot/issue-{issue}")).unwrap();
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ended without a merge
pull closed: A piece
  c1 paths=success ready=cancelled review=cancelled size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_a_person_opened_on_the_branch_first_is_gone_on_with() {
    let (world, issue) = World::piecework().await;
    let creator = world.label_and_hold_creator(issue).await;
    mona_pushes(&world, issue);
    let branch = format!("pairbot/issue-{issue}");
    world.mona().open_pull(REPOSITORY, "By hand", &branch, "main").unwrap();
    world.mona().push(REPOSITORY, &branch, &[("docs/more.md", Some("More.\n"))]).unwrap();
    world.still(1).await;
    creator.resume();
    world.quiet().await;
    assert_eq!(world.commits(issue), ["Change docs/own.md", "Change docs/more.md", "A piece"]);
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c3` waits for you
pull ready: A piece
  pairbot[bot] COMMENTED on c3: Review by `correctness`
  pairbot[bot] COMMENTED on c3: Review by `maintainability`
  c1 \n  c2 \n  c3 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}
