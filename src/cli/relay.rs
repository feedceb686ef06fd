//! `pairbot relay`: the way out of a cage. Inside there is no network; an agent is told that its provider is on loopback,
//! and every connection there is carried to the one socket that was put into the cage.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use rustix::process::Signal;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::complain;
use crate::adapters::{Foreground, SystemClock};
use crate::ports::{Clock as _, Ending};

/// How long nothing is accepted after a connection could not be: usually there are too many.
const PAUSE: Duration = Duration::from_millis(100);
/// What shells answer for a program that is not there, and for one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// Arguments of `relay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen, on loopback
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The socket to carry connections to
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// The program to run meanwhile, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    command: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    ensure!(arguments.listen.ip().is_loopback(), "{} is not on loopback", arguments.listen);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(relay(arguments))?;
    // Connections end with the program.
    runtime.shutdown_background();
    Ok(ExitCode::from(code))
}

/// Runs the program, and answers with its exit code.
async fn relay(arguments: &Arguments) -> anyhow::Result<u8> {
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    // Before the program starts, so that no signal is missed.
    let mut signals = signals()?;
    let Some((program, rest)) = arguments.command.split_first() else { return Ok(NOT_RUN) };
    let mut running = match Foreground::start(program, rest) {
        Ok(running) => running,
        Err(error) => {
            let missing = error.source.kind() == std::io::ErrorKind::NotFound;
            complain(&format!("pairbot: {error}\n"));
            return Ok(if missing { NOT_FOUND } else { NOT_RUN });
        }
    };
    tokio::spawn(carry_all(listener, Arc::from(arguments.socket.as_path())));
    loop {
        let passed = tokio::select! {
            ended = running.wait() => return Ok(exit_code(ended.context("the program cannot be waited for")?)),
            passed = signals.recv() => passed,
        };
        if let Some(signal) = passed {
            running.signal(signal);
        }
    }
}

/// As shells tell it: the program's own code, or 128 and the number of the signal that ended it.
fn exit_code(ending: Ending) -> u8 {
    let code = match ending {
        Ending::Exited(code) => code,
        Ending::Signalled(signal) => signal.saturating_add(128),
        // Nobody gave it a time.
        Ending::TimedOut => 124,
    };
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}

/// What asks a program to end or to do something, as it comes. What cannot be caught needs no passing on.
fn signals() -> anyhow::Result<mpsc::UnboundedReceiver<Signal>> {
    let (told, heard) = mpsc::unbounded_channel();
    for (kind, meant) in [
        (SignalKind::terminate(), Signal::TERM),
        (SignalKind::interrupt(), Signal::INT),
        (SignalKind::hangup(), Signal::HUP),
        (SignalKind::quit(), Signal::QUIT),
        (SignalKind::user_defined1(), Signal::USR1),
        (SignalKind::user_defined2(), Signal::USR2),
    ] {
        let (mut caught, told) = (signal(kind).context("cannot listen for signals")?, told.clone());
        tokio::spawn(async move { while caught.recv().await.is_some() && told.send(meant).is_ok() {} });
    }
    Ok(heard)
}

async fn carry_all(listener: TcpListener, socket: Arc<Path>) {
    loop {
        match listener.accept().await {
            Ok((stream, _from)) => {
                tokio::spawn(carry(stream, Arc::clone(&socket)));
            }
            Err(_) => SystemClock.sleep(PAUSE).await,
        }
    }
}

/// Carries bytes both ways until both sides have ended. Where there is no gateway any more, the connection ends.
async fn carry(mut inside: TcpStream, socket: Arc<Path>) {
    let Ok(mut outside) = UnixStream::connect(&socket).await else { return };
    // Waiting to fill a packet would hold up an answer that comes in small pieces.
    let _slower = inside.set_nodelay(true);
    let _broken = copy_bidirectional(&mut inside, &mut outside).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_told_as_shells_do() {
        assert_eq!(exit_code(Ending::Exited(3)), 3);
        assert_eq!(exit_code(Ending::Signalled(15)), 143);
    }
}
