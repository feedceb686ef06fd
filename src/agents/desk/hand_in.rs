//! `hand_in`: the creator's last word.

use std::collections::BTreeSet;

use pairbot_protocol::finding::{Answer, Claim};
use pairbot_protocol::ids::FindingId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Submission, parse};
use crate::agents::outcome::HandIn;
use crate::agents::task::OpenFinding;
use crate::agents::untrusted::{line, prose};
use crate::gateway::ToolSpec;

const TITLE_BYTES_MAX: usize = 200;
const SUMMARY_BYTES_MAX: usize = 20_000;
const REASON_BYTES_MAX: usize = 4_000;

/// Takes a creator's work.
#[derive(Debug)]
pub(in crate::agents) struct HandInDesk {
    open: Vec<OpenFinding>,
    /// What was answered before the hand-in, one finding at a time.
    answered: Vec<Answer>,
}

#[derive(Deserialize)]
struct Arguments {
    title: String,
    summary: String,
    #[serde(default)]
    answers: Option<Vec<WireAnswer>>,
}

#[derive(Deserialize)]
struct WireAnswer {
    finding: String,
    answer: Claim,
    #[serde(default)]
    reason: Option<String>,
}

impl HandInDesk {
    pub(in crate::agents) fn new(open: Vec<OpenFinding>) -> Self {
        Self { open, answered: Vec::new() }
    }

    /// The tool that answers one finding before the hand-in, for agents that settle them one by one.
    pub(in crate::agents) fn answer_spec() -> ToolSpec {
        ToolSpec {
            name: "answer_finding",
            description:
                "Answers one open finding ahead of `hand_in`; a later answer to it replaces this one."
                    .to_owned(),
            schema: answer_schema(),
        }
    }

    /// Takes the answer to one finding, or says what is wrong with it.
    pub(in crate::agents) fn answer(&mut self, arguments: Value) -> Result<FindingId, String> {
        let given = self.answers(vec![parse(arguments)?])?;
        let answer = given.into_iter().next().ok_or("there is no answer in this")?;
        let finding = answer.finding.clone();
        self.answered.retain(|earlier| earlier.finding != finding);
        self.answered.push(answer);
        Ok(finding)
    }

    /// What was answered so far.
    pub(in crate::agents) fn answered(&self) -> &[Answer] {
        &self.answered
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.open.iter().map(|finding| finding.id.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    fn answers(&self, wire: Vec<WireAnswer>) -> Result<Vec<Answer>, String> {
        let mut answered = BTreeSet::new();
        let mut answers = Vec::new();
        for given in wire {
            let known = given.finding.parse::<FindingId>().ok();
            let Some(finding) = known.filter(|id| self.open.iter().any(|open| open.id == *id)) else {
                let shown = line(&given.finding, 80);
                return Err(format!("`{shown}` is no open finding; the open ones are: {}", self.names()));
            };
            let reason = prose(&given.reason.unwrap_or_default(), REASON_BYTES_MAX);
            if given.answer == Claim::Rebutted && reason.trim().is_empty() {
                return Err(format!("the answer to `{finding}` rebuts it without a reason; give one"));
            }
            if answered.insert(finding.clone()) {
                answers.push(Answer { finding, claim: given.answer, reason });
            }
        }
        Ok(answers)
    }
}

fn answer_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "finding": { "type": "string", "description": "The finding's id, such as `correctness-1-1`." },
            "answer": { "type": "string", "enum": ["fixed", "rebutted"] },
            "reason": { "type": "string" },
        },
        "required": ["finding", "answer", "reason"],
    })
}

impl Submission for HandInDesk {
    type Product = HandIn;

    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "hand_in",
            description: "Hands in the change as it stands in the worktree and ends the task.".to_owned(),
            schema: json!({
                "type": "object",
                "properties": {
                    "title": { "type": "string", "description": "One line in the imperative, for the pull request." },
                    "summary": { "type": "string", "description": "What was done and why, in Markdown." },
                    "answers": {
                        "type": "array",
                        "description": "One for each open finding.",
                        "items": answer_schema(),
                    },
                },
                "required": ["title", "summary"],
            }),
        }
    }

    /// Whoever leaves out an answer to a finding that holds the pull request is told once. After that the hand-in
    /// counts, and the finding stays unanswered: its reviewer will say so.
    fn accept(&self, arguments: Value, refused_before: bool) -> Result<HandIn, String> {
        let arguments: Arguments = parse(arguments)?;
        let title = line(&arguments.title, TITLE_BYTES_MAX);
        let summary = prose(&arguments.summary, SUMMARY_BYTES_MAX);
        if title.is_empty() || summary.trim().is_empty() {
            return Err("`title` and `summary` must say something".to_owned());
        }
        let mut answers = self.answers(arguments.answers.unwrap_or_default())?;
        let earlier = self
            .answered
            .iter()
            .filter(|earlier| answers.iter().all(|answer| answer.finding != earlier.finding));
        let earlier: Vec<Answer> = earlier.cloned().collect();
        answers.extend(earlier);
        let unanswered: Vec<&str> = self
            .open
            .iter()
            .filter(|open| open.severity.holds() && answers.iter().all(|answer| answer.finding != open.id))
            .map(|open| open.id.as_str())
            .collect();
        if !unanswered.is_empty() && !refused_before {
            return Err(format!(
                "these open findings are not answered: {}; answer each `fixed` or `rebutted`, with a reason",
                unanswered.join(", ")
            ));
        }
        Ok(HandIn { title, summary, answers })
    }
}
