//! What earlier versions stored is opened, upgraded and understood. `samples/` holds a file of each schema there ever was,
//! as `sqlite3 .dump` would write it; none is ever changed.

use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{RunFilter, TaskState};
use rusqlite::Connection;

use super::fixtures::at;
use super::{Backend, Sqlite};

/// Each schema before the present one. A migration adds its predecessor here.
const SAMPLES: [(u32, &str); 3] = [
    (1, include_str!("samples/v1.sql")),
    (2, include_str!("samples/v2.sql")),
    (3, include_str!("samples/v3.sql")),
];

fn stored(version: u32, text: &str) -> Sqlite {
    let place = Sqlite::new();
    let file = Connection::open(place.path()).unwrap();
    file.execute_batch(text).unwrap();
    let found: u32 = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(found, version);
    place
}

#[test]
fn every_earlier_schema_has_a_sample() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let migrations = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(
        SAMPLES.len() + 1,
        migrations,
        "dump a database of the schema that this migration leaves behind"
    );
}

#[tokio::test]
async fn what_each_earlier_version_stored_is_upgraded_and_every_ledger_replays() {
    for (version, text) in SAMPLES {
        let place = stored(version, text);
        let store = place.open();
        let audited = store.audit(None).await.unwrap();
        assert_eq!(audited.faults, [], "version {version}");
        let runs = store.run_list(RunFilter { open_only: false, limit: 100 }).await.unwrap();
        assert_eq!(audited.runs, runs.len() as u64);
        let mut phases: Vec<_> = runs.iter().map(|run| run.phase).collect();
        phases.sort_unstable();
        assert_eq!(phases, ["awaiting-human", "creating", "merged"], "version {version}");
        for run in &runs {
            assert!(!store.tasks(run.run).await.unwrap().is_empty());
            assert!(store.spend_lines(run.run).await.unwrap().iter().all(|line| line.calls > 0));
        }
        // What was under way goes on: its lease has ended with its process, its conversation is there, its timer runs.
        let creating = runs.iter().find(|run| run.phase == "creating").unwrap().run;
        let tasks = store.tasks(creating).await.unwrap();
        let under_way = tasks.iter().find(|task| task.state == TaskState::Running).unwrap();
        let claimed = store.claim(pairbot::store::TaskKinds::All, 10, "w", at(0), 1_000).await.unwrap();
        assert!(claimed.iter().any(|claimed| claimed.lease.task() == under_way.task && claimed.outages == 0));
        assert!(store.next_timer().await.unwrap().is_some());
        let counts = store.counts().await.unwrap();
        assert!(counts.deliveries > 20 && counts.tasks.done > 50 && counts.unreadable == 0, "{counts:?}");
        let hand = Connection::open(place.path()).unwrap();
        let deliveries: u64 = hand.query_row("SELECT count(*) FROM inbox", (), |row| row.get(0)).unwrap();
        let done: u64 =
            hand.query_row("SELECT count(*) FROM task WHERE state = 4", (), |row| row.get(0)).unwrap();
        assert_eq!(
            (counts.deliveries, counts.tasks.done),
            (deliveries, done),
            "what is not counted is reckoned"
        );
    }
}

#[test]
fn a_command_beside_the_server_does_not_upgrade_what_an_older_one_has_open() {
    for (version, text) in SAMPLES {
        let place = stored(version, text);
        let refusal = SqliteStore::beside(&place.path()).unwrap_err().to_string();
        assert!(
            refusal.contains(&format!("schema {version}")) && refusal.contains("server's version"),
            "{refusal}"
        );
        // But it is backed up, as it is: before an upgrade is when that is wanted.
        let copy = place.path().with_extension("backup");
        SqliteStore::backup(&place.path(), &copy).unwrap();
        let file = Connection::open(copy).unwrap();
        let found: u32 = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(found, version);
    }
}
