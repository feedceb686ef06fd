//! The server put together: ingress, engine, bus and workers over one store, in one process.
//!
//! The only place that knows all parts. `serve` gives it the machine's adapters; the demo and the scenario tests give
//! it a simulated GitHub and scripted models at the same doors.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use pairbot_protocol::ids::Timestamp;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::agents::roster::Allowed;
use crate::agents::vendor::{House, VendorAgent};
use crate::agents::{BuiltinAgent, Roster};
use crate::bus::EmbeddedBus;
use crate::config::{Config, Database, ProviderConfig};
use crate::engine::{Engine, retention};
use crate::gateway::{
    Gateway, GatewaySettings, ModelChoice, ModelTransport, PriceTable, ProviderKind, ProviderSettings,
};
use crate::git::{Git, GitSettings};
use crate::github::{GitHub, GitHubSettings, OwnAccount, Transport};
use crate::http::health::EngineHealth;
use crate::http::webhook::own::OwnApp;
use crate::http::webhook::signature::WebhookSecret;
use crate::http::{self, HttpState};
use crate::ports::{Clock, Entropy, Spawner};
use crate::reconciler::{self, Pulse, Reconciler, Rhythm};
use crate::sandbox::{self, Sandbox, SandboxPorts, SandboxSettings, Standing, ToldStanding};
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use crate::workers::{self, AgentSettings, Fetches, PoolSettings, Tools, Workers};

/// How many calls of one provider may be under way at once.
const CALLS_MAX: usize = 16;
/// How long the App's own account is waited for between two questions.
const ACCOUNT_PAUSE: Duration = Duration::from_secs(30);
/// Models that play where neither policy nor operator names one: the builtin agent's, and the last for agents of other
/// vendors alone.
const DEFAULT_MODELS: [(ProviderKind, &str); 3] = [
    (ProviderKind::Anthropic, "claude-sonnet-4-5"),
    (ProviderKind::OpenAi, "gpt-5"),
    (ProviderKind::Gemini, "gemini-2.5-pro"),
];

/// What the machine beneath gives.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Other programs.
    pub spawner: Arc<dyn Spawner>,
    /// The way to GitHub.
    pub transport: Arc<dyn Transport>,
    /// The way to the models.
    pub models: Arc<dyn ModelTransport>,
}

/// What a caller may change of how the server behaves; the defaults are for real service.
#[derive(Debug, Clone, Default)]
pub struct Tuning {
    /// The pool of workers.
    pub pool: PoolSettings,
    /// The gateway to the models.
    pub gateway: GatewaySettings,
    /// Whether the models are scripted, which everything shown must say.
    pub scripted: bool,
    /// When the reconciler looks for what was missed.
    pub reconciling: Rhythm,
    /// This program's own file, which is bound into every cage; none if it is the one that runs.
    pub program: Option<PathBuf>,
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    /// Where it listens; port 0 if it listens nowhere.
    pub address: SocketAddr,
    /// Its durable state.
    pub store: Arc<dyn Store>,
    /// The pulse of its reconciler.
    pub reconciler: Pulse,
    stop: CancellationToken,
    parts: JoinSet<()>,
}

impl Server {
    /// Opens the store, binds the port and starts every part. Nothing is asked of GitHub before it listens: webhooks
    /// are taken in even while GitHub's API is down. GitHub does not repeat a delivery that found nobody, so whatever
    /// ingress does not need is made ready only after it listens.
    pub async fn start(config: &Config, machine: Machine, tuning: Tuning) -> anyhow::Result<Self> {
        make_directory(&absolute(&config.storage.data_dir)?)?;
        let store = open_store(config)?;
        let listener = TcpListener::bind((config.listen.host.as_str(), config.listen.port))
            .await
            .with_context(|| format!("cannot listen on {}; set HOST and PORT", config.listen))?;
        let (mut server, router, ingress) = Self::with_ingress(config, &machine, store);
        server.address = listener.local_addr()?;
        let (stop, drain, clock) = (server.stop.clone(), config.drain, machine.clock.clone());
        server.parts.spawn(async move {
            if let Err(error) = http::serve(listener, router, stop, drain, clock).await {
                tracing::error!(%error, "the HTTP server ended");
            }
        });
        info!(address = %server.address, "listening");
        server.start_parts(config, machine, tuning, ingress).await?;
        Ok(server)
    }

