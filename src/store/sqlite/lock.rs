//! One process a file: two servers on one SQLite file would each believe to be alone.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::store::{Result, StoreError};

/// Held as long as the file is in use. The kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock of a database file, or says who has it. The lock file stays behind: removing it would let two
    /// processes lock two files of the same name.
    pub(super) fn take(database: &Path) -> Result<Self> {
        let path = lock_path(database);
        let unavailable = |error: &dyn std::fmt::Display| StoreError::Unavailable {
            detail: format!("{}: {error}", path.display()),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| unavailable(&error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(StoreError::InUse { pid: holder(&mut file), path }),
            Err(error) => return Err(unavailable(&error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()))
            .and_then(|()| file.flush())
            .map_err(|error| unavailable(&error))?;
        Ok(Self { _file: file })
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // Who holds the lock may not have written its number yet; the refusal stands without it.
    let read = file.take(20).read_to_string(&mut text);
    match read {
        Ok(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => text,
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}
