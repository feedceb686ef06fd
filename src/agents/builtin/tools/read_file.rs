//! `read_file`: numbered lines of a text file.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::json;

use super::place::Root;
use super::{ANSWER_BYTES_MAX, Said, is_binary};
use crate::agents::untrusted::{code, cut};
use crate::gateway::ToolSpec;

const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
const LINES_MAX: usize = 1_000;
const LINE_BYTES_MAX: usize = 2_000;

#[derive(Deserialize)]
pub(super) struct Arguments {
    path: String,
    start_line: Option<usize>,
    end_line: Option<usize>,
}

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: "read_file",
        description: format!(
            "Reads a text file, each line with its number and a tab before it. At most {LINES_MAX} lines or \
             {ANSWER_BYTES_MAX} bytes are shown at once; ask for a range to see others."
        ),
        schema: json!({
            "type": "object",
            "properties": {
                "path": { "type": "string" },
                "start_line": { "type": "integer", "minimum": 1, "description": "The first line to show; 1 if left out." },
                "end_line": { "type": "integer", "minimum": 1, "description": "The last line to show; the file's last if left out." },
            },
            "required": ["path"],
        }),
    }
}

pub(super) fn run(root: &Root, arguments: &Arguments) -> Said {
    let path = &arguments.path;
    let content = root.read(path, FILE_BYTES_MAX).map_err(|error| error.to_string())?;
    if is_binary(&content) {
        return Err(format!("`{path}` is a binary file of {} bytes; only text can be read", content.len()));
    }
    let text = String::from_utf8_lossy(&content);
    let total = text.lines().count();
    if total == 0 {
        return Ok("(the file is empty)".to_owned());
    }
    let start = arguments.start_line.unwrap_or(1).max(1);
    let end = arguments.end_line.unwrap_or(total).min(total);
    if start > end {
        return Err(format!("`{path}` has {total} lines; there is nothing from line {start} to {end}"));
    }
    let mut shown = String::new();
    let mut next = start;
    for line in text.lines().skip(start - 1).take((end - start + 1).min(LINES_MAX)) {
        // Room is kept for the note below.
        if shown.len() + line.len().min(LINE_BYTES_MAX) + 400 > ANSWER_BYTES_MAX && next > start {
            break;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(shown, "{next}\t{}", code(&cut(line, LINE_BYTES_MAX)).replace('\n', " "));
        next += 1;
    }
    if next <= end {
        let _ = writeln!(
            shown,
            "[lines {next} to {end} of {total} are not shown; read them with start_line={next}]"
        );
    }
    Ok(shown)
}
