//! A user of its own for each cage: what can hold where no namespaces may be made, and the server is root.
//!
//! A cage runs as a user that is nobody else's ([`slots`]), with Landlock around its files ([`reach`]), a filter that lets
//! it make no socket ([`filter`]), limits, and no rights. The server sees that nothing of that user is left before the next
//! cage gets it. Programs see the host's paths, and there is neither a network nor a loopback. What this cannot give is
//! told as gaps.

mod ending;
mod filter;
pub mod inside;
mod launch;
mod machine;
mod memory;
mod order;
mod ownership;
mod places;
mod processes;
mod reach;
mod slots;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use self::launch::Launch;
use self::order::Order;
use self::ownership::TEMPORARY;
use self::places::{Places, Taken};
use self::reach::Reach;
use self::slots::{Slot, Slots};
use super::caged::{Caged, Surroundings};
use super::control_group::ControlGroups;
use super::probes::Layer;
use super::slot_uids::SlotIds;
use super::system::{self, missing};
use super::{
    Cage, CageError, Gap, Limit, Sandbox, SandboxPorts, SandboxSettings, Standing, TreeAccess, Unavailable,
    outgrown,
};
use crate::adapters::on_disk;
use crate::ports::{Clock, CommandSpec, Ending, Finished, Started};

/// Cages that are users of their own.
#[derive(Debug)]
pub(super) struct UserSlots {
    house: Arc<House>,
    reach: Reach,
    groups: Arc<ControlGroups>,
    gaps: Vec<Gap>,
    memory_is_watched: bool,
    /// The server's directory, in which ways may be opened.
    own_dir: PathBuf,
}

/// What is needed to begin a cage and to end it.
#[derive(Debug)]
struct House {
    ports: SandboxPorts,
    /// Our own binary.
    program: PathBuf,
    slots: Slots,
    places: Arc<Places>,
}

impl UserSlots {
    /// What is needed for such cages on this machine, after whatever an earlier server left in them has ended. Whether
    /// they hold is for the probes to say.
    pub(super) async fn prepare(ports: SandboxPorts, settings: SandboxSettings) -> Result<Self, Unavailable> {
        let uids = settings.slots;
        let asked = on_disk(move || machine::lacks(uids)).await;
        let lacks = asked.map_err(|error| missing(format!("this machine cannot be asked: {error}")))?;
        if let Some(why) = lacks {
            return Err(missing(why));
        }
        let program = system::own_program(settings.program)?;
        let groups = if settings.control_groups {
            ControlGroups::open(&format!("{:016x}", ports.entropy.bits()))
        } else {
            ControlGroups::nowhere("none are to be made")
        };
        let reach = Reach::of_everybody(&settings.read_only, &program);
        let unbounded = groups.gaps().iter().find(|gap| gap.limit == Limit::Memory);
        let gaps = gaps(unbounded);
        let memory_is_watched = unbounded.is_some();
        let own_dir = settings.scratch_dir.parent().unwrap_or(&settings.scratch_dir).to_owned();
        let house = Arc::new(House { ports, program, slots: Slots::of(uids), places: Arc::default() });
        ending::sweep(house.ports.spawner.as_ref(), &house.program, &house.slots).await;
        Ok(Self { house, reach, groups: Arc::new(groups), gaps, memory_is_watched, own_dir })
    }

    /// A slot in which the cage's files are at home.
    async fn occupy(&self, cage: &Cage) -> Result<Occupied, CageError> {
        let not_built = |why: String| CageError::NotBuilt { why };
        let paths = [&cage.worktree, &cage.home].map(Clone::clone);
        let places = self.house.places.take(paths.to_vec()).await;
        let slot = self.house.slots.take().map_err(|error| not_built(error.to_string()))?;
        let (uids, ids, own_dir) = (self.house.slots.uids(), slot.ids, self.own_dir.clone());
        let stay = Stay { slot, cage: cage.clone(), _places: places };
        let occupied = Occupied { ids, stay: Some(stay), house: Arc::clone(&self.house) };
        if !self.house.end(ids).await {
            occupied.abandon();
            return Err(not_built("processes of an earlier cage do not end".to_owned()));
        }
        let cage = cage.clone();
        let given = on_disk(move || {
            for folder in [&cage.worktree, &cage.home] {
                ownership::open_way(folder, &own_dir, uids).map_err(io::Error::other)?;
            }
            ownership::give(&cage.worktree, cage.access, &cage.home, ids)
        });
        match given.await {
            Ok(()) => Ok(occupied),
            Err(error) => Err(not_built(format!("its files cannot be handed over: {error}"))),
        }
    }