    /// Starts every part over a store that is open, and listens nowhere: whoever holds the router hands it what would
    /// come over the network.
    pub async fn start_inside(
        config: &Config,
        machine: Machine,
        tuning: Tuning,
        store: Arc<dyn Store>,
    ) -> anyhow::Result<(Self, Router)> {
        let (mut server, router, ingress) = Self::with_ingress(config, &machine, store);
        server.start_parts(config, machine, tuning, ingress).await?;
        Ok((server, router))
    }

    /// A server of which only ingress is there.
    fn with_ingress(config: &Config, machine: &Machine, store: Arc<dyn Store>) -> (Self, Router, Ingress) {
        let ingress = Ingress::default();
        let server = Self {
            address: NOWHERE,
            reconciler: ingress.pulse.clone(),
            stop: CancellationToken::new(),
            parts: JoinSet::new(),
            store,
        };
        let router = ingress.router(config, machine, &server.store);
        (server, router, ingress)
    }

    async fn start_parts(
        &mut self,
        config: &Config,
        machine: Machine,
        tuning: Tuning,
        ingress: Ingress,
    ) -> anyhow::Result<()> {
        start_engine(&mut self.parts, &machine, &self.store, ingress.health.clone(), &self.stop);
        if let Some(days) = config.storage.retention_days {
            let keep = retention::keep(self.store.clone(), machine.clock.clone(), days, self.stop.clone());
            self.parts.spawn(keep);
        }
        let github = github(config, &machine)?;
        let tools = tools(config, &machine, &tuning, &self.store, &github, &ingress, &self.stop).await?;
        start_workers(&mut self.parts, &machine, tools, tuning.pool, config.drain);
        let Ingress { own, health: _, pulse, standing: _ } = ingress;
        let reconciler = reconciler::Parts {
            store: self.store.clone(),
            github: github.clone(),
            own: own.clone(),
            app_id: config.app.id,
            clock: machine.clock.clone(),
            entropy: machine.entropy.clone(),
        };
        self.parts.spawn(Reconciler::new(reconciler, pulse).run(tuning.reconciling, self.stop.clone()));
        self.parts.spawn(learn_account(github, own, machine.clock, self.stop.clone()));
        Ok(())
    }

    /// Stops: nothing new is taken, what runs may end, everything else waits in the store.
    pub async fn stop(self) {
        self.stop_or_end(std::future::pending()).await;
    }

    /// Stops, or ends every part where it stands once `hurry` returns. Says whether it stopped in order.
    pub async fn stop_or_end(mut self, hurry: impl Future<Output = ()>) -> bool {
        self.stop.cancel();
        let ended = async { while self.parts.join_next().await.is_some() {} };
        tokio::select! {
            () = ended => true,
            () = hurry => {
                self.parts.shutdown().await;
                false
            }
        }
    }
}

impl Server {
    /// Ends every part where it stands, as a power cut would, and waits until none holds the store any more.
    pub async fn kill(mut self) {
        self.parts.shutdown().await;
        // What the parts had begun was aborted with them, but each ends on a thread of its own, and open connections
        // end when they are told.
        self.stop.cancel();
        while Arc::strong_count(&self.store) > 1 {
            tokio::task::yield_now().await;
        }
    }
}

/// The address of a server that listens nowhere.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// What ingress and the rest of the server tell each other.
#[derive(Debug, Default)]
struct Ingress {
    own: OwnAccount,
    health: EngineHealth,
    pulse: Pulse,
    standing: ToldStanding,
}

fn make_directory(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path)
        .with_context(|| format!("{} cannot be made; set PAIRBOT_DATA_DIR", path.display()))
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("PAIRBOT_DATA_DIR {} is not a path", path.display()))
}

fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    match &config.storage.database {
        Database::Sqlite { path } => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("the database's folder {} cannot be made", folder.display()))?;
            }
            Ok(Arc::new(SqliteStore::open(path)?))
        }
    }
}

async fn tools(
    config: &Config,
    machine: &Machine,
    tuning: &Tuning,
    store: &Arc<dyn Store>,
    github: &GitHub,
    ingress: &Ingress,
    stop: &CancellationToken,
) -> anyhow::Result<Tools> {
    let data_dir = absolute(&config.storage.data_dir)?;
    let scratch_dir = data_dir.join("scratch");
    make_directory(&scratch_dir)?;
    let git = Git::new(machine.spawner.clone(), machine.entropy.clone(), git_settings(data_dir)).await?;
    let gateway = Arc::new(gateway(config, machine, tuning)?);
    let sandbox = sandbox(config, machine, tuning.program.as_deref(), &scratch_dir).await;
    ingress.standing.tell(sandbox.standing());
    Ok(Tools {
        store: store.clone(),
        github: github.clone(),
        own: ingress.own.clone(),
        reconciler: ingress.pulse.clone(),
        git,
        roster: roster(config, machine, tuning, &gateway, &sandbox)?,
        clock: machine.clock.clone(),
        entropy: machine.entropy.clone(),
        sandbox,
        egress: Arc::new(config.egress.clone()),
        agents: agent_settings(config, tuning),
        fetches: Fetches::default(),
        scratch_dir,
        stop: stop.clone(),
    })
}

