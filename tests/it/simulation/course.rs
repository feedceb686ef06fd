//! The course of a world: trouble, then calm, then an end in which nothing may be left over.

use std::path::{Path, PathBuf};

use pairbot::store::{Counts, RunFilter, RunSummary};
use pairbot_protocol::ids::Timestamp;
use pairbot_protocol::run::Phase;

use super::checks;
use super::plan::{Deed, Plan, Trouble};
use super::record;
use super::world::{MAINTAINER, World, alone};

const HOUR_MS: u64 = 3_600_000;
/// Longer than any run may work (two hours, anew after each `/retry`), and than anybody is told to wait.
const REST_WITHIN_MS: u64 = 12 * HOUR_MS;

/// Time for two looks of the reconciler: one that may have begun in bad weather, and one after it.
const RECONCILED_WITHIN_MS: u64 = 13 * 60_000;

/// What came of a world.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// Everything that must be the same if the seed is.
    pub(super) record: String,
    /// Which promises were broken.
    pub(super) broken: Vec<String>,
    /// What happened, for whoever looks for the cause.
    pub(super) trace: String,
}

/// Where a world's files are: in memory where the system has a place for it. The same place each time, since a place may
/// be named in what is written.
fn directory(seed: u64, trouble: Trouble) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    base.join(format!("pairbot-simulation-{}", std::process::id())).join(format!("{trouble:?}-{seed}"))
}

/// Lives through the world of a seed.
pub(super) fn live(seed: u64, trouble: Trouble) -> Outcome {
    let directory = directory(seed, trouble);
    std::fs::create_dir_all(directory.parent().unwrap()).unwrap();
    // Two worlds in one place would be one world with two histories.
    std::fs::create_dir(&directory).unwrap();
    let place = directory.clone();
    let outcome = alone(move |idle| async move {
        let world = World::build(Plan::of(seed, trouble), seed, &place, idle).await;
        world.live().await
    });
    // Whoever looks for the cause may want to look into the files.
    if std::env::var_os("PAIRBOT_SIMULATION_KEEP").is_none() {
        drop(std::fs::remove_dir_all(&directory));
    }
    outcome
}

impl World {
    async fn live(mut self) -> Outcome {
        let mut broken = Vec::new();
        self.trouble().await;
        self.calm();
        if let Err(stuck) = self.rest(RECONCILED_WITHIN_MS).await {
            broken.push(stuck);
        }
        self.persons_decide().await;
        if let Err(stuck) = self.rest(0).await {
            broken.push(stuck);
        }
        broken.extend(checks::broken(&self).await);
        let record = record::of(&self).await;
        let trace = if broken.is_empty() { String::new() } else { self.story().await };
        self.end().await;
        Outcome { record, broken, trace }
    }

    /// People act and things go wrong, until it is calm.
    async fn trouble(&mut self) {
        let deeds = std::mem::take(&mut self.plan.deeds);
        let begun = self.clock.now_ms();
        for &(at_ms, issue, deed) in &deeds {
            self.until(begun + at_ms).await;
            self.perform(issue, deed);
        }
        self.until(begun + self.plan.calm_at_ms).await;
        self.plan.deeds = deeds;
    }

    /// Nothing goes wrong any more. What was never told must be found out by the server itself.
    fn calm(&self) {
        self.weather.clear_up();
        self.server_clock.set_behind_ms(0);
        self.weather.note("calm");
    }

    /// People resume what is paused, and merge some of what is ready.
    async fn persons_decide(&mut self) {
        for summary in self.runs().await {
            let Some(stored) = self.store().run(summary.run).await.unwrap() else { continue };
            let number = summary.run.issue.0;
            let mona = self.github().person(MAINTAINER);
            if stored.run.paused {
                mona.comment(&summary.repository_name, number, "/resume").unwrap();
            } else if matches!(stored.run.phase, Phase::AwaitingHuman(_)) && self.chance.per_mille(500) {
                let issue = (0..self.numbers.len()).find(|&issue| {
                    self.numbers[issue] == number && self.repository(issue) == summary.repository_name
                });
                self.perform(issue.unwrap(), Deed::Merge);
            }
        }
    }

    /// Time goes on to a moment, with everything that happens until then.
    async fn until(&mut self, ms: u64) {
        loop {
            self.settle().await;
            match self.clock.next_moment() {
                Some(next) if next.unix_ms < ms => {
                    self.clock.advance_to_next();
                }
                Some(_) | None => break,
            }
        }
        self.clock.advance_to(Timestamp::from_unix_ms(ms));
    }

    /// Time goes on, at least for so long, until nothing is left to be done; an error if that takes too long.
    async fn rest(&mut self, least_ms: u64) -> Result<(), String> {
        let least = self.clock.now_ms() + least_ms;
        let until = self.clock.now_ms() + REST_WITHIN_MS;
        loop {
            self.settle().await;
            let counts = self.store().counts().await.unwrap();
            if self.clock.now_ms() >= least && !self.webhooks_under_way() && left(&counts) == 0 {
                return Ok(());
            }
            if self.clock.now_ms() > until {
                return Err(format!("P4: no rest after {} h: {counts:?}", REST_WITHIN_MS / HOUR_MS));
            }
            if self.clock.advance_to_next().is_none() {
                return Err(format!("P4: everybody waits for ever: {counts:?}"));
            }
        }
    }

    pub(super) async fn runs(&self) -> Vec<RunSummary> {
        let mut runs = self.store().run_list(RunFilter { open_only: false, limit: 1_000 }).await.unwrap();
        runs.sort_by_key(|summary| summary.run);
        runs
    }

    async fn story(&self) -> String {
        let mut lines = vec![format!("{:#?}", self.plan)];
        lines.extend(self.weather.trace());
        lines.push(record::tasks(self).await);
        lines.push(record::of(self).await);
        lines.join("\n")
    }
}

fn left(counts: &Counts) -> u64 {
    let tasks = &counts.tasks;
    counts.pending + tasks.ready + tasks.running + tasks.waiting + tasks.delayed
}

/// The clock in plain milliseconds.
trait Milliseconds {
    fn now_ms(&self) -> u64;
}

impl Milliseconds for pairbot::adapters::ManualClock {
    fn now_ms(&self) -> u64 {
        pairbot::ports::Clock::now(self).unix_ms
    }
}
