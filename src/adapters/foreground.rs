//! A program in the foreground: it has our own input, output and environment, and while it runs we only stand by.

#![expect(clippy::disallowed_methods, reason = "this is the adapter that the lint sends everyone to")]

use std::io;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::spawn::ending_of;
use crate::ports::{Ending, SpawnError};

/// A program that runs. Whatever is left of its process group is killed when this is dropped.
#[derive(Debug)]
pub struct Foreground {
    child: Child,
    group: Option<Pid>,
}

impl Foreground {
    /// Starts a program in a process group of its own.
    pub fn start(program: &str, arguments: &[String]) -> Result<Self, SpawnError> {
        let child = Command::new(program).args(arguments).process_group(0).kill_on_drop(true).spawn();
        let child = child.map_err(|source| SpawnError { program: program.to_owned(), source })?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, group })
    }

    /// Passes a signal on. A program that has ended already needs none.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ended = kill_process_group(group, signal);
        }
    }

    /// Returns how it ended.
    pub async fn wait(&mut self) -> io::Result<Ending> {
        self.child.wait().await.map(ending_of)
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
