//! One pass: deliveries, then each installation and each of its repositories. What fails is said and does not stop the rest.

use std::collections::{BTreeMap, BTreeSet};

use pairbot_protocol::ids::{InstallationId, RepositoryId, RunId, Timestamp};
use pairbot_protocol::run::Run;
use tracing::{debug, info, warn};

use super::conversation::{Read, Told};
use super::ledger::Ledgers;
use super::pulse::LastPass;
use super::redeliver::{Looked, redeliver};
use super::repository::Place;
use super::tell::tell;
use super::{Parts, Reconciler, Trouble, access};
use crate::github::{GitHubError, Installation, ReachedRepository};

/// What is remembered from pass to pass. All of it only spares work: the inbox knows what was told.
#[derive(Debug, Default)]
pub(super) struct Memory {
    deliveries: Looked,
    read: BTreeMap<RepositoryId, Read>,
    told: Told,
    /// Runs that ended with their issue and were looked at since.
    settled: BTreeSet<RunId>,
    /// Where a pass stopped that had to yield.
    stopped_at: BTreeMap<InstallationId, RepositoryId>,
}

/// What a pass came to.
#[derive(Debug, Default)]
struct Tally {
    told: usize,
    failures: Vec<String>,
    /// When what had to yield may go on.
    held_until: Option<Timestamp>,
}

impl Tally {
    /// Takes note of a part of the pass. Whether it may go on with parts like it.
    fn take(&mut self, what: &str, outcome: Result<usize, Trouble>) -> bool {
        match outcome {
            Ok(told) => {
                self.told += told;
                true
            }
            Err(Trouble::GitHub(GitHubError::RateLimited { until })) => {
                debug!(what, until = until.unix_ms, "the reconciler yields");
                self.hold(until);
                false
            }
            Err(error) => {
                warn!(what, %error, "the reconciler could not look; it tries again in its next pass");
                self.failures.push(format!("{what}: {error}"));
                true
            }
        }
    }

    fn hold(&mut self, until: Timestamp) {
        self.held_until = Some(self.held_until.map_or(until, |held| held.min(until)));
    }
}

impl Reconciler {
    /// Looks at everything once. If it had to yield to other work: until when.
    pub(super) async fn pass(&mut self) -> Option<Timestamp> {
        self.pulse.begin();
        let mut tally = Tally::default();
        let (parts, memory) = (self.parts.clone(), &mut self.memory);
        tally.take("webhook deliveries", redeliver(&parts, &mut memory.deliveries).await);
        // The ledgers first: what GitHub shows is then the newer of the two.
        match Ledgers::read(parts.store.as_ref(), parts.clock.now()).await {
            Ok(ledgers) => everywhere(&parts, memory, &ledgers, &mut tally).await,
            Err(error) => {
                tally.take("the ledgers", Err(error.into()));
            }
        }
        let at = parts.clock.now();
        if tally.told > 0 || !tally.failures.is_empty() {
            info!(told = tally.told, failures = tally.failures.len(), "looked for what was missed");
        } else {
            debug!("looked for what was missed, and nothing was");
        }
        self.pulse.end(LastPass { at, told: tally.told, failures: tally.failures });
        tally.held_until
    }
}

async fn everywhere(parts: &Parts, memory: &mut Memory, ledgers: &Ledgers, tally: &mut Tally) {
    let installations = match parts.github.installations().await {
        Ok(installations) => installations,
        Err(error) => {
            tally.take("installations", Err(error.into()));
            return;
        }
    };
    let of_no_use = ledgers.live.iter().filter_map(|known| {
        let loss = access::loss_of(known.run.installation, &installations)?;
        Some((&known.run, loss))
    });
    for (run, loss) in of_no_use {
        let told = lost(parts, run, loss).await;
        tally.take("runs out of reach", told);
    }
    for installation in installations.iter().filter(|installation| !installation.suspended) {
        let what = format!("installation on {}", installation.account);
        let outcome = one(parts, memory, ledgers, installation, tally).await;
        tally.take(&what, outcome);
    }
}

async fn lost(
    parts: &Parts,
    run: &Run,
    loss: pairbot_protocol::signal::AccessLoss,
) -> Result<usize, Trouble> {
    warn!(run = %run.id, ?loss, "the App can no longer act where a run lives");
    let telling = access::telling(run, loss);
    Ok(usize::from(tell(parts.store.as_ref(), run.installation, &telling, parts.clock.now()).await?))
}

async fn one(
    parts: &Parts,
    memory: &mut Memory,
    ledgers: &Ledgers,
    installation: &Installation,
    tally: &mut Tally,
) -> Result<usize, Trouble> {
    // Who we are must be known before anybody else's words are told from ours.
    parts.own.resolve(&parts.github, installation.id).await?;
    let mut reached = parts.github.reached_repositories(installation.id).await?;
    let ids: BTreeSet<RepositoryId> = reached.iter().map(|repository| repository.id).collect();
    let live = ledgers.live_of(installation.id);
    let mut told = 0;
    for run in access::out_of_reach(live.values().flatten().map(|known| &known.run), &ids) {
        told += lost(parts, run, pairbot_protocol::signal::AccessLoss::RepositoryRemoved).await?;
    }
    // Where the last pass had to stop, this one begins: no repository is the last for ever.
    reached.sort_by_key(|repository| repository.id);
    if let Some(stopped_at) = memory.stopped_at.remove(&installation.id) {
        let first = reached.iter().take_while(|repository| repository.id < stopped_at).count();
        reached.rotate_left(first);
    }
    for repository in reached.iter().filter(|repository| !repository.archived) {
        if let Err(until) = parts.github.spare_requests(Some(installation.id)) {
            memory.stopped_at.insert(installation.id, repository.id);
            return Err(GitHubError::RateLimited { until }.into());
        }
        let place = Place {
            parts,
            installation: installation.id,
            repository,
            client: parts.github.repository(installation.id, repository.id),
            live: live.get(&repository.id).map_or(&[], Vec::as_slice),
        };
        let outcome = at(&place, memory, ledgers).await;
        if !tally.take(&repository.full_name.to_string(), outcome) {
            memory.stopped_at.insert(installation.id, repository.id);
            break;
        }
    }
    Ok(told)
}

async fn at(place: &Place<'_>, memory: &mut Memory, ledgers: &Ledgers) -> Result<usize, Trouble> {
    let ReachedRepository { id, .. } = place.repository;
    let mut told = place.look().await?;
    for run in ledgers.closed_with_issue.iter().filter(|run| run.id.repository == *id) {
        if !memory.settled.contains(&run.id) {
            told += place.merge_of(run).await?;
            memory.settled.insert(run.id);
        }
    }
    let read = memory.read.entry(*id).or_default();
    told += place.listen(read, &mut memory.told).await?;
    Ok(told)
}
