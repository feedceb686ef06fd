//! What is given up is told to people, holds up nobody, and can be tried again.

use std::time::Duration;

use pairbot::config::Database;
use pairbot::demo::REPOSITORY;
use pairbot::ports::Clock as _;
use pairbot::store::{DeadLetter, Replayed};
use pairbot_github_sim::Fault;
use rusqlite::Connection;

use super::world::World;

/// What a newer version might have written.
const NEWER: &str = r#"{"v":9,"body":{"unheard":"of"}}"#;

impl World {
    /// Somebody else's hand on the file of the store.
    fn hand(&self) -> Connection {
        let Database::Sqlite { path } = &self.stage.config.storage.database;
        let hand = Connection::open(path).unwrap();
        hand.busy_timeout(Duration::from_secs(5)).unwrap();
        hand
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_shown_is_told_until_a_replay_shows_it() {
    let world = World::start().await;
    let issue = world.issue("smooth");
    let refusal = Fault::on("POST", "/graphql").saying("markPullRequestReadyForReview");
    world.stage.github.fault(refusal.answer(422, "not today"));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    assert!(world.picture(issue).contains("pull draft"), "{}", world.picture(issue));
    let status = world.status(issue);
    assert!(status.contains("Not shown on GitHub") && status.contains("is a draft: "), "{status}");

    let [dead] = &world.store().dead_letters(10).await.unwrap()[..] else { panic!("one is dead") };
    let letter = DeadLetter::Task(dead.task);
    let replayed = world.store().replay(letter, "ada", world.clock.now()).await.unwrap();
    assert_eq!(replayed, Replayed::Queued);
    world.quiet().await;
    assert!(world.picture(issue).contains("pull ready"), "{}", world.picture(issue));
    assert!(!world.status(issue).contains("Not shown"), "{}", world.status(issue));
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_cannot_be_read_halts_its_run_with_the_reason_and_a_retry_goes_on() {
    let mut world = World::start().await;
    let issue = world.issue("smooth");
    let (fault, before_push) = Fault::on("POST", "*/git-receive-pack").pause_before();
    world.stage.github.fault(fault);
    world.mona().label(REPOSITORY, issue, "agent:pair").unwrap();
    before_push.reached().await;
    world.stage.kill_server().await;
    let poisoned = "UPDATE task SET payload = ?1 WHERE state = 3 AND lane = 'work:create'";
    assert_eq!(world.hand().execute(poisoned, [NEWER]).unwrap(), 1);
    before_push.resume();
    world.power_cut().await;
    world.through(Duration::from_mins(1)).await;
    assert_eq!(world.phase(issue).await, "halted(agent-failed)");
    let status = world.status(issue);
    assert!(status.contains("an effect of version 9"), "{status}\n{}", world.trace().await);
    world.mona().comment(REPOSITORY, issue, "/retry").unwrap();
    world.through(Duration::from_mins(1)).await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    world.picture(issue);
    world.expect_dead_letters(1);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_read_holds_up_no_other_and_its_signals_are_kept() {
    let world = World::start().await;
    let (poisoned, good) = (world.issue("smooth"), world.issue("findings"));
    world.label(poisoned).await;
    let hand = world.hand();
    let snapshot: String = hand.query_row("SELECT snapshot FROM run", (), |row| row.get(0)).unwrap();
    hand.execute("UPDATE run SET snapshot = ?1", [NEWER]).unwrap();
    world.mona().comment(REPOSITORY, poisoned, "/status").unwrap();
    world.label(good).await;
    assert_eq!(world.phase(good).await, "awaiting-human");
    let [aside] = &world.store().unreadable_signals(10).await.unwrap()[..] else { panic!("one set aside") };
    assert!(
        aside.event.starts_with("issue_comment") && aside.reason.contains("a run of version 9"),
        "{aside:?}"
    );

    hand.execute("UPDATE run SET snapshot = ?1 WHERE issue = ?2", (snapshot, poisoned)).unwrap();
    let letter = DeadLetter::Signal(aside.id);
    world.store().replay(letter, "ada", world.clock.now()).await.unwrap();
    world.quiet().await;
    let comments = world.stage.github.comments(REPOSITORY, poisoned).unwrap();
    let asked = comments.iter().find(|comment| comment.body == "/status").unwrap();
    assert_eq!(world.stage.github.comment_reactions(REPOSITORY, asked.id).unwrap()[0].content, "+1");
    for issue in [poisoned, good] {
        world.picture(issue);
    }
    world.nothing_else_happened().await;
}