    async fn launch(&self, command: CommandSpec, cage: &Cage) -> Result<(Occupied, Launch), CageError> {
        if !cage.sockets.is_empty() {
            return Err(CageError::NoSockets);
        }
        let within = |folder: &Path| command.directory.starts_with(folder);
        if !within(&cage.worktree) && !within(&cage.home) {
            let why = format!("{} is outside of it", command.directory.display());
            return Err(CageError::NotBuilt { why });
        }
        let not_built = |why: String| CageError::NotBuilt { why };
        let occupied = self.occupy(cage).await?;
        let order = self.order(&command, cage, occupied.ids);
        let (groups, limits) = (Arc::clone(&self.groups), cage.limits);
        let group = on_disk(move || groups.group(&limits)).await;
        let group = group.map_err(|error| not_built(format!("its control group cannot be made: {error}")))?;
        let launch = Launch::prepare(&self.house.program, order, group, command).map_err(not_built)?;
        Ok((occupied, launch))
    }

    fn order(&self, command: &CommandSpec, cage: &Cage, ids: SlotIds) -> Order {
        let mut reach = self.reach.clone();
        reach.read.extend(cage.read_only.iter().cloned());
        reach.write.push(cage.home.clone());
        match cage.access {
            TreeAccess::Write => reach.write.push(cage.worktree.clone()),
            TreeAccess::Read => reach.read.push(cage.worktree.clone()),
        }
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut environment = command.environment.clone();
        let own = [("HOME", text(&cage.home)), ("TMPDIR", text(&cage.home.join(TEMPORARY)))];
        environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        environment.insert("USER".to_owned(), "agent".to_owned());
        Order {
            server: rustix::process::getpid().as_raw_pid(),
            ids,
            program: command.program.clone(),
            arguments: command.arguments.clone(),
            environment,
            directory: command.directory.clone(),
            reach,
            doors: Vec::new(),
            processes: cage.limits.processes,
            memory_is_watched: self.memory_is_watched,
            status: PathBuf::new(),
        }
    }

    fn watch(&self, cage: &Cage, ids: SlotIds) -> Watch {
        let house = Arc::clone(&self.house);
        Watch { house, cage: cage.clone(), ids, memory_is_watched: self.memory_is_watched }
    }
}

/// What this layer does not give, anywhere or on this machine.
fn gaps(memory: Option<&Gap>) -> Vec<Gap> {
    let mut gaps = vec![
        Gap {
            limit: Limit::TemporaryFiles,
            why: "they are in the home, whose size is bounded together with the worktree's".to_owned(),
        },
        Gap {
            limit: Limit::Metadata,
            why: "who knows a path can ask whether it is there, how long it is and when it changed; nothing can be read \
                  or listed"
                .to_owned(),
        },
    ];
    gaps.extend(memory.map(|gap| Gap {
        limit: Limit::MemoryBursts,
        why: format!("{}; a cage that is seen to have more is ended", gap.why),
    }));
    gaps
}

impl Layer for UserSlots {
    fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    fn concede(&mut self, gap: Gap) {
        self.gaps.push(gap);
    }

    fn program(&self) -> &Path {
        &self.house.program
    }

    fn takes_time_to_notice(&self, limit: Limit) -> bool {
        self.memory_is_watched && limit == Limit::Memory
    }
}

#[async_trait]
impl Sandbox for UserSlots {
    fn standing(&self) -> Standing {
        Standing::UserSlot { gaps: self.gaps.clone() }
    }

    /// There is no other view of the files than the host's.
    fn inside(&self, _cage: &Cage, host: &Path) -> PathBuf {
        host.to_owned()
    }

    async fn run(&self, command: CommandSpec, cage: &Cage) -> Result<Finished, CageError> {
        let (mut occupied, launch) = self.launch(command, cage).await?;
        let watch = self.watch(cage, occupied.ids);
        let ended = tokio::select! {
            finished = self.house.ports.spawner.run(launch.command.clone()) => finished.map_err(CageError::from),
            limit_bytes = watch.until_outgrown(&launch) => Err(CageError::Outgrown { limit_bytes }),
        };
        // However it ended: nothing of it is left when that is told.
        occupied.vacate().await;
        launch.judge(ended?)
    }

