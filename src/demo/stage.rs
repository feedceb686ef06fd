//! The stage: a simulated GitHub with one repository and its people, models, and a server between them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use pairbot_github_sim::{
    AppKey, ContentType, GitHubSim, NewApp, NewRepository, Protection, Role, SimClock, SimConfig,
};
use pairbot_model_sim::{ModelSim, Script, SimConfig as ModelConfig};
use pairbot_protocol::policy::LABEL;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use crate::adapters::{SystemClock, SystemEntropy, SystemSpawner};
use crate::config::{
    AgentsConfig, AppConfig, Bus, Config, Database, GitHubConfig, Listen, LogConfig, ModelsConfig,
    ProviderConfig, Sandbox, StorageConfig, budgets,
};
use crate::gateway::ProviderClient;
use crate::github::HttpTransport;
use crate::http::webhook::EVENTS;
use crate::ports::Clock;
use crate::sandbox::SlotUids;
use crate::sandbox::egress::EgressRules;
use crate::server::{Machine, Server, Tuning};
use crate::store::SharedLimits;

/// The repository on the stage.
pub const REPOSITORY: &str = "octo-org/invoice";
/// Who may maintain it.
pub const MAINTAINER: &str = "mona";
/// Who may only read it.
pub const STRANGER: &str = "stranger";
/// The App's short name.
const SLUG: &str = "pairbot";
/// What deliveries are signed with. The stage is on loopback and ends with the process.
const WEBHOOK_SECRET: &str = "a-secret-for-one-afternoon";

/// Who plays the models.
#[derive(Debug, Clone)]
pub enum Models {
    /// The scripted server.
    Scripted {
        /// Scripts beside those of the stories.
        extra: Vec<Script>,
    },
    /// Providers with real keys.
    Real(ModelsConfig),
}

/// The scripted models take any key. No word that is also said: secrets are blotted out of what is posted.
const MODEL_KEY: &str = "sk-for-one-afternoon";

/// How to set the stage.
#[derive(Debug, Clone)]
pub struct StageSettings {
    /// Port of the simulated GitHub; 0 for any.
    pub github_port: u16,
    /// Port of the server; 0 for any.
    pub server_port: u16,
    /// Files of the repository.
    pub files: Vec<(String, String)>,
    /// Who plays the models.
    pub models: Models,
    /// How the server behaves.
    pub tuning: Tuning,
    /// What runs may spend together.
    pub budgets: SharedLimits,
    /// What webhooks are signed with.
    pub webhook_secret: String,
    /// Whether agents and gates may run commands.
    pub sandbox: Sandbox,
    /// Which hosts gates may reach from the sandbox.
    pub egress: EgressRules,
    /// Agents of other vendors that the operator allows.
    pub agents: AgentsConfig,
    /// What time it is for the server, and for GitHub: the same, or tokens expire for one and not for the other.
    pub clocks: Option<(Arc<dyn Clock>, Arc<dyn SimClock>)>,
}

impl Default for StageSettings {
    fn default() -> Self {
        let files = pairbot_model_sim::demo_repository();
        Self {
            github_port: 0,
            server_port: 0,
            files: files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect(),
            models: Models::Scripted { extra: Vec::new() },
            tuning: Tuning { scripted: true, ..Tuning::default() },
            budgets: budgets::defaults(),
            webhook_secret: WEBHOOK_SECRET.to_owned(),
            sandbox: Sandbox::NoneAccepted,
            egress: EgressRules::default(),
            agents: AgentsConfig::default(),
            clocks: None,
        }
    }
}

/// A set stage.
#[derive(Debug)]
pub struct Stage {
    /// GitHub.
    pub github: GitHubSim,
    /// The models, if they are scripted.
    pub models: Option<ModelSim>,
    /// The App's id on GitHub.
    pub app: u64,
    /// The installation's id.
    pub installation: u64,
    /// What the server was started with.
    pub config: Config,
    machine: Machine,
    tuning: Tuning,
    server: Option<Server>,
    _data: TempDir,
}

