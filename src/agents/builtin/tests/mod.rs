//! The builtin agent against the real wire.

mod scripted;

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use pairbot_protocol::finding::{Claim, Severity};
use pairbot_protocol::ids::{IssueNumber, Money, Round};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::transcript::{TRANSCRIPT_VERSION, TranscriptError, TranscriptStore, Turn, TurnContent};
use super::*;
use crate::agents::task::OpenFinding;
use crate::agents::{Checkpoint, CheckpointError, Repository};
use crate::gateway::tests::ports::{MemoryAccount, TestClock};
use crate::gateway::tests::server::{ModelServer, Prepared, anthropic_stream, error, text, tool};
use crate::gateway::tests::{gateway, gateway_with};
use crate::gateway::{Block, BudgetAccount, PriceTable, ProviderKind, StopReason};
use crate::sandbox::{Probe, Unavailable};

/// Where no command is run, and no model is offered to run one.
fn no_sandbox() -> Arc<Unavailable> {
    Arc::new(Unavailable { probe: Probe::Present, why: "not in this test".to_owned() })
}

#[derive(Debug, Default)]
struct MemoryTranscript {
    turns: Mutex<Vec<Turn>>,
    lost: bool,
}

#[async_trait]
impl TranscriptStore for MemoryTranscript {
    async fn append(&self, turn: &Turn) -> Result<(), TranscriptError> {
        if self.lost {
            return Err(TranscriptError::LeaseLost);
        }
        let mut turns = self.turns.lock().unwrap();
        turns.truncate(turn.position as usize);
        // As a durable one would.
        let stored = serde_json::to_string(turn).unwrap();
        turns.push(serde_json::from_str(&stored).unwrap());
        Ok(())
    }

    async fn load(&self) -> Result<Vec<Turn>, TranscriptError> {
        Ok(self.turns.lock().unwrap().clone())
    }
}

/// Names a file's text by the text itself.
#[async_trait]
impl Checkpoint for Bench {
    async fn keep(&self) -> Result<String, CheckpointError> {
        Ok(fs::read_to_string(self.place("root/a.txt")).unwrap_or_default())
    }

    async fn go_back(&self, name: &str) -> Result<(), CheckpointError> {
        fs::write(self.place("root/a.txt"), name).map_err(|error| CheckpointError(error.to_string()))
    }
}

/// The builtin agent asks for no repository.
struct NoRepository;

#[async_trait]
impl Repository for NoRepository {
    async fn begin(&self) -> Result<(), CheckpointError> {
        Err(CheckpointError("nobody should ask".to_owned()))
    }
}

struct Bench {
    server: ModelServer,
    clock: Arc<TestClock>,
    account: Arc<MemoryAccount>,
    payer: Arc<dyn BudgetAccount>,
    transcript: MemoryTranscript,
    agent: BuiltinAgent,
    stop: CancellationToken,
    all: tempfile::TempDir,
}

impl Bench {
    async fn with(answers: impl IntoIterator<Item = Prepared>) -> Self {
        Self::with_prices(answers, PriceTable::shipped().unwrap()).await
    }

    async fn with_prices(answers: impl IntoIterator<Item = Prepared>, prices: PriceTable) -> Self {
        let server = ModelServer::start(answers).await;
        let clock = Arc::new(TestClock::new());
        let gateway = Arc::new(gateway_with(&server, &clock, prices));
        let agent = BuiltinAgent::new(gateway, Arc::clone(&clock) as Arc<dyn Clock>, no_sandbox());
        let all = tempfile::tempdir().unwrap();
        for directory in ["root", "scratch"] {
            fs::create_dir(all.path().join(directory)).unwrap();
        }
        fs::write(all.path().join("root/a.txt"), "one\n").unwrap();
        let account = Arc::new(MemoryAccount::of(Money::from_cents(500)));
        let payer = Arc::clone(&account) as Arc<dyn BudgetAccount>;
        let (transcript, stop) = (MemoryTranscript::default(), CancellationToken::new());
        Self { server, clock, account, payer, transcript, agent, stop, all }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.all.path().join(name)
    }

