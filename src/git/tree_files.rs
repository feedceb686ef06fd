//! Work on files that an agent may have written, where nothing may be followed or executed.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::GitError;
use crate::adapters;

/// Removes a file or a whole directory, whatever its permissions. It is fine if there is none.
pub(super) async fn remove(path: &Path) -> Result<(), GitError> {
    on_disk(path, |path| match remove_now(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            // Some tools make their caches read-only (Go's module cache), which keeps their entries in.
            open_directories(path)?;
            remove_now(path)
        }
        result => result,
    })
    .await
}

/// Empties a directory that may not be there.
pub(super) async fn empty(path: &Path) -> Result<(), GitError> {
    remove(path).await?;
    on_disk(path, |path| fs::create_dir(path)).await
}

/// Removes every entry named `.git` from a tree, at any depth.
///
/// Git would take such an entry for a repository of its own: it would run what is configured there, and would record
/// its content as a submodule, which reviewers cannot read. Without it the files beside it are plain files.
pub(super) async fn remove_git_entries(tree: &Path) -> Result<(), GitError> {
    on_disk(tree, |tree| {
        let mut directories = vec![tree.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in listing(&directory)? {
                let entry = entry?;
                let name = entry.file_name();
                if name.to_str().is_some_and(|name| name.eq_ignore_ascii_case(".git")) {
                    open_directories(&entry.path())?;
                    remove_now(&entry.path())?;
                } else if entry.file_type()?.is_dir() {
                    // A link's own type is that of a link, so no link is followed out of the tree.
                    directories.push(entry.path());
                }
            }
        }
        Ok(())
    })
    .await
}

async fn on_disk(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
) -> Result<(), GitError> {
    let owned: PathBuf = path.to_owned();
    adapters::on_disk(move || work(&owned)).await.map_err(GitError::disk(path))
}

/// Makes a directory and those above it.
pub(super) async fn make_directory(path: &Path) -> Result<(), GitError> {
    on_disk(path, |path| fs::create_dir_all(path)).await
}

/// Whether there is anything of this name.
pub(super) async fn exists(path: &Path) -> Result<bool, GitError> {
    let owned = path.to_owned();
    adapters::on_disk(move || owned.try_exists()).await.map_err(GitError::disk(path))
}

/// Moves a file or a directory in one step.
pub(super) async fn rename(from: &Path, to: &Path) -> Result<(), GitError> {
    let to = to.to_owned();
    on_disk(from, move |from| fs::rename(from, to)).await
}

/// The entries of a directory whose names fit, by name; none if there is no such directory.
pub(super) async fn entries(
    directory: &Path,
    fits: impl Fn(&str) -> bool + Send,
) -> Result<Vec<PathBuf>, GitError> {
    let owned = directory.to_owned();
    let all = adapters::on_disk(move || {
        let Ok(listing) = fs::read_dir(owned) else { return Ok(Vec::new()) };
        listing.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
    });
    let mut found = all.await.map_err(GitError::disk(directory))?;
    found.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&fits));
    // The disk has an order of its own, and what is done about the entries must not depend on it.
    found.sort();
    Ok(found)
}

fn remove_now(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        // A file where a directory of the path should be means the same: there is nothing.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        result => result,
    }
}

/// Entries of a directory; none where there is no directory or where it may not be read, so that one locked
/// directory does not keep the rest of a tree from being handled.
fn listing(directory: &Path) -> io::Result<Vec<io::Result<fs::DirEntry>>> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(entries.collect()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Makes every directory of a tree readable and writable for its owner.
fn open_directories(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(());
    }
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        for entry in listing(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    Ok(())
}
