//! From a shell into a cage, and how it is known afterwards whether the program ever ran there.

use std::fmt::Write as _;
use std::time::Duration;

use rustix::process::Pid;
use serde::Deserialize;

use super::filter::Filters;
use super::host::Host;
use crate::adapters::on_disk;
use crate::ports::{CommandSpec, Ending, Finished};
use crate::sandbox::CageError;
use crate::sandbox::control_group::Group;
use crate::sandbox::deaths::all_ended;
use crate::sandbox::handed::Handed;

/// The descriptors at which `bwrap` finds its arguments, tells how far it came, and finds its filters. A shell takes
/// no number above nine.
const ARGUMENTS: usize = 3;
pub(super) const STATUS: usize = 4;
pub(super) const FIRST_FILTER: usize = 5;
/// The signal that the kernel sends where memory ran out, and how a shell tells that a command died of it.
const KILLED: i32 = 9;
const KILLED_CODE: i32 = 128 + KILLED;
/// How long the last processes of a cage are waited for after they were killed.
const LAST_BREATH: Duration = Duration::from_secs(2);
/// What is told of `bwrap`'s complaint.
const COMPLAINT_CHARS_MAX: usize = 400;

/// A cage that is ready to be entered, and then one that somebody is in. Dropping it kills what is in its groups.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) command: CommandSpec,
    pub(super) group: Group,
    status: Handed,
    _arguments: Handed,
}

/// What `bwrap` says: first who is the first process of the cage, and when the program has ended its exit code, which is
/// not said if it never began.
#[derive(Default, Deserialize)]
struct Told {
    #[serde(rename = "child-pid")]
    first_process: Option<i32>,
    #[serde(rename = "exit-code")]
    exit_code: Option<i64>,
}

impl Launch {
    pub(super) fn prepare(
        host: &Host,
        filters: &Filters,
        arguments: &[u8],
        group: Group,
        command: CommandSpec,
    ) -> Result<Self, String> {
        let handed =
            |bytes: &[u8]| Handed::holding(bytes).map_err(|error| format!("no memory file: {error}"));
        let (arguments, status) = (handed(arguments)?, handed(&[])?);
        let doors = group.doors();
        // Core dumps hold secrets. The paths hold digits and nothing that a shell would read otherwise.
        let mut script = format!(
            "ulimit -c 0; bwrap=$1 doors=$2; shift 2; while [ $doors -gt 0 ]; do echo $$ >\"$1\" || exit; shift; \
             doors=$((doors-1)); done; exec \"$bwrap\" --args {ARGUMENTS} -- \"$@\" {ARGUMENTS}<{} {STATUS}>{}",
            arguments.path(),
            status.path(),
        );
        for (index, filter) in filters.files().iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(script, " {}<{}", FIRST_FILTER + index, filter.path());
        }
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        let mut words = vec!["-c".to_owned(), script, "sh".to_owned()];
        words.extend([text(&host.bwrap), doors.len().to_string()]);
        words.extend(doors.iter().map(|door| text(door)));
        words.push(command.program);
        words.extend(command.arguments);
        let command = CommandSpec {
            program: "/bin/sh".to_owned(),
            arguments: words,
            directory: "/".into(),
            environment: std::collections::BTreeMap::new(),
            stdin: command.stdin,
            timeout: command.timeout,
            output_bytes_max: command.output_bytes_max,
        };
        Ok(Self { command, group, status, _arguments: arguments })
    }

    fn told(&self) -> Told {
        let text = self.status.content().unwrap_or_default();
        let told = serde_json::Deserializer::from_str(&text).into_iter::<Told>().map_while(Result::ok);
        told.fold(Told::default(), |before, now| Told {
            first_process: now.first_process.or(before.first_process),
            exit_code: now.exit_code.or(before.exit_code),
        })
    }

    /// Kills what is left, and waits until the kernel has let go of it. When the first process of a cage has ended, all
    /// others have.
    pub(super) async fn close(&self) {
        self.group.kill();
        let mut left = self.group.members();
        left.extend(self.told().first_process.and_then(Pid::from_raw));
        match on_disk(move || all_ended(&left, LAST_BREATH)).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!("processes of a cage were killed and are still there"),
            Err(error) => {
                tracing::warn!(%error, "nobody can tell whether the processes of a cage have ended");
            }
        }
    }

    /// How the program itself ended, out of how `bwrap` did.
    pub(super) fn ending(&self, ending: Ending) -> Ending {
        match ending {
            Ending::Exited(KILLED_CODE) if self.group.ran_out_of_memory() => Ending::Signalled(KILLED),
            Ending::Exited(_) | Ending::Signalled(_) | Ending::TimedOut => ending,
        }
    }

    /// A program that never ran has said nothing, and what `bwrap` or the shell before it said is no output of it.
    pub(super) fn judge(&self, finished: Finished) -> Result<Finished, CageError> {
        match finished.ending {
            Ending::Exited(_) if self.told().exit_code.is_none() => {
                let said = String::from_utf8_lossy(&finished.stderr);
                let why = said.trim().chars().take(COMPLAINT_CHARS_MAX).collect();
                Err(CageError::NotBuilt { why })
            }
            Ending::Exited(_) | Ending::Signalled(_) | Ending::TimedOut => {
                Ok(Finished { ending: self.ending(finished.ending), ..finished })
            }
        }
    }
}
