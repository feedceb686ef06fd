//! Which layer holds on this machine, as every place that tells it needs it.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// Which layer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Bubblewrap: own namespaces, no network, a read-only system.
    Bubblewrap {
        /// What it cannot bound on this machine.
        gaps: Vec<Gap>,
    },
    /// A user of its own for each cage, Landlock and a filter of system calls: no namespaces, no network, a read-only
    /// system.
    UserSlot {
        /// What it cannot give on this machine, or anywhere.
        gaps: Vec<Gap>,
    },
    /// None, and the operator accepted it: programs run with the server's rights.
    NoneAccepted,
    /// None: nothing is run.
    Unavailable {
        /// The probe that failed.
        probe: Probe,
        /// What it saw.
        why: String,
    },
}

impl Standing {
    /// Whether programs of repositories and agents are run at all.
    pub fn runs_programs(&self) -> bool {
        match self {
            Self::Bubblewrap { .. } | Self::UserSlot { .. } | Self::NoneAccepted => true,
            Self::Unavailable { .. } => false,
        }
    }

    /// One word for it, for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bubblewrap { .. } => "bubblewrap",
            Self::UserSlot { .. } => "user-slot",
            Self::NoneAccepted => "none-accepted",
            Self::Unavailable { .. } => "unavailable",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bubblewrap { gaps } | Self::UserSlot { gaps } => {
                write!(out, "{} holds", self.name())?;
                for gap in gaps {
                    write!(out, "; {gap}")?;
                }
                Ok(())
            }
            Self::NoneAccepted => {
                out.write_str("none, as the operator accepted: programs run with the server's rights")
            }
            Self::Unavailable { probe, why } => write!(out, "none, so nothing is run: {probe}: {why}"),
        }
    }
}

/// The standing, told once it is known. Clones share what was told.
#[derive(Debug, Clone, Default)]
pub struct ToldStanding(Arc<OnceLock<Standing>>);

impl ToldStanding {
    /// Tells it. It does not change any more.
    pub fn tell(&self, standing: Standing) {
        self.0.get_or_init(|| standing);
    }

    /// What was told; nothing as long as it is being found out.
    pub fn told(&self) -> Option<&Standing> {
        self.0.get()
    }
}

/// Something that a layer cannot bound on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What is not bounded.
    pub limit: Limit,
    /// Why.
    pub why: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} is not bounded: {}", self.limit, self.why)
    }
}

/// What a layer bounds where it can and the machine lets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Memory of all processes of a cage together.
    Memory,
    /// How many processes and threads a cage has.
    Processes,
    /// Memory, until somebody looks.
    MemoryBursts,
    /// Temporary files, apart from all other files.
    TemporaryFiles,
    /// What the kernel tells about a file to who may not read it.
    Metadata,
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Memory => "memory",
            Self::Processes => "the number of processes",
            Self::MemoryBursts => "memory for the moment until it is looked at",
            Self::TemporaryFiles => "what temporary files take, apart from worktree and home",
            Self::Metadata => "what can be asked about a file of the server without reading it",
        })
    }
}

/// What is tried before a layer counts as one, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Is what the layer needs on this machine?
    Present,
    /// Does a program start in it at all?
    Starts,
    /// Are files of the host out of reach?
    Files,
    /// Are processes of the host out of sight?
    Processes,
    /// Are services of the host out of reach?
    Network,
    /// Does a program that left its session end with the others?
    Survivors,
}

impl fmt::Display for Probe {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Present => "what it needs is missing",
            Self::Starts => "no program starts in it",
            Self::Files => "a file of the host could be read or changed",
            Self::Processes => "processes of the host could be seen",
            Self::Network => "a service of the host could be reached",
            Self::Survivors => "a program outlived its end",
        })
    }
}
