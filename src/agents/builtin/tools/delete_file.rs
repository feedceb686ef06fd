//! `delete_file`: a file taken away.

use serde::Deserialize;
use serde_json::json;

use super::Said;
use super::place::Root;
use crate::gateway::ToolSpec;

#[derive(Deserialize)]
pub(super) struct Arguments {
    path: String,
}

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: "delete_file",
        description: "Deletes one file. Directories cannot be deleted; an empty one disappears by itself."
            .to_owned(),
        schema: json!({
            "type": "object",
            "properties": { "path": { "type": "string" } },
            "required": ["path"],
        }),
    }
}

pub(super) fn run(root: &Root, arguments: &Arguments) -> Said {
    root.delete(&arguments.path).map_err(|error| error.to_string())?;
    Ok(format!("deleted `{}`", arguments.path))
}
