//! What proving the ledgers brings to light, and what led to what.

use std::fmt;

use pairbot_protocol::ids::{RunId, Timestamp};

use super::InboxId;

/// What was looked at, and what does not hold.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Audited {
    /// Runs whose ledger was followed.
    pub runs: u64,
    /// Events in them.
    pub events: u64,
    /// Runs that were pruned, of which a tombstone is left.
    pub tombstones: u64,
    /// Events that the tombstones tell of.
    pub events_pruned: u64,
    /// What does not hold, in the order in which it was found.
    pub faults: Vec<Fault>,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Of which run; none where it is of what runs share.
    pub run: Option<RunId>,
    /// At which event, if it can be told.
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.run, self.seq) {
            (Some(run), Some(seq)) => write!(out, "run {run}, event {seq}: {}", self.what),
            (Some(run), None) => write!(out, "run {run}: {}", self.what),
            (None, _) => out.write_str(&self.what),
        }
    }
}

/// The signal that an event was decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The event.
    pub seq: u64,
    /// The row of the inbox.
    pub inbox: InboxId,
    /// What it was; none once it was pruned.
    pub delivery: Option<OriginDelivery>,
}

/// A signal, as far as people need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginDelivery {
    /// The delivery it came with, or the task or timer it came from.
    pub guid: String,
    /// The event with its action; `task` or `timer` for our own.
    pub event: String,
    /// When it came.
    pub received_at: Timestamp,
}
