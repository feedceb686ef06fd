//! What a model is told. The system prompts are files beside this one; here is what a task adds to them.
//!
//! Order matters twice: the five lines at the top of the first message name the task for whoever reads a transcript,
//! and what stays the same between turns and rounds comes first, so that a provider's prompt cache serves it.

use std::fmt::Write as _;

use pairbot_protocol::ids::{IssueNumber, Round};

use super::task::{CreateTask, OpenFinding, ReviewTask};
use super::untrusted::{code, cut, fenced, line, prose};

const CREATOR: &str = include_str!("prompts/creator.md");
const REVIEWER: &str = include_str!("prompts/reviewer.md");
const VENDOR: &str = include_str!("prompts/vendor.md");
const FOCUS_CORRECTNESS: &str = include_str!("prompts/focus-correctness.md");
const FOCUS_MAINTAINABILITY: &str = include_str!("prompts/focus-maintainability.md");
const FOCUS_GENERAL: &str = include_str!("prompts/focus-general.md");

/// Above GitHub's own limit of 65,536 characters for an issue's text, in bytes of common scripts.
const BODY_BYTES_MAX: usize = 100_000;
const GUIDANCE_BYTES_MAX: usize = 32_000;
const REPORT_BYTES_MAX: usize = 16_000;
const FINDING_BYTES_MAX: usize = 8_000;
const TITLE_BYTES_MAX: usize = 300;
const FILES_LISTED_MAX: usize = 200;

/// What is told first and what is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The system prompt.
    pub system: String,
    /// The first message.
    pub text: String,
}

/// An opening as one text, for an agent that brings a system prompt of its own. The lines that name the task stay first.
pub fn whole(opening: &Opening) -> String {
    let (brief, rest) = opening.text.split_once("\n\n").unwrap_or((&opening.text, ""));
    format!("{brief}\n\n{}\n{VENDOR}\n{rest}", opening.system)
}

/// What a reviewer of this name looks for unless the policy says otherwise.
pub fn default_focus(reviewer: &str) -> &'static str {
    match reviewer {
        "correctness" => FOCUS_CORRECTNESS,
        "maintainability" => FOCUS_MAINTAINABILITY,
        _ => FOCUS_GENERAL,
    }
}

/// The opening of a task of creating.
pub fn creator(task: &CreateTask) -> Opening {
    let mut text = brief(&task.repository, task.issue, &task.title, task.round, "creator");
    section(&mut text, &fenced("The issue's text", &body(&task.body)));
    guidance(&mut text, task.guidance.as_deref());
    if task.round > Round::FIRST {
        section(&mut text, "The worktree holds the change as it stands after the earlier rounds.\n");
    }
    if let Some(set_up) = &task.set_up {
        let what = "The repository's set-up was run in the worktree before you came. What came of it";
        section(&mut text, &fenced(what, &cut(&code(set_up), REPORT_BYTES_MAX)));
    }
    for report in &task.gate_reports {
        section(&mut text, &fenced("A gate is red. Its report", &cut(&code(report), REPORT_BYTES_MAX)));
    }
    findings(&mut text, "Open findings, each to be answered:", &task.open_findings);
    for said in &task.feedback {
        let what = format!("@{}, who may write to this repository, asks for this change", said.author);
        section(&mut text, &fenced(&what, &prose(&said.body, REPORT_BYTES_MAX)));
    }
    Opening { system: CREATOR.to_owned(), text }
}

/// The opening of a task of reviewing. At most `diff_bytes_max` of the change are shown; the rest can be read.
pub fn reviewer(task: &ReviewTask, diff_bytes_max: usize) -> Opening {
    let system = format!(
        "You are the reviewer \"{}\" of a pull request.\n\n{REVIEWER}\nWhat you look for\n{}\n",
        task.reviewer,
        task.focus.trim()
    );
    let role = format!("reviewer {}", task.reviewer);
    let mut text = brief(&task.repository, task.issue, &task.title, task.round, &role);
    section(&mut text, &fenced("The issue's text", &body(&task.body)));
    guidance(&mut text, task.guidance.as_deref());
    findings(&mut text, "Your findings from earlier rounds, each to be verified:", &task.to_verify);
    match &task.delta {
        None => section(&mut text, &fenced("The change", &diff(&task.diff, diff_bytes_max))),
        Some(delta) => {
            section(&mut text, &fenced("The files of the whole change", &files(&task.diff)));
            let what = "What changed since you last looked";
            section(&mut text, &fenced(what, &diff(delta, diff_bytes_max)));
        }
    }
    Opening { system, text }
}

fn brief(repository: &str, issue: IssueNumber, title: &str, round: Round, role: &str) -> String {
    let title = line(title, TITLE_BYTES_MAX);
    let repository = line(repository, TITLE_BYTES_MAX);
    format!("Repository: {repository}\nIssue: #{issue}\nTitle: {title}\nRound: {round}\nRole: {role}\n")
}

fn section(text: &mut String, more: &str) {
    text.push('\n');
    text.push_str(more);
}

fn body(text: &str) -> String {
    let shown = prose(text, BODY_BYTES_MAX);
    if shown.trim().is_empty() { "(the issue has no text)".to_owned() } else { shown }
}

fn guidance(text: &mut String, guidance: Option<&str>) {
    if let Some(guidance) = guidance {
        let shown = prose(guidance, GUIDANCE_BYTES_MAX);
        section(text, &fenced("The repository's guidance for agents; follow its conventions", &shown));
    }
}

fn findings(text: &mut String, heading: &str, findings: &[OpenFinding]) {
    if findings.is_empty() {
        return;
    }
    section(text, &finding_list(heading, findings));
}

/// Findings with their reasoning and what was answered to them; empty where there are none.
pub fn finding_list(heading: &str, findings: &[OpenFinding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let mut text = format!("{heading}\n");
    for finding in findings {
        let place = match (&finding.path, finding.line) {
            (Some(path), Some(at)) => format!("{}:{at}", line(path, TITLE_BYTES_MAX)),
            (Some(path), None) => line(path, TITLE_BYTES_MAX),
            (None, _) => "(whole change)".to_owned(),
        };
        let title = line(&finding.title, TITLE_BYTES_MAX);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "- {} [{}] {place} {title}", finding.id, finding.severity.as_str());
        text.push_str(&fenced("Its reasoning", &prose(&finding.body, FINDING_BYTES_MAX)));
        if let Some(answer) = &finding.answer {
            text.push_str(&fenced("The creator's answer", &prose(answer, FINDING_BYTES_MAX)));
        }
    }
    text
}

fn diff(diff: &str, bytes_max: usize) -> String {
    if diff.trim().is_empty() { "(no lines changed)".to_owned() } else { cut(&code(diff), bytes_max) }
}

/// The paths in a diff. A line of a file's own may look like a header; listing one path too many does no harm.
fn files(diff: &str) -> String {
    let mut paths: Vec<&str> = diff
        .lines()
        .filter_map(|line| line.strip_prefix("+++ ").or_else(|| line.strip_prefix("--- ")))
        .filter_map(|path| path.strip_prefix("b/").or_else(|| path.strip_prefix("a/")))
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths.truncate(FILES_LISTED_MAX);
    code(&paths.join("\n"))
}

#[cfg(test)]
mod tests;
