//! `submit_review`: the reviewer's last word.

use std::collections::BTreeSet;

use pairbot_protocol::finding::{Severity, Verification};
use pairbot_protocol::ids::FindingId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Submission, parse};
use crate::agents::builtin::tools::place::components;
use crate::agents::outcome::{ReportedFinding, Review};
use crate::agents::task::OpenFinding;
use crate::agents::untrusted::{is_hidden, line, prose};
use crate::gateway::ToolSpec;

const FINDINGS_MAX: usize = 50;
const TITLE_BYTES_MAX: usize = 200;
const SUMMARY_BYTES_MAX: usize = 20_000;
const BODY_BYTES_MAX: usize = 8_000;
const REASON_BYTES_MAX: usize = 4_000;

/// Takes a reviewer's work.
#[derive(Debug)]
pub(in crate::agents) struct ReviewDesk {
    to_verify: Vec<OpenFinding>,
}

#[derive(Deserialize)]
struct Arguments {
    summary: String,
    #[serde(default)]
    findings: Option<Vec<WireFinding>>,
    #[serde(default)]
    verified: Option<Vec<WireVerification>>,
}

#[derive(Deserialize)]
struct WireFinding {
    severity: Severity,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    line: Option<u32>,
    title: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    suggestion: Option<String>,
}

#[derive(Deserialize)]
struct WireVerification {
    finding: String,
    state: VerifiedState,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum VerifiedState {
    Fixed,
    Open,
}

impl ReviewDesk {
    pub(in crate::agents) fn new(to_verify: Vec<OpenFinding>) -> Self {
        Self { to_verify }
    }

    fn verified(&self, wire: Vec<WireVerification>) -> Result<Vec<Verification>, String> {
        let mut seen = BTreeSet::new();
        let mut verified = Vec::new();
        for given in wire {
            let known = given.finding.parse::<FindingId>().ok();
            let Some(finding) = known.filter(|id| self.to_verify.iter().any(|open| open.id == *id)) else {
                let names: Vec<&str> = self.to_verify.iter().map(|open| open.id.as_str()).collect();
                let shown = line(&given.finding, 80);
                return Err(format!("`{shown}` is not yours to verify; verify only: {}", names.join(", ")));
            };
            if !seen.insert(finding.clone()) {
                return Err(format!("`{finding}` is verified twice; say one thing about it"));
            }
            let reason = prose(&given.reason.unwrap_or_default(), REASON_BYTES_MAX);
            verified.push(Verification { finding, fixed: given.state == VerifiedState::Fixed, reason });
        }
        Ok(verified)
    }
}

fn finding(position: usize, wire: WireFinding) -> Result<ReportedFinding, String> {
    let wrong = |what: &str| format!("finding {position}: {what}");
    let title = line(&wire.title, TITLE_BYTES_MAX);
    if title.is_empty() {
        return Err(wrong("`title` must say something"));
    }
    let path = match wire.path.as_deref().map(str::trim) {
        None | Some("") => None,
        Some(path) => {
            let parts = components(path).map_err(|error| wrong(&error.to_string()))?;
            Some(parts.join("/")).filter(|path| !path.is_empty())
        }
    };
    if wire.line.is_some() && path.is_none() {
        return Err(wrong("a `line` needs the `path` of its file"));
    }
    if wire.line == Some(0) {
        return Err(wrong("`line` counts from 1, on the new side of the diff"));
    }
    Ok(ReportedFinding {
        severity: wire.severity,
        path,
        line: wire.line,
        title,
        body: prose(&wire.body.unwrap_or_default(), BODY_BYTES_MAX),
        suggestion: wire.suggestion.map(|text| text.replace("\r\n", "\n")).filter(|text| can_be_shown(text)),
    })
}

/// A suggestion is applied by a person with one click, so nothing may be cut from it and nothing hidden in it.
fn can_be_shown(suggestion: &str) -> bool {
    suggestion.len() <= BODY_BYTES_MAX && !suggestion.chars().any(is_hidden)
}

impl Submission for ReviewDesk {
    type Product = Review;

    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "submit_review",
            description: "Submits the review and ends the task.".to_owned(),
            schema: json!({
                "type": "object",
                "properties": {
                    "summary": { "type": "string", "description": "The review as a whole, in Markdown, a few sentences." },
                    "findings": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "severity": { "type": "string", "enum": ["blocking", "major", "minor", "nit"] },
                                "path": { "type": ["string", "null"], "description": "The file, or null for the change as a whole." },
                                "line": { "type": ["integer", "null"], "description": "The line on the new side of the diff." },
                                "title": { "type": "string", "description": "One line that says what is wrong." },
                                "body": { "type": "string", "description": "Why, and how it shows itself, in Markdown." },
                                "suggestion": { "type": ["string", "null"], "description": "The exact text that would replace the line." },
                            },
                            "required": ["severity", "title", "body"],
                        },
                    },
                    "verified": {
                        "type": "array",
                        "description": "One for each of your findings from earlier rounds.",
                        "items": {
                            "type": "object",
                            "properties": {
                                "finding": { "type": "string" },
                                "state": { "type": "string", "enum": ["fixed", "open"] },
                                "reason": { "type": "string" },
                            },
                            "required": ["finding", "state", "reason"],
                        },
                    },
                },
                "required": ["summary", "findings"],
            }),
        }
    }

    /// A finding that should be verified and is not is asked for once; after that it simply stays open.
    fn accept(&self, arguments: Value, refused_before: bool) -> Result<Review, String> {
        let arguments: Arguments = parse(arguments)?;
        let summary = prose(&arguments.summary, SUMMARY_BYTES_MAX);
        if summary.trim().is_empty() {
            return Err("`summary` must say something".to_owned());
        }
        let wire = arguments.findings.unwrap_or_default();
        if wire.len() > FINDINGS_MAX {
            return Err(format!(
                "{} findings are more than {FINDINGS_MAX}; keep those that matter",
                wire.len()
            ));
        }
        let findings = (1..).zip(wire).map(|(at, wire)| finding(at, wire)).collect::<Result<Vec<_>, _>>()?;
        let verified = self.verified(arguments.verified.unwrap_or_default())?;
        let missing: Vec<&str> = self
            .to_verify
            .iter()
            .filter(|open| verified.iter().all(|said| said.finding != open.id))
            .map(|open| open.id.as_str())
            .collect();
        if !missing.is_empty() && !refused_before {
            return Err(format!(
                "these findings of yours are not verified: {}; say of each whether it is `fixed` or `open`",
                missing.join(", ")
            ));
        }
        Ok(Review { summary, findings, verified })
    }
}
