//! The way a run should go.

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_labelled_issue_becomes_a_reviewed_pull_request_that_a_person_merges() {
    let world = World::start().await;
    let issue = world.issue("smooth");
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    world.merge(issue).await;
    assert_eq!(world.phase(issue).await, "merged");
    assert_eq!(world.picture(issue), "");
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bug_that_a_reviewer_finds_is_fixed_in_the_second_round() {
    let world = World::start().await;
    let issue = world.issue("findings");
    world.label(issue).await;
    world.merge(issue).await;
    assert_eq!(world.picture(issue), "");
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_that_never_passes_the_gate_opens_the_breaker_and_a_maintainer_closes_it() {
    let world = World::start().await;
    let issue = world.issue("stubborn");
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(gate-failing)");
    world.mona().comment(pairbot::demo::REPOSITORY, issue, "/retry").unwrap();
    world.quiet().await;
    assert_eq!(world.picture(issue), "");
    world.nothing_else_happened().await;
}
