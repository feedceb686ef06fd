//! Control groups: what bounds the memory and the processes of a whole cage, whatever its processes do.
//!
//! Version 1 has a tree for each controller, version 2 one tree for all; a machine may have both. In each tree we make
//! a folder under our own group, and in it one group a cage, which the process that becomes the cage joins by itself
//! before it starts anything. What cannot be bounded here is told as a [`Gap`], with the reason.

mod place;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use self::place::{Controller, Tree, Version};
use super::{CageLimits, Gap};

/// How the folders of all servers begin; their process id follows.
const FOLDER_PREFIX: &str = "pairbot-";
/// How often what is in a group is killed before it is left to the next look. A group that may not grow is empty after
/// the first.
const KILL_ROUNDS: usize = 8;

/// The control groups of this server.
#[derive(Debug)]
pub(super) struct ControlGroups {
    trees: Vec<Own>,
    gaps: Vec<Gap>,
    made: AtomicU64,
    /// Groups that still had a dying process in them when they were to go.
    lingering: Arc<Mutex<Vec<PathBuf>>>,
}

/// Our own folder in one tree, and what is bounded there.
#[derive(Debug)]
struct Own {
    version: Version,
    folder: PathBuf,
    limits: Vec<Controller>,
}

impl ControlGroups {
    /// Makes our folders where this process may. `name` is this server's alone.
    pub(super) fn open(name: &str) -> Self {
        match place::trees(Path::new("/proc/self")) {
            Ok(trees) => Self::under(trees, name),
            Err(error) => Self::nowhere(&format!("/proc/self/cgroup cannot be read: {error}")),
        }
    }

    /// Makes none, for this reason.
    pub(super) fn nowhere(why: &str) -> Self {
        let gaps = Controller::ALL.map(|controller| Gap { limit: controller.bounds(), why: why.to_owned() });
        Self::of(Vec::new(), gaps.into())
    }

    fn of(trees: Vec<Own>, gaps: Vec<Gap>) -> Self {
        Self { trees, gaps, made: AtomicU64::new(0), lingering: Arc::default() }
    }

    fn under(trees: Vec<Tree>, name: &str) -> Self {
        let mut open: Vec<Own> = Vec::new();
        let mut missing: BTreeMap<Controller, String> = Controller::ALL
            .into_iter()
            .map(|controller| {
                (controller, format!("no control group has the `{}` controller", controller.name()))
            })
            .collect();
        for tree in trees {
            sweep(&tree.own);
            match tree.folder(&format!("{FOLDER_PREFIX}{}-{name}", std::process::id())) {
                Ok(folder) => {
                    for limit in &tree.limits {
                        missing.remove(limit);
                    }
                    open.push(Own { version: tree.version, folder, limits: tree.limits });
                }
                Err(error) => {
                    let why = format!("no group can be made in {}: {error}", tree.own.display());
                    missing.extend(tree.limits.iter().map(|limit| (*limit, why.clone())));
                }
            }
        }
        let gaps =
            missing.into_iter().map(|(controller, why)| Gap { limit: controller.bounds(), why }).collect();
        Self::of(open, gaps)
    }

    /// What is not bounded.
    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Makes the groups of one cage.
    pub(super) fn group(&self, limits: &CageLimits) -> io::Result<Group> {
        self.clear();
        let name = format!("cage-{}", self.made.fetch_add(1, Ordering::Relaxed));
        let mut group = Group { parts: Vec::new(), lingering: Arc::clone(&self.lingering) };
        for tree in &self.trees {
            let folder = tree.folder.join(&name);
            fs::create_dir(&folder)?;
            group.parts.push(Part { version: tree.version, folder: folder.clone() });
            for limit in &tree.limits {
                tree.version.bound(&folder, *limit, limits)?;
            }
        }
        Ok(group)
    }

    /// Removes the groups whose last process was still dying before.
    fn clear(&self) {
        let mut lingering = self.lingering.lock().unwrap_or_else(PoisonError::into_inner);
        lingering.retain(|folder| !gone(folder));
    }
}

impl Drop for ControlGroups {
    fn drop(&mut self) {
        self.clear();
        for tree in &self.trees {
            // What is left in it the next server on this machine removes.
            let _not_empty = fs::remove_dir(&tree.folder);
        }
    }
}

/// The groups of one cage. Dropping them kills whatever is in them, and removes them.
#[derive(Debug)]
pub(super) struct Group {
    parts: Vec<Part>,
    lingering: Arc<Mutex<Vec<PathBuf>>>,
}

#[derive(Debug)]
struct Part {
    version: Version,
    folder: PathBuf,
}

impl Group {
    /// The files that a process writes its id to, to join.
    pub(super) fn doors(&self) -> Vec<PathBuf> {
        self.parts.iter().map(|part| part.folder.join("cgroup.procs")).collect()
    }

    /// Kills whatever is in them.
    pub(super) fn kill(&self) {
        for part in &self.parts {
            kill_all(&part.folder);
        }
    }

    /// What lives in them.
    pub(super) fn members(&self) -> Vec<Pid> {
        self.parts.iter().flat_map(|part| members(&part.folder)).collect()
    }

    /// Whether the kernel killed anything in them for want of memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        self.parts.iter().any(|part| {
            let events =
                fs::read_to_string(part.folder.join(part.version.memory_events())).unwrap_or_default();
            events.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        for part in &self.parts {
            if !gone(&part.folder) {
                self.lingering.lock().unwrap_or_else(PoisonError::into_inner).push(part.folder.clone());
            }
        }
    }
}

/// Removes a group, and says whether it is gone.
fn gone(folder: &Path) -> bool {
    match fs::remove_dir(folder) {
        Ok(()) => true,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Kills whatever is in a group. It may not grow meanwhile, so that no fork outruns this.
fn kill_all(folder: &Path) {
    // In a group without the controller there is no such file, and the processes are in one that has it.
    let _no_controller = write(folder, "pids.max", "0");
    // One write is enough where the kernel is new enough and the group is one of version 2.
    let _older_kernel = write(folder, "cgroup.kill", "1");
    for _round in 0..KILL_ROUNDS {
        let members = members(folder);
        if members.is_empty() {
            return;
        }
        for pid in members {
            let _ended_by_itself = kill_process(pid, Signal::KILL);
        }
    }
}

/// What is in a group. A process that is dead and not yet waited for is not listed.
fn members(folder: &Path) -> Vec<Pid> {
    let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    listed.lines().filter_map(|line| line.trim().parse().ok().and_then(Pid::from_raw)).collect()
}

/// Writes to a file of a group that the kernel has made there, and makes none itself.
fn write(folder: &Path, name: &str, value: &str) -> io::Result<()> {
    use io::Write as _;
    fs::OpenOptions::new().write(true).open(folder.join(name))?.write_all(value.as_bytes())
}

/// Ends and removes what servers left that are not there any more.
fn sweep(own: &Path) {
    let Ok(entries) = fs::read_dir(own) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX)?.split('-').next());
        let Some(pid) = pid.filter(|pid| pid.parse::<u32>().is_ok()) else { continue };
        if Path::new("/proc").join(pid).exists() {
            continue;
        }
        let inner = fs::read_dir(entry.path()).into_iter().flatten().flatten();
        for group in inner.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            kill_all(&group);
            let _dying = fs::remove_dir(group);
        }
        let _dying = fs::remove_dir(entry.path());
    }
}
