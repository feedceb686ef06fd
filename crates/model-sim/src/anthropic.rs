//! Anthropic Messages: <https://docs.anthropic.com/en/api/messages>.

pub(crate) mod read;
pub(crate) mod write;
