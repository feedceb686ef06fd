//! What may be forgotten, and what is left of it.

use pairbot_protocol::ids::{InstallationId, RunId, Timestamp};
use pairbot_protocol::signal::Spend;
use serde::{Deserialize, Serialize};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A moment before which what has ended may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutoff(Timestamp);

impl Cutoff {
    /// The fewest days that anything is kept. GitHub redelivers what is up to 3 days old, and the same may come by two
    /// hooks: a delivery that was forgotten would count as new (promise P1).
    pub const DAYS_MIN: u32 = 7;

    /// So many days before `now`; none if they are fewer than [`Self::DAYS_MIN`].
    pub fn days_before(now: Timestamp, days: u32) -> Option<Self> {
        let kept_ms = u64::from(days).saturating_mul(DAY_MS);
        (days >= Self::DAYS_MIN).then(|| Self(Timestamp::from_unix_ms(now.unix_ms.saturating_sub(kept_ms))))
    }

    /// The moment.
    pub fn at(self) -> Timestamp {
        self.0
    }
}

/// What is, or would be, forgotten.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// How many deliveries and other settled signals.
    pub deliveries: u64,
    /// Runs that are over.
    pub runs: Vec<RunId>,
    /// Runs that are over and old enough, and are kept all the same, with the reason.
    pub kept: Vec<(RunId, Kept)>,
}

/// Why a run is kept that is old enough to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Kept {
    /// It has dead letters.
    #[error("it has dead letters; replay or drop them (`pairbot dlq list`)")]
    DeadLetters,
    /// Something of it is still to be shown or ended.
    #[error("some of its tasks have not ended")]
    Unfinished,
    /// Its ledger is not what it was: that must not be buried.
    #[error("its ledger does not hold: {0}; see `pairbot verify-ledger`")]
    Faulty(String),
}

/// What is left of a run that was pruned. Tombstones are chained by hashes as events are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Its name.
    pub run: RunId,
    /// Whose installation it lived in.
    pub installation: InstallationId,
    /// Owner and name of its repository when it began.
    pub repository_name: String,
    /// The name of the phase it ended in.
    pub outcome: String,
    /// How many events its ledger had.
    pub events: u64,
    /// The hash of the last of them, in hexadecimal.
    pub hash: String,
    /// What its model calls have cost.
    pub spend: Spend,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it was last decided upon.
    pub ended_at: Timestamp,
    /// When it was pruned.
    pub pruned_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_younger_than_seven_days_is_ever_forgotten() {
        let now = Timestamp::from_unix_ms(100 * DAY_MS);
        assert_eq!(Cutoff::days_before(now, 6), None);
        assert_eq!(Cutoff::days_before(now, 7).unwrap().at().unix_ms, 93 * DAY_MS);
        assert_eq!(Cutoff::days_before(now, u32::MAX).unwrap().at().unix_ms, 0);
    }
}
