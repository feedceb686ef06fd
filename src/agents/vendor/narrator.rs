//! What an agent says and does, kept in a bounded form: for people who look into a task, and as its last words.

use std::fmt::Write as _;

use async_trait::async_trait;

use crate::agents::acp::{Fault, Listener};
use crate::agents::builtin::transcript::{
    TRANSCRIPT_VERSION, TranscriptError, TranscriptStore, Turn, TurnContent,
};
use crate::agents::untrusted::{code, cut};

/// How much is kept in one turn.
const TURN_BYTES: usize = 8 * 1024;
/// How many turns are kept. What comes after is only logged.
const TURNS_MAX: u32 = 64;
/// How much of the last words is kept.
const WORDS_BYTES: usize = 1024;

/// Keeps what it hears, turn by turn, behind the opening of the task.
pub(super) struct Narrator<'a> {
    transcript: &'a dyn TranscriptStore,
    /// Taken out of everything: an agent may print its own environment.
    token: String,
    position: u32,
    pending: String,
    words: String,
}

impl<'a> Narrator<'a> {
    /// After a turn at position 0.
    pub(super) fn new(transcript: &'a dyn TranscriptStore, token: String) -> Self {
        Self { transcript, token, position: 1, pending: String::new(), words: String::new() }
    }

    /// The agent's last words, on one line.
    pub(super) fn last_words(&self) -> String {
        let shown = self.redacted(&self.words);
        let shown = crate::agents::untrusted::line(&shown, WORDS_BYTES);
        if shown.is_empty() { "(nothing)".to_owned() } else { shown }
    }

    /// Keeps what is not kept yet.
    pub(super) async fn flush(&mut self) -> Result<(), TranscriptError> {
        let pending = std::mem::take(&mut self.pending);
        if pending.trim().is_empty() || self.position > TURNS_MAX {
            return Ok(());
        }
        let text = cut(&code(&self.redacted(&pending)), 2 * TURN_BYTES);
        let content = TurnContent::Reported { text };
        let turn = Turn { version: TRANSCRIPT_VERSION, position: self.position, content };
        self.transcript.append(&turn).await?;
        self.position += 1;
        Ok(())
    }

    /// Adds a whole text, such as a program's output.
    pub(super) async fn told(&mut self, what: &str, text: &str) -> Result<(), TranscriptError> {
        if text.trim().is_empty() {
            return Ok(());
        }
        // Writing to a string cannot fail.
        let _ = writeln!(self.pending, "\n[{what}]\n{text}");
        self.hear(text);
        self.flush().await
    }

    fn hear(&mut self, text: &str) {
        self.words.push_str(text);
        let over = self.words.len().saturating_sub(WORDS_BYTES);
        let from = self.words.ceil_char_boundary(over);
        self.words.drain(..from);
    }

    fn redacted(&self, text: &str) -> String {
        if self.token.is_empty() { text.to_owned() } else { text.replace(&self.token, "[token]") }
    }

    async fn flush_if_full(&mut self) -> Result<(), Fault> {
        if self.pending.len() < TURN_BYTES {
            return Ok(());
        }
        self.flush().await.map_err(|error| match error {
            TranscriptError::LeaseLost => Fault::LeaseLost,
            TranscriptError::Unavailable(why) => Fault::Unrecorded(why),
        })
    }
}

#[async_trait]
impl Listener for Narrator<'_> {
    async fn said(&mut self, text: &str) -> Result<(), Fault> {
        let text = cut(text, TURN_BYTES);
        self.hear(&text);
        self.pending.push_str(&text);
        self.flush_if_full().await
    }

    async fn did(&mut self, what: &str) -> Result<(), Fault> {
        tracing::debug!(what = %self.redacted(what), "an agent works");
        // Its words so far belong to what came before.
        self.words.clear();
        let _ = writeln!(self.pending, "\n[{what}]");
        self.flush_if_full().await
    }
}
