//! What the server and the processes that make a cage tell each other, in files without a name.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::reach::Reach;
use crate::sandbox::slot_uids::SlotIds;

/// One program to run in one slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Order {
    /// The server's process.
    pub(super) server: i32,
    pub(super) ids: SlotIds,
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) directory: PathBuf,
    pub(super) reach: Reach,
    /// Where the process that becomes the program joins its control groups.
    pub(super) doors: Vec<PathBuf>,
    /// How many processes and threads it may have.
    pub(super) processes: u32,
    pub(super) memory_is_watched: bool,
    /// Where it is told how far it came.
    pub(super) status: PathBuf,
}

impl Order {
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read(file).map_err(|error| format!("the order cannot be read: {error}"))?;
        serde_json::from_slice(&text).map_err(|error| format!("the order cannot be understood: {error}"))
    }
}

/// How far a cage came.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// Why the program was not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<String>,
    /// The code that it ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u8>,
}

impl Told {
    /// What was told one after the other.
    pub(super) fn read(text: &str) -> Self {
        let told = serde_json::Deserializer::from_str(text).into_iter::<Self>().map_while(Result::ok);
        told.fold(Self::default(), |before, now| Self {
            failed: before.failed.or(now.failed),
            code: before.code.or(now.code),
        })
    }
}

/// Where it is told.
#[derive(Debug)]
pub(super) struct Teller(fs::File);

impl Teller {
    pub(super) fn open(order: &Order) -> Result<Self, String> {
        let file = OpenOptions::new().append(true).open(&order.status);
        file.map(Self).map_err(|error| format!("it cannot be told how far this came: {error}"))
    }

    pub(super) fn tell(&mut self, told: &Told) -> io::Result<()> {
        let mut line = serde_json::to_vec(told)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_first_is_why_nothing_ran() {
        let told = Told::read("{\"failed\":\"no such program\"}\n{\"code\":1}\n");
        assert_eq!(told, Told { failed: Some("no such program".to_owned()), code: Some(1) });
        assert_eq!(Told::read("{\"code\":3}\n").failed, None);
        assert_eq!(Told::read("torn {"), Told::default());
    }
}
