//! No layer holds: nothing is run.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Cage, CageError, Probe, Sandbox, Standing};
use crate::ports::{CommandSpec, Finished, Started};

/// Runs nothing, and says why.
#[derive(Debug, Clone)]
pub struct Unavailable {
    /// The probe that failed.
    pub probe: Probe,
    /// What it saw.
    pub why: String,
}

impl Unavailable {
    fn refusal(&self) -> CageError {
        CageError::Unavailable { probe: self.probe, why: self.why.clone() }
    }
}

#[async_trait]
impl Sandbox for Unavailable {
    fn standing(&self) -> Standing {
        Standing::Unavailable { probe: self.probe, why: self.why.clone() }
    }

    fn inside(&self, _cage: &Cage, host: &Path) -> PathBuf {
        host.to_owned()
    }

    async fn run(&self, _command: CommandSpec, _cage: &Cage) -> Result<Finished, CageError> {
        Err(self.refusal())
    }

    async fn start(&self, _command: CommandSpec, _cage: &Cage) -> Result<Started, CageError> {
        Err(self.refusal())
    }
}
