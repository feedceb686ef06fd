use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use pairbot_protocol::finding::{Claim, Severity};
use pairbot_protocol::ids::{IssueNumber, Round, Timestamp};
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::bridge::Bridge;
use super::wire::{Answer, LINE_BYTES_MAX, Say};
use super::*;
use crate::agents::Gates;
use crate::agents::task::{AgentLimits, CreateTask, OpenFinding, ReviewTask};
use crate::gateway::{ModelChoice, ProviderKind};

struct Green;

#[async_trait]
impl Gates for Green {
    fn names(&self) -> Vec<String> {
        vec!["size".to_owned(), "tests".to_owned()]
    }

    async fn run(&self, gate: Option<&str>) -> Result<String, String> {
        Ok(format!("{} is green", gate.unwrap_or("everything")))
    }
}

fn limits() -> AgentLimits {
    AgentLimits {
        turns_max: 1,
        deadline: Timestamp::from_unix_ms(u64::MAX),
        output_tokens_max: 1,
        command_timeout: Duration::ZERO,
    }
}

fn model() -> ModelChoice {
    ModelChoice { provider: ProviderKind::Anthropic, model: "m".to_owned() }
}

fn finding(id: &str) -> OpenFinding {
    OpenFinding {
        id: id.parse().unwrap(),
        severity: Severity::Blocking,
        path: None,
        line: None,
        title: "Off by one".to_owned(),
        body: String::new(),
        answer: None,
    }
}

fn create_task() -> CreateTask {
    CreateTask {
        repository: "o/r".to_owned(),
        issue: IssueNumber(1),
        title: "Mend it".to_owned(),
        body: "Please.".to_owned(),
        round: Round(2),
        guidance: None,
        set_up: None,
        open_findings: vec![finding("alpha-1-1"), finding("alpha-1-2")],
        gate_reports: Vec::new(),
        feedback: Vec::new(),
        root: PathBuf::new(),
        scratch: PathBuf::new(),
        model: model(),
        limits: limits(),
    }
}

fn review_task() -> ReviewTask {
    ReviewTask {
        repository: "o/r".to_owned(),
        issue: IssueNumber(1),
        title: "Mend it".to_owned(),
        body: String::new(),
        round: Round(1),
        guidance: None,
        reviewer: "alpha".parse().unwrap(),
        focus: "Everything.".to_owned(),
        diff: format!("+{}\n", "ü".repeat(60_000)),
        delta: None,
        to_verify: Vec::new(),
        root: PathBuf::new(),
        scratch: PathBuf::new(),
        model: model(),
        limits: limits(),
    }
}

type Agent = RunningService<RoleClient, ()>;

/// A task at its socket, and what an agent in a cage has of it: a client of the official library.
async fn with_agent<T>(counter: &dyn Counter, story: impl AsyncFnOnce(Agent) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let desk = TaskDesk::open(folder.path()).unwrap();
    let bridge = Bridge { socket: desk.socket().to_owned() };
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let told = async {
        let (server, client) = tokio::join!(bridge.serve(ours), ().serve(theirs));
        let _server = server.unwrap();
        story(client.unwrap()).await
    };
    tokio::select! {
        told = told => told,
        never = desk.serve(counter) => match never {},
    }
}

async fn call(agent: &Agent, tool: &'static str, arguments: Value) -> Result<String, String> {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let result: CallToolResult =
        agent.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap();
    let text = result.content[0].as_text().unwrap().text.clone();
    if result.is_error == Some(true) { Err(text) } else { Ok(text) }
}

async fn tools(agent: &Agent) -> Vec<String> {
    agent.list_all_tools().await.unwrap().iter().map(|tool| tool.name.to_string()).collect()
}

