//! The command line: one file per subcommand.

mod backup;
mod budget;
mod cage_probe;
pub mod check_policy;
mod demo;
mod dlq;
mod doctor;
mod explain;
mod mcp;
mod operator;
mod prune;
mod relay;
mod runs;
mod scripted_agent;
mod serve;
#[cfg(target_os = "linux")]
mod slot;
mod verify_ledger;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A creator agent opens a pull request for a labelled issue, reviewers comment on it, gates check it, a person merges.
#[derive(Debug, Parser)]
#[command(name = "pairbot", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays the main job on this machine, without credentials
    Demo(demo::Arguments),
    /// Runs the server
    Serve(serve::Arguments),
    /// Checks everything the server needs, and says how to mend what is wrong
    Doctor(doctor::Arguments),
    /// Lists, shows, replays and drops dead letters, whether the server runs or not
    Dlq(dlq::Arguments),
    /// Lists the runs
    Runs(runs::Arguments),
    /// Tells the life of a run: signals, decisions, tasks, cost
    Explain(explain::Arguments),
    /// Tells what repositories and installations have spent of what they may, and what a run has cost
    Budget(budget::Arguments),
    /// Copies the database, while the server runs or not
    Backup(backup::Arguments),
    /// Forgets what ended long ago, and keeps the proof of it
    Prune(prune::Arguments),
    /// Proves that no ledger was changed, and that every run is what its ledger says
    VerifyLedger(verify_ledger::Arguments),
    /// Serves a task's tools to an agent in a cage
    #[command(hide = true)]
    Mcp(mcp::Arguments),
    /// Plays an agent of another vendor
    #[command(hide = true)]
    ScriptedAgent(scripted_agent::Arguments),
    /// Tries from inside what a sandbox must prevent
    #[command(hide = true)]
    CageProbe(cage_probe::Arguments),
    /// Makes a cage that is a user of its own
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    Slot(slot::Arguments),
    /// Runs a program inside a cage, with the way to its models
    #[command(hide = true)]
    Relay(relay::Arguments),
    /// Validates a policy file
    CheckPolicy {
        /// The file; `.github/pairbot.yml` if none is given
        file: Option<PathBuf>,
    },
}

/// Reads the arguments, does what they say, and answers with the exit code: 0 for success, 1 for a failure that is
/// told on standard error, 2 for arguments that are not understood.
pub fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // Help and version come this way too, and are no errors.
            let shown = error.print();
            return if error.use_stderr() || shown.is_err() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Dlq(arguments) => dlq::run(&arguments),
        Command::Runs(arguments) => runs::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Budget(arguments) => budget::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Prune(arguments) => prune::run(&arguments),
        Command::VerifyLedger(arguments) => verify_ledger::run(&arguments),
        Command::Mcp(arguments) => mcp::run(&arguments),
        Command::ScriptedAgent(arguments) => scripted_agent::run(arguments),
        Command::CageProbe(arguments) => cage_probe::run(&arguments),
        #[cfg(target_os = "linux")]
        Command::Slot(arguments) => slot::run(&arguments),
        Command::Relay(arguments) => relay::run(&arguments),
        Command::CheckPolicy { file } => {
            let checked = check_policy::check(file.as_deref());
            say(&checked.report);
            Ok(ExitCode::from(checked.exit_code))
        }
    };
    outcome.unwrap_or_else(|error| {
        complain(&format!("pairbot: {error:#}\n"));
        ExitCode::FAILURE
    })
}

/// Writes to standard output. A reader that has gone away is not a failure of ours.
fn say(text: &str) {
    let _gone = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Writes to standard error.
fn complain(text: &str) {
    let _gone = std::io::stderr().lock().write_all(text.as_bytes());
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
