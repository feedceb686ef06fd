//! A copy of the database while a server works on it: one committed state, in one file.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::schema::open_beside_any;
use super::soundness;
use crate::store::{Result, StoreError};

/// Copies the database at `from` to a new file `to`, which is on the disk when this returns. Refuses to replace one.
///
/// The copy is made by SQLite's online backup in one step, under one read snapshot: whoever writes meanwhile is
/// neither held up nor seen. Gives its size in bytes.
pub(super) fn copy(from: &Path, to: &Path) -> Result<u64> {
    let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable {
        detail: format!("{}: {error}", to.display()),
    };
    if to.symlink_metadata().is_ok() {
        return Err(failed(&"there is such a file already, and a backup replaces none"));
    }
    let source = open_beside_any(from)?;
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    // Under a name of its own until it is whole, readable by its owner alone.
    let made = tempfile::Builder::new().prefix(".pairbot-backup-").tempfile_in(folder);
    let made = made.map_err(|error| failed(&error))?;
    let mut target = Connection::open(made.path())?;
    Backup::new(&source, &mut target)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
    // A file on its own, without a log beside it, until a server opens it.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    soundness::read_through(&target)?;
    target.close().map_err(|(_, error)| StoreError::from(error))?;
    made.as_file().sync_all().map_err(|error| failed(&error))?;
    let file = made.persist_noclobber(to).map_err(|error| failed(&error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(&error))?;
    Ok(file.metadata().map_err(|error| failed(&error))?.len())
}