#[tokio::test]
async fn a_creator_hands_in_by_the_rules_of_the_builtin_desk() {
    let task = create_task();
    let counter = CreatorCounter::new(&task, Some(&Green));
    with_agent(&counter, async |agent| {
        assert_eq!(
            tools(&agent).await,
            ["get_task", "get_findings", "answer_finding", "run_gate", "hand_in"]
        );
        assert!(
            call(&agent, "get_task", json!({})).await.unwrap().starts_with("Repository: o/r\nIssue: #1\n")
        );
        assert!(call(&agent, "get_findings", json!({})).await.unwrap().contains("alpha-1-2 [blocking]"));
        assert_eq!(call(&agent, "run_gate", json!({ "gate": "size" })).await.unwrap(), "size is green");
        let answer = json!({ "finding": "alpha-1-1", "answer": "rebutted" });
        let wrong = call(&agent, "answer_finding", answer).await.unwrap_err();
        assert!(wrong.contains("without a reason"), "{wrong}");
        let answer = json!({ "finding": "alpha-1-1", "answer": "fixed", "reason": "done" });
        call(&agent, "answer_finding", answer).await.unwrap();
        let hand_in = json!({ "title": "Mend it", "summary": "Mended." });
        let sent_back = call(&agent, "hand_in", hand_in.clone()).await.unwrap_err();
        assert!(sent_back.contains("not answered: alpha-1-2"), "{sent_back}");
        assert!(counter.handed_in().borrow().is_none());
        call(&agent, "hand_in", hand_in).await.unwrap();
        let unknown = call(&agent, "approve", json!({})).await.unwrap_err();
        assert!(unknown.contains("there is no tool `approve`"), "{unknown}");
    })
    .await;
    let handed_in = counter.handed_in().borrow().clone().unwrap();
    let answers: Vec<_> = handed_in.answers.iter().map(|said| (said.finding.as_str(), said.claim)).collect();
    assert_eq!((handed_in.title.as_str(), answers), ("Mend it", vec![("alpha-1-1", Claim::Fixed)]));
}

#[tokio::test]
async fn a_reviewer_reads_a_long_change_in_parts_and_submits_by_the_rules_of_the_builtin_desk() {
    let task = review_task();
    let counter = ReviewerCounter::new(&task);
    with_agent(&counter, async |agent| {
        assert_eq!(tools(&agent).await, ["get_diff", "get_task", "submit_review"]);
        let mut read = String::new();
        let mut offset = 0;
        loop {
            let part = call(&agent, "get_diff", json!({ "offset": offset })).await.unwrap();
            let (text, next) = part.rsplit_once("\n[").map_or((part.as_str(), None), |(text, note)| {
                (text, note.rsplit_once("`offset` ").map(|(_, at)| at.trim_end_matches(']').parse().unwrap()))
            });
            read.push_str(text);
            match next {
                Some(next) => offset = next,
                None => break,
            }
        }
        assert_eq!(read, task.diff);
        let beyond = json!({ "offset": 10_000_000 });
        assert_eq!(call(&agent, "get_diff", beyond).await.unwrap(), "(no lines changed)");
        let finding = json!({ "severity": "blocking", "path": "../x", "line": 3, "title": "t", "body": "b" });
        let wrong = json!({ "summary": "Bad.", "findings": [finding] });
        assert!(call(&agent, "submit_review", wrong).await.unwrap_err().contains("not a path inside"));
        assert!(counter.submitted().borrow().is_none());
        call(&agent, "submit_review", json!({ "summary": "Good.", "findings": [] })).await.unwrap();
    })
    .await;
    assert_eq!(counter.submitted().borrow().as_ref().unwrap().summary, "Good.");
}

#[tokio::test]
async fn what_is_no_question_is_refused_and_the_next_one_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let desk = TaskDesk::open(folder.path()).unwrap();
    let task = review_task();
    let counter = ReviewerCounter::new(&task);
    let asked = async {
        let mut stream = UnixStream::connect(desk.socket()).await.unwrap();
        let lines = "nonsense\n{\"version\":2,\"ask\":\"tools\"}\n{\"version\":1,\"ask\":\"tools\"}\n";
        stream.write_all(lines.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; LINE_BYTES_MAX + 1]).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        answers
    };
    let answers = tokio::select! {
        answers = asked => answers,
        never = desk.serve(&counter) => match never {},
    };
    let said: Vec<Answer> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused =
        |at: usize, why: &str| matches!(&said[at].say, Say::Refused { why: said } if said.contains(why));
    assert!(refused(0, "no question") && refused(1, "version 2") && refused(3, "longer than"), "{said:?}");
    assert!(matches!(said[2].say, Say::Tools { .. }));
}

#[test]
fn the_socket_ends_with_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let desk = TaskDesk::open(folder.path()).unwrap();
    let socket = desk.socket().to_owned();
    assert!(socket.exists());
    drop(desk);
    assert!(!socket.exists());
}
