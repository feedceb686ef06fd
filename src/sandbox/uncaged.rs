//! No cage, on the operator's word: programs run with the server's rights.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::{Cage, CageError, Sandbox, Standing};
use crate::ports::{CommandSpec, Finished, Spawner, Started};

/// Runs programs as they are. Their environment is what they are given, their process group is killed at the end;
/// nothing else holds them.
#[derive(Debug, Clone)]
pub struct Uncaged {
    spawner: Arc<dyn Spawner>,
}

impl Uncaged {
    /// To be made only where the operator's configuration says `none-i-accept`.
    pub fn accepted(spawner: Arc<dyn Spawner>) -> Self {
        Self { spawner }
    }
}

fn at_home(mut command: CommandSpec, cage: &Cage) -> CommandSpec {
    let home = cage.home.to_string_lossy().into_owned();
    command.environment.insert("HOME".to_owned(), home.clone());
    command.environment.insert("TMPDIR".to_owned(), home);
    command
}

#[async_trait]
impl Sandbox for Uncaged {
    fn standing(&self) -> Standing {
        Standing::NoneAccepted
    }

    fn inside(&self, _cage: &Cage, host: &Path) -> PathBuf {
        host.to_owned()
    }

    async fn run(&self, command: CommandSpec, cage: &Cage) -> Result<Finished, CageError> {
        Ok(self.spawner.run(at_home(command, cage)).await?)
    }

    async fn start(&self, command: CommandSpec, cage: &Cage) -> Result<Started, CageError> {
        Ok(self.spawner.start(at_home(command, cage)).await?)
    }
}
