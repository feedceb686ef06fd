//! One binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    pairbot::cli::main()
}
