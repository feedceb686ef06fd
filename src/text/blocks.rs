//! The forms that texts are made of: tables, folded parts, amounts, times.

use pairbot_protocol::ids::{GateName, Usage};

use super::{Notice, RunFacts, untrusted};
use crate::store::SpendLine;

/// The most that GitHub takes is 65,536 characters; a hidden marker must fit besides.
const BODY_BYTES_MAX: usize = 60_000;
/// How many lines of costs are shown.
const COSTS_MAX: usize = 40;

/// Paragraphs one after the other, empty ones left out, within what GitHub takes. Whatever they hold, no marker and
/// no command is in the result.
pub(super) fn body(paragraphs: &[String]) -> String {
    let filled: Vec<&str> =
        paragraphs.iter().map(|text| text.trim_end()).filter(|text| !text.is_empty()).collect();
    let whole = untrusted::without_force(&filled.join("\n\n"));
    let (kept, cut) = untrusted::clipped(&whole, BODY_BYTES_MAX);
    if cut { format!("{kept}\n\n(shortened)") } else { whole }
}

/// A table. Its cells are safe already.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let row = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let header_cells: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = format!("|{}", "---|".repeat(header.len()));
    let lines: Vec<String> =
        [row(&header_cells), rule].into_iter().chain(rows.iter().map(|cells| row(cells))).collect();
    lines.join("\n")
}

/// A part that is folded until someone opens it.
pub(super) fn folded(title: &str, inside: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{inside}\n\n</details>")
}

/// The gate's name as its check run shows it.
pub(super) fn check_name(gate: &GateName) -> String {
    format!("`{gate}`")
}

/// What people must know about this server; empty if there is nothing.
pub(super) fn notices<'a>(notices: impl IntoIterator<Item = &'a Notice>) -> String {
    notices
        .into_iter()
        .map(|notice| format!("> **Note:** {}", notice.words()))
        .collect::<Vec<_>>()
        .join("\n>\n")
}

/// What people must know about this server before they look at any verdict.
pub(super) fn notices_for_everybody(facts: &RunFacts) -> String {
    notices(facts.notices.iter().filter(|notice| notice.concerns_everybody()))
}

/// What each part cost.
pub(super) fn cost_table(facts: &RunFacts) -> String {
    if facts.spend.is_empty() {
        return "No model has been called yet.".to_owned();
    }
    let rows: Vec<Vec<String>> = facts.spend.iter().take(COSTS_MAX).map(cost_row).collect();
    let more = match facts.spend.len().saturating_sub(COSTS_MAX) {
        0 => String::new(),
        more => format!("\n\nand {more} more lines"),
    };
    let header = ["round", "agent", "model", "calls", "tokens in", "of them cached", "tokens out", "cost"];
    table(&header, &rows) + &more
}

fn cost_row(line: &SpendLine) -> Vec<String> {
    let Usage { output_tokens, cache_read_tokens, .. } = line.usage;
    vec![
        line.round.map_or_else(String::new, |round| round.to_string()),
        untrusted::cell_code(&line.agent, 40),
        line.model.as_deref().map_or_else(String::new, |model| untrusted::cell_code(model, 60)),
        line.calls.to_string(),
        line.usage.input_total().to_string(),
        cache_read_tokens.to_string(),
        output_tokens.to_string(),
        line.cost.to_string(),
    ]
}

/// A number with its noun: `1 finding`, `2 findings`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Names as code with commas between, at most five.
pub(super) fn listed<T: std::fmt::Display>(names: &[T]) -> String {
    const NAMED_MAX: usize = 5;
    let first: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    let first = first.join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
