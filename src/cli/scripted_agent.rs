//! `pairbot scripted-agent`: a small agent of our own, run as a vendor's agent is.

use std::process::ExitCode;

use clap::Args;

use super::runtime;
use crate::demo::agent;

/// Arguments of `scripted-agent`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Speak the Agent Client Protocol on standard input and output
    #[arg(long, conflicts_with = "prompt", required_unless_present = "prompt")]
    acp: bool,
    /// What to do; `-` reads it from standard input
    #[arg(long, allow_hyphen_values = true)]
    prompt: Option<String>,
    /// The task's socket, for `--prompt`
    #[arg(long)]
    task_socket: Option<String>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    match arguments.prompt {
        Some(text) if text == "-" => {
            let text = std::io::read_to_string(std::io::stdin())?;
            runtime.block_on(agent::prompt(&text, arguments.task_socket))?;
        }
        Some(text) => runtime.block_on(agent::prompt(&text, arguments.task_socket))?,
        None => runtime.block_on(agent::serve())?,
    }
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}
