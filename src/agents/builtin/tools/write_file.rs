//! `write_file`: a file created or replaced.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::Said;
use super::place::Root;
use crate::gateway::ToolSpec;

const CONTENT_BYTES_MAX: usize = 1024 * 1024;

#[derive(Deserialize)]
pub(super) struct Arguments {
    path: String,
    content: String,
}

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: "write_file",
        description: "Creates a file, with the directories above it, or replaces its whole content. To change a part of \
                      a file use edit_file."
            .to_owned(),
        schema: json!({
            "type": "object",
            "properties": { "path": { "type": "string" }, "content": { "type": "string" } },
            "required": ["path", "content"],
        }),
    }
}

pub(super) fn run(root: &Root, scratch: &Path, arguments: Arguments) -> Said {
    let Arguments { path, content } = arguments;
    if content.len() > CONTENT_BYTES_MAX {
        return Err(format!("the content is larger than {CONTENT_BYTES_MAX} bytes"));
    }
    root.write(&path, content.as_bytes(), scratch).map_err(|error| error.to_string())?;
    Ok(format!("wrote {} bytes to `{path}`", content.len()))
}
