//! What the program tells about itself: the log, and the names of spans and fields in one place.

pub mod spans;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};
use crate::redact::Redactor;

/// Logging that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level or the directives cannot be read.
    #[error("LOG_LEVEL `{level}` cannot be read: {source}; use a level such as `info`")]
    Level {
        /// What was given.
        level: String,
        /// Why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// It was set up before.
    #[error("logging is set up once a process: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets logging up for the process. Lines go to standard error, so that standard output stays for what a command
/// answers, and secrets are blotted out of them.
pub fn init(log: &LogConfig, redactor: Redactor) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder()
        .parse(&log.level)
        .map_err(|source| TelemetryError::Level { level: log.level.clone(), source })?;
    let terminal = io::stderr().is_terminal();
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !terminal,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal && !json)
        .with_writer(Redacted::new(Arc::new(redactor), io::stderr));
    if json {
        lines.json().flatten_event(true).finish().try_init()?;
    } else {
        lines.finish().try_init()?;
    }
    Ok(())
}

/// Makes writers that blot secrets out of what passes through them.
#[derive(Debug, Clone)]
pub struct Redacted<M> {
    redactor: Arc<Redactor>,
    inner: M,
}

impl<M> Redacted<M> {
    /// Puts `redactor` before what `inner` makes.
    pub fn new(redactor: Arc<Redactor>, inner: M) -> Self {
        Self { redactor, inner }
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Redacted<M> {
    type Writer = RedactedWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        RedactedWriter { redactor: Arc::clone(&self.redactor), inner: self.inner.make_writer() }
    }
}

/// A writer that blots secrets out. The log hands over each line in one call, so no secret is cut in two.
#[derive(Debug)]
pub struct RedactedWriter<W> {
    redactor: Arc<Redactor>,
    inner: W,
}

impl<W: Write> Write for RedactedWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.inner.write_all(&self.redactor.redact(line))?;
        // What was written may have another length; all of `line` was taken care of.
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use secrecy::SecretString;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_secret_in_an_event_does_not_reach_the_log() {
        let lines = Lines::default();
        let writer = lines.clone();
        let redactor = Redactor::for_logs(&[SecretString::from("correct horse".to_owned())]);
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(Redacted::new(Arc::new(redactor), move || writer.clone()))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(header = "Bearer abcdefghijklmnop", "the secret is correct horse");
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(written.contains("the secret is [redacted]"), "{written}");
        assert!(!written.contains("correct horse") && !written.contains("abcdefghijklmnop"), "{written}");
    }
}
