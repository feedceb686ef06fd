//! What a task costs when little waits and when much waits, and how many deliveries a second become durable.
//!
//! A claim reads the heads of lanes only, so the cost of a task must not grow with what waits behind it: the ratio is
//! what counts, the rest depends on the machine.
//!
//! `cargo bench --bench store [-- SMALL LARGE]` (backlogs in tasks, 10,000 and 1,000,000 unless told otherwise)

#![expect(clippy::print_stdout, reason = "a benchmark speaks on standard output")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::cast_precision_loss, reason = "what is counted here is far below 2^52")]

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use futures_util::future::try_join_all;
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{Commit, Content, Delivery, Done, Store, TaskKinds};
use pairbot_protocol::apply;
use pairbot_protocol::effect::{Effect, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{InstallationId, IssueNumber, RepositoryId, RunId, Timestamp, UserId};
use pairbot_protocol::signal::{Actor, ActorKind, Envelope, IssueFacts, RequestId, Signal, Target};

/// Tasks of one run.
const TASKS_PER_RUN: u32 = 20;
/// Claimed at once, and done at once: what one sync is shared by.
const BATCH: usize = 64;
/// Batches that are measured.
const BATCHES: usize = 60;
/// The most that a task may cost with the large backlog, as a multiple of its cost with the small one.
const RATIO_MAX: f64 = 1.2;

fn main() -> anyhow::Result<()> {
    let backlogs: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (small, large) = match backlogs[..] {
        [small, large] => (small, large),
        _ => (10_000, 1_000_000),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    runtime.block_on(async {
        let small = cost_of_a_task(small).await?;
        let large = cost_of_a_task(large).await?;
        println!("large / small: {:.2} (at most {RATIO_MAX})", large / small);
        let per_second = deliveries_per_second(20_000).await?;
        println!("deliveries made durable: {per_second:.0} a second, {BATCH} at a time");
        Ok(())
    })
}

/// Microseconds from claim to completion of a task, while `backlog` others wait.
async fn cost_of_a_task(backlog: u64) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("bench.db"))?);
    let issues: Vec<u64> = (1..=backlog.div_ceil(u64::from(TASKS_PER_RUN))).collect();
    for some in issues.chunks(256) {
        try_join_all(some.iter().map(|issue| store.commit(opening(*issue)))).await?;
    }
    let mut batches = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let start = Instant::now();
        let claimed = store.claim(TaskKinds::All, BATCH, "bench", now(), 60_000).await?;
        let done = claimed.iter().map(|claimed| store.complete(&claimed.lease, Done::default(), now()));
        try_join_all(done).await?;
        anyhow::ensure!(claimed.len() == BATCH, "the backlog ran out");
        batches.push(start.elapsed().as_secs_f64() * 1e6 / BATCH as f64);
    }
    batches.sort_by(f64::total_cmp);
    let median = *batches.get(BATCHES / 2).context("no batch was measured")?;
    println!("backlog of {backlog:>9}: {median:>7.1} µs a task");
    Ok(median)
}

async fn deliveries_per_second(deliveries: u64) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("bench.db"))?);
    let start = Instant::now();
    let senders = (0..BATCH as u64).map(|sender| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in (sender..deliveries).step_by(BATCH) {
                store.accept(delivery(number)).await?;
            }
            anyhow::Ok(())
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await??;
    }
    Ok(deliveries as f64 / start.elapsed().as_secs_f64())
}

fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_700_000_000_000)
}

fn actor() -> Actor {
    let login = "ada".parse();
    #[expect(clippy::unwrap_used, reason = "a constant that is a login")]
    let login = login.unwrap();
    Actor { id: UserId(1), login, kind: ActorKind::Person }
}

fn facts() -> IssueFacts {
    IssueFacts { repository_name: "octo/demo".to_owned(), title: "Greet by name".to_owned() }
}

fn opening(issue: u64) -> Commit {
    let id = RunId { repository: RepositoryId(1), issue: IssueNumber(issue), ordinal: 1 };
    let installation = InstallationId(issue % 7);
    let errand = |number| Effect::Work(Work::ReadPermission { request: RequestId(number), of: actor() });
    Commit {
        inbox: None,
        run: id,
        version_before: 0,
        events: vec![Event::Opened { run: id, installation, by: actor(), issue: facts(), at: now() }],
        run_after: apply::opened(id, installation, &actor(), &facts(), now()),
        effects: (0..TASKS_PER_RUN).map(errand).collect(),
        at: now(),
    }
}

fn delivery(number: u64) -> Delivery {
    // Scattered, as GitHub's random GUIDs are.
    let guid = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Delivery {
        guid: format!("{guid:016x}-bench-delivery-{number:08}"),
        meaning: Some(format!("issue:1:{number}:labeled")),
        event: "issues.labeled".to_owned(),
        received_at: now(),
        content: Content::Signal(Envelope {
            installation: InstallationId(1),
            target: Target::Issue { repository: RepositoryId(1), issue: IssueNumber(number) },
            signal: Signal::LabelSet { by: actor(), issue: facts() },
        }),
    }
}