    fn ports(&self) -> TaskPorts<'_> {
        TaskPorts {
            account: &self.payer,
            transcript: &self.transcript,
            files: Some(self),
            repository: &NoRepository,
            gates: None,
            stop: &self.stop,
        }
    }

    fn limits(&self) -> AgentLimits {
        AgentLimits {
            turns_max: 12,
            deadline: self.clock.now().plus_ms(900_000),
            output_tokens_max: 4_000,
            command_timeout: Duration::from_mins(1),
        }
    }

    fn create_task(&self) -> CreateTask {
        CreateTask {
            repository: "octo/invoice".to_owned(),
            issue: IssueNumber(7),
            title: "Round totals".to_owned(),
            body: "Please.".to_owned(),
            round: Round::FIRST,
            guidance: None,
            set_up: None,
            open_findings: Vec::new(),
            gate_reports: Vec::new(),
            feedback: Vec::new(),
            root: self.place("root"),
            scratch: self.place("scratch"),
            model: model(ProviderKind::Anthropic, "scripted"),
            limits: self.limits(),
        }
    }

    fn review_task(&self) -> ReviewTask {
        let task = self.create_task();
        ReviewTask {
            repository: task.repository,
            issue: task.issue,
            title: task.title,
            body: task.body,
            round: task.round,
            guidance: None,
            reviewer: "correctness".parse().unwrap(),
            focus: "Bugs.".to_owned(),
            diff: "+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n".to_owned(),
            delta: None,
            to_verify: Vec::new(),
            root: task.root,
            scratch: task.scratch,
            model: task.model,
            limits: task.limits,
        }
    }

    async fn create(&self) -> CreateOutcome {
        self.create_task_run(self.create_task()).await
    }

    async fn create_task_run(&self, task: CreateTask) -> CreateOutcome {
        let outcome = self.agent.create(task, self.ports()).await;
        self.check_histories();
        outcome
    }

    async fn review(&self, task: ReviewTask) -> ReviewOutcome {
        let outcome = self.agent.review(task, self.ports()).await;
        self.check_histories();
        outcome
    }

    /// Refuses what a provider would: roles that do not alternate, a call without its result in the next message, a
    /// result without its call, an empty message.
    fn check_histories(&self) {
        for asked in self.server.asked() {
            let Some(messages) = asked.body["messages"].as_array().filter(|_| asked.path == "/v1/messages")
            else {
                continue;
            };
            assert_eq!(messages[0]["role"], "user");
            for pair in messages.windows(2) {
                assert_ne!(pair[0]["role"], pair[1]["role"], "{messages:#?}");
                if pair[0]["role"] == "assistant" {
                    assert_eq!(ids(&pair[0], "tool_use", "id"), ids(&pair[1], "tool_result", "tool_use_id"));
                }
            }
            assert!(messages.iter().all(|message| !message["content"].as_array().unwrap().is_empty()));
            let last = messages.last().unwrap();
            assert!(ids(last, "tool_use", "id").is_empty());
        }
    }

    /// What the model was told last.
    fn last_told(&self) -> String {
        let asked = self.server.asked();
        asked.last().unwrap().body["messages"].as_array().unwrap().last().unwrap()["content"].to_string()
    }
}

fn model(provider: ProviderKind, name: &str) -> ModelChoice {
    ModelChoice { provider, model: name.to_owned() }
}

fn ids(message: &Value, kind: &str, field: &str) -> Vec<String> {
    let blocks = message["content"].as_array().unwrap().iter();
    blocks
        .filter(|block| block["type"] == kind)
        .map(|block| block[field].as_str().unwrap().to_owned())
        .collect()
}

fn hand_in() -> Value {
    tool("h", "hand_in", json!({"title": "Round totals", "summary": "Half up."}))
}

