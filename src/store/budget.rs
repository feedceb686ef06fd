//! Money of a run: reserved before a call, settled after it (promise P3).

use std::fmt;

use pairbot_protocol::ids::{Money, Round, Usage};

/// An amount set aside for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(pub u64);

impl fmt::Display for ReservationId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Where a run's money is. `spent + reserved` never passes `limit` by a reservation; a limit that is lowered later,
/// or a provider that reports more than was reserved, can leave it behind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The most the run may have spent and reserved.
    pub limit: Money,
    /// What calls have cost.
    pub spent: Money,
    /// What calls under way may cost.
    pub reserved: Money,
    /// Tokens that providers reported.
    pub usage: Usage,
    /// How many calls were settled or charged.
    pub calls: u64,
}

/// What one part of a run has cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendLine {
    /// In which round, if it belongs to one.
    pub round: Option<Round>,
    /// Whose work it was: `creator`, or a reviewer's name.
    pub agent: String,
    /// The model that was called; none where a call was charged without an answer.
    pub model: Option<String>,
    /// What it cost.
    pub cost: Money,
    /// Tokens that the provider reported.
    pub usage: Usage,
    /// How many calls.
    pub calls: u64,
}
