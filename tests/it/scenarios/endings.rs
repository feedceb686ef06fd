//! How runs end, whatever is under way when they do.

use std::time::Duration;

use pairbot::demo::REPOSITORY;
use pairbot_github_sim::Protection;
use pairbot_model_sim::When;

use super::world::World;

const LABEL: &str = "agent:pair";

/// Long enough for workers to notice that their work was withdrawn, and for whatever was put off.
const A_WHILE: Duration = Duration::from_mins(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_label_removed_while_the_creator_works_leaves_no_branch_and_no_pull_request() {
    let (world, issue) = World::piecework().await;
    let creator = world.label_and_hold_creator(issue).await;
    world.mona().unlabel(REPOSITORY, issue, LABEL).unwrap();
    world.quiet().await;
    creator.resume();
    world.leap(A_WHILE).await;
    let seen = "\
issue open [] :eyes:
  pairbot[bot]: ### Pairbot: ended without a merge
";
    assert_eq!(world.picture(issue), seen);
    assert_eq!(world.stage.github.branches(REPOSITORY).unwrap(), ["main"]);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_removed_while_a_finished_change_waits_keeps_it_off_the_branch() {
    let mut world = World::start().await;
    let issue = world.issue("findings");
    let posting = world.stop_at("POST", &format!("/pulls/{}/reviews", issue + 1), 1);
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    posting.reached().await;
    world.creator_took(2, 5).await;
    // The second round's change is finished, and waits until people can read what it answers.
    world.still(2).await;
    world.mona().unlabel(REPOSITORY, issue, LABEL).unwrap();
    world.still(1).await;
    posting.resume();
    world.quiet().await;
    // A server that is stopped in order lets its workers end, those too whose work was withdrawn.
    world.restart().await;
    assert_eq!(world.commits(issue).len(), 1);
    let seen = "\
issue open [] :eyes:
  pairbot[bot]: ### Pairbot: ended without a merge
pull draft: Give a volume discount
  pairbot[bot] COMMENTED on c1: Review by `correctness`
    lib/price.awk:6
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
    lib/price.awk:7
  c1 paths=success ready=failure review=failure size=success
";
    assert_eq!(world.picture_without(issue, &["tests"]), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_closed_while_reviewers_read_ends_the_run_without_their_verdict() {
    let (world, issue) = World::piecework().await;
    world.label_and_hang_reviewers(issue).await;
    world.mona().close(REPOSITORY, issue).unwrap();
    world.quiet().await;
    world.leap(A_WHILE).await;
    let seen = "\
issue closed [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ended without a merge
pull draft: A piece
  c1 paths=success ready=cancelled review=cancelled size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_closed_while_reviewers_read_ends_the_run_without_their_verdict() {
    let (world, issue) = World::piecework().await;
    world.label_and_hang_reviewers(issue).await;
    world.mona().close(REPOSITORY, world.pull(issue).number).unwrap();
    world.quiet().await;
    world.leap(A_WHILE).await;
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
async fn every_way_to_merge_is_a_merge() {
    let (world, first) = World::piecework().await;
    let issues = [first, world.more_piecework(), world.more_piecework()];
    for (issue, method) in issues.into_iter().zip(["squash", "rebase", "merge"]) {
        world.label(issue).await;
        world.mona().merge(REPOSITORY, world.pull(issue).number, method).unwrap();
        world.quiet().await;
        let seen = "\
issue closed [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: merged at `c1`
pull merged: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
        assert_eq!(world.picture(issue), seen, "{method}");
    }
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_while_a_reviewer_still_reads_ends_the_run_without_its_verdict() {
    let (world, issue) = World::piecework().await;
    world.stage.github.protect(REPOSITORY, "main", Protection::default()).unwrap();
    world.hang(When::next_call().reviewer("correctness"));
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    world.still(1).await;
    let pull = world.pull(issue).number;
    world.mona().set_draft(REPOSITORY, pull, false).unwrap();
    world.mona().merge(REPOSITORY, pull, "squash").unwrap();
    world.quiet().await;
    world.leap(A_WHILE).await;
    let seen = "\
issue closed [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: merged at `c1`
pull merged: A piece
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=cancelled review=cancelled size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_is_told_after_the_closed_issue_is_still_a_merge() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    world.stage.github.hold_webhooks();
    world.mona().merge(REPOSITORY, world.pull(issue).number, "merge").unwrap();
    world.stage.github.release_webhook(world.last_told("issues.closed").id);
    world.quiet().await;
    world.stage.github.release_webhooks_reversed();
    world.quiet().await;
    let seen = "\
issue closed [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: merged at `c1`
pull merged: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}
