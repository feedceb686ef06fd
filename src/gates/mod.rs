//! The gates: one file each. A gate takes facts and answers with a [`GateReport`]; only the command gate does
//! something, and that through a port. Who gathers the facts and who shows the report is not their concern.

pub mod ci;
pub mod command;
pub mod connections;
mod output;
pub mod paths;
pub mod size;

use pairbot_protocol::signal::{Annotation, GateReport, Verdict};

/// How many annotations a gate gives. GitHub takes fifty in one call.
pub const ANNOTATIONS_MAX: usize = 50;

/// A file that a change adds, changes, moves or removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path on the new side; the old one if it was removed.
    pub path: String,
    /// Where it was before, if it was moved or copied.
    pub old_path: Option<String>,
    /// Lines added.
    pub additions: u32,
    /// Lines removed.
    pub deletions: u32,
    /// Whether git counts no lines in it.
    pub binary: bool,
}

impl ChangedFile {
    /// Lines added and removed together.
    pub fn lines(&self) -> u32 {
        self.additions.saturating_add(self.deletions)
    }
}

/// The report of a gate that could not find out what it should: a person must look (promise P5).
pub fn unknown(title: impl Into<String>, summary: impl Into<String>) -> GateReport {
    report(Verdict::Unknown, title, summary)
}

fn report(verdict: Verdict, title: impl Into<String>, summary: impl Into<String>) -> GateReport {
    GateReport {
        verdict,
        title: title.into(),
        summary: summary.into(),
        detail: String::new(),
        annotations: Vec::new(),
    }
}

fn annotation(path: &str, line: u32, message: String) -> Annotation {
    Annotation { path: path.to_owned(), line_start: line, line_end: line, message }
}

/// The last item of a list that was cut.
fn and_more(count: usize, named: usize) -> String {
    if count > named { format!("\n- and {} more", count - named) } else { String::new() }
}
