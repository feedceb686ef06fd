//! The processes between the server and a program in a slot, each of them our own binary once more.
//!
//! ```text
//! server ── hold ── keep ── enter, which becomes the program
//! ```
//!
//! `hold` is what the server starts, and ends as it ends any program. `keep` is out of reach of that and sees `hold` end,
//! in whatever way: it then ends everything that runs as the slot's user, and so it does when the program has ended. So a
//! server that is killed leaves nothing behind. `enter` gives up, one after the other, everything that the program is not
//! to have. All of them are single programs without threads that matter: users are a thread's on Linux.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{
    Gid, Pid, PidfdFlags, Resource, Rlimit, Signal, Uid, WaitOptions, getegid, geteuid, getgid, getpid,
    getppid, getuid, kill_process_group, pidfd_open, pidfd_send_signal, set_child_subreaper,
    set_parent_process_death_signal, setrlimit, setsid, umask, wait,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::filter::{self, Conditions};
use super::order::{Order, Teller, Told};
use super::reach;
use crate::adapters::own_process;
use crate::sandbox::slot_uids::SlotIds;
use crate::sandbox::system::is_executable;

/// What a program in a slot may have open, and how long a file of it may be; as for every program that we start.
const OPEN_FILES_MAX: u64 = 16_384;
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// As shells tell that a signal ended a program.
const SIGNALLED: i32 = 128;

/// Why a cage was not built.
type Failure = String;

fn failed<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| format!("{what}: {error}")
}

/// Stands for the program towards the server, and ends with the server.
pub fn hold(order_file: &Path) -> Result<u8, String> {
    close_what_was_inherited().map_err(failed("what was inherited cannot be closed"))?;
    let order = Order::read(order_file)?;
    end_with_parent(Pid::from_raw(order.server))?;
    let own = getpid().as_raw_pid().to_string();
    let mut keeper =
        own_process::start(&["slot".as_ref(), "keep".as_ref(), order_file.as_ref(), own.as_ref()], true)
            .map_err(failed("its keeper cannot be started"))?;
    let_go_of_streams().map_err(failed("its streams cannot be left to it"))?;
    let ended = keeper.wait().map_err(failed("its keeper cannot be waited for"))?;
    Ok(code(ended.code(), std::os::unix::process::ExitStatusExt::signal(&ended)))
}

/// Keeps the slot: when the program has ended, or whoever holds it, everything in the slot ends.
pub fn keep(order_file: &Path, holder: i32) -> Result<u8, String> {
    let order = Order::read(order_file)?;
    let mut teller = Teller::open(&order)?;
    let parent = Pid::from_raw(holder).ok_or("nobody holds it")?;
    let holder = pidfd_open(parent, PidfdFlags::empty()).map_err(failed("who holds it cannot be watched"))?;
    // Only after its number was opened: until then it may have ended, and the number be another's.
    if getppid() != Some(parent) {
        return Err("nobody holds it any more".to_owned());
    }
    set_child_subreaper(Some(getpid())).map_err(failed("what leaves its parent cannot be kept"))?;
    let program = own_process::start(&["slot".as_ref(), "enter".as_ref(), order_file.as_ref()], false)
        .map_err(failed("it cannot be entered"))?;
    let_go_of_streams().map_err(failed("its streams cannot be left to it"))?;
    let program = i32::try_from(program.id()).ok().and_then(Pid::from_raw).ok_or("it has no process")?;
    let handle = pidfd_open(program, PidfdFlags::empty()).map_err(failed("it cannot be watched"))?;
    std::thread::spawn(move || {
        until_ended(&holder);
        let _ended_meanwhile = pidfd_send_signal(&handle, Signal::KILL);
    });
    let code = wait_for(program).map_err(failed("it cannot be waited for"))?;
    become_ender(order.ids)?;
    loop {
        kill_everybody()?;
        // Whatever was left without a parent is a child of this process.
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::CHILD) => break,
            Err(error) => return Err(format!("its last processes cannot be waited for: {error}")),
        }
    }
    teller.tell(&Told { code: Some(code), failed: None }).map_err(failed("its end cannot be told"))?;
    Ok(code)
}

/// Becomes the program, without anything that it is not to have. Returns only if that fails.
pub fn enter(order_file: &Path) -> Result<u8, String> {
    let order = Order::read(order_file)?;
    let mut teller = Teller::open(&order)?;
    let why = give_up_and_become(&order);
    teller.tell(&Told { failed: Some(why.clone()), code: None }).map_err(failed("it cannot be told"))?;
    Err(why)
}

/// Ends everything that runs as a slot's user.
pub fn end(uid: u32, ender: u32) -> Result<u8, String> {
    become_ender(SlotIds { uid, ender, gid: ender })?;
    kill_everybody()?;
    Ok(0)
}

/// Not for what is opened from here on, which no other program inherits.
fn close_what_was_inherited() -> io::Result<()> {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .collect();
    for number in open {
        // The one by which they were listed is closed already.
        let _closed = nix::unistd::close(number);
    }
    Ok(())
}

/// Lets this process end with its parent, which must be this one.
fn end_with_parent(parent: Option<Pid>) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed("it cannot be tied to its parent"))?;
    if parent.is_none() || getppid() != parent {
        return Err("its parent has ended already".to_owned());
    }
    Ok(())
}