fn handed_in() -> Prepared {
    anthropic_stream(&[hand_in()], "tool_use")
}

fn edit(id: &str, old: &str, new: &str) -> Value {
    tool(id, "edit_file", json!({"path": "a.txt", "old": old, "new": new}))
}

fn calls(blocks: &[Value]) -> Prepared {
    anthropic_stream(blocks, "tool_use")
}

fn finding(id: &str) -> OpenFinding {
    OpenFinding {
        id: id.parse().unwrap(),
        severity: Severity::Blocking,
        path: Some("a.txt".to_owned()),
        line: Some(1),
        title: "Wrong".to_owned(),
        body: "Because.".to_owned(),
        answer: None,
    }
}

#[tokio::test]
async fn a_creator_reads_edits_and_hands_in() {
    let bench = Bench::with([
        calls(&[text("I look."), tool("r", "read_file", json!({"path": "a.txt"}))]),
        calls(&[
            edit("e", "one", "two"),
            tool("w", "write_file", json!({"path": "b.txt", "content": "new"})),
        ]),
        handed_in(),
    ])
    .await;
    let outcome = bench.create().await;
    let product = outcome.result.unwrap();
    assert_eq!((product.title.as_str(), product.summary.as_str()), ("Round totals", "Half up."));
    assert_eq!(fs::read_to_string(bench.place("root/a.txt")).unwrap(), "two\n");
    assert_eq!(fs::read_to_string(bench.place("root/b.txt")).unwrap(), "new");
    let ledger = bench.account.ledger();
    assert_eq!((outcome.calls, outcome.cost), (3, ledger.spent()));
    assert_eq!(outcome.usage.input_tokens, 300);
    assert_eq!(ledger.reserved(), Money::ZERO);
    let tools = &bench.server.asked()[0].body["tools"];
    assert!(tools.as_array().unwrap().iter().all(|tool| tool["name"] != "run_command"));
}

#[tokio::test]
async fn the_same_loop_speaks_openai() {
    let call = |name: &str, arguments: Value| {
        let function = json!({"name": name, "arguments": arguments.to_string()});
        let delta = json!({"tool_calls": [{"index": 0, "id": "c", "function": function}]});
        let chunk = json!({"choices": [{"delta": delta, "finish_reason": "tool_calls"}]});
        let usage = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}});
        let body = format!("data: {chunk}\n\ndata: {usage}\n\ndata: [DONE]\n\n");
        Prepared::Whole(200, vec![], body.into_bytes())
    };
    let bench = Bench::with([
        call("read_file", json!({"path": "nowhere"})),
        call("hand_in", json!({"title": "t", "summary": "s"})),
    ])
    .await;
    let task = CreateTask { model: model(ProviderKind::OpenAi, "scripted"), ..bench.create_task() };
    let outcome = bench.create_task_run(task).await;
    outcome.result.unwrap();
    let messages = &bench.server.asked()[1].body["messages"];
    let roles: Vec<&str> = messages.as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool"]);
    assert!(messages[3]["content"].as_str().unwrap().starts_with("ERROR: there is no `nowhere`"));
}

#[tokio::test]
async fn broken_arguments_are_answered_and_the_task_goes_on() {
    let bench = Bench::with([calls(&[tool("x", "edit_file", "{\"path\": \"a"), hand_in()])]).await;
    let outcome = bench.create().await;
    assert!(outcome.result.is_ok());

    let bench = Bench::with([
        calls(&[tool("x", "hand_in", "no json")]),
        calls(&[tool("y", "no_such_tool", json!({})), tool("z", "read_file", json!({}))]),
        calls(&[tool("t", "hand_in", json!({"title": "", "summary": "s"}))]),
        handed_in(),
    ])
    .await;
    assert!(bench.create().await.result.is_ok());
    assert_eq!(bench.server.asked().len(), 4);
    assert!(bench.last_told().contains("must say something"));
}

