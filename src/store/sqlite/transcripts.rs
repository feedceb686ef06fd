//! Conversations of agents, turn by turn, so that one that was cut off goes on where it was.

use pairbot_protocol::ids::RunId;
use rusqlite::Connection;

use super::columns::run_key;
use super::failure::contradiction;
use super::lease;
use crate::store::{Lease, Result};

pub(super) fn append(db: &Connection, lease: &Lease, key: &str, turn: u32, payload: &str) -> Result<()> {
    let run = lease::check(db, lease)?;
    db.prepare_cached("DELETE FROM turn WHERE run = ?1 AND conversation = ?2 AND turn >= ?3")?
        .execute((run.0, key, turn))?;
    let next: u32 = db
        .prepare_cached("SELECT coalesce(max(turn) + 1, 0) FROM turn WHERE run = ?1 AND conversation = ?2")?
        .query_row((run.0, key), |row| row.get(0))?;
    if turn != next {
        return Err(contradiction(format!("turn {turn} of `{key}` without turn {next}")));
    }
    db.prepare_cached("INSERT INTO turn (run, conversation, turn, payload) VALUES (?1, ?2, ?3, ?4)")?
        .execute((run.0, key, turn, payload))?;
    Ok(())
}

pub(super) fn read(db: &Connection, run: RunId, key: &str) -> Result<Vec<String>> {
    let Some(run) = run_key(db, run)? else { return Ok(Vec::new()) };
    let mut query =
        db.prepare_cached("SELECT payload FROM turn WHERE run = ?1 AND conversation = ?2 ORDER BY turn")?;
    let rows = query.query_map((run.0, key), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
