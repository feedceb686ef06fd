//! What can go wrong in a store, and what to do about it.

use std::path::PathBuf;

use pairbot_protocol::ids::{RunId, TaskId};

use super::{DeadLetter, InboxId, Refused, ReservationId};
use crate::wire::WireError;

/// Why a store did not do what it was asked. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// More is waiting to be written than the store takes, or another program holds its file.
    #[error("the store is busy ({detail}); try again in a moment")]
    Busy {
        /// What it waits for.
        detail: String,
    },
    /// There is no room left.
    #[error("the store has no room left ({detail}); free disk space or move PAIRBOT_DATA_DIR")]
    Full {
        /// What the database said.
        detail: String,
    },
    /// What is stored is damaged, or is not a store at all.
    #[error(
        "the store is damaged ({detail}); stop the server, run `pairbot doctor`, and restore a backup if it says so"
    )]
    Corrupt {
        /// What was found.
        detail: String,
    },
    /// Something stored is of a form that this version does not read.
    #[error("cannot read {what}: {source}")]
    Unreadable {
        /// What was read.
        what: String,
        /// Why it could not be.
        source: WireError,
    },
    /// The store cannot be reached or refuses to work.
    #[error("the store is not available ({detail}); check its file or server, then start again")]
    Unavailable {
        /// What was found.
        detail: String,
    },
    /// Another process works with the same file.
    #[error("{} is in use by process {pid}; stop that process, or give this one a PAIRBOT_DATA_DIR of its own", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
        /// The process as it named itself, `unknown` if it did not.
        pid: String,
    },
    /// The store was written by a newer version of the program.
    #[error(
        "the store has schema {found}, this version knows up to {known}; run the newer version, or restore a backup"
    )]
    SchemaTooNew {
        /// The schema of the file.
        found: u32,
        /// The newest schema this program knows.
        known: u32,
    },
    /// The store was written by an older version of the program.
    #[error(
        "the store has schema {found}, this version works with {known}; use the command of the server's version, or \
         start this version's server once: it upgrades the file"
    )]
    SchemaTooOld {
        /// The schema of the file.
        found: u32,
        /// The schema that this program needs.
        known: u32,
    },
    /// The run went on since it was loaded: load it and decide again.
    #[error("run {run} is at version {found}, not {expected}; load it and decide again")]
    Conflict {
        /// Which run.
        run: RunId,
        /// The version the decision was made on.
        expected: u64,
        /// The version it has.
        found: u64,
    },
    /// The inbox row was settled before: there is nothing left to do about it.
    #[error("inbox row {inbox} was settled before, or never existed; take the next one")]
    AlreadySettled {
        /// Which row.
        inbox: InboxId,
    },
    /// Whoever held the lease no longer does: its result does not count, and it must stop.
    #[error(
        "the lease of task {task} is lost (it expired and was claimed again, or its work was withdrawn); stop"
    )]
    LeaseLost {
        /// Which task.
        task: TaskId,
    },
    /// The amount does not fit the budget of the run, or one that its run shares with others.
    #[error("{0}")]
    BudgetExhausted(Refused),
    /// What shall be replayed or dropped is no dead letter.
    #[error(
        "{letter} is {state}, not a dead letter; `pairbot dlq list` shows what can be replayed or dropped"
    )]
    NotDead {
        /// Which.
        letter: DeadLetter,
        /// What it is.
        state: &'static str,
    },
    /// No such reservation.
    #[error("there is no reservation {reservation}")]
    NoReservation {
        /// Which.
        reservation: ReservationId,
    },
    /// What was handed in contradicts itself: an error in the program.
    #[error("refused to write what contradicts itself: {detail}")]
    Contradiction {
        /// How.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody doing anything else.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Full { .. } => true,
            Self::Corrupt { .. }
            | Self::Unreadable { .. }
            | Self::Unavailable { .. }
            | Self::InUse { .. }
            | Self::SchemaTooNew { .. }
            | Self::SchemaTooOld { .. }
            | Self::Conflict { .. }
            | Self::AlreadySettled { .. }
            | Self::LeaseLost { .. }
            | Self::BudgetExhausted(_)
            | Self::NotDead { .. }
            | Self::NoReservation { .. }
            | Self::Contradiction { .. } => false,
        }
    }
}

/// What a store answers.
pub type Result<T> = std::result::Result<T, StoreError>;
