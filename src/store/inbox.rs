//! The one door in: what was delivered, and what became of it.

use std::fmt;

use pairbot_protocol::ids::{InstallationId, Timestamp};
use pairbot_protocol::signal::Envelope;

/// One webhook as received.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// GitHub's name of the delivery, `X-GitHub-Delivery`. A redelivery carries the same.
    pub guid: String,
    /// A name of what it says: the same fact delivered under another GUID has the same meaning. None if every
    /// delivery of its kind stands for itself.
    pub meaning: Option<String>,
    /// The event with its action, such as `issues.labeled`.
    pub event: String,
    /// When it came.
    pub received_at: Timestamp,
    /// What it says.
    pub content: Content,
}

/// What a delivery says.
#[derive(Debug, Clone)]
pub enum Content {
    /// Something that the protocol understands.
    Signal(Envelope),
    /// Nothing for us; it is recorded all the same.
    Ignored {
        /// Whose installation it came from, if it said so.
        installation: Option<InstallationId>,
        /// Why it does not matter.
        reason: String,
    },
}

/// What became of a delivery at the door. In all three cases it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It was stored.
    New,
    /// This delivery had come before.
    SameDelivery,
    /// Another delivery had said the same before.
    SameMeaning,
}

/// Position of a row in the inbox. Rows are numbered in the order in which they were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxId(pub u64);

impl fmt::Display for InboxId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A signal that waits for its decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// Its position.
    pub id: InboxId,
    /// The delivery it came with, `task:<id>:<n>` from a task, `timer:<run>:<due>` from a timer.
    pub guid: String,
    /// When it came.
    pub received_at: Timestamp,
    /// What it says, and to whom.
    pub envelope: Envelope,
}
