//! What the program takes from the machine beneath it: time, chance and other programs.
//!
//! Everything else takes these traits, so that a test or a simulation decides what time it is and what a
//! command answers. The real ones live in [`crate::adapters`], the only place that may call the system.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use pairbot_protocol::ids::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

/// Time, as far as the program may know it.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// The moment it is.
    fn now(&self) -> Timestamp;

    /// Returns once `now()` has reached `at`.
    async fn sleep_until(&self, at: Timestamp);

    /// Returns after `duration`.
    async fn sleep(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.sleep_until(self.now().plus_ms(ms)).await;
    }
}

/// Chance, for jitter and for names that must not be guessed.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Sixty-four random bits.
    fn bits(&self) -> u64;
}

/// A program to run to its end.
#[derive(Debug, Clone)]
pub struct CommandSpec {
    /// The program, a name on `PATH` of `environment` or a full path.
    pub program: String,
    /// Its arguments, never seen by a shell.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Its whole environment: nothing is inherited, so no token can leak into it.
    pub environment: BTreeMap<String, String>,
    /// What it reads on standard input.
    pub stdin: Vec<u8>,
    /// How long it may run before its process group is killed.
    pub timeout: Duration,
    /// How many bytes of each of stdout and stderr are kept; what is beyond is read and dropped.
    pub output_bytes_max: usize,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It ended by itself with this code.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It ran out of its time and was killed.
    TimedOut,
}

/// A program that ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// The first `output_bytes_max` bytes of standard output.
    pub stdout: Vec<u8>,
    /// The first `output_bytes_max` bytes of standard error.
    pub stderr: Vec<u8>,
    /// Whether anything was dropped from either.
    pub truncated: bool,
}

impl Finished {
    /// Whether the program ended by itself with code 0.
    pub fn succeeded(&self) -> bool {
        self.ending == Ending::Exited(0)
    }
}

/// A program that could not be started or waited for.
#[derive(Debug, thiserror::Error)]
#[error("could not run `{program}`: {source}")]
pub struct SpawnError {
    /// The program.
    pub program: String,
    /// Why.
    pub source: std::io::Error,
}

/// What a program that is talked with reads on standard input.
pub type Input = Box<dyn AsyncWrite + Send + Sync + Unpin>;

/// What a program that is talked with prints.
pub type Output = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// A program that runs and is talked with. Whoever reads its output bounds what is kept of it, and reads on: a pipe
/// that nobody empties stops the program.
pub struct Started {
    /// Its standard input. Dropping it is the end of the input.
    pub stdin: Input,
    /// Its standard output.
    pub stdout: Output,
    /// Its standard error.
    pub stderr: Output,
    /// The program itself. Dropping it kills the program and its process group.
    pub process: Box<dyn Process>,
}

impl fmt::Debug for Started {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Started").field("process", &self.process).finish_non_exhaustive()
    }
}

/// A program that was started. Dropping it kills the program and its process group.
#[async_trait]
pub trait Process: Send + Sync + fmt::Debug {
    /// Returns once the program has ended, by itself or because its time was over, and its process group was killed.
    /// May be asked again.
    async fn wait(&mut self) -> Ending;

    /// Kills the program and its process group. [`Process::wait`] tells when it has ended.
    fn kill(&mut self);
}

/// Other programs.
#[async_trait]
pub trait Spawner: Send + Sync + fmt::Debug {
    /// Runs a program to its end. Cancelling the future kills the program's process group.
    async fn run(&self, command: CommandSpec) -> Result<Finished, SpawnError>;

    /// Starts a program that is talked with. It is killed with its process group when its time is over, when it is told
    /// to be, and when what is returned is dropped. `stdin` and `output_bytes_max` of the command say nothing here.
    ///
    /// Where programs are only ever run to their end, as in some tests, none is started.
    async fn start(&self, command: CommandSpec) -> Result<Started, SpawnError> {
        let source = std::io::Error::new(ErrorKind::Unsupported, "programs are only run to their end here");
        Err(SpawnError { program: command.program, source })
    }
}
