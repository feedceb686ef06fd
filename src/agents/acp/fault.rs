//! What an agent did against the protocol, by name.

use crate::agents::lines::LineError;

/// Why a conversation with an agent cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::agents) enum Fault {
    /// Lines without an end, or without end.
    #[error("what it wrote cannot be read: {0}")]
    Unreadable(LineError),
    /// Words, noise.
    #[error("it wrote what is not JSON: {0}")]
    NotJson(String),
    /// JSON that is nothing of the protocol.
    #[error("it wrote what is not JSON-RPC 2.0: {0}")]
    NotJsonRpc(String),
    /// An answer to nothing.
    #[error("it answered a request that was never made: {0}")]
    UnknownAnswer(String),
    /// Another protocol.
    #[error("it speaks version {0} of the Agent Client Protocol, and only version 1 is spoken here")]
    WrongVersion(String),
    /// The operator's work is not done.
    #[error("it wants credentials beside those it was given; configure it so that it takes them: {0}")]
    WantsCredentials(String),
    /// It said no.
    #[error("it refused `{method}`: {message} ({code})")]
    Refused { method: &'static str, code: i64, message: String },
    /// It said yes, and not what was asked.
    #[error("its answer to `{method}` has no `{missing}`")]
    Incomplete { method: &'static str, missing: &'static str },
    /// Its output ended.
    #[error("it ended before its turn did")]
    Ended,
    /// Its input is closed.
    #[error("it reads no more: {0}")]
    Deaf(String),
    /// What it says could not be recorded, which is no fault of the agent.
    #[error("what it does could not be recorded: {0}")]
    Unrecorded(String),
    /// The task belongs to another worker now.
    #[error("the task's lease was lost")]
    LeaseLost,
}

impl From<LineError> for Fault {
    fn from(error: LineError) -> Self {
        Self::Unreadable(error)
    }
}
