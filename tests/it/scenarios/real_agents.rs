//! The main job with real agents of other vendors: each as creator and another as reviewer, in the real cage, through the
//! real gateway, against scripted models. Run by `scripts/test-agents`, which installs them; who is not installed is
//! named and skipped.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use pairbot::agents::presets;
use pairbot::agents::vendor::{AgentSpec, Manner};
use pairbot_model_sim::{Conversation, Reply, Script};
use serde_json::json;

use super::agents::caged;
use super::world::World;

const TITLE: &str = "Say hello";

/// Where agents were installed: `claude=/path/to/bin,codex=…`.
fn installed() -> BTreeMap<String, String> {
    let listed = std::env::var("PAIRBOT_REAL_AGENTS").unwrap_or_default();
    let pairs = listed.split(',').filter_map(|entry| entry.split_once('='));
    pairs.map(|(agent, folder)| (agent.to_owned(), folder.to_owned())).collect()
}

/// The preset with the program that was installed; none if there is none.
fn real(agent: &str, manner: Manner, name: &str) -> Option<AgentSpec> {
    let preset = presets::pick(agent, Some(manner), None).unwrap();
    let program = format!("{}/{}", installed().get(agent)?, preset.program);
    Path::new(&program).exists().then(|| preset.spec(name.parse().unwrap(), Some(program)))
}

/// The tool that ends so, as the agent offers it.
fn tool<'a>(conversation: &'a Conversation, end: &str) -> Option<&'a str> {
    conversation.tools.iter().map(String::as_str).find(|tool| tool.ends_with(end))
}

/// A command by whatever tool the agent has for one.
fn command(conversation: &Conversation, line: &str) -> Reply {
    let known = [
        ("Bash", json!({ "command": line, "description": "Write a file" })),
        ("bash", json!({ "command": line, "description": "Write a file" })),
        ("exec_command", json!({ "cmd": line })),
        ("shell_command", json!({ "command": line })),
        ("shell", json!({ "command": ["sh", "-c", line] })),
        ("local_shell", json!({ "command": ["sh", "-c", line] })),
        ("run_shell_command", json!({ "command": line })),
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
            (0, _) => command(conversation, "printf 'hello\\n' > hello.txt"),
            (1, Some(hand_in)) => {
                Reply::call(hand_in, json!({ "title": "Say hello", "summary": "As asked.", "answers": [] }))
            }
            _ => Reply::say("It is done."),
        })
        .other_reviewers_with(|conversation| {
            match (conversation.turn(), tool(conversation, "submit_review")) {
                (0, Some(submit)) => {
                    Reply::call(submit, json!({ "summary": "Read: it says hello.", "findings": [] }))
                }
                _ => Reply::say("It is read."),
            }
        })
}

fn tell(line: &str) {
    let _gone = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// One run from label to merge; says which part was skipped if one was.
async fn plays(creator: (&str, Manner), reviewer: (&str, Manner)) {
    let mut agents = Vec::new();
    for ((agent, manner), name) in [(creator, "scribe"), (reviewer, "critic")] {
        let Some(spec) = real(agent, manner, name) else {
            tell(&format!("SKIPPED: {agent} ({}) is not installed", manner.as_str()));
            return;
        };
        agents.push(spec);
    }
    let policy = "creator: { agent: scribe }\nreviewers:\n  correctness: { agent: critic }\n  maintainability:\ngates: { ci: false }\n";
    let world = World::with(|settings| caged(settings, agents, policy)).await;
    let issue = world.issue_of(script());
    world.label(issue).await;
    let phase = world.phase(issue).await;
    if phase != "awaiting-human" {
        for call in world.models().ledger() {
            let role = call.brief.map(|brief| brief.role);
            let (number, status, turn) = (call.number, call.status, call.turn);
            tell(&format!("{number} {status} {} turn {turn} {role:?} {:?}", call.model, call.refusal));
        }
        panic!("{phase}\n{}\n{}", world.status(issue), world.trace().await);
    }
    assert_eq!(world.pull(issue).title, "Say hello");
    world.merge(issue).await;
    assert_eq!(world.phase(issue).await, "merged");
    let account = world.store().budget(world.run(issue).await.id).await.unwrap();
    let billed = world.models().usage();
    assert_eq!(account.usage.output_tokens, billed.output_tokens, "the gateway counts what the models do");
    assert_eq!(account.usage.input_tokens, billed.input_tokens, "the gateway counts what the models do");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn claude_creates_over_acp_and_codex_reviews() {
    plays(("claude", Manner::Acp), ("codex", Manner::Command)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn claude_creates_by_command_and_opencode_reviews() {
    plays(("claude", Manner::Command), ("opencode", Manner::Command)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn codex_creates_over_acp_and_claude_reviews_over_acp() {
    plays(("codex", Manner::Acp), ("claude", Manner::Acp)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn codex_creates_by_command_and_claude_reviews() {
    plays(("codex", Manner::Command), ("claude", Manner::Command)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn opencode_creates_over_acp_and_codex_reviews_over_acp() {
    plays(("opencode", Manner::Acp), ("codex", Manner::Acp)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real agents: scripts/test-agents"]
async fn opencode_creates_by_command_and_claude_reviews() {
    plays(("opencode", Manner::Command), ("claude", Manner::Command)).await;
}
