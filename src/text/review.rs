//! A reviewer's review and its comments at lines.

use pairbot_protocol::finding::{Finding, FindingState, Standing};
use pairbot_protocol::run::{ReviewRecord, Run};

use super::RunFacts;
use super::blocks::{body, counted, listed};
use super::findings::{severity, written};
use super::prose::{line, prose};
use super::untrusted::{code, fenced, is_harmless_code, longest_run};

/// How much of a reviewer's summary is shown.
const SUMMARY_BYTES_MAX: usize = 4000;
/// How much of a finding's reasoning is shown.
const FINDING_BYTES_MAX: usize = 4000;
/// How much a suggestion may hold.
const SUGGESTION_BYTES_MAX: usize = 4000;

/// The body of a review. `in_body` are the findings that have no comment at a line, because GitHub takes none there:
/// they are told here, in full.
pub fn review_body(run: &Run, record: &ReviewRecord, in_body: &[&Finding], facts: &RunFacts) -> String {
    let raised = match record.raised.len() {
        0 => "raised nothing".to_owned(),
        count => format!("raised {}", counted(count, "finding")),
    };
    let mut parts = vec![
        format!(
            "### Review by `{}` of `{}`, round {}: {raised}",
            record.reviewer,
            record.head.short(),
            record.round
        ),
        prose(&record.summary, SUMMARY_BYTES_MAX, &facts.home),
    ];
    if !record.fixed.is_empty() {
        parts.push(format!("Seen fixed: {}", listed(&record.fixed)));
    }
    let follow_ups: Vec<&Finding> = record
        .raised
        .iter()
        .filter_map(|id| run.findings.get(id))
        .filter(|finding| finding.state == FindingState::FollowUp)
        .collect();
    if !follow_ups.is_empty() {
        parts.push(format!(
            "{} on lines that did not change since the last review: worth an issue of their own, not held against this \
             change.",
            counted(follow_ups.len(), "remark")
        ));
    }
    for finding in in_body {
        let place = finding.remark.place.as_ref().map_or_else(
            || "On the whole change".to_owned(),
            |place| format!("At {}, outside the diff", code(&written(place), 200)),
        );
        parts.push(format!("#### {place}\n\n{}", text(finding, facts, false)));
    }
    let notices = facts.notices.iter().filter(|notice| notice.concerns_reading());
    let notices: Vec<String> = notices.map(|notice| format!(" {}", notice.words())).collect();
    let notices = notices.concat();
    parts.push(format!(
        "This is a comment, never an approval. The verdict is the check run `pairbot / review` on `{}`.{notices}",
        record.head.short()
    ));
    body(&parts)
}

/// The comment at a finding's line.
pub fn finding_comment(finding: &Finding, facts: &RunFacts) -> String {
    let at_line = finding.remark.place.as_ref().is_some_and(|place| {
        let commentable = match place.standing {
            Standing::Changed | Standing::Unchanged => true,
            Standing::Outside => false,
        };
        commentable && place.line.is_some()
    });
    text(finding, facts, at_line)
}

fn text(finding: &Finding, facts: &RunFacts, at_line: bool) -> String {
    let remark = &finding.remark;
    let weight = if finding.state == FindingState::FollowUp {
        "follow-up".to_owned()
    } else {
        severity(remark.severity).to_owned()
    };
    let suggestion = remark.suggestion.as_deref().map_or_else(String::new, |text| suggestion(text, at_line));
    body(&[
        format!("{weight} · **{}**", line(&remark.title, 200)),
        prose(&remark.body, FINDING_BYTES_MAX, &facts.home),
        suggestion,
        format!("`{}`, by reviewer `{}`", finding.id, finding.reviewer),
    ])
}

/// Text that would replace the line: as a button where it can be applied as it is, else only to be read.
fn suggestion(text: &str, at_line: bool) -> String {
    let text = text.trim_end_matches('\n');
    if text.len() > SUGGESTION_BYTES_MAX {
        return String::new();
    }
    if at_line && is_harmless_code(text) {
        let fence = "`".repeat(longest_run(text).saturating_add(1).max(3));
        return format!("{fence}suggestion\n{text}\n{fence}");
    }
    format!("Suggested instead:\n\n{}", fenced(text, "text", SUGGESTION_BYTES_MAX))
}
