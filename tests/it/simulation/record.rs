//! What a seed determines, as text: every ledger with its hashes, and every write that reached GitHub.

use std::fmt::Write as _;

use pairbot::store::TaskState;

use super::world::World;

/// Everything that must be the same when the seed is.
pub(super) async fn of(world: &World) -> String {
    let mut text = String::new();
    let store = world.store();
    for summary in world.runs().await {
        writeln!(text, "run {} {}", summary.run, summary.phase).unwrap();
        match store.ledger(summary.run).await {
            Ok(entries) => {
                for entry in entries {
                    let hash = hex::encode(entry.hash);
                    writeln!(text, "  {} {} {hash} {:?}", entry.seq, entry.at.unix_ms, entry.event).unwrap();
                }
            }
            Err(error) => writeln!(text, "  {error}").unwrap(),
        }
    }
    for request in world.github().requests().iter().filter(|request| request.is_write()) {
        let (at, method, path) = (request.at_ms, &request.method, &request.path);
        writeln!(text, "{at} {} {method} {path} {} {}", request.who, request.status, request.body).unwrap();
    }
    text
}

/// Every task that did not just succeed.
pub(super) async fn tasks(world: &World) -> String {
    let mut text = String::new();
    for summary in world.runs().await {
        for task in world.store().tasks(summary.run).await.unwrap() {
            let troubled = match task.state {
                TaskState::Done | TaskState::Cancelled => !task.history.is_empty(),
                TaskState::Waiting
                | TaskState::Ready
                | TaskState::Delayed
                | TaskState::Running
                | TaskState::Dead
                | TaskState::Dropped => true,
            };
            if troubled {
                writeln!(text, "task {} of {} {:?} {}", task.task, task.run, task.state, task.payload)
                    .unwrap();
                for attempt in &task.history {
                    writeln!(text, "    {} {}", attempt.claimed_at.unix_ms, attempt.error).unwrap();
                }
                if let Some(reason) = &task.reason {
                    writeln!(text, "    dead: {reason}").unwrap();
                }
            }
        }
    }
    text
}
