//! `search`: lines that match a regular expression.

use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::json;

use super::place::{Kind, Root, read_at};
use super::walk::{self, Next, Walked};
use super::{Said, is_binary};
use crate::agents::untrusted::{code, cut};
use crate::gateway::ToolSpec;

const HITS_MAX: usize = 200;
const LINE_BYTES_MAX: usize = 300;
const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;
const BYTES_MAX: usize = 512 * 1024 * 1024;
const PATTERN_BYTES_MAX: usize = 1_000;
const PROGRAM_BYTES_MAX: usize = 1024 * 1024;

#[derive(Deserialize)]
pub(super) struct Arguments {
    pattern: String,
    path: Option<String>,
}

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: "search",
        description: format!(
            "Finds lines that match a regular expression (Rust syntax, no look-around) in the text files below a \
             directory or in one file. Answers `path:line: text`, at most {HITS_MAX} lines."
        ),
        schema: json!({
            "type": "object",
            "properties": {
                "pattern": { "type": "string", "description": "The regular expression; put `(?i)` first to ignore case." },
                "path": { "type": "string", "description": "A directory or file; `.` is the whole worktree." },
            },
            "required": ["pattern", "path"],
        }),
    }
}

pub(super) fn run(root: &Root, arguments: Arguments) -> Said {
    if arguments.pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    let regex = RegexBuilder::new(&arguments.pattern)
        .size_limit(PROGRAM_BYTES_MAX)
        .build()
        .map_err(|error| format!("the pattern is not a regular expression: {error}"))?;
    let path = arguments.path.unwrap_or_default();
    let mut hits = Vec::new();
    let mut left = BYTES_MAX;
    let mut look = |file: &str, content: &[u8]| {
        left = left.saturating_sub(content.len());
        if is_binary(content) {
            return;
        }
        for (number, line) in (1_u32..).zip(String::from_utf8_lossy(content).lines()) {
            if hits.len() > HITS_MAX {
                return;
            }
            if regex.is_match(line) {
                let line: String = cut(line.trim_end(), LINE_BYTES_MAX).replace('\n', " ");
                hits.push(format!("{}:{number}: {}", code(file), code(&line)));
            }
        }
    };
    let walked = if matches!(root.kind(&path), Ok(Kind::File)) {
        look(&path, &root.read(&path, FILE_BYTES_MAX).map_err(|error| error.to_string())?);
        Walked::Done
    } else {
        walk::files(root, &path, &mut |file, name, directory| {
            // A file that is too large, a link or unreadable has no lines to show.
            if let Ok(content) = read_at(directory, name, file, FILE_BYTES_MAX) {
                look(file, &content);
            }
            Next::More
        })
        .map_err(|error| error.to_string())?
    };
    if hits.len() > HITS_MAX {
        hits.truncate(HITS_MAX);
        hits.push(format!("[more than {HITS_MAX} lines match; narrow the pattern or the path]"));
    }
    if walked == Walked::Partly || left == 0 {
        hits.push("[part of the tree was not searched; narrow the path]".to_owned());
    }
    Ok(if hits.is_empty() { "(no line matches)".to_owned() } else { hits.join("\n") })
}
