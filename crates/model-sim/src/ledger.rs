//! What the server knows to be true: every call, who made it, what it was billed.

use crate::conversation::{Brief, Provider};
use crate::usage::Usage;

/// One call as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Its position among all calls, from 1.
    pub number: u64,
    /// The protocol it came by.
    pub provider: Provider,
    /// The key it showed, empty where it showed none.
    pub key: String,
    /// The model it named, empty where it could not be read.
    pub model: String,
    /// What it was about, where it said so.
    pub brief: Option<Brief>,
    /// Which step of the script it asked for, from 0.
    pub turn: u32,
    /// Whether it asked for an event stream.
    pub streamed: bool,
    /// The status that was answered; 0 where no answer was given.
    pub status: u16,
    /// What is billed: the whole answer also where the client got half of it, nothing for a refused call.
    pub usage: Usage,
    /// The fault that hit it.
    pub fault: Option<&'static str>,
    /// Why it was refused, where it was: a message that a correct client never sees unless a fault sent it.
    pub refusal: Option<String>,
}

/// All calls so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    calls: Vec<CallRecord>,
}

impl Ledger {
    pub(crate) fn add(&mut self, call: CallRecord) {
        let number = u64::try_from(self.calls.len()).unwrap_or(u64::MAX).saturating_add(1);
        self.calls.push(CallRecord { number, ..call });
    }

    pub(crate) fn calls(&self) -> &[CallRecord] {
        &self.calls
    }
}