/// Finds out which sandbox holds on this machine.
pub async fn sandbox(
    config: &Config,
    machine: &Machine,
    program: Option<&Path>,
    scratch_dir: &Path,
) -> Arc<dyn Sandbox> {
    let ports = SandboxPorts {
        spawner: machine.spawner.clone(),
        clock: machine.clock.clone(),
        entropy: machine.entropy.clone(),
    };
    let settings = SandboxSettings {
        choice: config.sandbox,
        scratch_dir: scratch_dir.to_owned(),
        search_path: search_path(),
        read_only: config.sandbox_read_only.clone(),
        program: program.map(Path::to_owned),
        slots: config.sandbox_uids,
        control_groups: true,
    };
    let sandbox = sandbox::establish(ports, settings).await;
    match sandbox.standing() {
        Standing::Bubblewrap { gaps } if gaps.is_empty() => info!("sandbox: bubblewrap holds"),
        standing @ (Standing::Bubblewrap { .. }
        | Standing::UserSlot { .. }
        | Standing::NoneAccepted
        | Standing::Unavailable { .. }) => {
            warn!("sandbox: {standing}; `pairbot doctor` says what can be done");
        }
    }
    sandbox
}

/// The builtin agent, and those that the operator allows.
fn roster(
    config: &Config,
    machine: &Machine,
    tuning: &Tuning,
    gateway: &Arc<Gateway>,
    sandbox: &Arc<dyn Sandbox>,
) -> anyhow::Result<Roster> {
    let builtin = BuiltinAgent::new(gateway.clone(), machine.clock.clone(), sandbox.clone());
    let mut roster = Roster::of(Arc::new(builtin));
    if config.agents.allowed.is_empty() {
        return Ok(roster);
    }
    let own_program = match &tuning.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().context("this program's own file is not known")?,
    };
    let house = House {
        gateway: gateway.clone(),
        sandbox: sandbox.clone(),
        clock: machine.clock.clone(),
        entropy: machine.entropy.clone(),
        search_path: search_path(),
        own_program,
    };
    for spec in &config.agents.allowed {
        let (name, provider) = (spec.name.clone(), spec.provider);
        let agent = Arc::new(VendorAgent::new(spec.clone(), house.clone()));
        roster = roster.with(name, Allowed { agent, provider });
    }
    Ok(roster)
}

/// The App's side of GitHub.
pub fn github(config: &Config, machine: &Machine) -> anyhow::Result<GitHub> {
    let settings = GitHubSettings {
        api_url: config.github.api_url.clone(),
        server_url: config.github.server_url.clone(),
        app_id: config.app.id.to_string(),
        private_key: config.app.private_key.clone(),
        secrets: config.secrets(),
    };
    Ok(GitHub::new(&settings, machine.transport.clone(), machine.clock.clone(), machine.entropy.clone())?)
}

fn gateway(config: &Config, machine: &Machine, tuning: &Tuning) -> anyhow::Result<Gateway> {
    let provider = |kind, settings: &Option<ProviderConfig>| {
        settings.as_ref().map(|settings| ProviderSettings {
            kind,
            base_url: settings.base_url.clone(),
            key: SecretString::clone(&settings.api_key),
            calls_max: CALLS_MAX,
        })
    };
    let providers = [
        provider(ProviderKind::Anthropic, &config.models.anthropic),
        provider(ProviderKind::OpenAi, &config.models.openai),
        provider(ProviderKind::Gemini, &config.models.gemini),
    ];
    Ok(Gateway::new(
        machine.models.clone(),
        machine.clock.clone(),
        machine.entropy.clone(),
        prices(config.models.price_file.as_deref())?,
        tuning.gateway,
        providers.into_iter().flatten(),
    ))
}

fn prices(file: Option<&Path>) -> anyhow::Result<PriceTable> {
    let Some(file) = file else { return Ok(PriceTable::shipped()?) };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("PAIRBOT_PRICE_FILE {} cannot be read", file.display()))?;
    PriceTable::with_override(&text).with_context(|| format!("PAIRBOT_PRICE_FILE {}", file.display()))
}

