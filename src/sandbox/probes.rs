//! Whether a layer holds: tried, not believed.
//!
//! A canary is laid out in the server's own directory and two on its network, and our own binary looks for them from
//! inside ([`super::look_around`]). A process leaves its session and must be gone when its cage is. Memory and processes
//! are taken beyond a small limit and must not be given.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::time::Duration;

use rustix::process::Pid;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

use super::deaths::all_ended;
use super::look_around::Seen;
use super::{Cage, CageLimits, Gap, Limit, Probe, Sandbox, TreeAccess, Unavailable};
use crate::adapters::on_disk;
use crate::ports::{CommandSpec, Ending, Entropy, Finished};

/// How long one probe may take.
const WITHIN: Duration = Duration::from_secs(20);
/// How long a process may still be seen after it was killed.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// The limits of a probe's cage, and what is taken beyond them.
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;
const MEMORY_TAKEN: u64 = 256 * 1024 * 1024;
const PROCESSES: u32 = 24;
const PROCESSES_TAKEN: u32 = 64;

/// A kind of sandbox that is to be tried before it counts as one.
pub(super) trait Layer: Sandbox {
    /// What it does not give, as far as it is known.
    fn gaps(&self) -> &[Gap];

    /// Says that something is not bounded after all.
    fn concede(&mut self, gap: Gap);

    /// Our own binary, on the host.
    fn program(&self) -> &Path;

    /// Whether a limit is kept by looking from time to time, so that what is taken and given back at once is not seen.
    fn takes_time_to_notice(&self, limit: Limit) -> bool;
}

/// What the probes are made with.
struct Stage {
    directory: TempDir,
    listener: TcpListener,
    _socket: UnixListener,
    name: String,
    /// Our own binary, as it is seen from inside.
    program: String,
}

impl Stage {
    fn set(layer: &impl Layer, scratch_dir: &Path, bits: u64) -> std::io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("probe-").tempdir_in(scratch_dir)?;
        for folder in ["tree", "home"] {
            fs::create_dir(directory.path().join(folder))?;
        }
        fs::write(directory.path().join("canary"), "nobody in a cage reads this\n")?;
        let name = format!("pairbot-canary-{bits:016x}");
        let socket = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut stage = Self { directory, listener, _socket: socket, name, program: String::new() };
        stage.program = layer.inside(&stage.cage(), layer.program()).to_string_lossy().into_owned();
        Ok(stage)
    }

    fn cage(&self) -> Cage {
        let place = |name: &str| self.directory.path().join(name);
        let limits = CageLimits { memory_bytes: MEMORY_BYTES, processes: PROCESSES, ..CageLimits::default() };
        Cage { limits, ..Cage::around(place("tree"), TreeAccess::Write, place("home")) }
    }

    /// Our own binary, with what it shall try.
    fn command(&self, arguments: &[&str]) -> CommandSpec {
        CommandSpec {
            program: self.program.clone(),
            arguments: ["cage-probe"].iter().chain(arguments).map(|word| (*word).to_owned()).collect(),
            directory: self.cage().worktree,
            environment: BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
            stdin: Vec::new(),
            timeout: WITHIN,
            output_bytes_max: 64 * 1024,
        }
    }
}

/// The layer, if it withstood every probe, with the gaps that were found.
pub(super) async fn withstood<L: Layer>(
    mut layer: L,
    entropy: &dyn Entropy,
    scratch_dir: &Path,
) -> Result<L, Unavailable> {
    let stage = Stage::set(&layer, scratch_dir, entropy.bits());
    let stage =
        stage.map_err(|error| failed(Probe::Starts, format!("no canary can be laid out: {error}")))?;
    surroundings(&layer, &stage).await?;
    survivors(&layer, &stage).await?;
    for limit in [Limit::Memory, Limit::Processes] {
        if !layer.gaps().iter().any(|gap| gap.limit == limit)
            && let Some(why) = exceeded(&layer, &stage, limit).await
        {
            layer.concede(Gap { limit, why });
        }
    }
    Ok(layer)
}

