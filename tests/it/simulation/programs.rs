//! Other programs, run while everything else stands still.

#![expect(
    clippy::disallowed_methods,
    reason = "an adapter of the simulation, as `SystemSpawner` is of the server"
)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use pairbot::ports::{Clock as _, CommandSpec, Ending, Finished, SpawnError, Spawner};
use pairbot_github_sim::Fault;

use super::github::Host;
use super::weather::Life;

/// Programs behind the weather.
#[derive(Debug)]
pub(super) struct TroubledPrograms {
    pub(super) host: Arc<Host>,
    pub(super) life: Arc<Life>,
}

/// What goes wrong with one program.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// It cannot be started.
    NotStarted,
    /// It finds the disk full.
    DiskFull,
    /// It does nothing until its time is over.
    Hangs,
    /// It does its work, and then hangs until its time is over.
    HangsAtEnd,
    /// It is killed from outside before it did anything.
    Killed,
    /// GitHub fails it before anything happened.
    GitHubFails(u16),
    /// GitHub does what it asks and answers with this.
    AnswerLost(u16),
}

impl TroubledPrograms {
    fn trouble(&self, command: &CommandSpec) -> Option<Trouble> {
        let weather = self.life.weather();
        let chance = &weather.chance;
        if !chance.per_mille(weather.rates().programs) {
            return None;
        }
        let network =
            ["fetch", "push"].iter().any(|word| command.arguments.iter().any(|given| given == word));
        Some(match chance.below(if network { 12 } else { 5 }) {
            0 => Trouble::NotStarted,
            1 => Trouble::DiskFull,
            2 => Trouble::Hangs,
            3 => Trouble::HangsAtEnd,
            4 => Trouble::Killed,
            5..8 => Trouble::GitHubFails(*chance.pick(&[500, 502, 503])),
            _ => Trouble::AnswerLost(*chance.pick(&[500, 502, 504])),
        })
    }

    async fn ran(&self, command: &CommandSpec) -> Result<Finished, SpawnError> {
        let (weather, github) = (self.life.weather(), &self.host.github);
        let trouble = self.trouble(command);
        let ended = |ending, words: &str| {
            let (stdout, stderr) = (Vec::new(), words.as_bytes().to_vec());
            Ok(Finished { ending, stdout, stderr, truncated: false })
        };
        if let Some(trouble) = trouble {
            let first = command.arguments.first().map_or("", String::as_str);
            weather.note(format_args!("{} {first}: {trouble:?}", command.program));
        }
        match trouble {
            None => {}
            Some(Trouble::NotStarted) => {
                let source = std::io::Error::from(std::io::ErrorKind::OutOfMemory);
                return Err(SpawnError { program: command.program.clone(), source });
            }
            Some(Trouble::DiskFull) => {
                return ended(Ending::Exited(128), "fatal: unable to write: No space left on device");
            }
            Some(Trouble::Killed) => return ended(Ending::Signalled(9), ""),
            Some(Trouble::Hangs) => {
                weather.clock.sleep(command.timeout).await;
                return ended(Ending::TimedOut, "");
            }
            Some(Trouble::HangsAtEnd) => {
                self.run_now(command)?;
                weather.clock.sleep(command.timeout).await;
                return ended(Ending::TimedOut, "");
            }
            Some(Trouble::GitHubFails(status)) => {
                github.fault(Fault::on("*", "*.git/*").answer(status, "Down"));
            }
            Some(Trouble::AnswerLost(status)) => {
                github.fault(Fault::on("POST", "*.git/*").lose_answer(status));
            }
        }
        let finished = self.run_now(command);
        github.clear_faults();
        finished
    }

    fn run_now(&self, command: &CommandSpec) -> Result<Finished, SpawnError> {
        let failed = |source| SpawnError { program: command.program.clone(), source };
        let mut program = Command::new(found(&command.program));
        program.args(&command.arguments).current_dir(&command.directory);
        program.env_clear().envs(&command.environment).env("http_proxy", &self.host.proxy);
        let stdin = if command.stdin.is_empty() { Stdio::null() } else { Stdio::piped() };
        program.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            // A program that stops reading is within its rights.
            let _closed_early = input.write_all(&command.stdin);
        }
        let output = child.wait_with_output().map_err(failed)?;
        let kept = |bytes: &[u8]| bytes[..bytes.len().min(command.output_bytes_max)].to_vec();
        let (stdout, stderr) = (kept(&output.stdout), kept(&output.stderr));
        let truncated = stdout.len() < output.stdout.len() || stderr.len() < output.stderr.len();
        let ending = output.status.code().map_or(Ending::Signalled(9), Ending::Exited);
        Ok(Finished { ending, stdout, stderr, truncated })
    }
}

/// The whole path of a program. Where it is known, the system starts a program without copying this process first,
/// which is most of what starting costs.
fn found(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.into_iter().find(|place| place.is_file()).unwrap_or_else(|| PathBuf::from(program))
}

#[async_trait]
impl Spawner for TroubledPrograms {
    async fn run(&self, command: CommandSpec) -> Result<Finished, SpawnError> {
        let what = format!("{} {}", command.program, command.arguments.first().map_or("", String::as_str));
        let call = self.life.call(&what, self.ran(&command));
        call.await.unwrap_or_else(|_gone| {
            let source = std::io::Error::other("no power");
            Err(SpawnError { program: command.program.clone(), source })
        })
    }
}
