//! What a scripted model answers, and short ways to say it.

use serde_json::{Value, json};

/// Arguments of a tool call.
#[derive(Debug, Clone, PartialEq)]
pub enum Arguments {
    /// Well formed.
    Json(Value),
    /// Text that is not JSON, sent as it is.
    Malformed(String),
}

/// A tool call that the model makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Arguments,
}

/// Why the model stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It said what it wanted: `tool_use` where it calls tools, `end_turn` where not.
    Natural,
    /// The limit on output was reached.
    MaxTokens,
    /// The model refuses.
    Refusal,
    /// A long turn was paused and is to be sent again (Anthropic only).
    PauseTurn,
}

/// One answer of the model: text, then tool calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What it says; may be empty.
    pub text: String,
    /// What it calls, in order.
    pub calls: Vec<Call>,
    /// Why it stops.
    pub stop: Stop,
}

impl Reply {
    /// An answer of text alone.
    pub fn say(text: impl Into<String>) -> Self {
        Self { text: text.into(), calls: Vec::new(), stop: Stop::Natural }
    }

    /// A refusal with this text.
    pub fn refuse(text: impl Into<String>) -> Self {
        Self { stop: Stop::Refusal, ..Self::say(text) }
    }

    /// Adds text in front of the calls.
    #[must_use]
    pub fn saying(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds a call.
    #[must_use]
    pub fn and_call(mut self, name: &str, arguments: Value) -> Self {
        self.calls.push(Call { name: name.to_owned(), arguments: Arguments::Json(arguments) });
        self
    }

    /// Adds the calls of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.calls.extend(other.calls);
        self
    }

    /// An answer that only calls a tool.
    pub fn call(name: &str, arguments: Value) -> Self {
        Self::say("").and_call(name, arguments)
    }

    /// A call whose arguments are not JSON.
    pub fn malformed_call(name: &str, arguments: &str) -> Self {
        let arguments = Arguments::Malformed(arguments.to_owned());
        Self { calls: vec![Call { name: name.to_owned(), arguments }], ..Self::say("") }
    }

    /// `list_files`.
    pub fn list_files(path: &str) -> Self {
        Self::call("list_files", json!({ "path": path }))
    }

    /// `search` below the root.
    pub fn search(pattern: &str) -> Self {
        Self::call("search", json!({ "pattern": pattern, "path": "." }))
    }

    /// `read_file`, all of it.
    pub fn read_file(path: &str) -> Self {
        Self::call("read_file", json!({ "path": path }))
    }

    /// `edit_file`.
    pub fn edit_file(path: &str, old: &str, new: &str) -> Self {
        Self::call("edit_file", json!({ "path": path, "old": old, "new": new }))
    }

    /// `write_file`.
    pub fn write_file(path: &str, content: &str) -> Self {
        Self::call("write_file", json!({ "path": path, "content": content }))
    }

    /// `delete_file`.
    pub fn delete_file(path: &str) -> Self {
        Self::call("delete_file", json!({ "path": path }))
    }

    /// `run_command`.
    pub fn run_command(command: &str) -> Self {
        Self::call("run_command", json!({ "command": command }))
    }

    /// `hand_in`, which ends a creator's task.
    pub fn hand_in(title: &str, summary: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Vec<Value> = answers.into_iter().map(|answer| answer.0).collect();
        Self::call("hand_in", json!({ "title": title, "summary": summary, "answers": answers }))
    }

    /// `submit_review`, which ends a reviewer's task.
    pub fn submit_review(
        summary: &str,
        findings: impl IntoIterator<Item = Finding>,
        verified: impl IntoIterator<Item = Verdict>,
    ) -> Self {
        let findings: Vec<Value> = findings.into_iter().map(|finding| finding.0).collect();
        let verified: Vec<Value> = verified.into_iter().map(|verdict| verdict.0).collect();
        let arguments = json!({ "summary": summary, "findings": findings, "verified": verified });
        Self::call("submit_review", arguments)
    }
}

/// A creator's answer to one finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer(Value);

impl Answer {
    /// The finding is mended.
    pub fn fixed(finding: &str, reason: &str) -> Self {
        Self(json!({ "finding": finding, "answer": "fixed", "reason": reason }))
    }

    /// The finding is wrong, and why.
    pub fn rebutted(finding: &str, reason: &str) -> Self {
        Self(json!({ "finding": finding, "answer": "rebutted", "reason": reason }))
    }
}

/// A reviewer's remark.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding(Value);

impl Finding {
    /// A remark of the given severity (`blocking`, `major`, `minor`, `nit`, or a wrong one) about the whole.
    pub fn new(severity: &str, title: &str, body: &str) -> Self {
        Self(json!({ "severity": severity, "path": null, "line": null, "title": title, "body": body }))
    }

    /// Names the line of the new side that it is about.
    #[must_use]
    pub fn at(self, path: &str, line: u32) -> Self {
        self.with("path", json!(path)).with("line", json!(line))
    }

    /// Proposes a text for that line.
    #[must_use]
    pub fn suggest(self, replacement: &str) -> Self {
        self.with("suggestion", json!(replacement))
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        if let Value::Object(fields) = &mut self.0 {
            fields.insert(key.to_owned(), value);
        }
        self
    }
}

/// What a reviewer found when it looked again at a finding of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict(Value);

impl Verdict {
    /// It is mended.
    pub fn fixed(finding: &str, reason: &str) -> Self {
        Self(json!({ "finding": finding, "state": "fixed", "reason": reason }))
    }

    /// It still holds.
    pub fn open(finding: &str, reason: &str) -> Self {
        Self(json!({ "finding": finding, "state": "open", "reason": reason }))
    }
}
