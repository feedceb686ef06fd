//! Findings in lists and tables.

use pairbot_protocol::finding::{Claim, Finding, FindingState, Place, Severity};
use pairbot_protocol::run::Run;

use super::blocks::table;
use super::prose::{cell, line};
use super::untrusted;

/// How many findings are named.
const NAMED_MAX: usize = 50;

/// The open findings that hold the pull request, worst first; empty if there is none.
pub(super) fn holding(run: &Run) -> String {
    let mut findings: Vec<&Finding> = run.holding().collect();
    findings.sort_by_key(|finding| finding.remark.severity);
    let mut items: Vec<String> = findings.iter().take(NAMED_MAX).map(|finding| item(finding)).collect();
    if findings.len() > NAMED_MAX {
        items.push(format!("- and {} more", findings.len() - NAMED_MAX));
    }
    items.join("\n")
}

/// Every finding with what became of it.
pub(super) fn every(run: &Run) -> String {
    if run.findings.is_empty() {
        return if run.reviews.is_empty() {
            "No reviewer has handed in yet.".to_owned()
        } else {
            "Nothing was found.".to_owned()
        };
    }
    let mut findings: Vec<&Finding> = run.findings.values().collect();
    findings.sort_by_key(|finding| (finding.round, finding.remark.severity));
    let rows: Vec<Vec<String>> = findings
        .iter()
        .take(NAMED_MAX)
        .map(|finding| {
            vec![
                format!("`{}`", finding.id),
                severity(finding.remark.severity).to_owned(),
                cell(&finding.remark.title, 120),
                finding
                    .remark
                    .place
                    .as_ref()
                    .map_or_else(String::new, |place| untrusted::cell_code(&written(place), 120)),
                outcome(finding),
            ]
        })
        .collect();
    let more = match findings.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!("\n\nand {more} more"),
    };
    table(&["finding", "severity", "what", "where", "how it was settled"], &rows) + &more
}

/// The word for a severity, set off where it holds the pull request.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocking => "**blocking**",
        Severity::Major => "**major**",
        Severity::Minor => "minor",
        Severity::Nit => "nit",
    }
}

/// A place as people write it.
pub(super) fn written(place: &Place) -> String {
    match place.line {
        Some(line) => format!("{}:{line}", place.path),
        None => place.path.clone(),
    }
}

fn item(finding: &Finding) -> String {
    let place = finding
        .remark
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!(" at {}", untrusted::code(&written(place), 200)));
    let claim = match finding.answer.as_ref().map(|answer| answer.claim) {
        Some(Claim::Fixed) => "; the creator says it is fixed, its reviewer does not",
        Some(Claim::Rebutted) => "; the creator says it is mistaken",
        None => "",
    };
    format!(
        "- {} {}{place} (`{}`{claim})",
        severity(finding.remark.severity),
        line(&finding.remark.title, 200),
        finding.id
    )
}

fn outcome(finding: &Finding) -> String {
    match &finding.state {
        FindingState::Fixed { head } => format!("fixed: seen by its reviewer at `{}`", head.short()),
        FindingState::FollowUp => "on lines that did not change: for an issue of its own".to_owned(),
        FindingState::Open if !finding.remark.severity.holds() => "noted; holds nothing".to_owned(),
        FindingState::Open => match &finding.answer {
            None => "open".to_owned(),
            Some(answer) => {
                let claim = match answer.claim {
                    Claim::Fixed => "fixed",
                    Claim::Rebutted => "mistaken",
                };
                format!("open; the creator says {claim}: {}", cell(&answer.reason, 160))
            }
        },
    }
}