fn failed(probe: Probe, why: impl Into<String>) -> Unavailable {
    Unavailable { probe, why: why.into() }
}

/// Files, processes and network of the host.
async fn surroundings(layer: &impl Layer, stage: &Stage) -> Result<(), Unavailable> {
    let canary = stage.directory.path().join("canary").to_string_lossy().into_owned();
    let listener = stage.listener.local_addr().map_err(|error| failed(Probe::Starts, error.to_string()))?;
    let command = stage.command(&["look", &canary, &listener.to_string(), &stage.name]);
    let finished =
        layer.run(command, &stage.cage()).await.map_err(|error| failed(Probe::Starts, error.to_string()))?;
    let seen = match serde_json::from_slice::<Seen>(&finished.stdout) {
        Ok(seen) if finished.succeeded() => seen,
        Ok(_) | Err(_) => return Err(failed(Probe::Starts, told(&finished))),
    };
    let found =
        [(Probe::Files, seen.files), (Probe::Processes, seen.processes), (Probe::Network, seen.network)];
    match found.into_iter().find(|(_, seen)| !seen.is_empty()) {
        Some((probe, seen)) => Err(failed(probe, seen.join(", "))),
        None => Ok(()),
    }
}

/// A process that left its session and its parent.
async fn survivors(layer: &impl Layer, stage: &Stage) -> Result<(), Unavailable> {
    let failed = |why: String| failed(Probe::Survivors, why);
    let mut command = CommandSpec { program: "/bin/sh".to_owned(), ..stage.command(&[]) };
    let script = "\"$0\" cage-probe linger \"$1\" & wait";
    command.arguments = ["-c", script, &stage.program, &stage.name].map(str::to_owned).to_vec();
    let mut started = layer.start(command, &stage.cage()).await.map_err(|error| failed(error.to_string()))?;
    let mut word = [0; 6];
    let ready = tokio::time::timeout(WITHIN, started.stdout.read_exact(&mut word)).await;
    if !matches!(ready, Ok(Ok(_))) {
        return Err(failed("the process that should try it did not start".to_owned()));
    }
    let lingering = lingering(&stage.name);
    if lingering.is_empty() {
        return Err(failed("its processes cannot be seen from outside, so nobody can tell".to_owned()));
    }
    drop(started);
    match on_disk(move || all_ended(&lingering, GONE_WITHIN)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed("a process that left its session did".to_owned())),
        Err(error) => Err(failed(format!("nobody can tell: {error}"))),
    }
}

/// Processes of this machine whose arguments hold a word.
fn lingering(word: &str) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let named = entries.filter(|entry| {
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(word)
    });
    named.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Why a limit does not hold; nothing if it does.
async fn exceeded(layer: &impl Layer, stage: &Stage, limit: Limit) -> Option<String> {
    let (memory, processes) = (MEMORY_TAKEN.to_string(), PROCESSES_TAKEN.to_string());
    let arguments: &[&str] = match limit {
        Limit::Memory if layer.takes_time_to_notice(limit) => &["hog", "--stay", &memory],
        Limit::Memory => &["hog", &memory],
        Limit::Processes => &["swarm", &processes],
        // Nothing that could be tried: what no layer claims to give.
        Limit::MemoryBursts | Limit::TemporaryFiles | Limit::Metadata => return None,
    };
    let command = stage.command(arguments);
    match layer.run(command, &stage.cage()).await {
        Err(error) => Some(format!("it could not be tried: {error}")),
        Ok(finished) if finished.succeeded() => Some("more than the limit was given".to_owned()),
        Ok(finished) if finished.ending == Ending::TimedOut => Some("the attempt did not end".to_owned()),
        Ok(_) => None,
    }
}

fn told(finished: &Finished) -> String {
    let said = String::from_utf8_lossy(&finished.stderr);
    format!(
        "our own binary ended with {:?}: {}",
        finished.ending,
        said.trim().chars().take(300).collect::<String>()
    )
}
