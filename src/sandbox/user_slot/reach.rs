//! Which files are within reach in a slot: Landlock, which holds whoever the files belong to and whatever their modes say.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use serde::{Deserialize, Serialize};

use crate::sandbox::system;

/// The oldest Landlock that lets files move between directories, without which programs fail that did nothing wrong
/// (Linux 5.19). What it does not hold yet, others do: the filter of system calls truncating, sockets and namespaces, the
/// user signals.
const OLDEST: ABI = ABI::V2;
/// What is asked for where the kernel has it: truncating, TCP, devices, signals, sockets without a file.
const WANTED: ABI = ABI::V6;
/// Devices that are no way to anything.
const DEVICES: [&str; 6] = ["/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"];
/// What the kernel tells about the machine and not about any process.
const MACHINE: [&str; 13] = [
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/kernel/cap_last_cap",
    "/proc/sys/kernel/ngroups_max",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/random/uuid",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/vm/overcommit_memory",
    "/proc/uptime",
    "/proc/version",
];

/// What a program may read, and what it may change. What is named nowhere is out of reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reach {
    /// Read and execute.
    pub(super) read: Vec<PathBuf>,
    /// Read, execute and change.
    pub(super) write: Vec<PathBuf>,
}

impl Reach {
    /// The system, and what the operator adds.
    pub(super) fn of_everybody(added: &[PathBuf], program: &Path) -> Self {
        // What is a link leads to one of the others.
        let folders = system::folders().filter(|folder| folder.is_dir() && !folder.is_symlink());
        let mut read: Vec<PathBuf> = folders.chain(system::configuration()).collect();
        read.extend(MACHINE.iter().map(PathBuf::from).filter(|file| file.exists()));
        read.extend(added.iter().cloned());
        read.push(program.to_owned());
        Self { read, write: Vec::new() }
    }
}

fn ruleset() -> Result<RulesetCreated, String> {
    let made = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(OLDEST))?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(WANTED))?
            .handle_access(AccessNet::from_all(WANTED))?
            .scope(Scope::from_all(WANTED))?
            .create()
    };
    made().map_err(|error| format!("Landlock of Linux 5.19 or newer is needed: {error}"))
}

/// Whether this kernel has what is needed.
pub(super) fn is_known() -> Result<(), String> {
    ruleset().map(drop)
}

/// Whether Landlock of this kernel keeps nobody from cutting a file off.
pub(super) fn truncating_is_free() -> bool {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Truncate)
        .and_then(Ruleset::create)
        .is_err()
}

/// Puts the rest of the machine out of this process's reach for good.
pub(super) fn confine(reach: &Reach) -> Result<(), String> {
    let read = AccessFs::from_read(WANTED);
    // Nobody can make devices, and a socket with a file would be of no use.
    let files = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::IoctlDev;
    let write = AccessFs::from_all(WANTED) & !files;
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let mut rules = ruleset()?;
    for path in &reach.read {
        rules = allow(rules, path, read)?;
    }
    for path in &reach.write {
        rules = allow(rules, path, write)?;
    }
    for path in DEVICES.iter().map(Path::new).filter(|path| path.exists()) {
        rules = allow(rules, path, device)?;
    }
    let held = rules.restrict_self().map_err(|error| format!("Landlock: {error}"))?;
    match held.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err("Landlock does not hold on this kernel".to_owned()),
    }
}

fn allow(rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, String> {
    let opened = PathFd::new(path).map_err(|error| error.to_string())?;
    let rule = PathBeneath::new(opened, access);
    rules.add_rule(rule).map_err(|error| format!("Landlock, for {}: {error}", path.display()))
}
