//! Files below one directory, and nowhere else.
//!
//! Every path is walked one component at a time from an open directory, and no component may be a symbolic link, so
//! what the tree holds (a link to `/etc`, a directory swapped for a link in between) cannot lead outside. `openat2` with
//! `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS` would do the same in one call, but container seccomp profiles and other
//! kernels refuse it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::agents::untrusted::is_hidden;

const PATH_BYTES_MAX: usize = 1_024;

/// Why a path was refused or a file could not be used. Written for the model to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error(
        "`{0}` is not a path inside the worktree: give a relative path without `..`, such as `src/lib.rs`"
    )]
    Outside(String),
    #[error("`{0}` belongs to git; files below `.git` cannot be read or changed")]
    Git(String),
    #[error("`{0}` is or passes through a symbolic link; links are not followed")]
    Symlink(String),
    #[error("there is no `{0}`; use list_files to see what there is")]
    Missing(String),
    #[error("`{0}` is a directory, not a file")]
    IsDirectory(String),
    #[error("`{0}` is not a directory")]
    NotDirectory(String),
    #[error("`{0}` is neither a file nor a directory")]
    Special(String),
    #[error("`{path}` is larger than {bytes_max} bytes, more than this tool takes")]
    TooLarge { path: String, bytes_max: u64 },
    #[error("`{path}` could not be used: {reason}")]
    Failed { path: String, reason: String },
}

/// The directory that the tools work in.
#[derive(Debug)]
pub(crate) struct Root {
    directory: OwnedFd,
    path: PathBuf,
}

/// What a name in a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    Special,
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Root {
    /// Opens the directory. The path to it is the server's own and may contain links.
    pub(crate) fn open(path: &Path) -> Result<Self, PlaceError> {
        let shown = path.display().to_string();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(&shown, error))?;
        Ok(Self { directory, path: path.to_owned() })
    }

    /// Where it is, for a command to run in.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory inside; `.` is the root itself.
    pub(super) fn directory(&self, path: &str) -> Result<OwnedFd, PlaceError> {
        self.walk(path, &components(path)?, false)
    }

    /// What a path is.
    pub(super) fn kind(&self, path: &str) -> Result<Kind, PlaceError> {
        let parts = components(path)?;
        match parts.split_last() {
            None => Ok(Kind::Directory),
            Some((name, parents)) => kind_at(&self.walk(path, parents, false)?, name, path),
        }
    }

    /// Reads a regular file of at most `bytes_max`.
    pub(super) fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, PlaceError> {
        let (parent, name) = self.parent(path, false)?;
        read_at(&parent, &name, path, bytes_max)
    }

    /// Creates or replaces a regular file, keeping an old one's mode. The old file is replaced by name, not
    /// overwritten, so that a crash leaves one or the other and a file shared by hard link with another tree stays.
    pub(super) fn write(&self, path: &str, content: &[u8], scratch: &Path) -> Result<(), PlaceError> {
        let (parent, name) = self.parent(path, true)?;
        let mode = match kind_at(&parent, &name, path) {
            Ok(Kind::File) => {
                let stat = rustix::fs::statat(&parent, name.as_str(), AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|error| failed(path, error))?;
                Mode::from_raw_mode(stat.st_mode).intersection(Mode::RWXU | Mode::RWXG | Mode::RWXO)
            }
            Ok(Kind::Directory) => return Err(PlaceError::IsDirectory(path.to_owned())),
            Ok(Kind::Symlink) => return Err(PlaceError::Symlink(path.to_owned())),
            Ok(Kind::Special) => return Err(PlaceError::Special(path.to_owned())),
            Err(PlaceError::Missing(_)) => Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH,
            Err(other) => return Err(other),
        };
        let broken =
            |reason: std::io::Error| PlaceError::Failed { path: path.to_owned(), reason: reason.to_string() };
        let mut draft = tempfile::NamedTempFile::new_in(scratch).map_err(broken)?;
        draft.write_all(content).map_err(broken)?;
        rustix::fs::fchmod(draft.as_file(), mode).map_err(|error| failed(path, error))?;
        match rustix::fs::renameat(CWD, draft.path(), &parent, name.as_str()) {
            Ok(()) => Ok(()),
            Err(Errno::XDEV) => write_at(&parent, &name, path, content, mode),
            Err(error) => Err(failed(path, error)),
        }
    }

    /// Deletes a file or a link, not what a link points to.
    pub(super) fn delete(&self, path: &str) -> Result<(), PlaceError> {
        let (parent, name) = self.parent(path, false)?;
        match kind_at(&parent, &name, path)? {
            Kind::Directory => Err(PlaceError::IsDirectory(path.to_owned())),
            Kind::File | Kind::Symlink | Kind::Special => {
                rustix::fs::unlinkat(&parent, name.as_str(), AtFlags::empty())
                    .map_err(|error| failed(path, error))
            }
        }
    }

    fn parent(&self, path: &str, create: bool) -> Result<(OwnedFd, String), PlaceError> {
        let parts = components(path)?;
        let (name, parents) = parts.split_last().ok_or_else(|| PlaceError::IsDirectory(path.to_owned()))?;
        Ok((self.walk(path, parents, create)?, (*name).to_owned()))
    }

    fn walk(&self, path: &str, parts: &[&str], create: bool) -> Result<OwnedFd, PlaceError> {
        let mut current = rustix::fs::openat(&self.directory, ".", DIRECTORY, Mode::empty())
            .map_err(|error| failed(path, error))?;
        for part in parts {
            if create {
                match rustix::fs::mkdirat(
                    &current,
                    *part,
                    Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH,
                ) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(failed(path, error)),
                }
            }
            current = match open_directory_at(&current, part) {
                Ok(next) => next,
                Err(Errno::NOENT) => return Err(PlaceError::Missing(path.to_owned())),
                Err(error) => {
                    return Err(match kind_at(&current, part, path)? {
                        Kind::Symlink => PlaceError::Symlink(path.to_owned()),
                        Kind::File | Kind::Special => PlaceError::NotDirectory(path.to_owned()),
                        Kind::Directory => failed(path, error),
                    });
                }
            };
        }
        Ok(current)
    }
}

