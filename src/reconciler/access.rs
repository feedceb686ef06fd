//! Whether the App can still act where its runs live.

use std::collections::BTreeSet;

use pairbot_protocol::ids::{InstallationId, RepositoryId};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{AccessLoss, Signal, Target};

use super::tell::{Telling, nobody};
use crate::github::Installation;
use crate::meaning;

/// Whether an installation is gone or suspended.
pub(super) fn loss_of(installation: InstallationId, all: &[Installation]) -> Option<AccessLoss> {
    match all.iter().find(|found| found.id == installation) {
        None => Some(AccessLoss::InstallationDeleted),
        Some(found) if found.suspended => Some(AccessLoss::InstallationSuspended),
        Some(_) => None,
    }
}

/// The runs of an installation whose repositories it does not reach any more.
pub(super) fn out_of_reach<'a>(
    runs: impl IntoIterator<Item = &'a Run>,
    reached: &BTreeSet<RepositoryId>,
) -> Vec<&'a Run> {
    runs.into_iter().filter(|run| !reached.contains(&run.id.repository)).collect()
}

/// What a run is told: nothing of it can be seen or done any more. No webhook says so for each run.
pub(super) fn telling(run: &Run, loss: AccessLoss) -> Telling {
    Telling {
        event: "access_lost",
        meaning: meaning::access_lost(run.id, run.installation),
        again_for: None,
        target: Target::Run { run: run.id },
        signal: Signal::AccessLost { by: nobody(), loss },
    }
}
