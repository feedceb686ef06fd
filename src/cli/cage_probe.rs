//! `pairbot cage-probe`: the inner half of the sandbox's probes. Nobody but the probes calls it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::say;
use crate::sandbox::look_around;

/// Arguments of `cage-probe`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    attempt: Attempt,
}

#[derive(Debug, Subcommand)]
enum Attempt {
    /// Tells what is within reach
    Look {
        /// A file of the host
        canary: PathBuf,
        /// A service of the host
        listener: SocketAddr,
        /// A socket of the host that has no file
        socket: String,
    },
    /// Leaves the session and stays
    Linger {
        /// What the process is recognised by
        name: String,
    },
    /// Takes this much memory
    Hog {
        /// Keeps it
        #[arg(long)]
        stay: bool,
        /// Bytes
        bytes: usize,
    },
    /// Starts this many threads
    Swarm {
        /// How many
        threads: usize,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.attempt {
        Attempt::Look { canary, listener, socket } => {
            let seen = look_around::look_around(canary, *listener, socket);
            say(&serde_json::to_string(&seen)?);
        }
        Attempt::Linger { name: _ } => look_around::linger(std::io::stdout().lock())?,
        Attempt::Hog { stay, bytes } => look_around::hog(*bytes, *stay),
        Attempt::Swarm { threads } => {
            if !look_around::swarm(*threads) {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
