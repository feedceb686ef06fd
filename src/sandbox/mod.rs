//! The cage around every program that a repository or an agent has a say in.
//!
//! What runs in it sees a system that cannot be written, one worktree, a home of its own and the sockets it is given:
//! no network device, no file and no process of the host, nothing of the server's environment. Memory, processes,
//! temporary files, output and time are bounded, and whatever it started ends with it. Which layer holds on this machine
//! is found out by a probe when the server starts ([`establish`]) and told as a [`Standing`] wherever it matters; where
//! none holds, nothing is run. Callers give paths of the host and ask [`Sandbox::inside`] what a program sees them as.

#[cfg(target_os = "linux")]
mod bubblewrap;
#[cfg(target_os = "linux")]
mod caged;
#[cfg(target_os = "linux")]
mod control_group;
#[cfg(target_os = "linux")]
mod deaths;
pub mod egress;
mod establish;
#[cfg(target_os = "linux")]
mod handed;
pub mod look_around;
#[cfg(target_os = "linux")]
mod outgrown;
#[cfg(target_os = "linux")]
mod probes;
mod slot_uids;
mod standing;
#[cfg(target_os = "linux")]
mod syscalls;
#[cfg(target_os = "linux")]
mod system;
mod unavailable;
mod uncaged;
#[cfg(target_os = "linux")]
pub mod user_slot;

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::ports::{CommandSpec, Finished, SpawnError, Started};

pub use establish::{SandboxPorts, SandboxSettings, establish};
pub use slot_uids::{MalformedUids, SlotUids};
pub use standing::{Gap, Limit, Probe, Standing, ToldStanding};
pub use unavailable::Unavailable;
pub use uncaged::Uncaged;

/// Where the worktree is, for who is in a cage.
pub const WORKTREE: &str = "/work";
/// Where the home is, for who is in a cage.
pub const HOME: &str = "/home/agent";
/// Where sockets and our own binary are, for who is in a cage.
pub const RUNTIME: &str = "/run/pairbot";
/// Our own binary, for who is in a cage.
pub const PROGRAM: &str = "/run/pairbot/pairbot";

/// What a program in a cage may do with the worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeAccess {
    /// Change it.
    Write,
    /// Read it.
    Read,
}

/// A Unix socket of the host that a program in a cage may connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Where it is.
    pub host: PathBuf,
    /// Where the program finds it, under [`RUNTIME`].
    pub inside: PathBuf,
}

/// What a program in a cage can use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CageLimits {
    /// Memory of all processes together, temporary files included.
    pub memory_bytes: u64,
    /// Processes and threads at a time.
    pub processes: u32,
    /// Temporary files: each of `/tmp` and `/dev/shm`.
    pub tmp_bytes: u64,
    /// What worktree and home may have of the disk together, as far as half of what is free there allows.
    pub disk_bytes: u64,
}

impl Default for CageLimits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self { memory_bytes: 4096 * MIB, processes: 1024, tmp_bytes: 1024 * MIB, disk_bytes: 8192 * MIB }
    }
}

/// What surrounds one program. All paths are the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cage {
    /// The tree that it works in.
    pub worktree: PathBuf,
    /// What it may do with it.
    pub access: TreeAccess,
    /// The directory that is its home, which it may write.
    pub home: PathBuf,
    /// What it may connect to.
    pub sockets: Vec<Socket>,
    /// Further files and directories that it may read, under the path they have.
    pub read_only: Vec<PathBuf>,
    /// What it can use up.
    pub limits: CageLimits,
}

impl Cage {
    /// A cage around one tree and one home, without sockets and with the usual limits.
    pub fn around(worktree: PathBuf, access: TreeAccess, home: PathBuf) -> Self {
        Self {
            worktree,
            access,
            home,
            sockets: Vec::new(),
            read_only: Vec::new(),
            limits: CageLimits::default(),
        }
    }
}

/// A program that was not run, or not to its end, for a reason that says nothing about it.
#[derive(Debug, thiserror::Error)]
pub enum CageError {
    /// No layer holds on this machine.
    #[error("this server has no sandbox, so nothing is run: {probe}: {why}")]
    Unavailable {
        /// The probe that failed.
        probe: Probe,
        /// What it saw.
        why: String,
    },
    /// A layer that held when the server started could not be built this time.
    #[error("the sandbox could not be built: {why}")]
    NotBuilt {
        /// What stood in the way.
        why: String,
    },
    /// It was ended since it filled the disk.
    #[error("it filled the disk and was ended: worktree and home may have {limit_bytes} bytes together")]
    Outgrown {
        /// What worktree and home may have.
        limit_bytes: u64,
    },
    /// It needs sockets, and this layer lets nobody have any.
    #[error(
        "it needs sockets, and in the sandbox of this server (user-slot) nobody can make any: it needs bubblewrap"
    )]
    NoSockets,
    /// The program, or what builds the cage, could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Runs programs that are not trusted.
///
/// The `directory` of a command is a path of the host, at or beneath the worktree; its `environment` is all that the
/// program gets, beside `HOME`, `TMPDIR` and `USER`, which the layer sets. `PATH` in it says where the program is
/// looked for.
#[async_trait]
pub trait Sandbox: Send + Sync + fmt::Debug {
    /// Which layer holds here.
    fn standing(&self) -> Standing;

    /// What a program in this cage sees a path of the host as. A path that is not in the cage stays what it is.
    fn inside(&self, cage: &Cage, host: &Path) -> PathBuf;

    /// Runs a program to its end, and ends whatever it started. So does cancelling the future.
    async fn run(&self, command: CommandSpec, cage: &Cage) -> Result<Finished, CageError>;

    /// Starts a program that is talked with. Whatever it started ends when it does, and when what is returned is
    /// dropped.
    async fn start(&self, command: CommandSpec, cage: &Cage) -> Result<Started, CageError>;
}
