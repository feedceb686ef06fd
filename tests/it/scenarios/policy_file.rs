//! The repository's rules: read from the default branch, said when wrong, and never from the change itself.

use pairbot::demo::REPOSITORY;

use super::world::{World, writes};

const PATH: &str = ".github/pairbot.yml";

impl World {
    /// Someone who may puts another policy file on a branch, past its protection.
    fn set_policy(&self, branch: &str, text: &str) {
        self.mona().push(REPOSITORY, branch, &[(PATH, Some(text))]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_policy_halts_the_run_and_says_where_and_what_is_allowed() {
    let world = World::with_policy("version: 1\nrounds: 99\n").await;
    let issue = world.issue("smooth");
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(policy-invalid)");
    let status = world.status(issue);
    for said in [".github/pairbot.yml:2:", "rounds", "1 to 10"] {
        assert!(status.contains(said), "{said} is not in {status}");
    }
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: the policy file is not valid
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_policy_and_a_retry_go_on() {
    let world = World::with_policy("reviewers: []\n").await;
    let issue = world.issue("smooth");
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(policy-invalid)");
    world.set_policy("main", "rounds: 1\n");
    world.quiet().await;
    assert_eq!(world.phase(issue).await, "halted(policy-invalid)");
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
  c1 paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_on_the_branch_of_the_change_has_no_effect() {
    let world =
        World::with_policy("rounds: 1\ngates: { never: { command: \"false\", timeout: 5s } }\n").await;
    let issue = world.issue_of(writes("Loosen", &[("one.txt", "1\n"), ("two.txt", "2\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(gate-failing)");
    world.set_policy(&format!("pairbot/issue-{issue}"), "rounds: 10\ngates: {}\n");
    world.quiet().await;
    world.mona().comment(REPOSITORY, issue, "/retry").unwrap();
    world.quiet().await;
    assert_eq!(world.phase(issue).await, "halted(gate-failing)");
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: a gate does not pass
  mona: /retry :+1:
pull draft: Loosen
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 never=failure paths=success ready=action_required review=success size=success
  c2 never=failure paths=failure ready=action_required review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_file_the_defaults_hold() {
    let world = World::with(|settings| settings.files.retain(|(path, _)| path != PATH)).await;
    let issue = world.issue("smooth");
    world.label(issue).await;
    let status = world.status(issue);
    assert!(status.contains("3 rounds, $5.00 a run, 2h of work"), "{status}");
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
pull ready: Name the file and line of a malformed item
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
    tests/test-place.sh:2
  c1 paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}
