//! A conversation as it is kept: turn by turn, so that a crash costs at most one call.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agents::outcome::Spent;
use crate::gateway::{Block, Message, Role, StopReason};

/// The version that is written. A transcript of another version is not resumed; the task begins anew.
pub const TRANSCRIPT_VERSION: u16 = 1;

/// One step of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The format.
    pub version: u16,
    /// Its place, from 0.
    pub position: u32,
    /// What was said.
    pub content: TurnContent,
}

/// What was said in a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum TurnContent {
    /// The beginning: the system prompt and the task.
    Opening {
        /// The system prompt.
        system: String,
        /// The first message.
        text: String,
        /// What its files were, by a name of [`Checkpoint`](crate::agents::Checkpoint).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<String>,
    },
    /// The model answered.
    Model {
        /// What it said.
        blocks: Vec<Block>,
        /// Why it stopped.
        stop: StopReason,
        /// All that was spent since the turn before, failed attempts included.
        spent: Spent,
    },
    /// We answered: tool results, reminders.
    Ours {
        /// What we said.
        blocks: Vec<Block>,
        /// What its files were then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<String>,
    },
    /// An agent that holds its conversation itself said or did something.
    Reported {
        /// In its words, cut where it was long.
        text: String,
    },
}

/// A transcript that could not be written or read. The task must stop: going on would pay for what is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranscriptError {
    /// The task belongs to another worker now.
    #[error("the task's lease was lost")]
    LeaseLost,
    /// The store did not do it.
    #[error("the transcript could not be kept: {0}")]
    Unavailable(String),
}

/// Where the turns of one task are kept.
#[async_trait]
pub trait TranscriptStore: Send + Sync {
    /// Keeps a turn durably. It replaces the turn at its position and every later one, so repeating an append changes
    /// nothing and appending position 0 begins anew.
    async fn append(&self, turn: &Turn) -> Result<(), TranscriptError>;

    /// All turns in order. Turns that cannot be read any more are left out together with all that follow.
    async fn load(&self) -> Result<Vec<Turn>, TranscriptError>;
}

/// A conversation put together again from its turns.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Resumed {
    pub(super) system: String,
    pub(super) messages: Vec<Message>,
    /// The model's last answer, if we have not answered it.
    pub(super) pending: Option<(Vec<Block>, StopReason)>,
    /// How often the model answered.
    pub(super) answers: u32,
    /// How many of its last answers called no tool.
    pub(super) idle: u32,
    pub(super) spent: Spent,
    pub(super) next_position: u32,
    /// What the files were before the model's last answer was acted on, where that is known.
    pub(super) files: Option<String>,
}

impl Resumed {
    /// Puts turns together, or nothing if they are no conversation of this version.
    pub(super) fn from_turns(turns: Vec<Turn>) -> Option<Self> {
        let mut resumed = Self::default();
        for turn in turns {
            if turn.version != TRANSCRIPT_VERSION || turn.position != resumed.next_position {
                return None;
            }
            match turn.content {
                TurnContent::Opening { system, text, files } if turn.position == 0 => {
                    resumed.open(system, text, files);
                }
                TurnContent::Model { blocks, stop, spent } if turn.position > 0 => {
                    resumed.model(blocks, stop, spent);
                }
                TurnContent::Ours { blocks, files } if turn.position > 0 => resumed.ours(blocks, files),
                TurnContent::Opening { .. }
                | TurnContent::Model { .. }
                | TurnContent::Ours { .. }
                | TurnContent::Reported { .. } => return None,
            }
        }
        (resumed.next_position > 0).then_some(resumed)
    }

    pub(super) fn open(&mut self, system: String, text: String, files: Option<String>) {
        self.files = files;
        self.system = system;
        self.messages.push(Message::user_text(text));
        self.next_position += 1;
    }

    pub(super) fn model(&mut self, blocks: Vec<Block>, stop: StopReason, spent: Spent) {
        let calls_tools = blocks.iter().any(|block| matches!(block, Block::ToolUse { .. }));
        let paused = stop == StopReason::PauseTurn;
        self.idle = if calls_tools || paused { 0 } else { self.idle.saturating_add(1) };
        self.answers = self.answers.saturating_add(1);
        self.spent = self.spent.plus(spent);
        // After a pause the model goes on in the same message; two in a row of one speaker would be refused.
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => last.blocks.extend(blocks.clone()),
            Some(_) | None if blocks.is_empty() && paused => {}
            Some(_) | None => {
                let said = if blocks.is_empty() { vec![nothing_said()] } else { blocks.clone() };
                self.messages.push(Message { role: Role::Assistant, blocks: said });
            }
        }
        self.pending = Some((blocks, stop));
        self.next_position += 1;
    }

    pub(super) fn ours(&mut self, blocks: Vec<Block>, files: Option<String>) {
        self.files = files;
        self.messages.push(Message { role: Role::User, blocks });
        self.pending = None;
        self.next_position += 1;
    }
}

/// A message without any block would be refused by the providers.
fn nothing_said() -> Block {
    Block::Text { text: "(no answer)".to_owned() }
}
