//! What a repository needs before any command: made before agents and gates, and no part of a change.

use pairbot::demo::{Models, REPOSITORY};
use pairbot_model_sim::{Reply, Script};

use super::world::{World, set_file};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_set_up_made_is_there_for_agents_and_gates_and_no_part_of_the_change() {
    let policy = "\
rounds: 1
setup: { command: \"mkdir deps; echo lib >deps/lib; echo cache >$HOME/cache; echo dirt >>README.md; echo stray >stray\" }
gates:
  tests: { command: \"cat deps/lib $HOME/cache && ! grep dirt README.md && ! test -e stray\" }
";
    let turns = [
        Reply::run_command(
            "cat deps/lib $HOME/cache >seen.txt; ls stray >>seen.txt; grep dirt README.md >>seen.txt; true",
        ),
        Reply::hand_in("Look", "As asked.", []),
    ];
    let script = Script::for_title("Look").creator_with(move |conversation| {
        let told = conversation.first_text();
        assert!(told.contains("The repository's set-up was run") && told.contains("It succeeded"), "{told}");
        assert!(told.contains("Those changes were undone"), "{told}");
        turns.get(conversation.turn() as usize).unwrap_or(&turns[1]).clone()
    });
    let world = World::with(|settings| {
        set_file(settings, ".github/pairbot.yml", policy);
        set_file(settings, ".gitignore", "deps/\n");
        settings.models = Models::Scripted { extra: vec![script] };
    })
    .await;
    let issue = world.stage.open_issue("Look", "Please.").unwrap();
    world.label(issue).await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
pull ready: Look
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    let pull = world.pull(issue);
    let file = |path| world.stage.github.file(REPOSITORY, &pull.head_sha, path).unwrap();
    assert_eq!(file("seen.txt").as_deref(), Some("lib\ncache\n"));
    assert_eq!((file("stray"), file("deps/lib")), (None, None));
    assert!(!file("README.md").unwrap().contains("dirt"));
    let summary = world.check(issue, "tests").summary.unwrap();
    assert!(summary.contains("lib\ncache") && summary.contains("Before it, the set-up"), "{summary}");
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_that_fails_is_told_to_the_creator_and_no_gate_after_it_is_green() {
    let policy = "\
rounds: 1
setup: { command: \"echo no such package; exit 3\" }
gates:
  tests: { command: \"true\" }
";
    let script = Script::for_title("Miss").creator_with(|conversation| match conversation.turn() {
        0 => {
            let told = conversation.first_text();
            let fails = "It did not succeed: the command ended with code 3";
            assert!(told.contains(fails) && told.contains("no such package"), "{told}");
            Reply::write_file("one.txt", "1\n")
        }
        _ => Reply::hand_in("Miss", "As asked.", []),
    });
    let world = World::with(|settings| {
        set_file(settings, ".github/pairbot.yml", policy);
        settings.models = Models::Scripted { extra: vec![script] };
    })
    .await;
    let issue = world.stage.open_issue("Miss", "Please.").unwrap();
    world.label(issue).await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: a gate does not pass: tests
pull draft: Miss
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=action_required review=success size=success tests=failure
";
    assert_eq!(world.picture(issue), seen);
    let check = world.check(issue, "tests");
    let title = check.title.unwrap();
    assert!(title.contains("the set-up did not succeed: the command ended with code 3"), "{title}");
    world.nothing_else_happened().await;
}
