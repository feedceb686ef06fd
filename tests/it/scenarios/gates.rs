//! What gates say, and that nothing unexamined is ever green.

use std::time::Duration;

use pairbot::config::Sandbox;
use pairbot::demo::REPOSITORY;
use pairbot_github_sim::{AppHandle, NewApp};

use super::world::{World, set_file, writes};

const MINUTE: Duration = Duration::from_mins(1);

/// Two rounds, one command that is fast, and no other app.
const COMMAND: &str = "\
rounds: 2
gates:
  done: { command: \"test -f done.txt\", timeout: 10s }
";
/// The check run `build` of another app must pass.
const REQUIRED: &str = "\
rounds: 2
gates:
  ci: { required: [build], timeout: 30m }
";

impl World {
    /// Another app, which reports check runs.
    fn builder(&self) -> AppHandle {
        let github = &self.stage.github;
        let app = github.register_app(&NewApp::new("builder", ""));
        github.install(app, "octo-org", None).unwrap();
        github.app("builder").unwrap()
    }

    /// The other app reports on the pull request's head, and everything that follows happens.
    async fn built(&self, builder: &AppHandle, issue: u64, conclusion: &str) {
        let head = self.pull(issue).head_sha;
        builder.report_check(REPOSITORY, &head, "build", Some(conclusion)).unwrap();
        self.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_red_command_costs_a_round_and_the_next_head_passes() {
    let world = World::with_policy(COMMAND).await;
    let issue = world.issue_of(writes("Finish", &[("half.txt", "half\n"), ("done.txt", "done\n")]));
    world.label(issue).await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c2` waits for you
pull ready: Finish
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 done=failure paths=success ready=failure review=success size=success
  c2 done=success paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_check_of_another_app_that_is_red_costs_a_round() {
    let world = World::with_policy(REQUIRED).await;
    let builder = world.builder();
    let issue = world.issue_of(writes("Build", &[("one.txt", "1\n"), ("two.txt", "2\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "validating");
    world.built(&builder, issue, "failure").await;
    world.built(&builder, issue, "success").await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c2` waits for you
pull ready: Build
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 build=failure ci=failure paths=success ready=failure review=success size=success
  c2 build=success ci=success paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_another_app_that_turns_red_withdraws_ready() {
    let world = World::with_policy("rounds: 1\n").await;
    let builder = world.builder();
    let issue = world.issue_of(writes("Observe", &[("one.txt", "1\n")]));
    world.label(issue).await;
    assert_eq!(world.check(issue, "ready").conclusion.as_deref(), Some("success"));
    let head = world.pull(issue).head_sha;
    let run = builder.report_check(REPOSITORY, &head, "build", None).unwrap();
    world.quiet().await;
    assert_eq!(world.check(issue, "ready").conclusion, None);
    builder.complete_check(REPOSITORY, run, "failure").unwrap();
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: a gate does not pass: ci
pull draft: Observe
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 build=failure ci=failure paths=success ready=action_required review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_reports_late_is_waited_for() {
    let world = World::with_policy(REQUIRED).await;
    let builder = world.builder();
    let issue = world.issue_of(writes("Wait", &[("one.txt", "1\n")]));
    world.label(issue).await;
    world.leap(20 * MINUTE).await;
    assert_eq!(world.check(issue, "ci").title.as_deref(), Some("waits for build"));
    world.built(&builder, issue, "success").await;
    world.leap(20 * MINUTE).await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
pull ready: Wait
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 build=success ci=success paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_never_reports_needs_a_person_and_is_not_green() {
    let world = World::with_policy(REQUIRED).await;
    let builder = world.builder();
    let issue = world.issue_of(writes("Never", &[("one.txt", "1\n")]));
    world.label(issue).await;
    world.leap(31 * MINUTE).await;
    assert_eq!(world.phase(issue).await, "halted(gate-failing)");
    assert_eq!(world.check(issue, "ci").conclusion.as_deref(), Some("action_required"));
    // Too late: only a person closes an open breaker.
    world.built(&builder, issue, "success").await;
    assert_eq!(world.phase(issue).await, "halted(gate-failing)");
    world.mona().comment(REPOSITORY, issue, "/retry").unwrap();
    world.quiet().await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /retry :+1:
pull ready: Never
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 build=success ci=success paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_too_large_or_touches_protected_paths_is_red_at_its_places() {
    let world = World::with_policy("rounds: 1\ngates: { size: { lines: 10 } }\n").await;
    let text = "line\n".repeat(40);
    let issue = world.issue_of(writes("Instruct", &[("AGENTS.md", &text)]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(gate-failing)");
    let places = world.check(issue, "paths").annotations;
    assert_eq!(places.len(), 1, "{places:?}");
    assert_eq!(places[0]["path"], "AGENTS.md");
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: a gate does not pass: paths, size
pull draft: Instruct
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=failure ready=action_required review=success size=failure
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_a_sandbox_is_not_run_and_not_green() {
    let world = World::with(|settings| {
        settings.sandbox = Sandbox::Auto;
        // Without our own binary no layer can be tried, so none holds.
        settings.tuning.program = Some("/no/such/pairbot".into());
        set_file(settings, ".github/pairbot.yml", COMMAND);
    })
    .await;
    let issue = world.issue_of(writes("Consent", &[("done.txt", "done\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(gate-failing)");
    let check = world.check(issue, "done");
    assert_eq!(check.title.as_deref(), Some("no sandbox holds on this server, and command gates need one"));
    let summary = check.summary.unwrap_or_default();
    for said in
        ["/no/such/pairbot", "what it needs is missing", "No command of agents or of the repository runs"]
    {
        assert!(summary.contains(said), "{said}: {summary}");
    }
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: a gate does not pass: done
pull draft: Consent
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 done=action_required paths=success ready=action_required review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_end_is_stopped_and_red() {
    let world = World::with_policy("rounds: 1\ngates: { slow: { command: sleep 60, timeout: 1s } }\n").await;
    let issue = world.issue_of(writes("Hurry", &[("one.txt", "1\n")]));
    world.label(issue).await;
    assert_eq!(
        world.check(issue, "slow").title.as_deref(),
        Some("the command ran longer than 1 s and was stopped")
    );
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: a gate does not pass: slow
pull draft: Hurry
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=action_required review=success size=success slow=failure
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_workflow_is_refused_before_anything_is_pushed() {
    let world = World::start().await;
    let issue = world.issue_of(writes("Automate", &[(".github/workflows/ci.yml", "on: push\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(permission-missing)");
    assert_eq!(world.stage.github.branches(REPOSITORY).unwrap(), ["main"]);
    assert!(world.status(issue).contains(".github/workflows/ci.yml"), "{}", world.status(issue));
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: GitHub refused
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}
