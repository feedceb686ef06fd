//! `pairbot serve`: the server, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{complain, runtime};
use crate::adapters::{SystemClock, SystemEntropy, SystemSpawner};
use crate::config::{Config, Source, default_file};
use crate::gateway::ProviderClient;
use crate::github::HttpTransport;
use crate::redact::Redactor;
use crate::server::{Machine, Server, Tuning};
use crate::telemetry;

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Settings file; the environment wins over it
    #[arg(long)]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let file = arguments.config.as_deref().unwrap_or(default_file());
    let config = Config::load(&Source::of_process(file))?;
    telemetry::init(&config.log, Redactor::for_logs(&config.secrets()))?;
    let runtime = runtime()?;
    let stopped = runtime.block_on(serve(&config))?;
    if stopped {
        return Ok(ExitCode::SUCCESS);
    }
    complain("pairbot: told twice to stop: ended at once. What was under way goes on at the next start.\n");
    // Whatever still blocks a thread is not waited for.
    runtime.shutdown_background();
    Ok(ExitCode::FAILURE)
}

/// Serves until told to stop. Says whether what was under way could end in order.
async fn serve(config: &Config) -> anyhow::Result<bool> {
    // Before anything starts, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let machine = Machine {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        spawner: Arc::new(SystemSpawner),
        transport: Arc::new(HttpTransport::new(&config.github.api_url)),
        models: Arc::new(ProviderClient::default()),
    };
    let server = Server::start(config, machine, Tuning::default()).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(
        seconds = config.drain.as_secs(),
        "stopping: nothing new is begun; a second signal ends at once"
    );
    let hurry = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(server.stop_or_end(hurry).await)
}
