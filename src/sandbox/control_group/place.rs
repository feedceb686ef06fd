//! Where this process stands in the machine's trees of control groups, and how each version is written to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::write;
use crate::sandbox::{CageLimits, Limit};

/// Version of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// A tree for each controller, or for a few.
    One,
    /// One tree for all controllers.
    Two,
}

/// One tree, as far as it can bound something for us.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) version: Version,
    /// The group that this process is in.
    pub(super) own: PathBuf,
    pub(super) limits: Vec<Controller>,
}

/// What the kernel bounds in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Controller {
    /// Memory of all processes together.
    Memory,
    /// How many there are.
    Processes,
}

impl Controller {
    /// All that we use.
    pub(super) const ALL: [Self; 2] = [Self::Memory, Self::Processes];

    /// What the kernel calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
        }
    }

    /// What is not bounded without it.
    pub(super) fn bounds(self) -> Limit {
        match self {
            Self::Memory => Limit::Memory,
            Self::Processes => Limit::Processes,
        }
    }
}

/// The trees that can bound something, out of what `/proc/self` says.
pub(super) fn trees(process: &Path) -> io::Result<Vec<Tree>> {
    let groups = fs::read_to_string(process.join("cgroup"))?;
    let mounts = fs::read_to_string(process.join("mountinfo"))?;
    Ok(groups.lines().filter_map(|line| tree(line, &mounts)).collect())
}

/// A line of `/proc/self/cgroup`: `4:memory:/path`, or `0::/path` for version 2.
fn tree(line: &str, mounts: &str) -> Option<Tree> {
    let mut fields = line.splitn(3, ':');
    let (_number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let version = if controllers.is_empty() { Version::Two } else { Version::One };
    let named = |limit: &Controller| controllers.split(',').any(|name| name == limit.name());
    let mut limits: Vec<Controller> = Controller::ALL.into_iter().filter(named).collect();
    if version == Version::One && limits.is_empty() {
        return None;
    }
    let own = mounts.lines().find_map(|line| mounted(line, version, &limits, path))?;
    if version == Version::Two {
        let offered = fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
        let offers = |limit: &Controller| offered.split_whitespace().any(|name| name == limit.name());
        limits = Controller::ALL.into_iter().filter(offers).collect();
        if limits.is_empty() {
            return None;
        }
    }
    Some(Tree { version, own, limits })
}

/// Where a mount shows our group, if it is a mount of this tree. A line of `mountinfo`:
/// `36 35 0:31 /root /mount/point options … - type source options`
fn mounted(line: &str, version: Version, limits: &[Controller], path: &str) -> Option<PathBuf> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let (kind, _source, options) = (kind.next()?, kind.next()?, kind.next()?);
    let fits = match version {
        Version::One => {
            let has = |limit: &Controller| options.split(',').any(|name| name == limit.name());
            kind == "cgroup" && limits.iter().all(has)
        }
        Version::Two => kind == "cgroup2",
    };
    let mut fields = place.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let below = Path::new(path).strip_prefix(root).ok()?;
    fits.then(|| Path::new(point).join(below))
}

impl Tree {
    /// Makes our folder in it.
    pub(super) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.own.join(name);
        match self.version {
            Version::One => fs::create_dir(&folder)?,
            Version::Two => {
                self.delegate(name)?;
                fs::create_dir(&folder)?;
                if let Err(error) = self.hand_down(&folder) {
                    let _nothing_in_it = fs::remove_dir(&folder);
                    return Err(error);
                }
            }
        }
        Ok(folder)
    }

    /// In version 2 a group either has processes or hands controllers down, so this process moves into a group of its own
    /// beneath the one it is in.
    fn delegate(&self, name: &str) -> io::Result<()> {
        if self.hand_down(&self.own).is_ok() {
            return Ok(());
        }
        let leaf = self.own.join(format!("{name}-server"));
        fs::create_dir(&leaf)?;
        let moved = write(&leaf, "cgroup.procs", &std::process::id().to_string())
            .and_then(|()| self.hand_down(&self.own));
        if moved.is_err() {
            let _back = write(&self.own, "cgroup.procs", &std::process::id().to_string());
            let _nothing_in_it = fs::remove_dir(&leaf);
        }
        moved
    }

    fn hand_down(&self, folder: &Path) -> io::Result<()> {
        let names: Vec<String> = self.limits.iter().map(|limit| format!("+{}", limit.name())).collect();
        write(folder, "cgroup.subtree_control", &names.join(" "))
    }
}

impl Version {
    /// Writes a limit into a group.
    pub(super) fn bound(self, folder: &Path, limit: Controller, limits: &CageLimits) -> io::Result<()> {
        let memory = limits.memory_bytes.to_string();
        match (self, limit) {
            (Self::One | Self::Two, Controller::Processes) => {
                write(folder, "pids.max", &limits.processes.to_string())
            }
            (Self::One, Controller::Memory) => {
                write(folder, "memory.limit_in_bytes", &memory)?;
                // Memory and swap together; a kernel that does not count swap has no such file.
                where_there(write(folder, "memory.memsw.limit_in_bytes", &memory))
            }
            (Self::Two, Controller::Memory) => {
                write(folder, "memory.max", &memory)?;
                where_there(write(folder, "memory.swap.max", "0"))?;
                where_there(write(folder, "memory.oom.group", "1"))
            }
        }
    }

    /// The file that counts what was killed for want of memory.
    pub(super) fn memory_events(self) -> &'static str {
        match self {
            Self::One => "memory.oom_control",
            Self::Two => "memory.events",
        }
    }
}

fn where_there(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
