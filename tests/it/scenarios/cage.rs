//! Commands of gates and agents in the sandbox, seen from GitHub.

use pairbot::config::Sandbox;
use pairbot::demo::StageSettings;

use super::world::{World, set_file, writes};

fn caged(settings: &mut StageSettings) {
    settings.sandbox = Sandbox::Auto;
    settings.tuning.program = Some(env!("CARGO_BIN_EXE_pairbot").into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_in_the_sandbox_is_red_at_the_place_it_names_and_says_where_it_ran() {
    let policy = "rounds: 1\ngates: { lint: { command: \"echo $PWD/one.txt:2: boom; exit 1\" } }\n";
    let world = World::with(|settings| {
        caged(settings);
        set_file(settings, ".github/pairbot.yml", policy);
    })
    .await;
    let issue = world.issue_of(writes("Caged", &[("one.txt", "1\n2\n")]));
    world.label(issue).await;
    let check = world.check(issue, "lint");
    assert!(check.summary.as_deref().is_some_and(|text| text.contains("/work/one.txt:2: boom")), "{check:?}");
    assert!(check.summary.as_deref().is_some_and(|text| text.contains("in a sandbox")), "{check:?}");
    let place = check.annotations.first().map(|note| (note["path"].clone(), note["start_line"].clone()));
    assert_eq!(place, Some(("one.txt".into(), 2.into())), "{check:?}");
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: a gate does not pass: lint
pull draft: Caged
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 lint=failure paths=success ready=action_required review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_is_done_with_every_command_in_the_sandbox() {
    let world = World::with(caged).await;
    let issue = world.issue("findings");
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    assert_eq!(world.check(issue, "tests").conclusion.as_deref(), Some("success"));
    let ran = world.stage.models.as_ref().unwrap().ledger();
    assert!(
        ran.iter().any(|call| call.request.to_string().contains("run_command")),
        "an agent ran the tests"
    );
}
