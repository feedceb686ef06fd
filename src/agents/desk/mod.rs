//! The desks where agents hand in what they made, one a role. The builtin agent's loop and the MCP server that every
//! other agent is given take work here and nowhere else, so that one set of checks holds for all of them (promise P5).

mod hand_in;
mod submit_review;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub(in crate::agents) use hand_in::HandInDesk;
pub(in crate::agents) use submit_review::ReviewDesk;

use crate::gateway::ToolSpec;

/// The tool that ends a task, and what it takes.
pub(in crate::agents) trait Submission: Send + Sync {
    /// What the task yields.
    type Product: Send;

    /// The tool as the model sees it.
    fn spec(&self) -> ToolSpec;

    /// Takes the product, or says what is wrong with it. `refused_before` tells that the model was sent back already.
    fn accept(&self, arguments: Value, refused_before: bool) -> Result<Self::Product, String>;
}

/// Reads a tool's arguments, or says what does not fit.
pub(in crate::agents) fn parse<T: DeserializeOwned>(arguments: Value) -> Result<T, String> {
    serde_json::from_value(arguments)
        .map_err(|error| format!("the arguments do not fit the tool's schema: {error}"))
}
