//! Which layer holds on this machine is found out once, when the server starts.

use std::path::PathBuf;
use std::sync::Arc;

#[cfg(target_os = "linux")]
use super::bubblewrap::Bubblewrap;
#[cfg(target_os = "linux")]
use super::probes;
#[cfg(target_os = "linux")]
use super::user_slot::UserSlots;
use super::{Sandbox, SlotUids, Unavailable, Uncaged};
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
    /// The users that cages are given where no namespaces can be made.
    pub slots: SlotUids,
    /// Whether control groups are made where this machine lets them be. Without them other means bound what they would.
    pub control_groups: bool,
}

/// Finds the layer that holds.
pub async fn establish(ports: SandboxPorts, settings: SandboxSettings) -> Arc<dyn Sandbox> {
    let held = match settings.choice {
        config::Sandbox::NoneAccepted => return Arc::new(Uncaged::accepted(ports.spawner)),
        config::Sandbox::Auto => automatic(ports, settings).await,
        config::Sandbox::Bubblewrap => bubblewrap(ports, settings).await,
        config::Sandbox::UserSlot => user_slot(ports, settings).await,
    };
    held.unwrap_or_else(|unavailable| Arc::new(unavailable))
}

type Held = Result<Arc<dyn Sandbox>, Unavailable>;

/// Namespaces hold more than users do, so they are tried first.
async fn automatic(ports: SandboxPorts, settings: SandboxSettings) -> Held {
    let first = match bubblewrap(ports.clone(), settings.clone()).await {
        Ok(sandbox) => return Ok(sandbox),
        Err(first) => first,
    };
    match user_slot(ports, settings).await {
        Ok(sandbox) => {
            tracing::info!(probe = %first.probe, why = first.why, "bubblewrap does not hold");
            Ok(sandbox)
        }
        Err(second) => {
            let Unavailable { probe, why } = first;
            Err(Unavailable {
                probe,
                why: format!("{why}. Nor do users of their own hold: {}: {}", second.probe, second.why),
            })
        }
    }
}

#[cfg(target_os = "linux")]
async fn bubblewrap(ports: SandboxPorts, settings: SandboxSettings) -> Held {
    let (entropy, scratch_dir) = (ports.entropy.clone(), settings.scratch_dir.clone());
    let layer = Bubblewrap::prepare(ports, settings).await?;
    Ok(Arc::new(probes::withstood(layer, entropy.as_ref(), &scratch_dir).await?))
}

#[cfg(target_os = "linux")]
async fn user_slot(ports: SandboxPorts, settings: SandboxSettings) -> Held {
    let (entropy, scratch_dir) = (ports.entropy.clone(), settings.scratch_dir.clone());
    let layer = UserSlots::prepare(ports, settings).await?;
    Ok(Arc::new(probes::withstood(layer, entropy.as_ref(), &scratch_dir).await?))
}

/// Every layer is made of what Linux has.
#[cfg(not(target_os = "linux"))]
fn elsewhere() -> Held {
    let why = "the sandbox needs Linux".to_owned();
    Err(Unavailable { probe: super::Probe::Present, why })
}

#[cfg(not(target_os = "linux"))]
async fn bubblewrap(_ports: SandboxPorts, _settings: SandboxSettings) -> Held {
    elsewhere()
}

#[cfg(not(target_os = "linux"))]
async fn user_slot(_ports: SandboxPorts, _settings: SandboxSettings) -> Held {
    elsewhere()
}
