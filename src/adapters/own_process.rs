//! Our own binary once more, and another program in its place: for the processes that make a cage.

#![expect(clippy::disallowed_methods, reason = "this is the adapter that the lint sends everyone to")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};

/// The file of the binary that runs, also after it was replaced.
const OWN: &str = "/proc/self/exe";

/// Starts our own binary with these arguments, no environment, and our own input and output. In a process group of its
/// own it does not end with this one.
pub fn start(arguments: &[&OsStr], own_group: bool) -> io::Result<Child> {
    let mut command = Command::new(OWN);
    command.arg0("pairbot").args(arguments).env_clear();
    if own_group {
        command.process_group(0);
    }
    command.spawn()
}

/// Puts a program in the place of this one, with this environment and nothing else. Returns only if that fails.
pub fn become_program(
    file: &Path,
    name: &str,
    arguments: &[String],
    environment: &BTreeMap<String, String>,
) -> io::Error {
    Command::new(file).arg0(name).args(arguments).env_clear().envs(environment).exec()
}
