//! What the real server and its commands do about the database: durable, backed up while at work, refused if damaged.

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use pairbot::demo::{MAINTAINER, REPOSITORY, Stage};
use pairbot::store::sqlite::SqliteStore;
use pairbot_model_sim::story;
use rusqlite::Connection;
use serde_json::Value;

use super::server::{Ended, Serving, changed, database, ended, pairbot, settings, stage, until};
use crate::conformance::fixtures::{answer, create, open_run};

async fn told(stage: &Stage, arguments: &[&str]) -> Ended {
    ended(pairbot(arguments, &settings(stage))).await
}

/// A command on another file.
async fn told_of(stage: &Stage, file: &Path, arguments: &[&str]) -> Ended {
    let url = format!("sqlite://{}", file.display());
    let mut settings = settings(stage);
    settings.push(("DATABASE_URL".to_owned(), url));
    ended(pairbot(arguments, &settings)).await
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

fn label(stage: &Stage, name: &str) -> u64 {
    let story = story(name).unwrap();
    let issue = stage.open_issue(story.issue_title, story.issue_body).unwrap();
    stage.github.person(MAINTAINER).label(REPOSITORY, issue, "agent:pair").unwrap();
    issue
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_in_the_file_after_the_process_was_killed() {
    let stage = stage().await;
    let serving = Serving::start(&stage).await;
    stage.github.ping(stage.app).unwrap();
    stage.github.settled().await;
    serving.kill().await;
    // Looked at without the server's help: the write-ahead log is part of the file.
    let file = Connection::open(database(&stage)).unwrap();
    let event: String = file.query_row("SELECT event FROM inbox", (), |row| row.get(0)).unwrap();
    assert_eq!(event, "ping");
    let journal: String = file.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(journal, "wal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_while_the_server_works_is_whole_and_a_server_starts_from_it() {
    let stage = stage().await;
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(&stage).await;
    let issue = label(&stage, "findings");
    let ready = || async {
        let runs = json(&told(&stage, &["runs", "--json"]).await);
        runs[0]["phase"] == "awaiting-human"
    };
    let copies = std::cell::RefCell::new(Vec::<PathBuf>::new());
    until("a run that is ready, backed up all the while", &serving, async || {
        let copy = folder.path().join(format!("{}.db", copies.borrow().len()));
        copies.borrow_mut().push(copy.clone());
        let made = told(&stage, &["backup", copy.to_str().unwrap()]).await;
        assert_eq!(made.code, Some(0), "{made:?}");
        ready().await
    })
    .await;
    let mut copies = copies.into_inner();
    let last = folder.path().join("last.db");
    let made = told(&stage, &["backup", last.to_str().unwrap()]).await;
    assert!(made.code == Some(0) && made.stdout.contains("checked and on the disk"), "{made:?}");
    let again = told(&stage, &["backup", last.to_str().unwrap()]).await;
    assert!(again.code == Some(1) && again.stderr.contains("replaces none"), "{again:?}");
    copies.push(last.clone());
    for copy in &copies {
        let proven = json(&told_of(&stage, copy, &["verify-ledger", "--json"]).await);
        assert_eq!(proven["holds"], true, "{proven}");
    }
    let runs = json(&told(&stage, &["runs", "--json"]).await);
    let explained = told(&stage, &["explain", runs[0]["run"].as_str().unwrap()]).await;
    for part in ["issues.labeled (", "round 2, attempt 1 begins", "-> task", "ready: ", "creator, round 1"] {
        assert!(explained.stdout.contains(part), "{part}: {}", explained.stdout);
    }
    serving.terminate().await;

    // All is lost but the backup.
    let file = database(&stage).to_owned();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let _none = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
    std::fs::copy(&last, &file).unwrap();
    let serving = Serving::start(&stage).await;
    let number = stage.github.pulls(REPOSITORY).unwrap()[0].number;
    stage.github.person(MAINTAINER).merge(REPOSITORY, number, "squash").unwrap();
    until("the end of the run", &serving, async || {
        let runs = json(&told(&stage, &["runs", "--all", "--json"]).await);
        runs[0]["phase"] == "merged"
    })
    .await;
    assert!(stage.github.issue(REPOSITORY, issue).is_ok());
    let (status, log) = serving.terminate().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

/// A database with something in it, closed in order.
async fn filled(stage: &Stage) -> PathBuf {
    let path = database(stage).to_owned();
    let store = SqliteStore::open(&path).unwrap();
    for issue in 1..40 {
        open_run(&store, issue, vec![create(1), answer(1)]).await;
    }
    path
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// What can happen to a file: its name, how it is done, and what the server must say.
type Damage = (&'static str, fn(&Path), &'static str);

const DAMAGES: [Damage; 8] = [
    (
        "cut off",
        |path| OpenOptions::new().write(true).open(path).unwrap().set_len(20_000).unwrap(),
        "is cut off",
    ),
    ("a page of garbage", |path| overwrite(path, 4096, &[0xa5; 8192]), "the store is damaged"),
    (
        "another header",
        |path| overwrite(path, 0, b"something else, and not SQLite"),
        "is not a SQLite database",
    ),
    ("empty", |path| drop(std::fs::File::create(path).unwrap()), "is empty"),
    (
        "a log of garbage",
        |path| std::fs::write(beside(path, "-wal"), [7; 9000]).unwrap(),
        "is not what was written",
    ),
    (
        "a lost log",
        |path| std::fs::write(beside(path, ".lock"), "123\nopen\n").unwrap(),
        "what it last acknowledged may be lost",
    ),
    (
        "gone, but for its log",
        |path| {
            std::fs::rename(path, beside(path, "-wal")).unwrap();
        },
        "is gone, and its write-ahead log",
    ),
    (
        "a folder",
        |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        },
        "is a folder; DATABASE_URL must name a file",
    ),
];

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_refused_with_what_to_do_and_never_served() {
    let stage = stage().await;
    for (what, damage, says) in DAMAGES {
        let path = database(&stage).to_owned();
        if path.is_dir() {
            std::fs::remove_dir(&path).unwrap();
        }
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let _none = std::fs::remove_file(beside(&path, suffix));
        }
        filled(&stage).await;
        damage(&path);
        let refused = told(&stage, &["serve"]).await;
        assert_eq!(refused.code, Some(1), "{what}: {refused:?}");
        assert!(refused.stderr.contains(says), "{what}: {refused:?}");
        assert!(!refused.stderr.contains("panicked"), "{what}: {refused:?}");
        let doctor = told(&stage, &["doctor"]).await;
        let line = doctor.stdout.lines().find(|line| line.starts_with("fail  database")).unwrap_or_default();
        assert!(line.contains(says), "{what}: {doctor:?}");
        if what != "a folder" {
            assert!(line.contains("cp BACKUP ") && line.contains("integrity_check"), "{what}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_a_ledger_is_named_with_its_run_and_event() {
    let stage = stage().await;
    let path = filled(&stage).await;
    let whole = json(&told(&stage, &["verify-ledger", "--json"]).await);
    assert_eq!((&whole["runs"], &whole["events"]), (&39.into(), &39.into()));
    let hand = Connection::open(&path).unwrap();
    let flip = "UPDATE event SET payload = replace(payload, 'ada', 'eda') WHERE run = 7";
    assert_eq!(hand.execute(flip, ()).unwrap(), 1);
    drop(hand);
    let found = told(&stage, &["verify-ledger"]).await;
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stdout.contains("FAULT  run 10000000000-7-1, event 1: does not follow"), "{found:?}");
    let other = told(&stage, &["verify-ledger", "--run", "10000000000-8-1"]).await;
    assert_eq!(other.code, Some(0), "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_from_the_command_line_forgets_what_is_over_and_says_what_is_kept() {
    let stage = stage().await;
    let young = told(&stage, &["prune", "--older-than", "3d"]).await;
    assert!(young.code == Some(2) && young.stderr.contains("fewer than 7"), "{young:?}");
    filled(&stage).await;
    let dry = json(&told(&stage, &["prune", "--older-than", "90d", "--dry-run", "--json"]).await);
    assert_eq!((&dry["dry_run"], &dry["runs"]), (&true.into(), &Value::Array(vec![])));
    let wrong = ended(pairbot(&["serve"], &changed(&stage, "PAIRBOT_RETENTION_DAYS", "3"))).await;
    assert!(wrong.code == Some(1) && wrong.stderr.contains("PAIRBOT_RETENTION_DAYS"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_can_only_be_read_is_refused_with_what_to_do() {
    let stage = stage().await;
    let path = filled(&stage).await;
    let mut command = pairbot(&["serve"], &settings(&stage));
    std::fs::remove_file(beside(&path, ".lock")).unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    mode(&path, 0o444);
    if rustix::process::geteuid().is_root() {
        // Permissions do not hold root back: the server runs as nobody.
        mode(&stage.config.storage.data_dir, 0o777);
        command.uid(65_534).gid(65_534);
    }
    let refused = ended(command).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("can only be read; let this user write it"), "{refused:?}");
}
