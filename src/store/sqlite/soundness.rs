//! Whether a database file is whole, looked at before a server works on it. What is damaged is refused with what to do:
//! SQLite alone takes an empty file for a new database, and a damaged write-ahead log for none.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::failure::corrupt;
use super::lock::lock_path;
use crate::store::{Result, StoreError};

/// What every SQLite file begins with (<https://sqlite.org/fileformat2.html#the_database_header>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;
/// What a write-ahead log begins with; the last bit says how its checksums are counted
/// (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).
const LOG_MAGIC: u32 = 0x377f_0682;
const LOG_HEADER_BYTES: usize = 32;

/// Up to this size a file is read through at every start. Beyond it the start would take long, and `pairbot doctor`
/// and SQLite's own `integrity_check` do it when asked.
const READ_THROUGH_BYTES_MAX: u64 = 1 << 30;

/// A file beside the database.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Looks at the files before SQLite opens them. `cut_off` says that whoever had them last did not close them.
pub(super) fn before_opening(path: &Path, cut_off: bool) -> Result<()> {
    let log = beside(path, "-wal");
    let log_bytes = match log.metadata() {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(unavailable(&log, &error)),
    };
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return match log_bytes {
                Some(bytes) if bytes > 0 => Err(corrupt(format!(
                    "{} is gone, and its write-ahead log {} is there",
                    path.display(),
                    log.display()
                ))),
                Some(_) | None => Ok(()),
            };
        }
        Err(error) => return Err(unavailable(path, &error)),
    };
    if metadata.is_dir() {
        let detail = format!("{} is a folder; DATABASE_URL must name a file", path.display());
        return Err(StoreError::Unavailable { detail });
    }
    let header = read::<HEADER_BYTES>(path)?;
    database(path, metadata.len(), &header, log_bytes.is_some_and(|bytes| bytes > 0))?;
    match log_bytes {
        None if cut_off => Err(corrupt(format!(
            "the last server on {} was cut off, and its write-ahead log {} is gone: what it last acknowledged may be \
             lost. Put the log back; or, if another program folded it into the database (as sqlite3 does when it ends), \
             delete {} and start again",
            path.display(),
            log.display(),
            lock_path(path).display()
        ))),
        Some(bytes) if bytes > 0 => write_ahead_log(&log),
        None | Some(_) => Ok(()),
    }
}

/// The first page of the database, as far as it tells of the whole.
fn database(path: &Path, bytes: u64, header: &[u8], logged: bool) -> Result<()> {
    if bytes == 0 {
        return Err(corrupt(format!(
            "{} is empty, as no server leaves it; if nothing was ever in it, delete it",
            path.display()
        )));
    }
    if header.len() < HEADER_BYTES || !header.starts_with(MAGIC) {
        return Err(corrupt(format!("{} is not a SQLite database", path.display())));
    }
    let page_bytes = match u64::from(number(header, 16, 2)) {
        1 => 65_536,
        bytes => bytes,
    };
    // With a log the file may be behind: what is missing is in the log.
    let expected = page_bytes.saturating_mul(u64::from(number(header, 28, 4)));
    if !logged && bytes < expected {
        return Err(corrupt(format!("{} is cut off: {bytes} bytes are there of {expected}", path.display())));
    }
    Ok(())
}

/// The header of a log that is not empty. One of nothing but zeros is what a power cut leaves of a log that was just
/// begun: nothing in it was ever acknowledged.
fn write_ahead_log(path: &Path) -> Result<()> {
    let header = read::<LOG_HEADER_BYTES>(path)?;
    if header.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let whole = header.len() == LOG_HEADER_BYTES && number(&header, 0, 4) & !1 == LOG_MAGIC;
    if whole && checksum(&header) == (number(&header, 24, 4), number(&header, 28, 4)) {
        return Ok(());
    }
    Err(corrupt(format!("the write-ahead log {} is not what was written", path.display())))
}

/// SQLite's checksum of the first 24 bytes of a log.
fn checksum(header: &[u8]) -> (u32, u32) {
    let big_endian = number(header, 0, 4) & 1 == 1;
    let word = |at| if big_endian { number(header, at, 4) } else { number(header, at, 4).swap_bytes() };
    (0..24).step_by(8).fold((0_u32, 0_u32), |(one, other), at| {
        let one = one.wrapping_add(word(at)).wrapping_add(other);
        (one, other.wrapping_add(word(at + 4)).wrapping_add(one))
    })
}

/// A number of so many bytes, the largest first; 0 where there are none.
fn number(bytes: &[u8], at: usize, length: usize) -> u32 {
    let digits = bytes.get(at..at + length).unwrap_or_default();
    digits.iter().fold(0, |number, digit| (number << 8) | u32::from(*digit))
}

/// Up to so many bytes from the beginning of a file.
fn read<const BYTES: usize>(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BYTES as u64).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| unavailable(path, &error))
}

fn unavailable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable { detail: format!("{}: {error}", path.display()) }
}

/// Looks at a database that was opened: it can be written, and its pages hang together.
pub(super) fn after_opening(db: &Connection, path: &Path) -> Result<()> {
    if db.is_readonly("main")? {
        let detail = format!(
            "{} can only be read; let this user write it and its folder, or mount its disk for writing",
            path.display()
        );
        return Err(StoreError::Unavailable { detail });
    }
    let bytes = path.metadata().map_err(|error| unavailable(path, &error))?.len();
    if bytes <= READ_THROUGH_BYTES_MAX { read_through(db) } else { Ok(()) }
}

/// Reads every page.
pub(super) fn read_through(db: &Connection) -> Result<()> {
    let found: String = db.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    // What is found comes on lines of its own, and is told on one.
    let found = found.split_whitespace().collect::<Vec<_>>().join(" ");
    if found == "ok" { Ok(()) } else { Err(corrupt(found)) }
}
