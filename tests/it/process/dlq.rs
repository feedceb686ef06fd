//! `pairbot dlq` on the real binary: beside a server at work, and without one.

use std::sync::Arc;

use pairbot::demo::{MAINTAINER, REPOSITORY, Stage};
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{DeadLetter, Store, TaskKinds};
use pairbot_github_sim::Fault;
use pairbot_model_sim::story;
use serde_json::Value;

use super::server::{Ended, Serving, database, ended, pairbot, settings, stage, until};
use crate::conformance::fixtures::{answer, at, create, open_run};

async fn dlq(stage: &Stage, arguments: &[&str]) -> Ended {
    ended(pairbot(&[&["dlq"], arguments].concat(), &settings(stage))).await
}

async fn listed(stage: &Stage) -> Vec<Value> {
    let list = dlq(stage, &["list", "--json"]).await;
    assert_eq!(list.code, Some(0), "{list:?}");
    serde_json::from_str(&list.stdout).unwrap()
}

/// A store with two dead letters of one run that still is at its beginning.
async fn two_dead_letters(stage: &Stage) -> [String; 2] {
    let store = Arc::new(SqliteStore::open(database(stage)).unwrap());
    open_run(&*store, 1, vec![create(1), answer(1)]).await;
    for claimed in store.claim(TaskKinds::All, 10, "w", at(0), 1_000).await.unwrap() {
        store.bury(&claimed.lease, "no use at all", vec![], at(1)).await.unwrap();
    }
    let dead = store.dead_letters(10).await.unwrap();
    [0, 1].map(|n: usize| DeadLetter::Task(dead[n].task).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_dead_letters_are_listed_shown_replayed_and_dropped() {
    let stage = stage().await;
    let [create, answer] = two_dead_letters(&stage).await;
    let list = dlq(&stage, &["list"]).await;
    assert!(list.stdout.contains(&create) && list.stdout.contains("no use at all"), "{list:?}");
    assert_eq!(listed(&stage).await.len(), 2);

    // A run that does not wait for it is not disturbed, and what to do is said.
    let refused = dlq(&stage, &["replay", &create]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("went on without it"), "{refused:?}");

    let nameless = dlq(&stage, &["drop", &create]).await;
    assert!(nameless.code == Some(2) && nameless.stderr.contains("--reason"), "{nameless:?}");
    let dropped = dlq(&stage, &["drop", &create, "--reason", "of a test"]).await;
    assert_eq!(dropped.code, Some(0), "{dropped:?}");
    let shown = dlq(&stage, &["show", &create, "--json"]).await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(
        (&shown["state"], &shown["interventions"][0]["reason"]),
        (&"dropped".into(), &"of a test".into())
    );
    assert_eq!(shown["history"][0]["error"], "no use at all");

    let replayed = dlq(&stage, &["replay", "--all"]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert!(replayed.stdout.contains(&format!("{answer}: is tried again")), "{replayed:?}");
    assert_eq!(listed(&stage).await, [] as [Value; 0]);
    let unknown = dlq(&stage, &["show", "task-99"]).await;
    assert!(unknown.code == Some(1) && unknown.stderr.contains("there is no task-99"), "{unknown:?}");
    let malformed = dlq(&stage, &["show", "everything"]).await;
    assert_eq!(malformed.code, Some(2), "{malformed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_database_it_is_said_and_none_is_made() {
    let stage = stage().await;
    let path = database(&stage).to_owned();
    std::fs::remove_file(&path).unwrap();
    let refused = dlq(&stage, &["list"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("there is no database at"), "{refused:?}");
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_at_work_takes_up_what_is_replayed_beside_it() {
    let stage = stage().await;
    let refusal = Fault::on("POST", "/graphql").saying("markPullRequestReadyForReview");
    stage.github.fault(refusal.answer(422, "not today"));
    let story = story("smooth").unwrap();
    let issue = stage.open_issue(story.issue_title, story.issue_body).unwrap();
    let serving = Serving::start(&stage).await;
    stage.github.person(MAINTAINER).label(REPOSITORY, issue, "agent:pair").unwrap();
    until("the dead letter", &serving, async || !listed(&stage).await.is_empty()).await;
    let id = listed(&stage).await[0]["id"].as_str().unwrap().to_owned();
    assert!(stage.github.pulls(REPOSITORY).unwrap()[0].draft);

    let replayed = dlq(&stage, &["replay", &id]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    until("the replayed task", &serving, async || !stage.github.pulls(REPOSITORY).unwrap()[0].draft).await;
    assert_eq!(listed(&stage).await, [] as [Value; 0]);
    let (status, log) = serving.terminate().await;
    assert_eq!(status.code(), Some(0), "{log}");
}
