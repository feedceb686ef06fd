//! `pairbot mcp`: the task's tools for an agent in a cage, over the Model Context Protocol.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::runtime;
use crate::agents::mcp;

/// Arguments of `mcp`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The task's socket
    #[arg(long, default_value = "/run/pairbot/task.sock")]
    socket: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    runtime.block_on(mcp::serve(&arguments.socket))?;
    // Whoever reads standard input blocks a thread that ends with the process only.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}
