//! Signals decided and events stored a second.

use std::sync::Arc;
use std::time::Instant;

use pairbot::adapters::SystemClock;
use pairbot::engine::Engine;
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{Content, Delivery, RunFilter, Store};
use pairbot_protocol::ids::{InstallationId, IssueNumber, RepositoryId, Timestamp, UserId};
use pairbot_protocol::signal::{Actor, ActorKind, Envelope, IssueFacts, Signal, Target};

/// Rows of the yardstick's transactions: what the engine decides at once.
const GROUP: u64 = 64;

/// Labels each issue of `runs` and takes the label away again, which opens a run and ends it.
pub(crate) async fn measure(runs: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("bench.db"))?);
    let actor = Actor { id: UserId(1), login: "ada".parse()?, kind: ActorKind::Person };
    let issue = IssueFacts { repository_name: "octo/demo".to_owned(), title: "Greet by name".to_owned() };
    for number in 1..=runs {
        let set = Signal::LabelSet { by: actor.clone(), issue: issue.clone() };
        store.accept(delivery("set", number, set)).await?;
    }
    for number in 1..=runs {
        let removed = Signal::LabelRemoved { by: actor.clone() };
        store.accept(delivery("removed", number, removed)).await?;
    }
    let engine = Engine::new(store.clone(), Arc::new(SystemClock));
    let start = Instant::now();
    while engine.pass().await? > 0 {}
    let seconds = start.elapsed().as_secs_f64();

    let (mut events, mut bytes) = (0_u64, 0_usize);
    let limit = usize::try_from(runs)?;
    for run in store.run_list(RunFilter { open_only: false, limit }).await? {
        let ledger = store.ledger(run.run).await?;
        events += ledger.len() as u64;
        for entry in ledger {
            bytes += serde_json::to_string(&entry.event)?.len();
        }
    }
    let bare = bare_rows_per_second(events, bytes / usize::try_from(events.max(1))?)?;
    println!("engine: {:>8.0} signals decided a second", 2.0 * runs as f64 / seconds);
    println!(
        "engine: {:>8.0} events applied a second ({events} events of {runs} runs)",
        events as f64 / seconds
    );
    println!("engine: {:>8.2} of the rows that are written without deciding", events as f64 / seconds / bare);
    Ok(())
}

fn delivery(what: &str, number: u64, signal: Signal) -> Delivery {
    Delivery {
        guid: format!("bench-{what}-{number:08}"),
        meaning: None,
        event: "issues.labeled".to_owned(),
        received_at: Timestamp::from_unix_ms(1_700_000_000_000),
        content: Content::Signal(Envelope {
            installation: InstallationId(1),
            target: Target::Issue { repository: RepositoryId(1), issue: IssueNumber(number) },
            signal,
        }),
    }
}

fn bare_rows_per_second(rows: u64, bytes: usize) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let db = rusqlite::Connection::open(folder.path().join("bare.db"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(
        "CREATE TABLE event (run INTEGER, seq INTEGER, payload TEXT, PRIMARY KEY (run, seq)) STRICT",
    )?;
    let payload = "x".repeat(bytes);
    let start = Instant::now();
    for first in (0..rows).step_by(usize::try_from(GROUP)?) {
        db.execute_batch("BEGIN")?;
        for row in first..rows.min(first + GROUP) {
            db.prepare_cached("INSERT INTO event VALUES (?1, 1, ?2)")?
                .execute((i64::try_from(row)?, &payload))?;
        }
        db.execute_batch("COMMIT")?;
    }
    Ok(rows as f64 / start.elapsed().as_secs_f64())
}