/// The components of a path as models write it: `.` and empty ones mean nothing, everything that could lead outside
/// or into git's own files is refused.
pub(crate) fn components(path: &str) -> Result<Vec<&str>, PlaceError> {
    let outside = || PlaceError::Outside(path.chars().filter(|c| !is_hidden(*c)).take(200).collect());
    let unusual = |c: char| c != '\u{FE0F}' && (is_hidden(c) || matches!(c, '\n' | '\t'));
    if path.starts_with('/') || path.len() > PATH_BYTES_MAX || path.chars().any(unusual) {
        return Err(outside());
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(outside()),
            // Other file systems read these as `.git` too (CVE-2014-9390).
            _ if part.eq_ignore_ascii_case(".git") || part.eq_ignore_ascii_case("git~1") => {
                return Err(PlaceError::Git(path.to_owned()));
            }
            _ => parts.push(part),
        }
    }
    Ok(parts)
}

/// Opens a directory by its name in an open one, unless it is a link.
pub(super) fn open_directory_at(directory: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(directory, name, DIRECTORY, Mode::empty())
}

pub(super) fn kind_at(directory: &OwnedFd, name: &str, path: &str) -> Result<Kind, PlaceError> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Kind::Special,
        }),
        Err(Errno::NOENT | Errno::NOTDIR) => Err(PlaceError::Missing(path.to_owned())),
        Err(error) => Err(failed(path, error)),
    }
}

/// Reads a regular file by its name in an open directory. The file is opened without waiting: a pipe in the tree would
/// otherwise hold the worker for ever.
pub(super) fn read_at(
    directory: &OwnedFd,
    name: &str,
    path: &str,
    bytes_max: u64,
) -> Result<Vec<u8>, PlaceError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    match kind_at(directory, name, path)? {
        Kind::File => {}
        Kind::Directory => return Err(PlaceError::IsDirectory(path.to_owned())),
        Kind::Symlink => return Err(PlaceError::Symlink(path.to_owned())),
        Kind::Special => return Err(PlaceError::Special(path.to_owned())),
    }
    let opened = rustix::fs::openat(directory, name, flags, Mode::empty()).map_err(|error| match error {
        Errno::LOOP => PlaceError::Symlink(path.to_owned()),
        Errno::NOENT => PlaceError::Missing(path.to_owned()),
        other => failed(path, other),
    })?;
    let stat = rustix::fs::fstat(&opened).map_err(|error| failed(path, error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(PlaceError::Special(path.to_owned()));
    }
    let mut content = Vec::new();
    File::from(opened)
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| PlaceError::Failed { path: path.to_owned(), reason: error.to_string() })?;
    if content.len() as u64 > bytes_max {
        return Err(PlaceError::TooLarge { path: path.to_owned(), bytes_max });
    }
    Ok(content)
}

/// The way across file systems, where no rename leads.
fn write_at(
    directory: &OwnedFd,
    name: &str,
    path: &str,
    content: &[u8],
    mode: Mode,
) -> Result<(), PlaceError> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(failed(path, error)),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(directory, name, flags, mode).map_err(|error| failed(path, error))?;
    File::from(opened)
        .write_all(content)
        .map_err(|error| PlaceError::Failed { path: path.to_owned(), reason: error.to_string() })
}

fn failed(path: &str, error: Errno) -> PlaceError {
    match error {
        Errno::NOENT => PlaceError::Missing(path.to_owned()),
        other => {
            PlaceError::Failed { path: path.to_owned(), reason: std::io::Error::from(other).to_string() }
        }
    }
}
