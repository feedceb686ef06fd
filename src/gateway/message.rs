//! What is said to a model and what it answers, in one form for all providers.

use pairbot_protocol::ids::{Money, Timestamp, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::prices::ModelChoice;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Us: the task, tool results, reminders.
    User,
    /// The model.
    Assistant,
}

/// The arguments of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arguments {
    /// A JSON object, as every tool expects.
    Object(Value),
    /// What the model sent instead: cut or broken JSON, or JSON that is no object.
    Malformed(String),
}

impl Arguments {
    /// Reads arguments that arrive as text. No text at all means no arguments, which both providers do.
    pub fn from_text(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::Object(Value::Object(serde_json::Map::new()));
        }
        match serde_json::from_str::<Value>(text) {
            Ok(value) if value.is_object() => Self::Object(value),
            Ok(_) | Err(_) => Self::Malformed(text.to_owned()),
        }
    }

    /// The arguments as an object that a provider accepts in a history, malformed ones wrapped.
    pub fn to_object(&self) -> Value {
        match self {
            Self::Object(value) => value.clone(),
            Self::Malformed(text) => serde_json::json!({ "malformed_arguments": text }),
        }
    }
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// The model asks for a tool. Every one must be answered by a [`Block::ToolResult`] in the next message.
    ToolUse {
        /// The call's name inside the conversation.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments.
        arguments: Arguments,
    },
    /// The answer to one tool call.
    ToolResult {
        /// The call it answers.
        tool_use_id: String,
        /// What the tool said.
        content: String,
        /// Whether the tool failed.
        is_error: bool,
    },
    /// A block of the provider's own kind, such as signed thinking, that must be sent back as it came.
    Opaque {
        /// The block as the provider wrote it.
        value: Value,
    },
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub blocks: Vec<Block>,
}

impl Message {
    /// A message of ours that is one text.
    pub fn user_text(text: impl Into<String>) -> Self {
        Self { role: Role::User, blocks: vec![Block::Text { text: text.into() }] }
    }
}

/// A tool as the model sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolSpec {
    /// Its name.
    pub name: &'static str,
    /// What it does, for the model.
    pub description: String,
    /// The JSON schema of its arguments.
    pub schema: Value,
}

/// One call to a model.
#[derive(Debug, Clone)]
pub struct ModelRequest {
    /// Which model.
    pub model: ModelChoice,
    /// The system prompt.
    pub system: String,
    /// The tools it may ask for.
    pub tools: Vec<ToolSpec>,
    /// The conversation, ours first, alternating.
    pub messages: Vec<Message>,
    /// The most tokens it may write. Lowered if the budget or the model allows less.
    pub output_tokens_max: u64,
    /// Whether the answer is streamed, which keeps idle connections from being cut on long answers.
    pub stream: bool,
    /// When the caller needs the answer at the latest.
    pub deadline: Option<Timestamp>,
    /// What the call is for, as people read it in the account.
    pub purpose: String,
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It said all it wanted.
    EndTurn,
    /// It waits for tool results.
    ToolUse,
    /// It ran into the output limit; the last block may be cut.
    MaxTokens,
    /// The conversation does not fit the model's window.
    WindowExceeded,
    /// It declined, by itself or through a filter of the provider.
    Refusal,
    /// The provider paused a long turn; the same conversation is to be sent again.
    PauseTurn,
    /// A reason this version does not know.
    Other(String),
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What it said.
    pub blocks: Vec<Block>,
    /// Why it stopped.
    pub stop: StopReason,
    /// The tokens that the provider reported for the attempt that succeeded.
    pub usage: Usage,
    /// What that attempt cost.
    pub cost: Money,
}
