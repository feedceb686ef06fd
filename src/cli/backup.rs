//! `pairbot backup FILE`: a copy of the database, while the server runs or not.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::operator::Options;
use crate::store::sqlite::SqliteStore;

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file to make; one that exists is never replaced
    file: PathBuf,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Serialize)]
struct Made {
    file: PathBuf,
    bytes: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let bytes = SqliteStore::backup(&arguments.options.database()?, &arguments.file)?;
    let words = format!("{}: {bytes} bytes, checked and on the disk\n", arguments.file.display());
    arguments.options.tell(&Made { file: arguments.file.clone(), bytes }, &words)?;
    Ok(ExitCode::SUCCESS)
}
