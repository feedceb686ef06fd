//! `list_files`: the files below a directory.

use serde::Deserialize;
use serde_json::json;

use super::Said;
use super::place::Root;
use super::walk::{self, Next, Walked};
use crate::agents::untrusted::code;
use crate::gateway::ToolSpec;

const FILES_MAX: usize = 1_000;

#[derive(Deserialize)]
pub(super) struct Arguments {
    path: Option<String>,
}

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: "list_files",
        description: format!(
            "Lists the files below a directory of the worktree, sorted, without what .gitignore leaves out. At most \
             {FILES_MAX} are shown."
        ),
        schema: json!({
            "type": "object",
            "properties": { "path": { "type": "string", "description": "A directory such as `src`; `.` is the whole worktree." } },
            "required": ["path"],
        }),
    }
}

pub(super) fn run(root: &Root, arguments: Arguments) -> Said {
    let path = arguments.path.unwrap_or_default();
    let mut files = Vec::new();
    let mut more = 0_usize;
    let walked = walk::files(root, &path, &mut |file, _, _| {
        if files.len() < FILES_MAX {
            files.push(code(file));
        } else {
            more += 1;
        }
        Next::More
    })
    .map_err(|error| error.to_string())?;
    if files.is_empty() {
        return Ok("(no files)".to_owned());
    }
    if more > 0 {
        files.push(format!("[{more} more files are not shown; list a directory below]"));
    }
    if walked == Walked::Partly {
        files.push("[part of the tree is too deep, too large or unreadable and was not visited]".to_owned());
    }
    Ok(files.join("\n"))
}
