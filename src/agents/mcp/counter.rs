//! What the tools do: one counter a role, with the desks of the builtin agent behind it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pairbot_protocol::finding::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::agents::Gates;
use crate::agents::desk::{HandInDesk, ReviewDesk, Submission, parse};
use crate::agents::outcome::{HandIn, Review};
use crate::agents::prompts;
use crate::agents::task::{CreateTask, ReviewTask};
use crate::agents::untrusted::code;
use crate::gateway::ToolSpec;

/// How much of a diff is told at once. Some agents refuse longer answers of a tool.
const DIFF_PART_BYTES: usize = 40 * 1024;

/// How much of it stands in the answer of `get_task`.
const DIFF_GLANCE_BYTES: usize = 8 * 1024;

/// What a tool says: an answer, or what was wrong. The model reads both.
type Said = Result<String, String>;

/// Where an agent's calls arrive.
#[async_trait]
pub(in crate::agents) trait Counter: Send + Sync {
    /// The tools there are.
    fn tools(&self) -> Vec<ToolSpec>;

    /// Does what one of them is asked.
    async fn call(&self, tool: &str, arguments: Value) -> Said;
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn plain(name: &'static str, description: &str) -> ToolSpec {
    let schema = json!({ "type": "object", "properties": {} });
    ToolSpec { name, description: description.to_owned(), schema }
}

fn unknown(tool: &str, tools: &[ToolSpec]) -> Said {
    let names: Vec<&str> = tools.iter().map(|spec| spec.name).collect();
    let asked: String = tool.chars().take(60).collect();
    Err(format!("there is no tool `{}`; there are {}", code(&asked), names.join(", ")))
}

/// A desk and whether it sent somebody back.
struct Attended<D> {
    desk: D,
    refused: bool,
}

impl<D: Submission> Attended<D> {
    fn accept(&mut self, arguments: Value) -> Result<D::Product, String> {
        let accepted = self.desk.accept(arguments, self.refused);
        self.refused |= accepted.is_err();
        accepted
    }
}

/// The creator's counter.
pub(in crate::agents) struct CreatorCounter<'a> {
    task: String,
    findings: String,
    gates: Option<&'a dyn Gates>,
    desk: Mutex<Attended<HandInDesk>>,
    handed_in: watch::Sender<Option<HandIn>>,
}

impl<'a> CreatorCounter<'a> {
    pub(in crate::agents) fn new(task: &CreateTask, gates: Option<&'a dyn Gates>) -> Self {
        let open = task.open_findings.clone();
        Self {
            task: prompts::creator(task).text,
            findings: prompts::finding_list("Open findings, each to be answered:", &open),
            gates,
            desk: Mutex::new(Attended { desk: HandInDesk::new(open), refused: false }),
            handed_in: watch::Sender::new(None),
        }
    }

    /// What is handed in, once it is. Who hands in again replaces it.
    pub(in crate::agents) fn handed_in(&self) -> watch::Receiver<Option<HandIn>> {
        self.handed_in.subscribe()
    }

    /// The answers that were given one by one, for a task that ends without a hand-in.
    pub(in crate::agents) fn answered(&self) -> Vec<Answer> {
        hold(&self.desk).desk.answered().to_vec()
    }
}

#[derive(Deserialize)]
struct GateArguments {
    #[serde(default)]
    gate: Option<String>,
}

