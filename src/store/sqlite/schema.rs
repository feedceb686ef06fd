//! Opening a database file: how durable it is, and which schema it has.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::failure::corrupt;
use crate::store::{Result, StoreError};

/// Schemas, forward only: a number is never used twice and a text that was released is never changed.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/0001_first.sql")];

/// `PBOT`, by which SQLite files of this program are told from others (<https://sqlite.org/fileformat2.html#application_id>).
const APPLICATION_ID: u32 = 0x5042_4f54;

/// How long a statement waits for another program that holds the file, such as a backup.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Prepared statements that a connection keeps; more than there are in this folder.
const STATEMENTS_KEPT: usize = 96;

/// Pages in the write-ahead log before they are copied into the file. Index pages of deliveries are hit at random,
/// so a longer log copies the same page less often; 4,000 pages are 16 MB.
const WAL_PAGES: u32 = 4_000;

/// Opens a file for the one connection that writes, creating or upgrading it.
pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    let mut db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|error| at(path, &error))?;
    prepare(&db)?;
    // A sync at every commit: what was answered with 202 survives a power failure.
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    migrate(&mut db)?;
    Ok(db)
}

/// Opens a file for reading only.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|error| at(path, &error))?;
    prepare(&db)?;
    Ok(db)
}

fn prepare(db: &Connection) -> Result<()> {
    db.busy_timeout(BUSY_WAIT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

fn at(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Unavailable { detail: format!("{}: {error}", path.display()) }
}

fn migrate(db: &mut Connection) -> Result<()> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let found: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: u32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: u32 = db.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || found > 0) {
        return Err(corrupt(
            "the file is a database of another program; DATABASE_URL points to the wrong one",
        ));
    }
    if found > known {
        return Err(StoreError::SchemaTooNew { found, known });
    }
    for (version, text) in (1_u32..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        let step = db.transaction()?;
        step.execute_batch(text)?;
        step.pragma_update(None, "application_id", APPLICATION_ID)?;
        step.pragma_update(None, "user_version", version)?;
        step.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairbot.db");
        (folder, path)
    }

    #[test]
    fn a_file_is_synced_at_every_commit() {
        let (_folder, path) = file();
        let db = open_writer(&path).unwrap();
        let synchronous: u32 = db.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        let journal: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!((synchronous, journal.as_str()), (2, "wal"));
    }

    #[test]
    fn opening_twice_changes_nothing() {
        let (_folder, path) = file();
        drop(open_writer(&path).unwrap());
        let db = open_writer(&path).unwrap();
        let version: usize = db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, MIGRATIONS.len());
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let (_folder, path) = file();
        open_writer(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = open_writer(&path).unwrap_err();
        assert!(matches!(error, StoreError::SchemaTooNew { found: 99, known: 1 }), "{error}");
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_and_left_alone() {
        let (_folder, path) = file();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
        assert!(matches!(open_writer(&path).unwrap_err(), StoreError::Corrupt { .. }));
        let (_folder, path) = file();
        std::fs::write(&path, "no database at all, but long enough to look like one ".repeat(40)).unwrap();
        assert!(matches!(open_writer(&path).unwrap_err(), StoreError::Corrupt { .. }));
    }
}
