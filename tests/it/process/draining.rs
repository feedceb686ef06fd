//! `pairbot serve` told to stop in the middle of work: what is paid for is kept, and the next server goes on at once.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pairbot::adapters::SystemClock;
use pairbot::demo::{MAINTAINER, REPOSITORY, Stage, play};
use pairbot::ports::Clock as _;
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{RunFilter, Store as _, TaskRecord, TaskState};
use pairbot_model_sim::{CallRecord, Fault, Role, When, story};
use pairbot_protocol::ids::Timestamp;
use tokio::sync::Notify;

use super::server::{Serving, changed, database, settings, stage, until};
use super::serving::{MERGED, PATIENCE};
use crate::scenarios::bill::Bill;
use crate::scenarios::picture;

/// At once, on a machine that may be busy with other things; far from the hour that it would otherwise wait.
const AT_ONCE: Duration = Duration::from_secs(30);
/// How long a lease lasts that nobody extends (`PoolSettings::default`).
const LEASE_MS: u64 = 30_000;

/// A stage whose creator is asked for the third time in its first round.
struct MidTurn {
    stage: Stage,
    issue: u64,
    asked: Arc<Notify>,
    /// Lets the answer out. Dropping it does, too.
    release: mpsc::Sender<()>,
}

impl MidTurn {
    /// The answer comes when it is released, or, if it `hangs`, never.
    async fn with(hangs: bool) -> Self {
        let stage = stage().await;
        let told = story("findings").unwrap();
        let issue = stage.open_issue(told.issue_title, told.issue_body).unwrap();
        let asked = Arc::new(Notify::new());
        let (release, released) = mpsc::channel();
        let (tell, released) = (asked.clone(), Mutex::new(released));
        let when = When::next_call().creator().round(1).turn(2).matching(move |_| {
            tell.notify_one();
            if !hangs {
                // The worker's other tasks go on elsewhere meanwhile.
                let _dropped = tokio::task::block_in_place(|| released.lock().unwrap().recv());
            }
            hangs
        });
        stage.models.as_ref().unwrap().inject(when, Fault::Hang);
        Self { stage, issue, asked, release }
    }

    /// A server that is at that turn.
    async fn reached(&self, settings: &[(String, String)]) -> Serving {
        let serving = Serving::spawn(settings);
        serving.listens().await;
        self.stage.github.person(MAINTAINER).label(REPOSITORY, self.issue, "agent:pair").unwrap();
        let asked = tokio::time::timeout(PATIENCE, self.asked.notified()).await;
        assert!(asked.is_ok(), "the creator never came to its third turn:\n{}", serving.said());
        serving
    }

    fn creator_calls(&self) -> Vec<CallRecord> {
        let creator = |call: &CallRecord| {
            call.brief.as_ref().is_some_and(|brief| brief.role == Role::Creator && brief.round == 1)
        };
        self.stage.models.as_ref().unwrap().ledger().into_iter().filter(creator).collect()
    }

    /// The creator's task, as the stopped server left it.
    async fn task(&self) -> (TaskRecord, Option<Timestamp>) {
        let store = SqliteStore::open(database(&self.stage)).unwrap();
        let run = store.run_list(RunFilter { open_only: true, limit: 1 }).await.unwrap()[0].run;
        let tasks = store.tasks(run).await.unwrap();
        let task = tasks.into_iter().find(|task| task.payload.contains("\"create\"")).unwrap();
        (task, store.next_task_at().await.unwrap())
    }

    /// The next server takes the run to its end; gives the bill.
    async fn goes_on(&self) -> Bill {
        let serving = Serving::start(&self.stage).await;
        play(&self.stage, &SystemClock, self.issue, PATIENCE).await.unwrap();
        let seen = || picture::of(&self.stage.github, REPOSITORY, self.issue);
        until("the end of the story", &serving, async || seen() == MERGED).await;
        let (status, log) = serving.terminate().await;
        assert_eq!(status.code(), Some(0), "{log}");
        Bill::of(self.stage.models.as_ref().unwrap(), &SqliteStore::open(database(&self.stage)).unwrap())
            .await
    }
}

/// Handed back, due at once, and as if it had not been tried.
fn was_handed_back((task, due): &(TaskRecord, Option<Timestamp>)) {
    assert_eq!((task.state, task.attempts, task.history.len()), (TaskState::Delayed, 0, 0), "{task:?}");
    assert!(due.is_some_and(|due| due <= SystemClock.now()), "{due:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_the_server_waits_for_the_answer_it_pays_for_and_the_next_one_asks_nothing_again() {
    let story = MidTurn::with(false).await;
    let serving = story.reached(&settings(&story.stage)).await;
    serving.signal_to_stop();
    until("the word that it stops", &serving, async || serving.said().contains("stopping")).await;
    story.release.send(()).unwrap();
    let (status, log) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(story.creator_calls().len(), 3, "no further turn is begun");
    was_handed_back(&story.task().await);
    let bill = story.goes_on().await;
    bill.is_exact();
    let turns: Vec<u32> = story.creator_calls().iter().map(|call| call.turn).collect();
    assert_eq!(turns, [0, 1, 2, 3, 4], "each turn is asked for once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_answer_in_time_is_cut_off_and_the_next_server_goes_on_at_that_turn() {
    let story = MidTurn::with(true).await;
    let serving = story.reached(&changed(&story.stage, "PAIRBOT_DRAIN_SECONDS", "1")).await;
    serving.signal_to_stop();
    let (status, log) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("handed back"), "{log}");
    was_handed_back(&story.task().await);
    story.goes_on().await;
    let turns: Vec<u32> = story.creator_calls().iter().map(|call| call.turn).collect();
    assert_eq!(turns, [0, 1, 2, 2, 3, 4], "only the call that was cut off is made again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_server_at_once_and_loses_nothing() {
    let story = MidTurn::with(true).await;
    let serving = story.reached(&changed(&story.stage, "PAIRBOT_DRAIN_SECONDS", "3600")).await;
    serving.signal_to_stop();
    until("the word that it stops", &serving, async || serving.said().contains("stopping")).await;
    serving.signal_to_stop();
    let ended = tokio::time::timeout(AT_ONCE, serving.ended()).await;
    let (status, log) = ended.unwrap_or_else(|_| panic!("it waits for the model"));
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("ended at once"), "{log}");
    story.goes_on().await;
    let turns: Vec<u32> = story.creator_calls().iter().map(|call| call.turn).collect();
    assert_eq!(turns, [0, 1, 2, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_a_killed_server_delay_nothing() {
    let story = MidTurn::with(true).await;
    let serving = story.reached(&settings(&story.stage)).await;
    let killed_at = SystemClock.now();
    serving.kill().await;
    let serving = Serving::start(&story.stage).await;
    until("the turn that was cut off", &serving, async || story.creator_calls().len() > 3).await;
    let waited_ms = SystemClock.now().ms_since(killed_at);
    assert!(waited_ms < LEASE_MS, "it waited {waited_ms} ms, as if for a lease");
}
