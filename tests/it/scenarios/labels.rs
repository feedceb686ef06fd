//! Labels are set, told twice, taken away and set again: one wish, one run, one pull request.

use std::time::Duration;

use pairbot::demo::REPOSITORY;
use pairbot_github_sim::{Mishap, Role};
use pairbot_model_sim::When;

use super::world::World;

const LABEL: &str = "agent:pair";
/// The moments of GitHub's webhooks have seconds, no fractions.
const MOMENT: Duration = Duration::from_secs(2);

const ONE_PIECE: &str = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";

#[tokio::test(flavor = "multi_thread")]
async fn a_label_told_again_under_its_guid_starts_one_run() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    world.stage.github.redeliver(world.last_told("issues.labeled").id).unwrap();
    world.quiet().await;
    assert_eq!(world.run(issue).await.id.ordinal, 1);
    assert_eq!(world.picture(issue), ONE_PIECE);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_told_twice_under_two_guids_starts_one_run() {
    let (world, issue) = World::piecework().await;
    world.mishap("issues.labeled", Mishap::DuplicateUnderNewGuid);
    world.label(issue).await;
    assert_eq!(world.run(issue).await.id.ordinal, 1);
    assert_eq!(world.picture(issue), ONE_PIECE);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_told_again_after_the_run_ended_starts_no_other() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    world.mona_says(issue, "/stop").await;
    world.stage.github.redeliver(world.last_told("issues.labeled").id).unwrap();
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ended without a merge
  mona: /stop :+1:
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn someone_whose_rights_were_taken_before_intake_starts_nothing() {
    let (world, issue) = World::piecework().await;
    world.stage.github.grant(REPOSITORY, "tom", Role::Triage).unwrap();
    world.stage.github.hold_webhooks();
    world.stage.github.person("tom").label(REPOSITORY, issue, LABEL).unwrap();
    world.stage.github.grant(REPOSITORY, "tom", Role::Read).unwrap();
    world.stage.github.release_webhooks();
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: not started
";
    assert_eq!(world.picture(issue), seen);
    let words = world.stage.github.comments(REPOSITORY, issue).unwrap().remove(0).body;
    assert!(words.contains("`tom` has read access"), "{words}");
    assert_eq!((world.pull_count(), world.phase(issue).await.as_str()), (0, "refused"));
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_set_again_while_the_run_is_under_way_changes_nothing() {
    let (world, issue) = World::piecework().await;
    let creator = world.label_and_hold_creator(issue).await;
    world.stage.github.hold_webhooks();
    world.clock.advance(MOMENT);
    world.mona().unlabel(REPOSITORY, issue, LABEL).unwrap();
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    // What lies between the two labels never arrives.
    let removal = world.last_told("issues.unlabeled");
    assert!(world.stage.github.lose_webhook(removal.id));
    creator.resume();
    world.stage.github.release_webhooks();
    world.quiet().await;
    assert_eq!(world.run(issue).await.id.ordinal, 1);
    assert_eq!(world.picture(issue), ONE_PIECE);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_taken_away_and_set_again_goes_on_with_branch_and_pull_request() {
    let (world, issue) = World::piecework().await;
    world.label(issue).await;
    world.leap(MOMENT).await;
    world.mona().unlabel(REPOSITORY, issue, LABEL).unwrap();
    world.leap(MOMENT).await;
    world.label(issue).await;
    assert_eq!((world.pull_count(), world.run(issue).await.id.ordinal), (1, 2));
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ended without a merge
  pairbot[bot]: ### Pairbot: ready: `c2` waits for you
pull ready: A piece
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
  c2 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_taken_away_and_set_again_while_the_creator_works_ends_in_one_pull_request() {
    let (world, issue) = World::piecework().await;
    world.hang(When::next_call().creator());
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    world.still(1).await;
    world.clock.advance(MOMENT);
    world.mona().unlabel(REPOSITORY, issue, LABEL).unwrap();
    world.quiet().await;
    world.leap(MOMENT).await;
    world.label(issue).await;
    assert_eq!((world.pull_count(), world.run(issue).await.id.ordinal), (1, 2));
    let seen =
        ONE_PIECE.replacen("  pairbot", "  pairbot[bot]: ### Pairbot: ended without a merge\n  pairbot", 1);
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_issues_at_once_do_not_mix() {
    let (world, first) = World::piecework().await;
    let second = world.more_piecework();
    world.mona().label(REPOSITORY, first, LABEL).unwrap();
    world.mona().label(REPOSITORY, second, LABEL).unwrap();
    world.quiet().await;
    assert_eq!(world.picture(first), ONE_PIECE);
    assert_eq!(world.picture(second), ONE_PIECE);
    assert_eq!((world.pull_count(), world.commits(first).len(), world.commits(second).len()), (2, 1, 1));
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_is_told_after_it_was_taken_away_leads_to_no_work() {
    let (world, issue) = World::piecework().await;
    world.stage.github.hold_webhooks();
    world.mona().label(REPOSITORY, issue, LABEL).unwrap();
    world.mona().unlabel(REPOSITORY, issue, LABEL).unwrap();
    world.stage.github.release_webhooks_reversed();
    world.quiet().await;
    let seen = "\
issue open [] :eyes:
  pairbot[bot]: ### Pairbot: ended without a merge
";
    assert_eq!(world.picture(issue), seen);
    assert_eq!(world.pull_count(), 0);
    world.nothing_else_happened().await;
}