/// What git's network calls need of the operator's environment. This machine itself is reached by no proxy.
fn git_settings(data_dir: PathBuf) -> GitSettings {
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let certificates = ["GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR"];
    let mut settings = GitSettings::new(data_dir);
    let inherited = names.iter().chain(&certificates);
    settings.network_environment =
        inherited.filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
    let direct = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy")).unwrap_or_default();
    settings.network_environment.insert("no_proxy".to_owned(), format!("127.0.0.1,localhost,{direct}"));
    if let Ok(path) = std::env::var("PATH") {
        settings.search_path = path;
    }
    settings
}

fn agent_settings(config: &Config, tuning: &Tuning) -> AgentSettings {
    let configured = |kind: ProviderKind| match kind {
        ProviderKind::Anthropic => config.models.anthropic.is_some(),
        ProviderKind::OpenAi => config.models.openai.is_some(),
        ProviderKind::Gemini => config.models.gemini.is_some(),
    };
    let [first, second, for_vendors] =
        DEFAULT_MODELS.map(|(provider, model)| ModelChoice { provider, model: model.to_owned() });
    // Without any key the first is named: its absence is then told by the gateway, with what to do about it.
    let (model, other_model) = match (configured(first.provider), configured(second.provider)) {
        (true, true) => (first, Some(second)),
        (false, true) => (second, None),
        (true | false, false) => (first, None),
    };
    let for_vendors = Some(for_vendors).filter(|model| configured(model.provider));
    let other_models = other_model.into_iter().chain(for_vendors).collect();
    AgentSettings {
        model,
        other_models,
        budgets: config.budgets,
        scripted: tuning.scripted,
        turns_max: 80,
        command_timeout: Duration::from_mins(5),
        // What the operator can run, agents and gates can: of all of the environment, this alone is passed on.
        search_path: search_path(),
    }
}

/// Where this server looks for programs.
pub fn search_path() -> String {
    std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned())
}

impl Ingress {
    /// The router of what comes in from outside.
    fn router(&self, config: &Config, machine: &Machine, store: &Arc<dyn Store>) -> Router {
        let state = HttpState {
            inbox: Arc::new(store.clone()),
            secret: WebhookSecret::new(&config.app.webhook_secret),
            own: Arc::new(OwnApp::new(config.app.id, self.own.clone())),
            clock: machine.clock.clone(),
            engine: Some(self.health.clone()),
            reconciler: Some(self.pulse.clone()),
            sandbox: Some(self.standing.clone()),
        };
        http::router(Arc::new(state))
    }
}

fn start_engine(
    parts: &mut JoinSet<()>,
    machine: &Machine,
    store: &Arc<dyn Store>,
    health: EngineHealth,
    stop: &CancellationToken,
) {
    let engine = Engine::new(store.clone(), machine.clock.clone());
    let stop = stop.clone();
    parts.spawn(async move { engine.run(stop, move |now: Timestamp| health.beat(now)).await });
}

fn start_workers(
    parts: &mut JoinSet<()>,
    machine: &Machine,
    tools: Tools,
    settings: PoolSettings,
    drain: Duration,
) {
    let worker = format!("{}-{:08x}", std::process::id(), machine.entropy.bits() >> 32);
    let bus = EmbeddedBus::new(tools.store.clone(), machine.clock.clone(), worker, settings.lease_ms);
    let workers = Workers::new(tools.clone(), Arc::new(bus), settings);
    parts.spawn(async move {
        workers::sweep(&tools).await;
        workers.run(drain).await;
    });
}

/// Asks GitHub who we are until it answers.
async fn learn_account(github: GitHub, own: OwnAccount, clock: Arc<dyn Clock>, stop: CancellationToken) {
    while !stop.is_cancelled() && own.known().is_none() {
        let learnt = async {
            let installations = github.installations().await?;
            match installations.iter().find(|installation| !installation.suspended) {
                Some(installation) => own.resolve(&github, installation.id).await.map(Some),
                None => Ok(None),
            }
        };
        match learnt.await {
            Ok(Some(account)) => info!(login = %account.login, "acting as"),
            Ok(None) => info!("the App is installed nowhere yet"),
            Err(error) => warn!(%error, "GitHub did not tell who we are; asking again"),
        }
        if own.known().is_none() {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = clock.sleep(ACCOUNT_PAUSE) => {}
            }
        }
    }
}
