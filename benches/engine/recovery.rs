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
use pairbot_protocol::policy::LABEL;
use pairbot_protocol::signal::{Actor, ActorKind, IssueFacts};

use crate::serving::Serving;

/// Targets of the design, printed beside what is measured.
const FIRST_S: f64 = 2.0;
const ALL_S: f64 = 10.0;
const GLANCE: Duration = Duration::from_millis(20);
/// How many installations have the runs: GitHub lets one of them read 900 times a minute, and a thousand runs of one would
/// measure how long it makes them wait.
const INSTALLATIONS: u64 = 20;
/// After this long it is stuck.
const STUCK: Duration = Duration::from_mins(1);

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
        begun.extend(stage.github.requests().into_iter().filter_map(|request| {
            let (_, issue) = request.path.split_once("/issues/")?;
            issue.parse::<u64>().ok().map(|_| request.path)
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
    for number in 0..INSTALLATIONS {
        let here = runs / INSTALLATIONS + u64::from(number < runs % INSTALLATIONS);
        let opened = opened(stage, number, here)?;
        try_join_all(opened.into_iter().map(|one| store.commit(one))).await?;
    }
    let claimed = store.claim(TaskKinds::Errand, usize::try_from(runs)?, "dead", now(), 3_600_000).await?;
    anyhow::ensure!(claimed.len() as u64 == runs, "{} tasks were claimed", claimed.len());
    Ok(())
}

/// Runs of the labelled issues of a repository of an installation of its own. The App comes last, so that nobody tells
/// it of the labels.
fn opened(stage: &Stage, number: u64, runs: u64) -> anyhow::Result<Vec<Commit>> {
    let (owner, name) = (format!("owner-{number}"), format!("owner-{number}/repository"));
    let (github, maintainer) = (&stage.github, stage.github.person(MAINTAINER));
    github.create_repository(&NewRepository::with_files(&name, &[("README.md", "One of many.\n")]))?;
    github.grant(&name, MAINTAINER, Role::Maintain)?;
    let open = |_| maintainer.open_issue(&name, "One of many", "Say more in the README.", &[LABEL]);
    let issues = (0..runs).map(open).collect::<Result<Vec<_>, _>>()?;
    let facts = maintainer.request("GET", &format!("/repos/{name}"), serde_json::Value::Null)?;
    let repository = RepositoryId(facts["id"].as_u64().context("a repository has an id")?);
    let installation = InstallationId(github.install(stage.app, &owner, None)?);
    let by = Actor { id: UserId(maintainer.id()), login: MAINTAINER.parse()?, kind: ActorKind::Person };
    let facts = IssueFacts { repository_name: name, title: "One of many".to_owned() };
    let opening = |issue| {
        let run = RunId { repository, issue: IssueNumber(issue), ordinal: 1 };
        Commit {
            inbox: None,
            run,
            version_before: 0,
            events: vec![Event::Opened {
                run,
                installation,
                by: by.clone(),
                issue: facts.clone(),
                at: now(),
            }],
            run_after: apply::opened(run, installation, &by, &facts, now()),
            effects: vec![Effect::Work(Work::Inspect { by: by.clone() })],
            at: now(),
        }
    };
    Ok(issues.into_iter().map(opening).collect())
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(u64::try_from(since.as_millis()).unwrap_or_default())
}
