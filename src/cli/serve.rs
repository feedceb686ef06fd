//! `pairbot serve`: the server, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{complain, runtime};
use crate::adapters::{SystemClock, SystemEntropy, SystemSpawner};
use crate::config::{Config, Sandbox, Source, default_file};
use crate::gateway;
use crate::github::HttpTransport;
use crate::server::{Machine, Server, Tuning};
use crate::telemetry::{self, redact::Redactor};

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
    telemetry::init(&config.log, Redactor::new(&config.secrets()))?;
    if config.sandbox == Sandbox::Auto {
        complain(
            "pairbot: this build has no sandbox: agents and gates run no commands. Set PAIRBOT_SANDBOX=none-i-accept \
             to let them run with this server's rights.\n",
        );
    }
    runtime()?.block_on(serve(&config))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    // Before anything starts, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let machine = Machine {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        spawner: Arc::new(SystemSpawner),
        transport: Arc::new(HttpTransport::new(&config.github.api_url)?),
        models: Arc::new(gateway::http_client()?),
    };
    let server = Server::start(config, machine, Tuning::default()).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: nothing new is begun");
    server.stop().await;
    Ok(())
}