/// Input, output and complaints are the program's alone: so its reader sees their end, and its writer nobody reading.
fn let_go_of_streams() -> io::Result<()> {
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    Ok(())
}

fn until_ended(process: &impl AsFd) {
    loop {
        let mut looked = [PollFd::new(process, PollFlags::IN)];
        match poll(&mut looked, None) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Waits for one process, and for whatever ends meanwhile and has no other parent any more.
fn wait_for(wanted: Pid) -> io::Result<u8> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == wanted => {
                return Ok(code(status.exit_status(), status.terminating_signal()));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn code(exited: Option<i32>, signal: Option<i32>) -> u8 {
    let code = exited.unwrap_or_else(|| SIGNALLED + signal.unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Becomes who may kill everything of the slot's user and nothing else, and whom that user cannot kill: the kernel asks
/// whether the sender's effective or real user is the real or saved one of whom the signal is for.
fn become_ender(ids: SlotIds) -> Result<(), Failure> {
    let (uid, ender) = (Uid::from_raw(ids.uid), Uid::from_raw(ids.ender));
    if uid.is_root() || ender.is_root() || uid == ender {
        return Err(format!("{} and {} end nothing", ids.uid, ids.ender));
    }
    set_thread_res_uid(ender, uid, ender).map_err(failed("its user cannot be taken on"))?;
    // Whoever is root, or may signal everybody, would end this machine.
    let rights = capabilities(None).map_err(failed("it is not known what this process may do"))?;
    if getuid() != ender || geteuid() != uid || !rights.effective.is_empty() {
        return Err("its user was not taken on".to_owned());
    }
    Ok(())
}

/// To all that this process may send a signal to, at once, so that no fork escapes. Only as an ender.
fn kill_everybody() -> Result<(), Failure> {
    // The group of process 1, negated, is -1: everybody.
    match kill_process_group(Pid::INIT, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(format!("it cannot be ended: {error}")),
    }
}

fn give_up_and_become(order: &Order) -> Failure {
    let entered = give_up(order).and_then(|()| program(order));
    match entered {
        Ok(program) => {
            let error =
                own_process::become_program(&program, &order.program, &order.arguments, &order.environment);
            format!("`{}` cannot be run: {error}", order.program)
        }
        Err(why) => why,
    }
}

/// Everything that the program is not to have, in the order in which it can be given up.
fn give_up(order: &Order) -> Result<(), Failure> {
    let keeper = getppid();
    setsid().map_err(failed("it has no session of its own"))?;
    umask(Mode::from_raw_mode(0o077));
    for (resource, value) in [
        (Resource::Core, 0),
        (Resource::Nofile, OPEN_FILES_MAX),
        (Resource::Fsize, FILE_BYTES_MAX),
        (Resource::Nproc, u64::from(order.processes)),
    ] {
        limit(resource, value).map_err(failed("its limits cannot be set"))?;
    }
    for door in &order.doors {
        let joined = fs::write(door, getpid().as_raw_pid().to_string());
        joined.map_err(failed("its control group cannot be joined"))?;
    }
    set_no_new_privs(true).map_err(failed("it could gain rights"))?;
    let truncating_is_free = reach::truncating_is_free();
    reach::confine(&order.reach)?;
    become_slot(order.ids)?;
    end_with_parent(keeper)?;
    std::env::set_current_dir(&order.directory)
        .map_err(|error| format!("{} cannot be entered: {error}", order.directory.display()))?;
    filter::install(Conditions { memory_is_watched: order.memory_is_watched, truncating_is_free })
}

/// A limit that is tighter already stays.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let value = now.maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

fn become_slot(ids: SlotIds) -> Result<(), Failure> {
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    if uid.is_root() || gid.is_root() {
        return Err("no slot is root".to_owned());
    }
    // Of no consequence to who is not root and cannot gain rights, so it may fail where the right to do it is missing.
    for capability in CapabilitySet::all().iter() {
        let _not_ours_to_drop = remove_capability_from_bounding_set(capability);
    }
    clear_ambient_capability_set().map_err(failed("rights that are inherited cannot be dropped"))?;
    set_thread_groups(&[]).map_err(failed("its groups cannot be dropped"))?;
    set_thread_res_gid(gid, gid, gid).map_err(failed("its group cannot be taken on"))?;
    set_thread_res_uid(uid, uid, uid).map_err(failed("its user cannot be taken on"))?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none).map_err(failed("its rights cannot be dropped"))?;
    let taken_on = getuid() == uid && geteuid() == uid && getgid() == gid && getegid() == gid;
    if !taken_on || capabilities(None) != Ok(none) {
        return Err("its user was not taken on".to_owned());
    }
    Ok(())
}

/// The file of the program, on the `PATH` that it is given.
fn program(order: &Order) -> Result<PathBuf, Failure> {
    let name = Path::new(&order.program);
    if order.program.contains('/') {
        return Ok(name.to_owned());
    }
    let folders = order.environment.get("PATH").map(String::as_str).unwrap_or_default();
    let mut files =
        std::env::split_paths(folders).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    files.find(|file| is_executable(file)).ok_or_else(|| format!("`{}` is not on its PATH", order.program))
}
