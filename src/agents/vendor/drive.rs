//! The two ways to talk with an agent: by the Agent Client Protocol, or by its command line and no further.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::sync::CancellationToken;

use super::House;
use super::attend::End;
use super::narrator::Narrator;
use super::outfit::Outfit;
use super::spec::AgentSpec;
use crate::agents::acp::{Client, Fault, Session, TurnEnd};
use crate::agents::outcome::AgentFailure;
use crate::agents::untrusted::line;
use crate::ports::{Ending, Output, Process, Started};
use crate::sandbox::CageError;

/// How much of the end of standard error is kept.
const ERRORS_BYTES_MAX: usize = 4 * 1024;
/// How much of it is told where an agent failed.
const ERRORS_TOLD_BYTES: usize = 500;
/// How much of the end of a command's output is kept.
const OUTPUT_BYTES_MAX: usize = 8 * 1024;
/// How long a program whose output ended is waited for, to learn how it ended.
const EXIT_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// Runs a headless command to its end. Its exit code is recorded and decides nothing.
pub(super) async fn by_command(
    house: &House,
    spec: &AgentSpec,
    outfit: &Outfit,
    narrator: &mut Narrator<'_>,
    cancel: &CancellationToken,
) -> End {
    let finished = tokio::select! {
        finished = house.sandbox.run(outfit.command.clone(), &outfit.cage) => finished,
        () = cancel.cancelled() => return End::Turn,
    };
    let finished = match finished {
        Ok(finished) => finished,
        Err(error) => return End::Failed(not_started(spec, &error)),
    };
    let end_of = |bytes: &[u8], bytes_max: usize| {
        let from = bytes.len().saturating_sub(bytes_max);
        String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
    };
    let ending = ending(finished.ending);
    let told = [
        ("standard output", end_of(&finished.stdout, OUTPUT_BYTES_MAX)),
        ("standard error", end_of(&finished.stderr, ERRORS_BYTES_MAX)),
        ("how it ended", ending),
    ];
    for (what, text) in told {
        if let Err(error) = narrator.told(what, &text).await {
            return End::Failed(error.into());
        }
    }
    match finished.ending {
        Ending::TimedOut => End::TimedOut,
        Ending::Exited(_) | Ending::Signalled(_) => End::Turn,
    }
}

/// Lets an agent take one turn by the Agent Client Protocol.
pub(super) async fn by_acp(
    house: &House,
    spec: &AgentSpec,
    outfit: &Outfit,
    prompt: &str,
    narrator: &mut Narrator<'_>,
    cancel: &CancellationToken,
) -> End {
    let started = match house.sandbox.start(outfit.command.clone(), &outfit.cage).await {
        Ok(started) => started,
        Err(error) => return End::Failed(not_started(spec, &error)),
    };
    let Started { stdin, stdout, stderr, mut process } = started;
    let (program, arguments) = outfit.server.clone();
    let session = Session {
        directory: outfit.directory.clone(),
        server: ("pairbot".to_owned(), program, arguments),
        options: spec.options.clone(),
        meta: outfit.meta.as_deref().and_then(|meta| serde_json::from_str(meta).ok()),
    };
    let mut errors = Errors::of(stderr);
    let ended = {
        let client = Client::new(stdout, stdin, narrator, cancel);
        // Whoever waits for it is also who ends it when it grows beyond what it may use; the conversation then ends with
        // the pipe.
        let alive = async {
            process.wait().await;
            std::future::pending::<std::convert::Infallible>().await
        };
        let conversing = async {
            tokio::select! {
                ended = client.converse(&session, prompt) => ended,
                never = alive => match never {},
            }
        };
        errors.beside(conversing).await
    };
    match ended {
        Ok(TurnEnd::Ended) => End::Turn,
        Ok(TurnEnd::Refused) => End::Refused,
        Ok(TurnEnd::Cancelled) if cancel.is_cancelled() => End::Turn,
        Ok(TurnEnd::Cancelled) => End::Failed(AgentFailure::Vendor(format!(
            "the agent `{}` failed: it says that its turn was cancelled, and nobody did",
            spec.name
        ))),
        Err(Fault::Ended) => {
            let how = errors.beside(exit(house, process.as_mut())).await;
            End::Failed(failure(spec, &Fault::Ended, how, &errors))
        }
        Err(fault) => End::Failed(failure(spec, &fault, None, &errors)),
    }
}

async fn exit(house: &House, process: &mut dyn Process) -> Option<Ending> {
    tokio::select! {
        ending = process.wait() => Some(ending),
        () = house.clock.sleep(EXIT_WITHIN) => None,
    }
}

/// The end of what a program prints on standard error.
struct Errors {
    pipe: Option<Output>,
    tail: VecDeque<u8>,
}

impl Errors {
    fn of(pipe: Output) -> Self {
        Self { pipe: Some(pipe), tail: VecDeque::new() }
    }

    /// Reads for as long as something else goes on: a full pipe would stop the program.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let Self { pipe, tail } = self;
        let reading = async {
            if let Some(open) = pipe.as_mut() {
                read_on(open, tail).await;
            }
            *pipe = None;
            std::future::pending::<std::convert::Infallible>().await
        };
        tokio::select! {
            done = work => done,
            never = reading => match never {},
        }
    }

    fn told(&self) -> String {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let from = text.ceil_char_boundary(text.len().saturating_sub(ERRORS_TOLD_BYTES));
        line(text.get(from..).unwrap_or_default().trim(), ERRORS_TOLD_BYTES)
    }
}

async fn read_on(pipe: &mut (impl AsyncRead + Unpin), tail: &mut VecDeque<u8>) {
    let mut chunk = [0_u8; 4096];
    // A pipe that cannot be read has ended as far as we can know.
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        tail.extend(chunk.iter().take(count));
        let over = tail.len().saturating_sub(ERRORS_BYTES_MAX);
        tail.drain(..over);
    }
}

fn failure(spec: &AgentSpec, fault: &Fault, how: Option<Ending>, errors: &Errors) -> AgentFailure {
    let mut text = format!("the agent `{}` failed: {fault}", spec.name);
    match fault {
        Fault::LeaseLost => return AgentFailure::LeaseLost,
        Fault::Unrecorded(why) => return AgentFailure::Store(why.clone()),
        Fault::Unreadable(_)
        | Fault::NotJson(_)
        | Fault::NotJsonRpc(_)
        | Fault::UnknownAnswer(_)
        | Fault::WrongVersion(_)
        | Fault::WantsCredentials(_)
        | Fault::Refused { .. }
        | Fault::Incomplete { .. }
        | Fault::Ended
        | Fault::Deaf(_) => {}
    }
    if let Some(how) = how {
        text = format!("{text} ({})", ending(how));
    }
    let last = errors.told();
    if !last.is_empty() {
        text = format!("{text}; the end of its standard error: {last}");
    }
    AgentFailure::Vendor(text)
}

fn not_started(spec: &AgentSpec, error: &CageError) -> AgentFailure {
    let text = format!("the agent `{}` could not be started: {error}", spec.name);
    match error {
        CageError::Unavailable { .. } | CageError::NoSockets => AgentFailure::NoSandbox(text),
        CageError::NotBuilt { .. } | CageError::Outgrown { .. } | CageError::Spawn(_) => {
            AgentFailure::Vendor(text)
        }
    }
}

fn ending(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("exit code {code}"),
        Ending::Signalled(signal) => format!("ended by signal {signal}"),
        Ending::TimedOut => "its time was over".to_owned(),
    }
}