#[async_trait]
impl Counter for CreatorCounter<'_> {
    fn tools(&self) -> Vec<ToolSpec> {
        let mut tools = vec![
            plain("get_task", "Tells the task: the issue, what people said, what red gates printed."),
            plain("get_findings", "Tells the reviewers' open findings. Each must be answered."),
            HandInDesk::answer_spec(),
        ];
        tools.extend(self.gates.map(|gates| ToolSpec {
            name: "run_gate",
            description: format!(
                "Runs gates on the files as they are now, before others do: {}. Without a name, all of them.",
                gates.names().join(", ")
            ),
            schema: json!({ "type": "object", "properties": { "gate": { "type": ["string", "null"] } } }),
        }));
        tools.push(hold(&self.desk).desk.spec());
        tools
    }

    async fn call(&self, tool: &str, arguments: Value) -> Said {
        match (tool, self.gates) {
            ("get_task", _) => Ok(self.task.clone()),
            ("get_findings", _) if self.findings.is_empty() => Ok("No finding is open.".to_owned()),
            ("get_findings", _) => Ok(self.findings.clone()),
            ("answer_finding", _) => {
                let finding = hold(&self.desk).desk.answer(arguments)?;
                Ok(format!("`{finding}` is answered. Hand in with `hand_in` when the change is complete."))
            }
            ("run_gate", Some(gates)) => {
                let GateArguments { gate } = parse(arguments)?;
                gates.run(gate.as_deref()).await
            }
            ("hand_in", _) => {
                let hand_in = hold(&self.desk).accept(arguments)?;
                self.handed_in.send_replace(Some(hand_in));
                Ok("Handed in. The task is over: end your turn, and change nothing more.".to_owned())
            }
            _ => unknown(tool, &self.tools()),
        }
    }
}

/// A reviewer's counter.
pub(in crate::agents) struct ReviewerCounter {
    task: String,
    whole: String,
    delta: Option<String>,
    desk: Mutex<Attended<ReviewDesk>>,
    submitted: watch::Sender<Option<Review>>,
}

impl ReviewerCounter {
    pub(in crate::agents) fn new(task: &ReviewTask) -> Self {
        let desk = ReviewDesk::new(task.to_verify.clone());
        Self {
            task: prompts::reviewer(task, DIFF_GLANCE_BYTES).text,
            whole: code(&task.diff),
            delta: task.delta.as_deref().map(code),
            desk: Mutex::new(Attended { desk, refused: false }),
            submitted: watch::Sender::new(None),
        }
    }

    /// What is submitted, once it is. Who submits again replaces it.
    pub(in crate::agents) fn submitted(&self) -> watch::Receiver<Option<Review>> {
        self.submitted.subscribe()
    }

    fn diff(&self, arguments: &DiffArguments) -> String {
        let diff = match (&self.delta, arguments.whole.unwrap_or(false)) {
            (Some(delta), false) => delta,
            (Some(_), true) | (None, _) => &self.whole,
        };
        let from = diff.ceil_char_boundary(arguments.offset.unwrap_or(0).min(diff.len()));
        let to = diff.floor_char_boundary(from.saturating_add(DIFF_PART_BYTES).min(diff.len()));
        let part = diff.get(from..to).unwrap_or_default();
        match diff.len() - to {
            0 if part.is_empty() => "(no lines changed)".to_owned(),
            0 => part.to_owned(),
            more => format!("{part}\n[{more} bytes follow: call again with `offset` {to}]"),
        }
    }
}

#[derive(Deserialize)]
struct DiffArguments {
    #[serde(default)]
    whole: Option<bool>,
    #[serde(default)]
    offset: Option<usize>,
}

#[async_trait]
impl Counter for ReviewerCounter {
    fn tools(&self) -> Vec<ToolSpec> {
        let description = if self.delta.is_some() {
            "The change since you last looked as a unified diff, or the whole of it with `whole`; in parts where it is \
             long."
        } else {
            "The change as a unified diff; in parts where it is long."
        };
        let diff = ToolSpec {
            name: "get_diff",
            description: description.to_owned(),
            schema: json!({
                "type": "object",
                "properties": {
                    "whole": { "type": ["boolean", "null"] },
                    "offset": { "type": ["integer", "null"], "minimum": 0, "description": "Where to go on, in bytes." },
                },
            }),
        };
        let task = plain("get_task", "Tells the task: the issue, the change, your findings to verify.");
        vec![diff, task, hold(&self.desk).desk.spec()]
    }

    async fn call(&self, tool: &str, arguments: Value) -> Said {
        match tool {
            "get_diff" => Ok(self.diff(&parse(arguments)?)),
            "get_task" => Ok(self.task.clone()),
            "submit_review" => {
                let review = hold(&self.desk).accept(arguments)?;
                self.submitted.send_replace(Some(review));
                Ok("Submitted. The task is over: end your turn.".to_owned())
            }
            _ => unknown(tool, &self.tools()),
        }
    }
}