#[tokio::test]
async fn a_model_that_only_talks_is_reminded_twice() {
    let talk = || anthropic_stream(&[text("All done, trust me.")], "end_turn");
    let bench = Bench::with([talk(), talk(), talk(), handed_in()]).await;
    let failure = bench.create().await.result.unwrap_err();
    assert_eq!(failure, AgentFailure::NeverHandedIn("All done, trust me.".to_owned()));
    assert_eq!(bench.server.asked().len(), 3);

    let empty = || anthropic_stream(&[], "end_turn");
    let bench = Bench::with([talk(), empty(), handed_in()]).await;
    assert!(bench.create().await.result.is_ok());
    assert!(bench.last_told().contains("You called no tool"));
}

#[tokio::test]
async fn a_call_cut_at_the_output_limit_is_not_done() {
    let cut = anthropic_stream(&[edit("e", "one", "two"), edit("f", "two", "three")], "max_tokens");
    let bench = Bench::with([cut, anthropic_stream(&[text("so")], "max_tokens"), handed_in()]).await;
    assert!(bench.create().await.result.is_ok());
    assert_eq!(fs::read_to_string(bench.place("root/a.txt")).unwrap(), "two\n");
    assert!(bench.last_told().contains("cut at the output limit"));
}

#[tokio::test]
async fn a_cut_hand_in_does_not_end_the_task() {
    let bench = Bench::with([anthropic_stream(&[hand_in()], "max_tokens"), handed_in()]).await;
    assert!(bench.create().await.result.is_ok());
    assert_eq!(bench.server.asked().len(), 2);
}

#[tokio::test]
async fn a_refusal_ends_the_task_with_its_reason() {
    let bench = Bench::with([anthropic_stream(&[text("I will not.")], "refusal")]).await;
    let failure = bench.create().await.result.unwrap_err();
    assert_eq!(failure, AgentFailure::Refused("I will not.".to_owned()));
}

