//! How soon everything goes on after `kill -9`: a store of open runs, each with a task that the dead process held.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::try_join_all;
use pairbot::config::Database;
use pairbot::demo::{REPOSITORY, Stage, StageSettings};
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{Commit, Store, TaskKinds};
use pairbot_protocol::apply;
use pairbot_protocol::effect::{Effect, Work};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{InstallationId, IssueNumber, RepositoryId, RunId, Timestamp, UserId};
use pairbot_protocol::signal::{Actor, ActorKind, IssueFacts};

use crate::serving::Serving;

/// Targets of the design, printed beside what is measured.
const FIRST_S: f64 = 2.0;
const ALL_S: f64 = 10.0;
const GLANCE: Duration = Duration::from_millis(2);
/// After this long it is stuck.
const STUCK: Duration = Duration::from_mins(3);

pub(crate) async fn measure(runs: u64) -> anyhow::Result<()> {
    let mut stage = Stage::set(StageSettings::default()).await?;
    stage.stop_server().await;
    held_by_a_dead_process(&stage, runs).await?;
    stage.github.clear_requests();

    let start = Instant::now();
    let _serving = Serving::start(&stage);
    let (mut first, mut begun) = (None, BTreeSet::new());
    while begun.len() as u64 != runs {
        anyhow::ensure!(start.elapsed() < STUCK, "{} of {runs} runs went on", begun.len());
        tokio::time::sleep(GLANCE).await;
        // An inspection begins by reading the issue it is about.
        begun.extend(stage.github.requests().iter().filter_map(|request| {
            let (_, issue) = request.path.split_once("/issues/")?;
            issue.parse::<u64>().ok().filter(|issue| *issue > 1_000_000)
        }));
        if !begun.is_empty() {
            first.get_or_insert(start.elapsed().as_secs_f64());
        }
    }
    let all = start.elapsed().as_secs_f64();
    println!(
        "recovery of {runs} open runs: first task after {:.2} s (target: {FIRST_S})",
        first.unwrap_or(all)
    );
    println!("recovery of {runs} open runs: all under way after {all:.2} s (target: {ALL_S})");
    Ok(())
}

async fn held_by_a_dead_process(stage: &Stage, runs: u64) -> anyhow::Result<()> {
    let Database::Sqlite { path } = &stage.config.storage.database;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path)?);
    let facts = stage.github.person(pairbot::demo::MAINTAINER).request(
        "GET",
        &format!("/repos/{REPOSITORY}"),
        serde_json::Value::Null,
    )?;
    let repository = RepositoryId(facts["id"].as_u64().context("a repository has an id")?);
    let installation = InstallationId(stage.installation);
    let numbers: Vec<u64> = (1..=runs).map(|number| 1_000_000 + number).collect();
    for some in numbers.chunks(256) {
        let opened = some.iter().map(|issue| opening(repository, installation, *issue));
        try_join_all(opened.collect::<Result<Vec<_>, _>>()?.into_iter().map(|one| store.commit(one))).await?;
    }
    let claimed = store.claim(TaskKinds::Work, usize::try_from(runs)?, "dead", now(), 3_600_000).await?;
    anyhow::ensure!(claimed.len() as u64 == runs, "{} tasks were claimed", claimed.len());
    Ok(())
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(u64::try_from(since.as_millis()).unwrap_or_default())
}

fn opening(repository: RepositoryId, installation: InstallationId, issue: u64) -> anyhow::Result<Commit> {
    let run = RunId { repository, issue: IssueNumber(issue), ordinal: 1 };
    let by = Actor { id: UserId(1), login: "ada".parse()?, kind: ActorKind::Person };
    let facts = IssueFacts { repository_name: REPOSITORY.to_owned(), title: "One of many".to_owned() };
    Ok(Commit {
        inbox: None,
        run,
        version_before: 0,
        events: vec![Event::Opened { run, installation, by: by.clone(), issue: facts.clone(), at: now() }],
        run_after: apply::opened(run, installation, &by, &facts, now()),
        effects: vec![Effect::Work(Work::Inspect { by })],
        at: now(),
    })
}
