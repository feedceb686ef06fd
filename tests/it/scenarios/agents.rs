//! Agents of other vendors: programs in the real cage, that call their models through the real gateway and hand in
//! through the task's own tools. Most of them misbehave.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use pairbot::agents::vendor::{AgentSpec, Manner};
use pairbot::config::{AgentsConfig, Sandbox};
use pairbot::demo::{REPOSITORY, StageSettings};
use pairbot::gateway::ProviderKind;
use pairbot_model_sim::{Conversation, Reply, Script};
use pairbot_protocol::ids::Money;

use super::world::{World, set_file, writes};
use crate::cage::stage::Layer;

const PAIRBOT: &str = env!("CARGO_BIN_EXE_pairbot");

/// An agent of the operator's own.
fn agent(name: &str, manner: Manner, command: &[&str]) -> AgentSpec {
    let [program, arguments @ ..] = command else { panic!("a command") };
    AgentSpec {
        name: name.parse().unwrap(),
        manner,
        provider: ProviderKind::Anthropic,
        program: (*program).to_owned(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        stdin: None,
        environment: [
            ("ANTHROPIC_BASE_URL", "{gateway}"),
            ("ANTHROPIC_API_KEY", "{token}"),
            ("ANTHROPIC_MODEL", "{model}"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        files: BTreeMap::new(),
        options: BTreeMap::new(),
        meta: None,
        read_only: Vec::new(),
    }
}

/// The scripted agent, by the Agent Client Protocol.
fn by_protocol(name: &str) -> AgentSpec {
    agent(name, Manner::Acp, &[PAIRBOT, "scripted-agent", "--acp"])
}

/// The scripted agent, by its command line.
fn by_command(name: &str) -> AgentSpec {
    let line = [PAIRBOT, "scripted-agent", "--prompt", "{prompt}", "--task-socket", "{task_socket}"];
    agent(name, Manner::Command, &line)
}

/// The scripted agent, by its command line, with its prompt on standard input.
fn by_input(name: &str) -> AgentSpec {
    let line = [PAIRBOT, "scripted-agent", "--prompt", "-", "--task-socket", "{task_socket}"];
    AgentSpec { stdin: Some("{prompt}".to_owned()), ..agent(name, Manner::Command, &line) }
}

/// What is said to speak the protocol and is a line of shell.
fn shell(name: &str, line: &str) -> AgentSpec {
    agent(name, Manner::Acp, &["sh", "-c", line])
}

/// The real cage and these agents.
pub(super) fn caged(settings: &mut StageSettings, agents: Vec<AgentSpec>, policy: &str) {
    settings.sandbox = Sandbox::Auto;
    settings.tuning.program = Some(PAIRBOT.into());
    settings.agents = AgentsConfig { allowed: agents };
    set_file(settings, ".github/pairbot.yml", policy);
}

async fn world(agents: Vec<AgentSpec>, policy: &str) -> World {
    World::with(|settings| caged(settings, agents, policy)).await
}

/// One round of a creator, without gates that are not the story's.
fn created_by(name: &str) -> String {
    format!("creator: {{ agent: {name} }}\nrounds: 1\ngates: {{ ci: false }}\n")
}

impl World {
    /// A run of this creator halts, and the status says why.
    async fn creator_fails(&self, issue: u64, reason: &str, words: &str) {
        self.label(issue).await;
        assert_eq!(self.phase(issue).await, format!("halted({reason})"), "{}", self.status(issue));
        let status = self.status(issue);
        assert!(status.contains(words), "`{words}` is not in {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_protocol_and_a_review_by_command_line_go_from_the_label_to_the_merge() {
    let policy = "creator: { agent: scribe }\nreviewers:\n  correctness: { agent: critic }\n  maintainability:\n\
                  gates:\n  ci: false\n  tests: { command: \"sh run-tests.sh\" }\n";
    let world = world(vec![by_protocol("scribe"), by_command("critic")], policy).await;
    let issue = world.issue("findings");
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human", "{}", world.trace().await);
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
    let account = world.store().budget(world.run(issue).await.id).await.unwrap();
    let billed = world.models().usage();
    assert_eq!(
        (account.usage.input_tokens, account.usage.output_tokens),
        (billed.input_tokens, billed.output_tokens)
    );
    assert_eq!(account.reserved, Money::ZERO);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_on_standard_input_arrives_whole_and_unchanged() {
    const WORDS: &str = r#"Write "one", not 'two'; $HOME, `date`, {token} and \ stay as they are."#;
    let agents = vec![by_input("scribe")];
    let world = World::with(|settings| {
        caged(settings, agents, &created_by("scribe"));
        // More than an argument holds, together with the issue.
        set_file(settings, "AGENTS.md", &"Be brief.\n".repeat(2_000));
    });
    let world = world.await;
    world.models().add_script(Script::for_title("Be long").creator_with(|conversation| {
        let heard = conversation.first_text();
        match conversation.turn() {
            0 if heard.len() > 102_400 && heard.contains(WORDS) => Reply::write_file("one.txt", "1\n"),
            1 => Reply::hand_in("Write one", "As asked.", []),
            _ => Reply::say(format!("{} bytes arrived, and not what was said", heard.len())),
        }
    }));
    let issue = world.stage.open_issue("Be long", &format!("{}\n{WORDS}", "€".repeat(30_000))).unwrap();
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human", "{}", world.status(issue));
    assert_eq!(world.pull(issue).title, "Write one");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_agent_does_against_the_protocol_ends_its_task_under_a_name() {
    let hello = r#"read x; echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}'; read x"#;
    let cases = [
        ("noise", "echo Welcome!; sleep 600".to_owned(), "it wrote what is not JSON: Welcome!"),
        (
            "flood",
            "head -c 100000000 /dev/zero | tr '\\0' x; sleep 600".to_owned(),
            "a line is longer than 10485760 bytes",
        ),
        (
            "no-rpc",
            "echo '{\"id\":1,\"result\":{}}'; sleep 600".to_owned(),
            "it wrote what is not JSON-RPC 2.0",
        ),
        (
            "echo",
            format!("{hello}; echo '{{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{{}}}}'; sleep 600"),
            "it answered a request that was never made: 77",
        ),
        (
            "future",
            "read x; echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":9}}'; sleep 600"
                .to_owned(),
            "it speaks version 9",
        ),
        ("gone", "echo 'no licence' >&2; exit 3".to_owned(), "it ended before its turn did"),
        ("missing", String::new(), "its program `/nowhere/missing` is not there"),
    ];
    let agents = cases.iter().map(|(name, line, _)| match line.as_str() {
        "" => agent(name, Manner::Command, &["/nowhere/missing"]),
        line => shell(name, line),
    });
    let world = world(agents.collect(), &created_by("noise")).await;
    for (name, _, words) in cases {
        world.mona().push(REPOSITORY, "main", &[(".github/pairbot.yml", Some(&created_by(name)))]).unwrap();
        world.quiet().await;
        let issue = world.issue_of(writes(&format!("Fail by {name}"), &[("one.txt", "1\n")]));
        world.creator_fails(issue, "agent-failed", words).await;
        world.mona().unlabel(REPOSITORY, issue, "agent:pair").unwrap();
        world.quiet().await;
    }
    assert_eq!(world.models().ledger().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn success_that_is_only_claimed_is_none() {
    let world = world(vec![by_protocol("scribe"), by_command("loner")], &created_by("scribe")).await;
    let claim = |title: &str, replies: Vec<Reply>| Script::for_title(title).creator([replies]);
    let issue = world.issue_of(claim("Claim", vec![Reply::hand_in("Done", "All done.", [])]));
    world.creator_fails(issue, "no-progress", "handed in a tree that this run already had").await;
    let issue = world.issue_of(claim("Say so", vec![Reply::say("It is all done.")]));
    world.creator_fails(issue, "agent-failed", "It is all done.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_changed_without_a_word_are_a_change_and_a_reviewer_without_a_word_is_no_approval() {
    let policy = "creator: { agent: scribe }\nrounds: 1\ngates: { ci: false }\nreviewers:\n  correctness: { agent: critic }\n  maintainability:\n";
    let world = world(vec![by_command("scribe"), by_protocol("critic")], policy).await;
    let silent = Script::for_title("Be silent")
        .creator([vec![Reply::write_file("one.txt", "1\n"), Reply::say("That was it.")]])
        .reviewer("correctness", [vec![Reply::say("Looks good to me, I approve.")]]);
    let issue = world.issue_of(silent);
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(agent-failed)");
    assert_eq!(world.pull(issue).title, "Resolve: Be silent");
    let mut conclusions = String::new();
    for gate in ["review", "ready"] {
        write!(conclusions, "{} ", world.check(issue, gate).conclusion.unwrap()).unwrap();
    }
    assert_eq!(conclusions, "action_required action_required ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_calls_without_end_is_ended_with_its_budget() {
    let policy = "creator: { agent: scribe }\nrounds: 1\nbudget: { run: 0.10 }\ngates: { ci: false }\n";
    let world = world(vec![by_protocol("scribe")], policy).await;
    let issue = world.issue_of(Script::for_title("Loop").creator([vec![Reply::read_file("README.md")]]));
    world.creator_fails(issue, "budget-exhausted", "budget").await;
    let account = world.store().budget(world.run(issue).await.id).await.unwrap();
    assert!(account.spent <= account.limit && account.spent > Money::ZERO, "{account:?}");
    assert_eq!(account.reserved, Money::ZERO);
}

/// A long time in seconds, by which nobody else sleeps, not even another run of these tests beside this one.
fn long(which: u32) -> String {
    format!("{which}{:08}", std::process::id())
}

/// Whether a process has this word in its command line.
fn is_alive(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.map(|entry| entry.path().join("cmdline")).any(|path| {
        let line = std::fs::read(path).unwrap_or_default();
        line.windows(word.len()).any(|part| part == word.as_bytes())
    })
}

async fn until(what: impl Fn() -> bool) {
    let looked = async {
        while !what() {
            let _again = tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), looked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_leaves_no_process_of_its_agent() {
    // Left its session, its group and its parent: only the end of the cage reaches it.
    let (child, own) = (long(1), long(2));
    let line = format!("(setsid sleep {child} &) ; sleep {own}");
    let world = world(vec![shell("hydra", &line)], &created_by("hydra")).await;
    let issue = world.issue_of(writes("Never end", &[("one.txt", "1\n")]));
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    until(|| is_alive(&child) && is_alive(&own)).await;
    world.mona().comment(REPOSITORY, issue, "/stop").unwrap();
    // At once, not at its next heartbeat: time stands still here.
    until(|| !is_alive(&child) && !is_alive(&own)).await;
    world.quiet().await;
    assert_eq!(world.phase(issue).await, "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_never_ends_is_ended_with_its_time() {
    let policy = format!("{}time: {{ run: 3m, task: 1m }}\n", created_by("sleeper"));
    let seconds = long(3);
    let world = world(vec![shell("sleeper", &format!("sleep {seconds}"))], &policy).await;
    let issue = world.issue_of(writes("Wait", &[("one.txt", "1\n")]));
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    until(|| is_alive(&seconds)).await;
    world.through(Duration::from_mins(2)).await;
    assert_eq!(world.phase(issue).await, "halted(timed-out)");
    assert!(!is_alive(&seconds));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_the_operator_does_not_allow_halts_the_run_and_names_those_that_are() {
    let world = world(vec![by_protocol("scribe")], &created_by("claude")).await;
    let issue = world.issue_of(writes("Ask for another", &[("one.txt", "1\n")]));
    let words = "creator.agent: `claude` is not allowed on this server; allowed are `builtin`, `scribe`";
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(policy-invalid)");
    assert!(world.status(issue).contains(words), "{}", world.status(issue));
}

/// What the last tool said.
fn last_result(conversation: &Conversation) -> &str {
    let last = conversation.messages.last().and_then(|message| message.results.last());
    last.map_or("", |result| result.text.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_has_a_git_of_its_own_and_runs_the_gates_before_it_hands_in() {
    let policy = "creator: { agent: scribe }\nrounds: 1\ngates:\n  ci: false\n  tests: { command: \"sh run-tests.sh\" }\n";
    let world = world(vec![by_protocol("scribe")], policy).await;
    let script = Script::for_title("Try the gates").creator_with(|conversation| {
        let said = last_result(conversation);
        let expected: &[&str] = match conversation.turn() {
            2 => &["## paths: red", "## size: green", "## tests: green"],
            4 => &["?? one.txt"],
            5 => &["## paths: green"],
            _ => &[],
        };
        if let Some(missing) = expected.iter().find(|words| !said.contains(**words)) {
            return Reply::say(format!("`{missing}` is not in {said}"));
        }
        match conversation.turn() {
            0 => Reply::write_file("docs/AGENTS.md", "mine\n"),
            1 => Reply::call("run_gate", serde_json::json!({})),
            2 => Reply::delete_file("docs/AGENTS.md").and(Reply::write_file("one.txt", "1\n")),
            3 => Reply::run_command("git log -1 && git status --short"),
            4 => Reply::call("run_gate", serde_json::json!({ "gate": "paths" })),
            _ => Reply::hand_in("Write one", "As asked.", []),
        }
    });
    let issue = world.issue_of(script);
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human", "{}", world.trace().await);
    assert_eq!(world.pull(issue).title, "Write one");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_not_started_where_it_had_no_way_to_its_models() {
    if !Layer::UserSlot.is_possible() {
        return;
    }
    let world = World::with(|settings| {
        caged(settings, vec![by_protocol("scribe")], &created_by("scribe"));
        settings.sandbox = Sandbox::UserSlot;
    })
    .await;
    let issue = world.issue("smooth");
    world.creator_fails(issue, "agent-failed", "needs a sandbox of bubblewrap").await;
}

/// Reviewers have been fooled by `git config user.name`: what an agent commits in its own repository is never pushed.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_commits_as_somebody_else_forges_nobody() {
    let forging = "git config user.name mona && git config user.email mona@users.noreply.example && \
                   mkdir -p .git/hooks && printf '#!/bin/sh\\ntouch /work/hooked\\n' >.git/hooks/post-commit && chmod +x .git/hooks/post-commit && \
                   echo 1 >one.txt && git add -A && git commit -qm 'Approved-by: mona' --author 'mona <m@example.com>' && \
                   git log -1 --format=%an && git rm -q --cached one.txt && rm hooked";
    let world = world(vec![by_protocol("scribe")], &created_by("scribe")).await;
    let turns = vec![vec![Reply::run_command(forging), Reply::hand_in("Write one", "As asked.", [])]];
    let issue = world.issue_of(Script::for_title("Forge").creator(turns));
    world.label(issue).await;
    let forged = world.models().ledger().iter().any(|call| call.turn == 1);
    assert!(forged && world.phase(issue).await == "awaiting-human", "{}", world.trace().await);
    let head = world.pull(issue).head_sha;
    let path = format!("/repos/{REPOSITORY}/commits/{head}");
    let commit = world.mona().request("GET", &path, serde_json::Value::Null).unwrap();
    for who in ["author", "committer"] {
        assert_eq!(commit["commit"][who]["name"], "pairbot[bot]", "{commit}");
    }
    assert!(!commit["commit"]["message"].as_str().unwrap().contains("Approved-by"), "{commit}");
    assert_eq!(world.commits(issue).len(), 1);
    let file = |path| world.stage.github.file(REPOSITORY, &head, path).unwrap();
    assert_eq!((file("one.txt").as_deref(), file("hooked")), (Some("1\n"), None));
}
