//! One process a file: two servers on one SQLite file would each believe to be alone.

use std::collections::BTreeSet;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use crate::store::{Result, StoreError};

/// What follows the process's number while a server has the database open.
const OPEN: &str = "open";

/// The lock files that this very process holds, by device and inode. The kernel's lock excludes other processes only,
/// and lets go as soon as the process closes any handle of the file: so it is never opened a second time.
static HELD: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

/// Held as long as the file is in use. The kernel lets go of it when the process ends, however it ends.
///
/// It is a record lock of the process (`fcntl`), not of the handle (`flock`): a child between `fork` and `exec` has the
/// handles of its parent, and would hold the lock for that moment after the server has let go of it.
#[derive(Debug)]
pub(super) struct FileLock {
    file: Option<File>,
    path: PathBuf,
    name: (u64, u64),
    cut_off: bool,
}

impl FileLock {
    /// Takes the lock of a database file, or says who has it. The lock file stays behind: removing it would let two
    /// processes lock two files of the same name.
    pub(super) fn take(database: &Path) -> Result<Self> {
        let path = lock_path(database);
        let unavailable = |error: &dyn std::fmt::Display| StoreError::Unavailable {
            detail: format!("{}: {error}", path.display()),
        };
        let mut held = held();
        if let Ok(metadata) = std::fs::metadata(&path)
            && held.contains(&name(&metadata))
        {
            return Err(StoreError::InUse { pid: std::process::id().to_string(), path });
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| unavailable(&error))?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => {
                return Err(StoreError::InUse { pid: holder(&mut file).0, path });
            }
            Err(error) => return Err(unavailable(&error)),
        }
        let cut_off = holder(&mut file).1;
        let name = file.metadata().map(|metadata| name(&metadata)).map_err(|error| unavailable(&error))?;
        held.insert(name);
        // Dropped on failure, it lets go of the lock again; for that it must be able to have `held`.
        drop(held);
        let mut lock = Self { file: Some(file), path: path.clone(), name, cut_off };
        lock.write(cut_off).map_err(|error| unavailable(&error))?;
        Ok(lock)
    }

    /// Whether the process that had the lock before ended without closing the database: its write-ahead log must then
    /// still be there.
    pub(super) fn was_cut_off(&self) -> bool {
        self.cut_off
    }

    /// Notes that the database is open, and its write-ahead log there.
    pub(super) fn note_open(&mut self) -> Result<()> {
        self.write(true)
            .map_err(|error| StoreError::Unavailable { detail: format!("{}: {error}", self.path.display()) })
    }

    /// Notes that the database is about to be closed in order, which removes the write-ahead log.
    pub(super) fn note_closing(&mut self) {
        if let Err(error) = self.write(false) {
            tracing::warn!(path = %self.path.display(), %error, "could not note an orderly end");
        }
    }

    fn write(&mut self, open: bool) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut text = format!("{}\n", std::process::id());
        if open {
            text.push_str(OPEN);
            text.push('\n');
        }
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let mut held = held();
        self.file = None;
        held.remove(&self.name);
    }
}

fn held() -> MutexGuard<'static, BTreeSet<(u64, u64)>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn name(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The lock file beside a database.
pub(super) fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// The process that a lock file names, and whether it says that the database is open.
fn holder(file: &mut File) -> (String, bool) {
    let mut text = String::new();
    // Who holds the lock may not have written its number yet; the refusal stands without it.
    let read = file.rewind().and_then(|()| file.take(40).read_to_string(&mut text));
    let mut lines = text.lines();
    let pid = lines.next().filter(|line| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()));
    match (read, pid) {
        (Ok(_), Some(pid)) => (pid.to_owned(), lines.next() == Some(OPEN)),
        (Ok(_) | Err(_), _) => ("unknown".to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_that_has_the_handles_of_its_parent_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("pairbot.db");
        let lock = FileLock::take(&database).unwrap();
        let handle = lock.file.as_ref().unwrap().try_clone().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a real child is what is tested")]
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::from(handle)).spawn().unwrap();
        drop(lock);
        let again = FileLock::take(&database);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(again.is_ok(), "{again:?}");
    }

    #[test]
    fn who_was_cut_off_is_told_from_who_ended_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("pairbot.db");
        let mut lock = FileLock::take(&database).unwrap();
        assert!(!lock.was_cut_off());
        lock.note_open().unwrap();
        assert!(matches!(FileLock::take(&database), Err(StoreError::InUse { .. })));
        drop(lock);
        // It remains so until a server has opened the database again: one that refused has mended nothing.
        assert!(FileLock::take(&database).unwrap().was_cut_off());
        let mut lock = FileLock::take(&database).unwrap();
        lock.note_closing();
        drop(lock);
        assert!(!FileLock::take(&database).unwrap().was_cut_off());
    }
}
