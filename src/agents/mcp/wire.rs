//! What `pairbot mcp` and the task say to each other: one JSON document a line, each with its version. Both ends are
//! the same program, but a cage may outlive the file it was started from, so versions are compared all the same.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version that is spoken.
pub(super) const VERSION: u16 = 1;

/// The longest line. A review with all its findings and suggestions, and the longest answer, are a fraction of it.
pub(super) const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the cage asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) version: u16,
    #[serde(flatten)]
    pub(super) ask: Ask,
}

/// See [`Question`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(super) enum Ask {
    /// Which tools are there?
    Tools,
    /// Call one.
    Call { tool: String, arguments: Value },
}

/// What the task answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) version: u16,
    #[serde(flatten)]
    pub(super) say: Say,
}

/// See [`Answer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum Say {
    /// These tools are there.
    Tools { tools: Vec<ToolForm> },
    /// What a tool said; an error is for the model to read, too.
    Said { text: String, is_error: bool },
    /// The question was not understood.
    Refused { why: String },
}

/// A tool as it is told to the cage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ToolForm {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) schema: serde_json::Map<String, Value>,
}

/// One line, ended.
pub(super) fn line(document: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut line = serde_json::to_vec(document).map_err(|error| error.to_string())?;
    if line.len() > LINE_BYTES_MAX {
        return Err(format!(
            "{} bytes are more than the {LINE_BYTES_MAX} that are taken at once",
            line.len()
        ));
    }
    line.push(b'\n');
    Ok(line)
}
