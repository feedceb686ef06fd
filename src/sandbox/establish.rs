//! Which layer holds on this machine is found out once, when the server starts.

use std::path::PathBuf;
use std::sync::Arc;

#[cfg(target_os = "linux")]
use super::bubblewrap::Bubblewrap;
#[cfg(target_os = "linux")]
use super::probes;
use super::{Sandbox, Uncaged};
use crate::config;
use crate::ports::{Clock, Entropy, Spawner};

/// What a sandbox takes from the machine.
#[derive(Debug, Clone)]
pub struct SandboxPorts {
    /// Other programs, those that build cages among them.
    pub spawner: Arc<dyn Spawner>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// What a sandbox is made of here.
#[derive(Debug, Clone)]
pub struct SandboxSettings {
    /// The operator's word.
    pub choice: config::Sandbox,
    /// Where the few files of its own go.
    pub scratch_dir: PathBuf,
    /// Where programs of this machine are looked for.
    pub search_path: String,
    /// What every program may read of this machine besides its system.
    pub read_only: Vec<PathBuf>,
    /// Our own binary, which is bound into every cage; none if it is the one that runs.
    pub program: Option<PathBuf>,
}

/// Finds the layer that holds.
pub async fn establish(ports: SandboxPorts, settings: SandboxSettings) -> Arc<dyn Sandbox> {
    match settings.choice {
        config::Sandbox::NoneAccepted => Arc::new(Uncaged::accepted(ports.spawner)),
        config::Sandbox::Auto => automatic(ports, settings).await,
    }
}

#[cfg(target_os = "linux")]
async fn automatic(ports: SandboxPorts, settings: SandboxSettings) -> Arc<dyn Sandbox> {
    let scratch_dir = settings.scratch_dir.clone();
    let held = match Bubblewrap::prepare(ports, settings).await {
        Ok(bubblewrap) => probes::withstood(bubblewrap, &scratch_dir).await,
        Err(unavailable) => Err(unavailable),
    };
    match held {
        Ok(bubblewrap) => Arc::new(bubblewrap),
        Err(unavailable) => Arc::new(unavailable),
    }
}

/// Every layer is made of what Linux has.
#[cfg(not(target_os = "linux"))]
async fn automatic(_ports: SandboxPorts, _settings: SandboxSettings) -> Arc<dyn Sandbox> {
    let why = "the sandbox needs Linux".to_owned();
    Arc::new(super::Unavailable { probe: super::Probe::Present, why })
}
