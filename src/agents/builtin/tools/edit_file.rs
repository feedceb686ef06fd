//! `edit_file`: one exact text replaced by another.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::place::Root;
use super::{Said, is_binary};
use crate::gateway::ToolSpec;

const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Deserialize)]
pub(super) struct Arguments {
    path: String,
    old: String,
    new: String,
}

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: "edit_file",
        description:
            "Replaces one text in a file by another. `old` is the exact text, without line numbers, and must \
                      occur exactly once: include enough lines around the place to make it so."
                .to_owned(),
        schema: json!({
            "type": "object",
            "properties": {
                "path": { "type": "string" },
                "old": { "type": "string", "description": "The exact text to replace, with its indentation." },
                "new": { "type": "string", "description": "What stands there afterwards; may be empty." },
            },
            "required": ["path", "old", "new"],
        }),
    }
}

pub(super) fn run(root: &Root, scratch: &Path, arguments: Arguments) -> Said {
    let Arguments { path, old, new } = arguments;
    if old.is_empty() {
        return Err("`old` is empty; use write_file to create a file or to replace a whole one".to_owned());
    }
    if old == new {
        return Err("`old` and `new` are the same; nothing would change".to_owned());
    }
    let content = root.read(&path, FILE_BYTES_MAX).map_err(|error| error.to_string())?;
    if is_binary(&content) {
        return Err(format!("`{path}` is a binary file; only text can be edited"));
    }
    let Ok(text) = String::from_utf8(content) else {
        return Err(format!("`{path}` is not UTF-8; an edit would damage it"));
    };
    let edited = match text.matches(&old).count() {
        1 => text.replacen(&old, &new, 1),
        // Files with Windows line ends are read with plain ones, so a text of several lines is looked for in their form.
        0 if text.contains("\r\n") && text.matches(&windows(&old)).count() == 1 => {
            text.replacen(&windows(&old), &windows(&new), 1)
        }
        0 => return Err(not_found(&path, &text, &old, &new)),
        count => {
            return Err(format!(
                "`old` occurs {count} times in `{path}`; include more of the lines around the place"
            ));
        }
    };
    if edited.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("`{path}` would be larger than {FILE_BYTES_MAX} bytes"));
    }
    root.write(&path, edited.as_bytes(), scratch).map_err(|error| error.to_string())?;
    Ok(format!("edited `{path}`"))
}

fn windows(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn not_found(path: &str, text: &str, old: &str, new: &str) -> String {
    let hint = if !new.is_empty() && text.contains(new) {
        "`new` is already there; perhaps this edit was made before"
    } else if old.contains("⟨U+") {
        "the text holds invisible characters, which are shown as ⟨U+…⟩ and cannot be matched that way; choose a part \
         without them, or write the file anew"
    } else {
        "read the file again and copy the text exactly, without line numbers"
    };
    format!("`old` does not occur in `{path}`: {hint}")
}
