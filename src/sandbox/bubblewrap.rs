//! Bubblewrap: namespaces of its own for users, processes, mounts, network, IPC, host name and control groups.
//!
//! A shell that sees nothing of what follows joins the cage's control groups and becomes `bwrap`; `bwrap` reads its
//! arguments from a file that has no name, so that no path of the host and no variable stands where a process could read
//! it; it builds the cage and starts the program in it. The first process of the process namespace is `bwrap` itself, and
//! when it dies the kernel kills everything in there, whatever session or group it moved to.

mod arguments;
mod filter;
mod host;
mod launch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use self::filter::Filters;
use self::host::Host;
use self::launch::Launch;
use super::caged::{Caged, Surroundings};
use super::control_group::ControlGroups;
use super::probes::Layer;
use super::{
    Cage, CageError, Gap, HOME, Limit, PROGRAM, Sandbox, SandboxPorts, SandboxSettings, Standing,
    Unavailable, WORKTREE, outgrown, system,
};
use crate::adapters::on_disk;
use crate::ports::{CommandSpec, Ending, Finished, Started};

/// Cages made by bubblewrap.
#[derive(Debug)]
pub(super) struct Bubblewrap {
    ports: SandboxPorts,
    host: Host,
    filters: Filters,
    groups: Arc<ControlGroups>,
    gaps: Vec<Gap>,
}

impl Bubblewrap {
    /// What is needed for cages on this machine. Whether they hold is for the probes to say.
    pub(super) async fn prepare(ports: SandboxPorts, settings: SandboxSettings) -> Result<Self, Unavailable> {
        let host = Host::look(&ports, settings).await?;
        let filters = Filters::make()
            .map_err(|error| system::missing(format!("no filter of system calls: {error}")))?;
        let groups = ControlGroups::open(&format!("{:016x}", ports.entropy.bits()));
        let gaps = groups.gaps().to_vec();
        Ok(Self { ports, host, filters, groups: Arc::new(groups), gaps })
    }

    async fn launch(&self, command: CommandSpec, cage: &Cage) -> Result<Launch, CageError> {
        let directory = self.inside(cage, &command.directory);
        if !directory.starts_with(WORKTREE) && !directory.starts_with(HOME) {
            let why = format!("{} is outside of it", command.directory.display());
            return Err(CageError::NotBuilt { why });
        }
        let not_built = |why: String| CageError::NotBuilt { why };
        let arguments =
            arguments::of(&self.host, &self.filters, &command, cage, &directory).map_err(not_built)?;
        let (groups, limits) = (Arc::clone(&self.groups), cage.limits);
        let group = on_disk(move || groups.group(&limits)).await;
        let group = group.map_err(|error| not_built(format!("its control group cannot be made: {error}")))?;
        Launch::prepare(&self.host, &self.filters, &arguments, group, command).map_err(not_built)
    }
}

impl Layer for Bubblewrap {
    fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    fn concede(&mut self, gap: Gap) {
        self.gaps.push(gap);
    }

    fn program(&self) -> &Path {
        &self.host.program
    }

    fn takes_time_to_notice(&self, _limit: Limit) -> bool {
        false
    }
}

#[async_trait]
impl Sandbox for Bubblewrap {
    fn standing(&self) -> Standing {
        Standing::Bubblewrap { gaps: self.gaps.clone() }
    }

    fn inside(&self, cage: &Cage, host: &Path) -> PathBuf {
        if host == self.host.program {
            return PROGRAM.into();
        }
        if let Some(socket) = cage.sockets.iter().find(|socket| socket.host == host) {
            return socket.inside.clone();
        }
        let beneath = |folder: &Path, seen: &str| {
            let rest = host.strip_prefix(folder).ok()?;
            // Joining nothing would leave a slash at the end.
            Some(if rest.as_os_str().is_empty() { PathBuf::from(seen) } else { Path::new(seen).join(rest) })
        };
        beneath(&cage.worktree, WORKTREE)
            .or_else(|| beneath(&cage.home, HOME))
            .unwrap_or_else(|| host.to_owned())
    }

    async fn run(&self, command: CommandSpec, cage: &Cage) -> Result<Finished, CageError> {
        let launch = self.launch(command, cage).await?;
        let ended = tokio::select! {
            finished = self.ports.spawner.run(launch.command.clone()) => finished.map_err(CageError::from),
            limit_bytes = outgrown::outgrown(self.ports.clock.as_ref(), cage) => {
                Err(CageError::Outgrown { limit_bytes })
            }
        };
        // However it ended: nothing of it is left when that is told.
        launch.close().await;
        launch.judge(ended?)
    }

    async fn start(&self, command: CommandSpec, cage: &Cage) -> Result<Started, CageError> {
        let launch = self.launch(command, cage).await?;
        let Started { stdin, stdout, stderr, process } =
            self.ports.spawner.start(launch.command.clone()).await?;
        let around = InNamespaces { launch, clock: self.ports.clock.clone(), cage: cage.clone() };
        let process = Caged::new(process, around);
        Ok(Started { stdin, stdout, stderr, process: Box::new(process) })
    }
}

/// Around a program in namespaces. Dropping it ends whatever is in its groups.
#[derive(Debug)]
struct InNamespaces {
    launch: Launch,
    clock: Arc<dyn crate::ports::Clock>,
    cage: Cage,
}

#[async_trait]
impl Surroundings for InNamespaces {
    async fn outgrown(&self) {
        outgrown::outgrown(self.clock.as_ref(), &self.cage).await;
    }

    async fn close(&mut self) {
        self.launch.close().await;
    }

    fn ending(&self, ending: Ending) -> Ending {
        self.launch.ending(ending)
    }

    fn kill(&mut self) {
        self.launch.group.kill();
    }
}
