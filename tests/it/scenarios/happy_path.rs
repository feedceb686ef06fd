//! The way a run should go, and the two ways it often goes instead.

use pairbot::demo::REPOSITORY;

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_labelled_issue_becomes_a_reviewed_pull_request_that_a_person_merges() {
    let world = World::start().await;
    let issue = world.issue("smooth");
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    world.merge(issue).await;
    let seen = "\
issue closed [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: merged at `c1`
pull merged: Name the file and line of a malformed item
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
    tests/test-place.sh:2
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bug_that_a_reviewer_finds_is_fixed_in_the_second_round() {
    let world = World::start().await;
    let issue = world.issue("findings");
    world.label(issue).await;
    world.merge(issue).await;
    let seen = "\
issue closed [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: merged at `c2`
pull merged: Give a volume discount
  pairbot[bot] COMMENTED on c1: Review by `correctness`
    lib/price.awk:6 outdated resolved
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
    lib/price.awk:7 outdated resolved
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 paths=success ready=failure review=failure size=success tests=success
  c2 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_that_never_pass_the_gate_open_the_breaker_and_a_maintainer_closes_it() {
    let world = World::start().await;
    let issue = world.issue("stubborn");
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(gate-failing)");
    assert_eq!(world.check(issue, "ready").conclusion.as_deref(), Some("action_required"));
    world.mona().comment(REPOSITORY, issue, "/retry").unwrap();
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c4` waits for you
  mona: /retry :+1:
pull ready: Group the thousands of large amounts
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  pairbot[bot] COMMENTED on c3: Review by `correctness`
  pairbot[bot] COMMENTED on c3: Review by `maintainability`
  pairbot[bot] COMMENTED on c4: Review by `correctness`
  pairbot[bot] COMMENTED on c4: Review by `maintainability`
  c1 paths=success ready=failure review=success size=success tests=failure
  c2 paths=success ready=failure review=success size=success tests=failure
  c3 paths=success ready=failure review=success size=success tests=failure
  c4 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}
