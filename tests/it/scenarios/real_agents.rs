//! The main job with real agents of other vendors: each way to run each of them as creator and as reviewer, beside
//! another, in the real cage, through the real gateway, against scripted models. Run by `scripts/test-agents`, which
//! installs them, runs the stories of those that are there and names the others: a story's name says whom it needs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pairbot::agents::presets;
use pairbot::agents::vendor::{AgentSpec, Manner};
use pairbot_model_sim::{Conversation, Provider, Reply, Script};
use serde_json::json;

use super::agents::caged;
use super::world::World;

const TITLE: &str = "Say hello";
/// What a prompt must not lose on its way, and a model writes into a file.
const WORDS: &str = r#"Write "hello" and not 'hullo'; $HOME, `date` and \ stay as they are."#;

/// Where agents were installed: `claude=/path/to/bin,codex=…`.
fn installed() -> BTreeMap<String, String> {
    let listed = std::env::var("PAIRBOT_REAL_AGENTS").unwrap_or_default();
    let pairs = listed.split(',').filter_map(|entry| entry.split_once('='));
    pairs.map(|(agent, folder)| (agent.to_owned(), folder.to_owned())).collect()
}

/// The preset with the program that was installed.
fn real((agent, manner): (&str, Manner), name: &str) -> AgentSpec {
    let preset = presets::pick(agent, Some(manner), None).unwrap();
    let folders = installed();
    let folder = folders.get(agent);
    let folder = folder.unwrap_or_else(|| panic!("{agent} is not installed; scripts/test-agents does that"));
    preset.spec(name.parse().unwrap(), Some(format!("{folder}/{}", preset.program)))
}

/// The tool that ends so, as the agent offers it.
fn tool<'a>(conversation: &'a Conversation, end: &str) -> Option<&'a str> {
    conversation.tools.iter().map(String::as_str).find(|tool| tool.ends_with(end))
}

/// A command by whatever tool the agent has for one.
fn command(conversation: &Conversation, line: &str) -> Reply {
    let words = json!({ "command": ["sh", "-c", line] });
    let known = [
        ("Bash", json!({ "command": line, "description": "Write a file" })),
        ("bash", json!({ "command": line, "description": "Write a file" })),
        ("exec_command", json!({ "cmd": line })),
        ("shell_command", json!({ "command": line })),
        ("run_shell_command", json!({ "command": line })),
        // Goose calls it so, too, and takes a line.
        (
            "shell",
            if conversation.provider == Provider::OpenAi {
                words.clone()
            } else {
                json!({ "command": line })
            },
        ),
        ("local_shell", words),
    ];
    let offered = known.into_iter().find(|(name, _)| conversation.offers(name));
    match offered {
        Some((name, arguments)) => Reply::call(name, arguments),
        None => Reply::say(format!("There is no tool to run a command with among {:?}", conversation.tools)),
    }
}

fn script() -> Script {
    Script::for_title(TITLE)
        .creator_with(|conversation| match (conversation.turn(), tool(conversation, "hand_in")) {
            (0, _) if !conversation.first_text().contains(WORDS) => {
                Reply::say(format!("The issue's words are not in {}", conversation.first_text()))
            }
            (0, _) => command(conversation, "printf 'hello\\n' > hello.txt"),
            (1, Some(hand_in)) => {
                Reply::call(hand_in, json!({ "title": "Say hello", "summary": "As asked.", "answers": [] }))
            }
            _ => Reply::say("It is done."),
        })
        .other_reviewers_with(|conversation| {
            match (conversation.turn(), tool(conversation, "submit_review")) {
                (0, Some(submit)) if conversation.first_text().contains(WORDS) => {
                    Reply::call(submit, json!({ "summary": "Read: it says hello.", "findings": [] }))
                }
                _ => Reply::say("It is read."),
            }
        })
}

/// What can be told of a run that went another way.
async fn told(world: &World, issue: u64) -> String {
    let mut told = String::new();
    for call in world.models().ledger() {
        let role = call.brief.map(|brief| brief.role);
        let (number, status, turn) = (call.number, call.status, call.turn);
        writeln!(told, "{number} {status} {} turn {turn} {role:?} {:?}", call.model, call.refusal).unwrap();
    }
    format!("{told}{}\n{}", world.status(issue), world.trace().await)
}

/// One run from label to merge.
async fn plays(creator: (&str, Manner), reviewer: (&str, Manner)) {
    let agents = vec![real(creator, "scribe"), real(reviewer, "critic")];
    let policy = "creator: { agent: scribe }\nreviewers:\n  correctness: { agent: critic }\n  maintainability:\ngates: { ci: false }\n";
    let world = World::with(|settings| caged(settings, agents, policy)).await;
    world.models().add_script(script());
    let issue = world.stage.open_issue(TITLE, WORDS).unwrap();
    world.label(issue).await;
    let phase = world.phase(issue).await;
    assert_eq!(phase, "awaiting-human", "{}", told(&world, issue).await);
    assert_eq!(world.pull(issue).title, "Say hello", "{}", told(&world, issue).await);
    world.merge(issue).await;
    assert_eq!(world.phase(issue).await, "merged");
    let account = world.store().budget(world.run(issue).await.id).await.unwrap();
    let billed = world.models().usage();
    assert_eq!(account.usage.output_tokens, billed.output_tokens, "the gateway counts what the models do");
    assert_eq!(account.usage.input_tokens, billed.input_tokens, "the gateway counts what the models do");
    // A client that sends what its provider would refuse is no client to measure with.
    let ledger = world.models().ledger();
    assert!(ledger.iter().all(|call| call.status == 200), "{}", told(&world, issue).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn claude_creates_over_acp_and_codex_reviews_by_command() {
    plays(("claude", Manner::Acp), ("codex", Manner::Command)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn claude_creates_by_command_and_opencode_reviews_by_command() {
    plays(("claude", Manner::Command), ("opencode", Manner::Command)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn codex_creates_over_acp_and_claude_reviews_over_acp() {
    plays(("codex", Manner::Acp), ("claude", Manner::Acp)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn codex_creates_by_command_and_gemini_reviews_by_command() {
    plays(("codex", Manner::Command), ("gemini", Manner::Command)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn opencode_creates_over_acp_and_codex_reviews_over_acp() {
    plays(("opencode", Manner::Acp), ("codex", Manner::Acp)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn opencode_creates_by_command_and_claude_reviews_by_command() {
    plays(("opencode", Manner::Command), ("claude", Manner::Command)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn gemini_creates_over_acp_and_goose_reviews_by_command() {
    plays(("gemini", Manner::Acp), ("goose", Manner::Command)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn gemini_creates_by_command_and_goose_reviews_over_acp() {
    plays(("gemini", Manner::Command), ("goose", Manner::Acp)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn goose_creates_over_acp_and_opencode_reviews_over_acp() {
    plays(("goose", Manner::Acp), ("opencode", Manner::Acp)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn goose_creates_by_command_and_gemini_reviews_over_acp() {
    plays(("goose", Manner::Command), ("gemini", Manner::Acp)).await;
}
