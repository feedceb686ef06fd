//! `pairbot slot`: the processes between the server and a program that runs as a user of its own. Nobody but the sandbox
//! calls it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::sandbox::user_slot::inside;

/// Arguments of `slot`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Stands for the program towards the server
    Hold {
        /// What is to be run, and how
        order: PathBuf,
    },
    /// Ends what is left when the program has ended
    Keep {
        /// What is to be run, and how
        order: PathBuf,
        /// The process with which it ends
        holder: i32,
    },
    /// Becomes the program
    Enter {
        /// What is to be run, and how
        order: PathBuf,
    },
    /// Ends whatever runs as a user
    End {
        /// The user
        uid: u32,
        /// Who ends it
        ender: u32,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let ended = match &arguments.part {
        Part::Hold { order } => inside::hold(order),
        Part::Keep { order, holder } => inside::keep(order, *holder),
        Part::Enter { order } => inside::enter(order),
        Part::End { uid, ender } => inside::end(*uid, *ender),
    };
    ended.map(ExitCode::from).map_err(anyhow::Error::msg)
}
