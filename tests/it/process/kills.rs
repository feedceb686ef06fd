//! `kill -9` at random moments of a run, again and again: the run ends as it would have undisturbed.
//!
//! Forty kills by default. `PAIRBOT_KILLS=200` makes it so many, `PAIRBOT_KILL_SEED` begins at another seed; every run
//! tells its own. The moment itself is one of real time, in another process, so a seed gives the same plan, not the same
//! instant.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use pairbot::adapters::SystemClock;
use pairbot::demo::{REPOSITORY, Stage, play};
use pairbot::ports::Clock as _;
use pairbot::store::Store as _;
use pairbot::store::sqlite::SqliteStore;
use pairbot_model_sim::{Fault, When, story};
use tokio::sync::Notify;

use super::server::{Serving, database, settings, stage};
use super::serving::MERGED;
use crate::scenarios::bill::Bill;
use crate::scenarios::picture;

/// How long a run may take that is killed so often, on a machine that may be busy with other things.
const LONG: Duration = Duration::from_mins(15);
/// How often one run is killed at most.
const KILLS_A_RUN: usize = 10;
/// How many runs are told side by side.
const RUNS_AT_ONCE: usize = 2;
/// How long to look elsewhere between two glances at a run.
const GLANCE: Duration = Duration::from_millis(5);

/// For how long nobody must ask for anything before the server may have nothing more to do.
const REST: Duration = Duration::from_millis(250);
/// How often the server may be started to do what is left.
const STARTS_TO_REST: usize = 10;

/// A small generator (<https://prng.di.unimi.it/splitmix64.c>), so that a seed stays the same plan for ever.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn ms(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }
}

/// One run, and what is done to it.
struct Story {
    stage: Stage,
    issue: u64,
}

impl Story {
    async fn begin() -> Self {
        let stage = stage().await;
        let told = story("findings").unwrap();
        let issue = stage.open_issue(told.issue_title, told.issue_body).unwrap();
        Self { stage, issue }
    }

    fn picture(&self) -> String {
        picture::of(&self.stage.github, REPOSITORY, self.issue)
    }

    /// What GitHub and the models were asked so far.
    fn asked(&self) -> usize {
        self.stage.github.requests().len() + self.stage.models.as_ref().unwrap().ledger().len()
    }

    /// Waits for a moment that chance chose; gives whether it came before the run had nothing more to do.
    async fn moment(&self, chance: &mut Chance, started: bool) -> bool {
        let (kind, extra) = (chance.below(20), chance.ms(25));
        let ended = async {
            while self.picture() != MERGED {
                SystemClock.sleep(GLANCE * 4).await;
            }
        };
        let came = async {
            match kind {
                // While it starts.
                0..3 if started => SystemClock.sleep(chance.ms(150)).await,
                // In the middle of a call of a model that answers, or does not.
                0..8 => self.call(1 + chance.below(3), chance.below(2) == 0).await,
                // Anywhere.
                _ => {
                    let until = self.asked() + usize::try_from(chance.below(40)).unwrap();
                    while self.asked() < until {
                        SystemClock.sleep(GLANCE).await;
                    }
                }
            }
            SystemClock.sleep(extra).await;
        };
        tokio::select! {
            () = came => true,
            () = ended => false,
        }
    }

    /// Returns as a model is asked for the `nth` time from now; that call may never be answered.
    async fn call(&self, nth: u64, hangs: bool) {
        let asked = Arc::new(Notify::new());
        let (tell, count) = (asked.clone(), AtomicUsize::new(0));
        let nth = usize::try_from(nth).unwrap();
        let when = When::next_call().matching(move |_| {
            let it_is = count.fetch_add(1, Ordering::Relaxed) + 1 == nth;
            if it_is {
                tell.notify_one();
            }
            it_is && hangs
        });
        self.stage.models.as_ref().unwrap().inject(when, Fault::Hang);
        asked.notified().await;
    }

    /// Sends again what found nobody, as somebody must who runs this server: GitHub does not do it by itself.
    async fn redeliver(&self) {
        let github = &self.stage.github;
        let mut sent_again = std::collections::BTreeSet::new();
        loop {
            let deliveries = github.deliveries();
            for failed in
                deliveries.iter().filter(|delivery| delivery.status.is_some_and(|status| status >= 300))
            {
                if sent_again.insert(failed.id) {
                    github.redeliver(failed.id).unwrap();
                }
            }
            SystemClock.sleep(GLANCE * 20).await;
        }
    }

