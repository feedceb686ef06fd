//! The arguments of `bwrap` for one cage.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::filter::Filters;
use super::host::Host;
use super::launch::{FIRST_FILTER, STATUS};
use crate::ports::CommandSpec;
use crate::sandbox::{Cage, HOME, PROGRAM, RUNTIME, TreeAccess, WORKTREE};

/// Everything that is always so.
const ALWAYS: [&str; 13] = [
    "--unshare-all",
    "--unshare-user",
    "--die-with-parent",
    "--new-session",
    "--cap-drop",
    "ALL",
    "--uid",
    "1000",
    "--gid",
    "1000",
    "--hostname",
    "pairbot",
    "--clearenv",
];

/// A list of arguments in the form that `bwrap --args` reads: each ends with a zero byte.
#[derive(Default)]
struct List(Vec<u8>);

impl List {
    fn add(&mut self, arguments: &[&dyn AsRef<OsStr>]) -> Result<(), String> {
        for argument in arguments {
            let bytes = argument.as_ref().as_bytes();
            if bytes.contains(&0) {
                return Err("a path or a variable holds a zero byte".to_owned());
            }
            self.0.extend_from_slice(bytes);
            self.0.push(0);
        }
        Ok(())
    }
}

/// The arguments, but for the program itself and its own.
pub(super) fn of(
    host: &Host,
    filters: &Filters,
    command: &CommandSpec,
    cage: &Cage,
    directory: &Path,
) -> Result<Vec<u8>, String> {
    let mut list = List::default();
    for argument in ALWAYS {
        list.add(&[&argument])?;
    }
    if host.forbids_namespaces {
        list.add(&[&"--disable-userns"])?;
    }
    for (name, value) in &command.environment {
        list.add(&[&"--setenv", name, value])?;
    }
    for (name, value) in [("HOME", HOME), ("TMPDIR", "/tmp"), ("USER", "agent")] {
        list.add(&[&"--setenv", &name, &value])?;
    }
    for argument in &host.system {
        list.add(&[argument])?;
    }
    list.add(&[&"--proc", &"/proc"])?;
    for argument in &host.covers {
        list.add(&[argument])?;
    }
    let tmp = cage.limits.tmp_bytes.to_string();
    list.add(&[&"--dev", &"/dev", &"--size", &tmp, &"--tmpfs", &"/dev/shm", &"--remount-ro", &"/dev"])?;
    list.add(&[&"--size", &tmp, &"--tmpfs", &"/tmp", &"--symlink", &"../tmp", &"/var/tmp"])?;
    list.add(&[&"--dir", &RUNTIME, &"--ro-bind", &host.program, &PROGRAM])?;
    for path in &cage.read_only {
        list.add(&[&"--ro-bind", path, path])?;
    }
    list.add(&[&"--bind", &cage.home, &HOME])?;
    let access = match cage.access {
        TreeAccess::Write => "--bind",
        TreeAccess::Read => "--ro-bind",
    };
    list.add(&[&access, &cage.worktree, &WORKTREE])?;
    for socket in &cage.sockets {
        // Connecting is no writing to the file system, and the socket itself must stay as it is.
        list.add(&[&"--ro-bind", &socket.host, &socket.inside])?;
    }
    // The root of the cage is made of memory that nothing bounds, so nobody writes there.
    list.add(&[&"--remount-ro", &"/", &"--chdir", &directory])?;
    list.add(&[&"--json-status-fd", &STATUS.to_string()])?;
    for index in 0..filters.files().len() {
        list.add(&[&"--add-seccomp-fd", &(FIRST_FILTER + index).to_string()])?;
    }
    Ok(list.0)
}
