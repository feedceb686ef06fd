//! Other programs, run to their end and not a moment longer.

#![expect(clippy::disallowed_methods, reason = "this is the adapter that the lint sends everyone to")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use crate::ports::{CommandSpec, Ending, Finished, SpawnError, Spawner};

/// How long output is still read after the program ended and its group was killed. Only a process that left the
/// group can hold the pipe open by then, and it is not waited for.
const LAST_OUTPUT_WITHIN: Duration = Duration::from_secs(1);

/// Bytes read from a pipe at a time: the size of a pipe on Linux.
const CHUNK_BYTES: usize = 64 * 1024;

/// Runs programs of this machine.
///
/// Each gets exactly the environment it is given, a process group of its own, its input and output served at the
/// same time so that neither side can block the other, and limits on files. When it ends, runs out of time or is
/// cancelled, its whole group is killed. A process that leaves the group (`setsid`) is not reached: to hold those
/// is the sandbox's work.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSpawner;

#[async_trait]
impl Spawner for SystemSpawner {
    async fn run(&self, command: CommandSpec) -> Result<Finished, SpawnError> {
        let failed = |source| SpawnError { program: command.program.clone(), source };
        let mut child = Command::new(found(&command))
            .arg0(&command.program)
            .args(&command.arguments)
            .current_dir(&command.directory)
            .env_clear()
            .envs(&command.environment)
            .stdin(if command.stdin.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let group = ProcessGroup::of(&child);
        group.limit();

        let input = child.stdin.take();
        let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        let mut kept_out = Kept::up_to(command.output_bytes_max);
        let mut kept_err = Kept::up_to(command.output_bytes_max);
        let ending = {
            let mut served = std::pin::pin!(async {
                tokio::join!(
                    feed(input, &command.stdin),
                    kept_out.drain(&mut stdout),
                    kept_err.drain(&mut stderr)
                );
            });
            let ended = tokio::time::timeout(command.timeout, async {
                tokio::select! {
                    status = child.wait() => (status, false),
                    () = &mut served => (child.wait().await, true),
                }
            });
            match ended.await {
                Ok((status, all_read)) => {
                    group.kill();
                    if !all_read {
                        let _stopped = tokio::time::timeout(LAST_OUTPUT_WITHIN, served).await;
                    }
                    ending_of(status.map_err(failed)?)
                }
                Err(_elapsed) => {
                    group.kill();
                    child.wait().await.map_err(failed)?;
                    let _stopped = tokio::time::timeout(LAST_OUTPUT_WITHIN, served).await;
                    Ending::TimedOut
                }
            }
        };
        let truncated = kept_out.dropped || kept_err.dropped;
        Ok(Finished { ending, stdout: kept_out.bytes, stderr: kept_err.bytes, truncated })
    }
}

/// The file that a program's name means on the `PATH` it is given, or the name as it is where none has it.
///
/// The standard library looks for a name itself only after `fork`, which copies the page tables of this whole process
/// for every command; a full path goes through `posix_spawn`, which copies nothing and inherits no open file for a
/// moment longer than it takes to start.
fn found(command: &CommandSpec) -> PathBuf {
    let name = Path::new(&command.program);
    if command.program.contains('/') {
        return name.to_owned();
    }
    let folders = command.environment.get("PATH").map(String::as_str).unwrap_or_default();
    let mut files =
        std::env::split_paths(folders).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    files.find(|file| is_executable(file)).unwrap_or_else(|| name.to_owned())
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

/// Writes all input and closes the pipe. A program that stops reading is within its rights.
async fn feed(pipe: Option<ChildStdin>, bytes: &[u8]) {
    if let Some(mut pipe) = pipe {
        let _closed_early = pipe.write_all(bytes).await;
    }
}

pub(super) fn ending_of(status: std::process::ExitStatus) -> Ending {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Signalled(signal.unwrap_or_default()),
    }
}

/// The first bytes of a stream; the rest is read and dropped, so that the program is not blocked.
struct Kept {
    bytes: Vec<u8>,
    bytes_max: usize,
    dropped: bool,
}

impl Kept {
    fn up_to(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, dropped: false }
    }

    async fn drain(&mut self, pipe: &mut Option<impl AsyncRead + Unpin>) {
        let Some(pipe) = pipe else { return };
        let mut chunk = vec![0_u8; CHUNK_BYTES];
        // A pipe that cannot be read has ended as far as we can know.
        while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
            let room = self.bytes_max.saturating_sub(self.bytes.len()).min(count);
            self.bytes.extend_from_slice(chunk.get(..room).unwrap_or_default());
            self.dropped |= room < count;
        }
    }
}

/// The process group of a child, killed when this is dropped: that is how a cancelled future ends its program.
struct ProcessGroup {
    leader: Option<Pid>,
}

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { leader }
    }

    /// Kills all that is left of the group. There is usually nothing left, which is not an error.
    fn kill(&self) {
        if let Some(leader) = self.leader {
            let _nothing_left = kill_process_group(leader, Signal::KILL);
        }
    }

    /// Sets limits that what the program starts inherits: no core dumps (they hold secrets), and bounds on open
    /// files and on the size of a file. A limit that is tighter already cannot be raised and stays.
    #[cfg(target_os = "linux")]
    fn limit(&self) {
        use rustix::process::{Resource, Rlimit, prlimit};
        const OPEN_FILES_MAX: u64 = 16_384;
        const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
        let limits =
            [(Resource::Core, 0), (Resource::Nofile, OPEN_FILES_MAX), (Resource::Fsize, FILE_BYTES_MAX)];
        for (resource, value) in limits {
            let limit = Rlimit { current: Some(value), maximum: Some(value) };
            let _ended_or_tighter = self.leader.map(|leader| prlimit(Some(leader), resource, limit));
        }
    }

    /// Elsewhere a process cannot be limited from outside; the limits of the server hold.
    #[cfg(not(target_os = "linux"))]
    fn limit(&self) {}
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests;