impl Stage {
    /// Sets the stage and starts the server.
    pub async fn set(settings: StageSettings) -> anyhow::Result<Self> {
        let data = tempfile::tempdir().context("no temporary directory for the demo")?;
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], settings.github_port));
        let (clock, sim_clock) = settings
            .clocks
            .unwrap_or_else(|| (Arc::new(SystemClock), Arc::new(pairbot_github_sim::SystemClock)));
        let github =
            GitHubSim::start(SimConfig { listen: Some(listen), clock: sim_clock, ..SimConfig::default() })
                .await
                .with_context(|| format!("the simulated GitHub cannot listen on {listen}"))?;
        let key = AppKey::generate()?;
        let (app, installation) = people(&github, &settings.files, &key)?;
        let (models, providers) = models(settings.models).await?;
        let data_dir = data.path().to_owned();
        let mut config =
            config(&github, app, &key, providers, data_dir, settings.server_port, settings.sandbox);
        config.budgets = settings.budgets;
        config.app.webhook_secret = settings.webhook_secret.into();
        config.agents = settings.agents;
        config.egress = settings.egress;
        let machine = Machine {
            clock,
            entropy: Arc::new(SystemEntropy),
            spawner: Arc::new(SystemSpawner),
            transport: Arc::new(HttpTransport::new(github.url())),
            models: Arc::new(ProviderClient::default()),
        };
        let tuning = settings.tuning;
        let mut stage =
            Self { github, models, app, installation, config, machine, tuning, server: None, _data: data };
        stage.start_server().await?;
        Ok(stage)
    }

    /// The server.
    pub fn server(&self) -> anyhow::Result<&Server> {
        self.server.as_ref().context("the server on this stage was stopped")
    }

    /// Starts the server, on the store that the last one left.
    pub async fn start_server(&mut self) -> anyhow::Result<()> {
        let server = Server::start(&self.config, self.machine.clone(), self.tuning.clone()).await?;
        // The same address again after a restart: a webhook's address does not change in between.
        self.config.listen.port = server.address.port();
        let url = format!("http://{}/api/github/webhooks", server.address);
        let secret = self.config.app.webhook_secret.expose_secret();
        self.github.set_webhook(self.app, &url, secret, ContentType::Json)?;
        self.server = Some(server);
        Ok(())
    }

    /// Ends the server in order.
    pub async fn stop_server(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Ends the server as a power cut would: nothing is finished, nothing is told.
    pub async fn kill_server(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
    }

    /// Opens the issue of a story; gives its number.
    pub fn open_issue(&self, title: &str, body: &str) -> anyhow::Result<u64> {
        Ok(self.github.person(MAINTAINER).open_issue(REPOSITORY, title, body, &[])?)
    }
}

fn people(github: &GitHubSim, files: &[(String, String)], key: &AppKey) -> anyhow::Result<(u64, u64)> {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    github.create_repository(&NewRepository::with_files(REPOSITORY, &files))?;
    github.grant(REPOSITORY, MAINTAINER, Role::Maintain)?;
    github.grant(REPOSITORY, STRANGER, Role::Read)?;
    github.define_label(REPOSITORY, LABEL, "5319e7", "Ask Pairbot for a pull request")?;
    let required_checks = [format!("pairbot / {}", pairbot_protocol::checks::READY)].into();
    let rules = Protection { required_checks, strict: false, require_pull_request: true };
    github.protect(REPOSITORY, "main", rules)?;
    let events = Some(EVENTS.map(str::to_owned).into());
    let app = github.register_app(&NewApp { events, ..NewApp::new(SLUG, &key.public_pem) });
    let owner = REPOSITORY.split('/').next().unwrap_or(REPOSITORY);
    let installation = github.install(app, owner, None)?;
    Ok((app, installation))
}

async fn models(models: Models) -> anyhow::Result<(Option<ModelSim>, ModelsConfig)> {
    match models {
        Models::Real(providers) => Ok((None, providers)),
        Models::Scripted { extra } => {
            let mut scripts = ModelConfig::default().scripts;
            scripts.extend(extra);
            let models = ModelSim::start(ModelConfig { scripts, ..ModelConfig::default() }).await?;
            let provider =
                |base_url: String| ProviderConfig { api_key: SecretString::from(MODEL_KEY), base_url };
            let providers = ModelsConfig {
                anthropic: Some(provider(models.anthropic_base_url())),
                openai: Some(provider(models.openai_base_url())),
                gemini: Some(provider(models.gemini_base_url())),
                price_file: None,
            };
            Ok((Some(models), providers))
        }
    }
}

fn config(
    github: &GitHubSim,
    app: u64,
    key: &AppKey,
    models: ModelsConfig,
    data_dir: PathBuf,
    port: u16,
    sandbox: Sandbox,
) -> Config {
    Config {
        app: AppConfig {
            id: app,
            private_key: SecretString::from(key.private_pem.clone()),
            webhook_secret: SecretString::from(WEBHOOK_SECRET),
        },
        github: GitHubConfig { api_url: github.url().to_owned(), server_url: github.url().to_owned() },
        listen: Listen { host: "127.0.0.1".to_owned(), port },
        drain: Duration::from_secs(20),
        storage: StorageConfig {
            database: Database::Sqlite { path: data_dir.join("pairbot.db") },
            data_dir,
            bus: Bus::Embedded,
            retention_days: None,
        },
        budgets: budgets::defaults(),
        sandbox,
        sandbox_uids: SlotUids::default(),
        sandbox_read_only: Vec::new(),
        egress: EgressRules::default(),
        models,
        agents: AgentsConfig::default(),
        otlp_endpoint: None,
        log: LogConfig::default(),
    }
}
