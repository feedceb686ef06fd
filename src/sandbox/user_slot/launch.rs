//! From an order to a program that runs in a slot, and how it is known afterwards whether it ever ran there.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::order::{Order, Told};
use crate::ports::{CommandSpec, Ending, Finished};
use crate::sandbox::CageError;
use crate::sandbox::control_group::Group;
use crate::sandbox::handed::Handed;

/// The signal that ends whoever takes more memory than there is, and how it is told as an exit code.
const KILLED: i32 = 9;
const KILLED_CODE: i32 = 128 + KILLED;
/// What is told of a complaint.
const COMPLAINT_CHARS_MAX: usize = 400;

/// A program that is ready to be started in a slot, and then one that runs. Dropping it kills what is in its groups.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) command: CommandSpec,
    group: Group,
    status: Handed,
    _order: Handed,
    /// Whether it was ended since it took too much memory.
    took_too_much: AtomicBool,
}

impl Launch {
    /// `own` is our own binary; of `command` what is not in the order counts.
    pub(super) fn prepare(
        own: &std::path::Path,
        order: Order,
        group: Group,
        command: CommandSpec,
    ) -> Result<Self, String> {
        let handed =
            |bytes: &[u8]| Handed::holding(bytes).map_err(|error| format!("no memory file: {error}"));
        let status = handed(&[])?;
        let order = Order { doors: group.doors(), status: PathBuf::from(status.path()), ..order };
        let text = serde_json::to_vec(&order).map_err(|error| format!("the order: {error}"))?;
        let order = handed(&text)?;
        let command = CommandSpec {
            program: own.to_string_lossy().into_owned(),
            arguments: vec!["slot".to_owned(), "hold".to_owned(), order.path()],
            directory: "/".into(),
            environment: std::collections::BTreeMap::new(),
            ..command
        };
        Ok(Self { command, group, status, _order: order, took_too_much: AtomicBool::new(false) })
    }

    pub(super) fn note_that_it_took_too_much(&self) {
        self.took_too_much.store(true, Ordering::Relaxed);
    }

    fn ran_out_of_memory(&self) -> bool {
        self.took_too_much.load(Ordering::Relaxed) || self.group.ran_out_of_memory()
    }

    /// How the program itself ended, out of how the process that stood for it did.
    pub(super) fn ending(&self, ending: Ending) -> Ending {
        match ending {
            Ending::Exited(KILLED_CODE) if self.ran_out_of_memory() => Ending::Signalled(KILLED),
            Ending::Exited(_) | Ending::Signalled(_) | Ending::TimedOut => ending,
        }
    }

    /// A program that never ran has said nothing, and what was said before it is no output of it.
    pub(super) fn judge(&self, finished: Finished) -> Result<Finished, CageError> {
        let told = Told::read(&self.status.content().unwrap_or_default());
        match (finished.ending, told) {
            (Ending::Exited(_), Told { failed: Some(why), .. }) => Err(CageError::NotBuilt { why }),
            (Ending::Exited(_), Told { code: None, .. }) if !self.ran_out_of_memory() => {
                let said = String::from_utf8_lossy(&finished.stderr);
                let why = said.trim().chars().take(COMPLAINT_CHARS_MAX).collect();
                Err(CageError::NotBuilt { why })
            }
            (Ending::Exited(_) | Ending::Signalled(_) | Ending::TimedOut, _) => {
                Ok(Finished { ending: self.ending(finished.ending), ..finished })
            }
        }
    }
}

/// How long a helper of ours may take that does one thing.
pub(super) const HELPER_WITHIN: Duration = Duration::from_secs(10);
