//! Dead letters: what was given up, and what operators do about it. Nothing is ever dropped without a record.

use std::fmt;
use std::str::FromStr;

use pairbot_protocol::awaits::Unwanted;
use pairbot_protocol::ids::{TaskId, Timestamp};

use super::InboxId;

/// The name of a dead letter: a task that was given up, or a signal that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadLetter {
    /// A task.
    Task(TaskId),
    /// A row of the inbox.
    Signal(InboxId),
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(out, "task-{task}"),
            Self::Signal(inbox) => write!(out, "signal-{inbox}"),
        }
    }
}

/// A text that names no dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a dead letter; they are called `task-12` or `signal-7`")]
pub struct NoDeadLetter(String);

impl FromStr for DeadLetter {
    type Err = NoDeadLetter;

    fn from_str(text: &str) -> Result<Self, NoDeadLetter> {
        let none = || NoDeadLetter(text.to_owned());
        let (kind, number) = text.split_once('-').unwrap_or(("task", text));
        let number = number.parse().map_err(|_| none())?;
        match kind {
            "task" => Ok(Self::Task(TaskId(number))),
            "signal" => Ok(Self::Signal(InboxId(number))),
            _ => Err(none()),
        }
    }
}

/// A row of the inbox that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableSignal {
    /// Its position.
    pub id: InboxId,
    /// The name of its delivery, or of the task or timer it came from.
    pub guid: String,
    /// The event with its action; `task` or `timer` for our own.
    pub event: String,
    /// When it came.
    pub received_at: Timestamp,
    /// What is stored, as text.
    pub payload: String,
    /// Why it was set aside.
    pub reason: String,
    /// Whether an operator dropped it.
    pub dropped: bool,
    /// What operators did about it, oldest first.
    pub interventions: Vec<Intervention>,
}

/// What an operator does about a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is tried again.
    Replayed,
    /// It is given up, and no longer listed.
    Dropped,
}

/// Something that an operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervention {
    /// What.
    pub act: Act,
    /// When.
    pub at: Timestamp,
    /// Who, as the operating system knows them.
    pub by: String,
    /// Why, in their words.
    pub reason: Option<String>,
}

/// What came of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It is tried again, with as many attempts as a new one.
    Queued,
    /// The same is queued already.
    QueuedAlready(TaskId),
    /// Nobody waits for it any more. It stays as it was.
    Unwanted(Unwanted),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_is_called_by_the_name_it_is_listed_under() {
        for letter in [DeadLetter::Task(TaskId(12)), DeadLetter::Signal(InboxId(7))] {
            assert_eq!(letter.to_string().parse(), Ok(letter));
        }
        assert_eq!("12".parse(), Ok(DeadLetter::Task(TaskId(12))));
        for text in ["", "task-", "signal--1", "run-3", "task-x"] {
            assert!(text.parse::<DeadLetter>().is_err(), "{text}");
        }
    }
}