    /// Tells the story and kills the server on the way; gives how often.
    async fn with_kills(&self, chance: &mut Chance, most: usize) -> usize {
        let settings = settings(&self.stage);
        let mut serving = Serving::start(&self.stage).await;
        let person = play(&self.stage, &SystemClock, self.issue, LONG);
        let killer = async {
            let (mut kills, mut log) = (0, String::new());
            while kills < most && self.moment(chance, kills > 0).await {
                log.push_str(&serving.said());
                serving.kill().await;
                kills += 1;
                log.push_str("---- killed\n");
                serving = Serving::spawn(&settings);
            }
            while self.picture() != MERGED {
                SystemClock.sleep(GLANCE).await;
            }
            (kills, log, serving)
        };
        let both = async { tokio::join!(person, killer) };
        let told = tokio::select! {
            told = tokio::time::timeout(LONG, both) => told,
            () = self.redeliver() => unreachable!(),
        };
        let (played, (kills, log, serving)) = told.unwrap_or_else(|_| {
            panic!("the run does not end:\n{}\n{:#?}", self.picture(), self.stage.github.writes())
        });
        assert!(played.is_ok(), "{played:?}\n{log}{}", serving.said());
        self.comes_to_rest(serving, log).await;
        kills
    }

    /// What was left to do after the merge is done, by this server or by those after it.
    async fn comes_to_rest(&self, mut serving: Serving, mut log: String) {
        for _ in 0..STARTS_TO_REST {
            serving.listens().await;
            let mut asked = usize::MAX;
            while asked != self.asked() {
                asked = self.asked();
                SystemClock.sleep(REST).await;
            }
            let (status, said) = serving.terminate().await;
            log.push_str(&said);
            assert_eq!(status.code(), Some(0), "{log}");
            let counts = SqliteStore::open(database(&self.stage)).unwrap().counts().await.unwrap();
            let tasks = counts.tasks;
            if counts.pending + counts.runs_open + tasks.waiting + tasks.ready + tasks.delayed + tasks.running
                == 0
            {
                return;
            }
            serving = Serving::spawn(&settings(&self.stage));
        }
        panic!("the server does not come to rest:\n{log}");
    }

    /// Looks at everything there is; gives the bill.
    async fn ended_well(&self, told: &str) -> Bill {
        assert_eq!(self.picture(), MERGED, "{told}");
        assert_eq!(self.stage.github.unlooked(), Vec::<String>::new(), "{told}");
        let store = SqliteStore::open(database(&self.stage)).unwrap();
        let counts = store.counts().await.unwrap();
        assert_eq!((counts.runs_open, counts.tasks.dead, counts.unreadable), (0, 0, 0), "{told}");
        Bill::of(self.stage.models.as_ref().unwrap(), &store).await
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_runs_end_in_the_same_picture_and_pay_for_no_more_than_was_under_way() {
    let (wanted, first) = (number("PAIRBOT_KILLS", 40), number("PAIRBOT_KILL_SEED", 1));
    let story = Story::begin().await;
    assert_eq!(story.with_kills(&mut Chance(0), 0).await, 0);
    let undisturbed = story.ended_well("undisturbed").await;
    undisturbed.is_exact();
    // Each run counts as so many kills when it begins, and as what it was when it has ended. What the last runs fell short
    // of is made up by others.
    let killed = AtomicUsize::new(0);
    let mut seeds = first..;
    while killed.load(Ordering::Relaxed) < wanted {
        let runs = futures_util::stream::iter(seeds.by_ref()).take_while(|_| {
            let begins = killed.load(Ordering::Relaxed) < wanted;
            if begins {
                killed.fetch_add(KILLS_A_RUN, Ordering::Relaxed);
            }
            async move { begins }
        });
        runs.for_each_concurrent(RUNS_AT_ONCE, async |seed| {
            let story = Story::begin().await;
            let mut chance = Chance(u64::try_from(seed).unwrap());
            let kills = story.with_kills(&mut chance, KILLS_A_RUN).await;
            killed.fetch_sub(KILLS_A_RUN - kills, Ordering::Relaxed);
            let moment = format!("seed {seed}, {kills} kills");
            let bill = story.ended_well(&moment).await;
            bill.survived(kills, &undisturbed, &moment);
            let ((spent, served), calls, needed) =
                (bill.spent_and_served(), bill.calls(), undisturbed.calls());
            println!("{moment}: {calls} calls where {needed} are needed, spent {spent}, billed {served}");
        })
        .await;
    }
}
