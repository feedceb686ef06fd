//! The task's end of the socket.

use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};

use super::counter::Counter;
use super::wire::{Answer, Ask, LINE_BYTES_MAX, Question, Say, ToolForm, VERSION, line};
use crate::agents::lines::{LineError, Lines};
use crate::agents::untrusted::cut;

/// How many connections are served at once; further ones wait in the socket's own queue.
const CONNECTIONS_MAX: usize = 8;
/// What one connection may send in all. `pairbot mcp` opens one a call.
const CONNECTION_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The most that a tool answers.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The Unix socket of one task. It is gone when this is dropped, and nothing is served but while [`serve`] is polled:
/// no call of an agent outlives its task.
///
/// [`serve`]: Self::serve
#[derive(Debug)]
pub(in crate::agents) struct TaskDesk {
    listener: UnixListener,
    socket: PathBuf,
}

impl Drop for TaskDesk {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.socket);
    }
}

impl TaskDesk {
    /// Opens a socket in a directory that only this server can enter.
    pub(in crate::agents) fn open(directory: &Path) -> std::io::Result<Self> {
        let socket = directory.join("task.sock");
        Ok(Self { listener: UnixListener::bind(&socket)?, socket })
    }

    pub(in crate::agents) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Serves until it is dropped. One call is done at a time on each connection.
    pub(in crate::agents) async fn serve(&self, counter: &dyn Counter) -> std::convert::Infallible {
        let mut served = FuturesUnordered::new();
        loop {
            let room = served.len() < CONNECTIONS_MAX;
            tokio::select! {
                Some(()) = served.next(), if !served.is_empty() => {}
                accepted = self.listener.accept(), if room => match accepted {
                    Ok((stream, _)) => served.push(serve_one(stream, counter)),
                    // Out of files or memory for the moment; the agent's call fails and it may ask again.
                    Err(error) => {
                        tracing::warn!(%error, "a task's socket could not take a connection");
                        tokio::task::yield_now().await;
                    }
                },
            }
        }
    }
}

async fn serve_one(stream: UnixStream, counter: &dyn Counter) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = Lines::new(reader, LINE_BYTES_MAX, CONNECTION_BYTES_MAX);
    loop {
        let (say, last) = match lines.next().await {
            Ok(Some(text)) => (answer(&text, counter).await, false),
            Ok(None) | Err(LineError::Broken(_)) => return,
            // What follows cannot be told from the rest of the line.
            Err(error @ (LineError::TooLong(_) | LineError::TooMuch(_))) => {
                (Say::Refused { why: error.to_string() }, true)
            }
        };
        let Ok(text) = line(&Answer { version: VERSION, say }) else { return };
        if writer.write_all(&text).await.is_err() || last {
            return;
        }
    }
}

async fn answer(text: &[u8], counter: &dyn Counter) -> Say {
    let question: Question = match serde_json::from_slice(text) {
        Ok(question) => question,
        Err(error) => return Say::Refused { why: format!("this is no question: {error}") },
    };
    if question.version != VERSION {
        let why = format!("version {} is not spoken here, only {VERSION}", question.version);
        return Say::Refused { why };
    }
    match question.ask {
        Ask::Tools => {
            let form = |spec: crate::gateway::ToolSpec| ToolForm {
                name: spec.name.to_owned(),
                description: spec.description,
                schema: spec.schema.as_object().cloned().unwrap_or_default(),
            };
            Say::Tools { tools: counter.tools().into_iter().map(form).collect() }
        }
        Ask::Call { tool, arguments } => {
            let said = counter.call(&tool, arguments).await;
            let is_error = said.is_err();
            let text = said.unwrap_or_else(|wrong| wrong);
            Say::Said { text: cut(&text, ANSWER_BYTES_MAX), is_error }
        }
    }
}
