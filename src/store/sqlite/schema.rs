//! Opening a database file: how durable it is, and which schema it has.

use std::cmp::Ordering;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::failure::corrupt;
use super::soundness::beside;
use crate::store::{Result, StoreError};

/// Schemas, forward only: a number is never used twice and a text that was released is never changed.
const MIGRATIONS: [&str; 4] = [
    include_str!("../../../migrations/0001_first.sql"),
    include_str!("../../../migrations/0002_operators.sql"),
    include_str!("../../../migrations/0003_turns.sql"),
    include_str!("../../../migrations/0004_shared_budgets.sql"),
];

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

/// Makes a new file. Until it is whole it has another name, so that one that is empty is never one of ours.
pub(super) fn create(path: &Path) -> Result<()> {
    let unfinished = beside(path, ".new");
    let failed = |error: &std::io::Error| StoreError::Unavailable {
        detail: format!("{}: {error}", unfinished.display()),
    };
    for left in [unfinished.clone(), beside(&unfinished, "-wal"), beside(&unfinished, "-shm")] {
        match std::fs::remove_file(left) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    let db = open_writer(&unfinished)?;
    db.close().map_err(|(_, error)| StoreError::from(error))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::rename(&unfinished, path)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|error| failed(&error))
}

/// Opens a file beside a server that may be at work on it: nothing is created, nothing upgraded, and the write-ahead
/// log is left as it is at the end.
pub(super) fn open_beside(path: &Path) -> Result<Connection> {
    let db = open_beside_any(path)?;
    let (found, known) = (ours(&db)?, newest());
    match found.cmp(&known) {
        Ordering::Equal => Ok(db),
        Ordering::Less => Err(StoreError::SchemaTooOld { found, known }),
        Ordering::Greater => Err(StoreError::SchemaTooNew { found, known }),
    }
}

/// The same, whatever schema of ours it has.
pub(super) fn open_beside_any(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !path.exists() {
        let detail = format!(
            "there is no database at {}; set DATABASE_URL or PAIRBOT_DATA_DIR as the server has them",
            path.display()
        );
        return Err(StoreError::Unavailable { detail });
    }
    let db = Connection::open_with_flags(path, flags).map_err(|error| at(path, &error))?;
    prepare(&db)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    ours(&db)?;
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
    let (found, known) = (ours(db)?, newest());
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

fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The schema of a file that is this program's own, 0 for an empty one.
fn ours(db: &Connection) -> Result<u32> {
    let found: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: u32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: u32 = db.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if application != APPLICATION_ID && (tables > 0 || found > 0) {
        return Err(corrupt(
            "the file is a database of another program; DATABASE_URL points to the wrong one",
        ));
    }
    Ok(found)
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
        assert!(matches!(error, StoreError::SchemaTooNew { found: 99, known: 4 }), "{error}");
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
