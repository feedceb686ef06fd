//! How soon everything goes on after `kill -9`: a store of open runs, each with a task that the dead process held.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::future::try_join_all;
use pairbot::config::Database;
use pairbot::demo::{MAINTAINER, Stage, StageSettings};
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{Commit, Store, TaskKinds};
use pairbot_github_sim::{NewRepository, Role};
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
/// How many installations have the runs: GitHub lets one of them read 900 times a minute, and a thousand runs of one would
/// measure how long it makes them wait.
const INSTALLATIONS: u64 = 20;
/// Above every number that an issue on the stage has.
const FIRST_ISSUE: u64 = 1_000_000;
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
            issue.parse::<u64>().ok().filter(|issue| *issue > FIRST_ISSUE)
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
    let places = (0..INSTALLATIONS).map(|number| place(stage, number)).collect::<Result<Vec<_>, _>>()?;
    let numbers: Vec<u64> = (1..=runs).map(|number| FIRST_ISSUE + number).collect();
    for some in numbers.chunks(256) {
        let here =
            |issue: u64| places.iter().cycle().nth(usize::try_from(issue % INSTALLATIONS).unwrap_or(0));
        let opened = some.iter().map(|issue| opening(here(*issue).context("there is a place")?, *issue));
        try_join_all(opened.collect::<Result<Vec<_>, _>>()?.into_iter().map(|one| store.commit(one))).await?;
    }
    let claimed = store.claim(TaskKinds::Work, usize::try_from(runs)?, "dead", now(), 3_600_000).await?;
    anyhow::ensure!(claimed.len() as u64 == runs, "{} tasks were claimed", claimed.len());
    Ok(())
}

/// A repository of an installation of its own.
struct Place {
    name: String,
    repository: RepositoryId,
    installation: InstallationId,
}

fn place(stage: &Stage, number: u64) -> anyhow::Result<Place> {
    let (owner, name) = (format!("owner-{number}"), format!("owner-{number}/repository"));
    let github = &stage.github;
    github.create_repository(&NewRepository::with_files(&name, &[("README.md", "One of many.\n")]))?;
    github.grant(&name, MAINTAINER, Role::Maintain)?;
    let installation = InstallationId(github.install(stage.app, &owner, None)?);
    let facts =
        github.person(MAINTAINER).request("GET", &format!("/repos/{name}"), serde_json::Value::Null)?;
    let repository = RepositoryId(facts["id"].as_u64().context("a repository has an id")?);
    Ok(Place { name, repository, installation })
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(u64::try_from(since.as_millis()).unwrap_or_default())
}

fn opening(place: &Place, issue: u64) -> anyhow::Result<Commit> {
    let run = RunId { repository: place.repository, issue: IssueNumber(issue), ordinal: 1 };
    let installation = place.installation;
    let by = Actor { id: UserId(1), login: "ada".parse()?, kind: ActorKind::Person };
    let facts = IssueFacts { repository_name: place.name.clone(), title: "One of many".to_owned() };
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
