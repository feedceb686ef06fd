//! The files below a directory, sorted, without what `.gitignore` leaves out.
//!
//! The `ignore` crate's own walker opens `.gitignore` files by path. In a tree that others wrote such a file may be a
//! link to a device or a pipe that never ends, so the walk is done here, over open directories, and only the patterns
//! are that crate's.

use std::os::fd::OwnedFd;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::Dir;

use super::place::{Kind, PlaceError, Root, components, kind_at, open_directory_at, read_at};

const DEPTH_MAX: usize = 64;
const ENTRIES_MAX: usize = 300_000;
const IGNORE_FILE_BYTES_MAX: u64 = 256 * 1024;

/// What a visitor wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// More files.
    More,
    /// No more.
    Stop,
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walked {
    /// Every file was visited, or the visitor had enough.
    Done,
    /// The tree is too deep or too large; part of it was not visited.
    Partly,
}

/// Gives a visitor every file (and link) below `path`, in order of names: its path from the root, its name, and the
/// open directory it lies in.
pub(super) fn files(
    root: &Root,
    path: &str,
    visit: &mut dyn FnMut(&str, &str, &OwnedFd) -> Next,
) -> Result<Walked, PlaceError> {
    let parts = components(path)?;
    let mut walk = Walk { visit, entries: 0, complete: true, ignores: Vec::new() };
    // Patterns of the directories above the start count as well.
    for depth in 0..parts.len() {
        let above = parts.get(..depth).unwrap_or_default().join("/");
        let directory = root.directory(&above)?;
        walk.read_ignore_file(&directory, &above);
    }
    let start = parts.join("/");
    let directory = root.directory(&start)?;
    walk.directory(&directory, &start, 0);
    Ok(if walk.complete { Walked::Done } else { Walked::Partly })
}

struct Walk<'a> {
    visit: &'a mut dyn FnMut(&str, &str, &OwnedFd) -> Next,
    entries: usize,
    complete: bool,
    ignores: Vec<Gitignore>,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &OwnedFd, path: &str, depth: usize) -> Next {
        if depth > DEPTH_MAX {
            self.complete = false;
            return Next::More;
        }
        let ignores_above = self.ignores.len();
        self.read_ignore_file(directory, path);
        let next = self.entries_of(directory, path, depth);
        self.ignores.truncate(ignores_above);
        next
    }

    fn entries_of(&mut self, directory: &OwnedFd, path: &str, depth: usize) -> Next {
        for name in self.names(directory) {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                self.complete = false;
                return Next::Stop;
            }
            let full = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let Ok(kind) = kind_at(directory, &name, &full) else { continue };
            if components(&name).is_err() || self.ignored(&full, kind == Kind::Directory) {
                continue;
            }
            let next = match kind {
                Kind::File | Kind::Symlink => (self.visit)(&full, &name, directory),
                Kind::Special => Next::More,
                Kind::Directory => self.below(directory, &name, &full, depth),
            };
            if next == Next::Stop {
                return Next::Stop;
            }
        }
        Next::More
    }

    fn below(&mut self, directory: &OwnedFd, name: &str, path: &str, depth: usize) -> Next {
        if let Ok(inner) = open_directory_at(directory, name) {
            self.directory(&inner, path, depth + 1)
        } else {
            self.complete = false;
            Next::More
        }
    }

    /// The names in a directory, sorted. Names that are not UTF-8 are left out: no tool could be given them.
    fn names(&mut self, directory: &OwnedFd) -> Vec<String> {
        let Ok(entries) = Dir::read_from(directory) else {
            self.complete = false;
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .take(ENTRIES_MAX)
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().to_str().map(str::to_owned).ok())
            .filter(|name| name != "." && name != "..")
            .collect();
        names.sort_unstable();
        names
    }

    fn read_ignore_file(&mut self, directory: &OwnedFd, path: &str) {
        let Ok(content) = read_at(directory, ".gitignore", ".gitignore", IGNORE_FILE_BYTES_MAX) else {
            return;
        };
        let mut builder = GitignoreBuilder::new(path);
        for line in String::from_utf8_lossy(&content).lines() {
            // A pattern that cannot be read ignores nothing, as in git.
            let _ = builder.add_line(None, line);
        }
        if let Ok(ignore) = builder.build() {
            self.ignores.push(ignore);
        }
    }

    /// The innermost file that says something about a path decides.
    fn ignored(&self, path: &str, is_directory: bool) -> bool {
        for ignore in self.ignores.iter().rev() {
            match ignore.matched(path, is_directory) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }
}
