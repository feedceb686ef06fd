//! What has a stored form, and in which version.

use pairbot_protocol::event::Event;
use pairbot_protocol::ids::Timestamp;
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{Envelope, Timer};
use serde::{Deserialize, Serialize};

use super::Format;
use crate::store::{TaskEffect, Tombstone};

/// An entry of a ledger. The moment belongs to it, so that the hash chain covers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedEvent {
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

impl Format for RecordedEvent {
    const NAME: &'static str = "an event";
    const VERSION: u32 = 1;
}

impl Format for Envelope {
    const NAME: &'static str = "a signal";
    const VERSION: u32 = 1;
}

impl Format for TaskEffect {
    const NAME: &'static str = "an effect";
    const VERSION: u32 = 1;
}

impl Format for Run {
    const NAME: &'static str = "a run";
    const VERSION: u32 = 1;
}

impl Format for Tombstone {
    const NAME: &'static str = "a tombstone";
    const VERSION: u32 = 1;
}

impl Format for Timer {
    const NAME: &'static str = "a timer";
    const VERSION: u32 = 1;
}
