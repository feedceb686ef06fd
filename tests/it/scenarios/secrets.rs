//! Secrets in what agents and programs say: whoever made them say it does not get to read it on GitHub.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pairbot::demo::{Models, REPOSITORY};
use pairbot_model_sim::{Finding, Reply, Script};
use secrecy::ExposeSecret as _;

use super::world::{World, set_file};

const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_in_what_an_agent_or_a_gate_says_is_posted() {
    // A token that a gate finds somewhere, and one of the server's own, as whoever is after it would have it said: without
    // its beginning, and in Base64.
    let policy =
        format!("rounds: 1\ngates: {{ leak: {{ command: \"echo the key is {TOKEN}; exit 1\" }} }}\n");
    let webhook_secret = "hook-6f1c0d2b9a8e47355d41".to_owned();
    let (tail, encoded) = (webhook_secret.get(5..).unwrap(), STANDARD.encode(format!("x{webhook_secret}")));
    let title = format!("Add {tail} there");
    let turns = vec![
        Reply::write_file("one.txt", "1\n"),
        Reply::hand_in(&title, &format!("It says {encoded} and {TOKEN}."), []),
    ];
    let finding = Finding::new("minor", "Asks", &format!("Why not {webhook_secret}?")).at("one.txt", 1);
    let review = Reply::submit_review(&format!("I saw {tail}"), [finding], []);
    let script = Script::for_title("Tell").creator(vec![turns]).reviewer("correctness", [vec![review]]);
    let world = World::with(|settings| {
        set_file(settings, ".github/pairbot.yml", &policy);
        settings.webhook_secret.clone_from(&webhook_secret);
        settings.models = Models::Scripted { extra: vec![script] };
    })
    .await;
    assert_eq!(world.stage.config.app.webhook_secret.expose_secret(), webhook_secret);
    let issue = world.stage.open_issue("Tell", "Please.").unwrap();
    world.label(issue).await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: a gate does not pass: leak
pull draft: Add [redacted] there
  pairbot[bot] COMMENTED on c1: Review by `correctness`
    one.txt:1
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 leak=failure paths=success ready=action_required review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    let status = world.status(issue);
    assert!(status.contains("The agents of this server are scripted"), "an ordinary word is none: {status}");
    let branch = format!("pairbot/issue-{issue}");
    let mut told = world.stage.github.messages(REPOSITORY, "main", &branch).unwrap();
    told.extend(world.stage.github.requests().into_iter().map(|request| request.body));
    for text in &told {
        for secret in [TOKEN, tail, &encoded, &STANDARD.encode(TOKEN)] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    let told = told.join("\n");
    assert!(told.contains("the key is [redacted]") && told.contains("Why not [redacted]"), "{told}");
}
