//! What the ledgers know, read before GitHub is.

use std::collections::BTreeMap;

use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{InstallationId, RepositoryId, RunId, Timestamp};
use pairbot_protocol::run::{Closing, Phase, Run};

use crate::store::{Result, RunFilter, Store};

/// How many of the newest runs are searched for those that ended lately.
const NEWEST: usize = 200;
/// How long after its end a run is still looked at: a merge closes the issue too, and the merge is what counts.
const ENDED_MS_MAX: u64 = 24 * 3_600_000;

/// A run, and when it was last decided upon.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) run: Run,
    pub(super) updated_at: Timestamp,
}

/// The runs that a pass is about.
#[derive(Debug, Default)]
pub(super) struct Ledgers {
    /// Runs that are not over.
    pub(super) live: Vec<Known>,
    /// Runs that ended lately with their issue, and may have ended by a merge that was not heard of.
    pub(super) closed_with_issue: Vec<Run>,
}

/// The end of a run, as far as it says whether a label was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) run: RunId,
    pub(super) opened_at: Timestamp,
    pub(super) closed_at: Timestamp,
    /// Whether it ended because the label seemed to be gone, or because nothing could be done there any more.
    pub(super) for_want_of_a_label: bool,
}

/// The newest run of an issue.
#[derive(Debug)]
pub(super) enum Newest {
    None,
    Live,
    Ended(Ended),
}

impl Ledgers {
    pub(super) async fn read(store: &dyn Store, now: Timestamp) -> Result<Self> {
        let mut ledgers = Self::default();
        for summary in store.run_list(RunFilter { open_only: true, limit: usize::MAX }).await? {
            if let Some(stored) = store.run(summary.run).await? {
                ledgers.live.push(Known { run: stored.run, updated_at: summary.updated_at });
            }
        }
        for summary in store.run_list(RunFilter { open_only: false, limit: NEWEST }).await? {
            let lately = now.ms_since(summary.updated_at) < ENDED_MS_MAX;
            if !summary.open
                && lately
                && summary.pull_request.is_some()
                && let Some(stored) = store.run(summary.run).await?
                && matches!(stored.run.phase, Phase::Closed { closing: Closing::IssueClosed, .. })
            {
                ledgers.closed_with_issue.push(stored.run);
            }
        }
        Ok(ledgers)
    }

    /// The runs that are not over, by repository, of one installation.
    pub(super) fn live_of(&self, installation: InstallationId) -> BTreeMap<RepositoryId, Vec<Known>> {
        let mut live: BTreeMap<RepositoryId, Vec<Known>> = BTreeMap::new();
        for known in self.live.iter().filter(|known| known.run.installation == installation) {
            live.entry(known.run.id.repository).or_default().push(known.clone());
        }
        live
    }
}

/// The newest run of an issue, by its name and, if it is over, its end.
pub(super) async fn newest(store: &dyn Store, run: Option<RunId>) -> Result<Newest> {
    let Some(id) = run else { return Ok(Newest::None) };
    let Some(stored) = store.run(id).await? else {
        // It was pruned, days after its end: it says nothing of a label but that there was a run.
        let long_ago = Timestamp::from_unix_ms(0);
        let ended = Ended { run: id, opened_at: long_ago, closed_at: long_ago, for_want_of_a_label: false };
        return Ok(Newest::Ended(ended));
    };
    if !stored.run.is_over() {
        return Ok(Newest::Live);
    }
    let ledger = store.ledger(id).await?;
    let end = ledger.iter().rev().find(|entry| {
        matches!(entry.event, Event::Closed { .. } | Event::Merged { .. } | Event::Refused { .. })
    });
    Ok(Newest::Ended(Ended {
        run: id,
        opened_at: stored.run.opened_at,
        closed_at: end.map_or(stored.run.opened_at, |entry| entry.at),
        for_want_of_a_label: for_want_of_a_label(&stored.run.phase),
    }))
}

pub(super) fn for_want_of_a_label(phase: &Phase) -> bool {
    matches!(phase, Phase::Closed { closing: Closing::LabelRemoved | Closing::AccessLost { .. }, .. })
}