    async fn start(&self, command: CommandSpec, cage: &Cage) -> Result<Started, CageError> {
        let (occupied, launch) = self.launch(command, cage).await?;
        let watch = self.watch(cage, occupied.ids);
        let Started { stdin, stdout, stderr, process } =
            self.house.ports.spawner.start(launch.command.clone()).await?;
        let process = Caged::new(process, InSlot { occupied, launch, watch });
        Ok(Started { stdin, stdout, stderr, process: Box::new(process) })
    }
}

impl House {
    async fn end(&self, ids: SlotIds) -> bool {
        ending::end_all(self.ports.spawner.as_ref(), &self.program, ids).await
    }

    /// Ends what runs in a slot, takes its files back, and frees it.
    async fn clear(&self, stay: Stay) {
        let ids = stay.slot.ids;
        if !self.end(ids).await {
            tracing::error!(uid = ids.uid, "processes of a cage do not end; its slot is not used any more");
            self.slots.condemn(stay.slot);
            return;
        }
        let (worktree, home) = (stay.cage.worktree.clone(), stay.cage.home.clone());
        let taken = on_disk(move || match ownership::take_back(&worktree, &home, ids) {
            // Whoever ended the task has removed them already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        });
        if let Err(error) = taken.await {
            tracing::warn!(%error, "not all files of a cage were taken back");
        }
    }
}

/// A cage's time in a slot.
#[derive(Debug)]
struct Stay {
    slot: Slot,
    cage: Cage,
    _places: Taken,
}

/// A slot in use. Dropping it ends what runs there, after the fact.
#[derive(Debug)]
struct Occupied {
    ids: SlotIds,
    stay: Option<Stay>,
    house: Arc<House>,
}

impl Occupied {
    /// Ends what runs there, and returns when nothing does. Who does not wait for it gets the same.
    async fn vacate(&mut self) {
        if let Some(stay) = self.stay.take() {
            let house = Arc::clone(&self.house);
            let clearing = tokio::spawn(async move { house.clear(stay).await });
            let _the_server_ends = clearing.await;
        }
    }

    /// Never to be used again.
    fn abandon(mut self) {
        if let Some(stay) = self.stay.take() {
            self.house.slots.condemn(stay.slot);
        }
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let Some(stay) = self.stay.take() else { return };
        let house = Arc::clone(&self.house);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { house.clear(stay).await })),
            // The server ends, and what was in the slot with it; the next one looks for what may be left.
            Err(_) => self.house.slots.condemn(stay.slot),
        }
    }
}

/// Looks after a program that runs in a slot.
#[derive(Debug)]
struct Watch {
    house: Arc<House>,
    cage: Cage,
    ids: SlotIds,
    memory_is_watched: bool,
}

impl Watch {
    /// Returns once worktree and home are too large. A program that takes too much memory is ended meanwhile.
    async fn until_outgrown(&self, launch: &Launch) -> u64 {
        let clock: &dyn Clock = self.house.ports.clock.as_ref();
        let bounded = async {
            if self.memory_is_watched {
                memory::exceeded(clock, self.ids.uid, self.cage.limits.memory_bytes).await;
                launch.note_that_it_took_too_much();
                self.house.end(self.ids).await;
            }
            std::future::pending::<u64>().await
        };
        tokio::select! {
            limit_bytes = outgrown::outgrown(clock, &self.cage) => limit_bytes,
            never = bounded => never,
        }
    }
}

/// Around a program in a slot. Dropping it ends whatever runs as its user.
#[derive(Debug)]
struct InSlot {
    occupied: Occupied,
    launch: Launch,
    watch: Watch,
}

#[async_trait]
impl Surroundings for InSlot {
    async fn outgrown(&self) {
        self.watch.until_outgrown(&self.launch).await;
    }

    async fn close(&mut self) {
        self.occupied.vacate().await;
    }

    fn ending(&self, ending: Ending) -> Ending {
        self.launch.ending(ending)
    }

    /// Who stands for the program takes all of it along.
    fn kill(&mut self) {}
}