#[tokio::test]
async fn a_paused_turn_is_sent_again_and_goes_on_in_the_same_message() {
    let bench = Bench::with([
        anthropic_stream(&[text("Thinking ")], "pause_turn"),
        calls(&[tool("r", "read_file", json!({"path": "a.txt"}))]),
        anthropic_stream(&[], "pause_turn"),
        handed_in(),
    ])
    .await;
    assert!(bench.create().await.result.is_ok());
    let second = &bench.server.asked()[1].body["messages"];
    assert_eq!(second[1]["content"][0]["text"], "Thinking");
    assert_eq!(bench.server.asked()[2].body["messages"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn turns_are_counted_and_the_last_ones_announced() {
    let look = || calls(&[tool("r", "read_file", json!({"path": "a.txt"}))]);
    let bench = Bench::with((0..5).map(|_| look())).await;
    let mut task = bench.create_task();
    task.limits.turns_max = 4;
    let failure = bench.create_task_run(task).await.result.unwrap_err();
    assert_eq!(failure, AgentFailure::TurnsExhausted(4));
    assert_eq!(bench.server.asked().len(), 4);
    assert!(bench.last_told().contains("You have 1 answers left"));
}

#[tokio::test]
async fn time_money_and_lease_end_the_task_by_their_names() {
    let bench = Bench::with([handed_in()]).await;
    let mut late = bench.create_task();
    late.limits.deadline = bench.clock.now();
    assert_eq!(bench.create_task_run(late).await.result.unwrap_err(), AgentFailure::TimedOut);

    let mut poor = Bench::with([handed_in()]).await;
    poor.account = Arc::new(MemoryAccount::of(Money::from_microdollars(100)));
    poor.payer = Arc::clone(&poor.account) as Arc<dyn BudgetAccount>;
    assert!(matches!(poor.create().await.result, Err(AgentFailure::BudgetExhausted { .. })));

    let robbed = Bench::with([handed_in()]).await;
    robbed.account.lose_lease();
    assert_eq!(robbed.create().await.result.unwrap_err(), AgentFailure::LeaseLost);

    let mut forgotten = Bench::with([handed_in()]).await;
    forgotten.transcript.lost = true;
    assert_eq!(forgotten.create().await.result.unwrap_err(), AgentFailure::LeaseLost);

    let down = Bench::with([error(429, vec![("retry-after", "900")])]).await;
    assert!(matches!(down.create().await.result, Err(AgentFailure::ProviderUnavailable { .. })));

    let unknown = Bench::with([]).await;
    let task = CreateTask { model: model(ProviderKind::Anthropic, "nobody"), ..unknown.create_task() };
    assert!(matches!(unknown.create_task_run(task).await.result, Err(AgentFailure::Misconfigured(_))));
    let task = CreateTask { root: unknown.place("gone"), ..unknown.create_task() };
    assert!(matches!(unknown.create_task_run(task).await.result, Err(AgentFailure::Workspace(_))));
    assert!(unknown.server.asked().is_empty());
}

#[tokio::test]
async fn a_killed_task_goes_on_at_its_turn_and_asks_nothing_twice() {
    let bench = Bench::with([calls(&[edit("e", "one", "two")]), Prepared::Hang]).await;
    tokio::select! {
        _ = bench.create() => panic!("the server hangs"),
        () = bench.server.asked_times(2) => {}
    }
    bench.server.push(handed_in());
    let outcome = bench.create().await;
    outcome.result.unwrap();
    assert_eq!(bench.server.asked().len(), 3, "only the call under way was made again");
    assert_eq!(bench.server.asked()[1].body, bench.server.asked()[2].body);
    assert_eq!(outcome.calls, 2, "what the first life spent counts");
    assert_eq!(fs::read_to_string(bench.place("root/a.txt")).unwrap(), "two\n");
}

#[tokio::test]
async fn told_to_stop_a_task_keeps_the_answer_under_way_and_ends_before_its_next_turn() {
    let mut bench = Bench::with([calls(&[edit("e", "one", "two")]), handed_in()]).await;
    let told = async {
        bench.server.asked_times(1).await;
        bench.stop.cancel();
    };
    let (outcome, ()) = tokio::join!(bench.create(), told);
    assert_eq!(outcome.result.unwrap_err(), AgentFailure::Stopped);
    assert_eq!((bench.server.asked().len(), outcome.calls), (1, 1), "the answer that was paid for is kept");
    bench.stop = CancellationToken::new();
    bench.create().await.result.unwrap();
    assert_eq!(bench.server.asked().len(), 2, "no question is asked twice");
    assert_eq!(fs::read_to_string(bench.place("root/a.txt")).unwrap(), "two\n");
}

#[tokio::test]
async fn an_answer_that_was_kept_is_acted_on_without_a_new_call() {
    let first = Bench::with([calls(&[edit("e", "one", "two")]), handed_in()]).await;
    first.create().await.result.unwrap();
    let mut turns = first.transcript.turns.lock().unwrap().clone();
    assert!(matches!(turns.last().unwrap().content, TurnContent::Model { .. }));

    let again = Bench::with([]).await;
    *again.transcript.turns.lock().unwrap() = turns.clone();
    assert_eq!(again.create().await.result.unwrap().title, "Round totals");
    assert!(again.server.asked().is_empty());

    // Killed between the first answer and its tools.
    turns.truncate(2);
    let again = Bench::with([handed_in()]).await;
    *again.transcript.turns.lock().unwrap() = turns.clone();
    again.create().await.result.unwrap();
    assert_eq!(fs::read_to_string(again.place("root/a.txt")).unwrap(), "two\n");
    assert_eq!(again.server.asked().len(), 1);

    // Kept by another version: begun anew.
    turns[0].version = TRANSCRIPT_VERSION + 1;
    let again = Bench::with([handed_in()]).await;
    *again.transcript.turns.lock().unwrap() = turns;
    again.create().await.result.unwrap();
    assert_eq!(again.transcript.turns.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_edit_that_a_crash_cut_off_from_its_answer_is_not_made_twice() {
    let added = || calls(&[edit("e", "one\n", "one\nmore\n")]);
    let bench = Bench::with([added(), handed_in()]).await;
    bench.create().await.result.unwrap();
    // Killed after the edit, before its result was kept: the file has it, the conversation does not know.
    bench.transcript.turns.lock().unwrap().truncate(2);
    bench.server.push(handed_in());
    bench.create().await.result.unwrap();
    assert_eq!(fs::read_to_string(bench.place("root/a.txt")).unwrap(), "one\nmore\n");
    assert!(bench.last_told().contains("edited `a.txt`"), "the model is told what happened");
}

#[tokio::test]
async fn a_long_conversation_stays_inside_the_window() {
    let small = "[[model]]\nprovider = \"anthropic\"\nname = \"small\"\ncontext_tokens = 24000\noutput_tokens = 4000\n\
                 price = { input = \"1\", output = \"5\" }\n";
    let mut answers: Vec<Prepared> = (0..9)
        .map(|turn| calls(&[tool(&format!("r{turn}"), "read_file", json!({"path": "big.txt"}))]))
        .collect();
    answers.push(handed_in());
    let bench = Bench::with_prices(answers, PriceTable::with_override(small).unwrap()).await;
    fs::write(bench.place("root/big.txt"), "0123456789 abcdefgh\n".repeat(600)).unwrap();
    let task = CreateTask { model: model(ProviderKind::Anthropic, "small"), ..bench.create_task() };
    bench.create_task_run(task).await.result.unwrap();
    let asked = bench.server.asked();
    assert!(asked.iter().all(|asked| asked.bytes < 80_000));
    let last = asked.last().unwrap().body["messages"].to_string();
    assert!(last.contains("left out to keep the conversation short") && last.contains("Title: Round totals"));
}

#[tokio::test]
async fn a_conversation_that_the_provider_finds_too_long_is_shortened_and_sent_again() {
    let words = json!({"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}});
    let too_long = || Prepared::Whole(400, vec![], words.to_string().into_bytes());
    let read = calls(&[tool("r", "read_file", json!({"path": "big.txt"}))]);
    let bench = Bench::with([read, too_long(), handed_in()]).await;
    fs::write(bench.place("root/big.txt"), "x\n").unwrap();
    bench.create().await.result.unwrap();

    let bench = Bench::with([too_long(), too_long(), too_long()]).await;
    assert!(matches!(bench.create().await.result, Err(AgentFailure::ContextExhausted(_))));
    assert_eq!(bench.account.ledger().spent(), Money::ZERO);
}

#[tokio::test]
async fn open_findings_are_answered_by_name_and_asked_for_once() {
    let answered = |answers: Value| {
        calls(&[tool("h", "hand_in", json!({"title": "t", "summary": "s", "answers": answers}))])
    };
    let fixed = json!([{"finding": "correctness-1-1", "answer": "fixed", "reason": "now half up"}]);
    let unknown = json!([{"finding": "nobody-1-1", "answer": "fixed", "reason": "x"}]);
    let bench = Bench::with([answered(unknown), answered(fixed)]).await;
    let task = CreateTask { open_findings: vec![finding("correctness-1-1")], ..bench.create_task() };
    let product = bench.create_task_run(task).await.result.unwrap();
    assert_eq!(product.answers.len(), 1);
    assert_eq!((product.answers[0].claim, product.answers[0].reason.as_str()), (Claim::Fixed, "now half up"));

    let bench = Bench::with([answered(json!([])), answered(json!([]))]).await;
    let task = CreateTask { open_findings: vec![finding("correctness-1-1")], ..bench.create_task() };
    assert!(bench.create_task_run(task).await.result.unwrap().answers.is_empty());
    assert_eq!(bench.server.asked().len(), 2, "reminded once, then taken as it is");
}

#[tokio::test]
async fn a_review_is_checked_before_it_is_taken() {
    let submit = |arguments: Value| calls(&[tool("s", "submit_review", arguments)]);
    let found = |finding: Value| submit(json!({"summary": "s", "findings": [finding]}));
    let bench = Bench::with([
        found(json!({"severity": "critical", "title": "t", "body": "b"})),
        found(json!({"severity": "major", "path": "../x", "line": 1, "title": "t", "body": "b"})),
        found(json!({"severity": "major", "line": 1, "title": "t", "body": "b"})),
        submit(json!({"summary": "s", "findings": [], "verified": [{"finding": "other-1-1", "state": "fixed", "reason": ""}]})),
        submit(json!({
            "summary": "One fault.",
            "findings": [{"severity": "blocking", "path": "./a.txt", "line": 1, "title": "Wrong", "body": "b", "suggestion": "three"},
                         {"severity": "nit", "path": null, "line": null, "title": "General", "body": "b", "suggestion": "a\u{202e}b"}],
            "verified": [{"finding": "correctness-1-1", "state": "open", "reason": "still there"}],
        })),
    ])
    .await;
    let task = ReviewTask { to_verify: vec![finding("correctness-1-1")], ..bench.review_task() };
    let review = bench.review(task).await.result.unwrap();
    assert_eq!(bench.server.asked().len(), 5);
    assert_eq!(review.findings[0].path.as_deref(), Some("a.txt"));
    assert_eq!((review.findings[0].line, review.findings[0].severity), (Some(1), Severity::Blocking));
    assert_eq!((review.findings[1].path.as_deref(), review.findings[1].line), (None, None));
    assert_eq!(review.findings[0].suggestion.as_deref(), Some("three"));
    assert_eq!(review.findings[1].suggestion, None, "nothing hidden is suggested");
    assert!(!review.verified[0].fixed);
    let offered: Vec<String> = bench.server.asked()[0].body["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(offered, ["list_files", "search", "read_file", "submit_review"]);
    let told = bench.server.asked()[1].body["messages"].to_string();
    assert!(told.contains("unknown variant `critical`") && told.contains("`blocking`"), "{told}");
}

#[tokio::test]
async fn a_silent_reviewer_is_a_failure_never_an_approval() {
    let bench = Bench::with((0..3).map(|_| anthropic_stream(&[text("Looks good to me!")], "end_turn"))).await;
    let outcome = bench.review(bench.review_task()).await;
    assert!(matches!(outcome.result, Err(AgentFailure::NeverHandedIn(_))));
    assert_eq!(outcome.calls, 3);
}

#[tokio::test]
async fn what_failed_attempts_cost_is_counted_too() {
    let bench = Bench::with([Prepared::Broken(b"data: ".to_vec()), handed_in()]).await;
    let outcome = bench.create().await;
    assert_eq!((outcome.calls, outcome.cost), (2, bench.account.ledger().spent()));
    let turns = bench.transcript.turns.lock().unwrap();
    let TurnContent::Model { blocks, stop, spent } = &turns[1].content else { panic!("{turns:?}") };
    assert_eq!((stop, spent.calls), (&StopReason::ToolUse, 2));
    assert!(matches!(blocks[0], Block::ToolUse { .. }));
}

#[tokio::test]
async fn an_agent_can_do_without_streams() {
    let body = json!({"content": [hand_in()], "stop_reason": "tool_use",
        "usage": {"input_tokens": 10, "output_tokens": 2}});
    let bench = Bench::with([Prepared::Whole(200, vec![], body.to_string().into_bytes())]).await;
    let gateway = Arc::new(gateway(&bench.server, &bench.clock));
    let clock = Arc::clone(&bench.clock) as Arc<dyn Clock>;
    let agent = BuiltinAgent::new(gateway, clock, no_sandbox()).without_streaming();
    agent.create(bench.create_task(), bench.ports()).await.result.unwrap();
    assert_eq!(bench.server.asked()[0].body["stream"], false);
}
