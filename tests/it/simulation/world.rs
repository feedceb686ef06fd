//! One world: everything but the kernel in one thread, with one clock that only moves while everybody waits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use pairbot::adapters::{ManualClock, disk};
use pairbot::config::{
    AgentsConfig, AppConfig, Bus, Config, Database, GitHubConfig, Listen, LogConfig, ModelsConfig,
    ProviderConfig, Sandbox, StorageConfig, budgets,
};
use pairbot::ports::Clock as _;
use pairbot::sandbox::SlotUids;
use pairbot::sandbox::egress::EgressRules;
use pairbot::server::{Machine, Server, Tuning};
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{Store, StoreError};
use pairbot_github_sim::{
    AppKey, ContentType, GitHubSim, NewApp, NewRepository, Protection, Role, WebhookRequest,
};
use pairbot_model_sim::{ModelSim, SimConfig};
use pairbot_protocol::ids::Timestamp;
use pairbot_protocol::policy::LABEL;
use secrecy::SecretString;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::chance::Chance;
use super::clock::WrongClock;
use super::github::{ADDRESS, Host, TroubledTransport};
use super::models::TroubledModels;
use super::plan::Plan;
use super::programs::TroubledPrograms;
use super::store::TroubledStore;
use super::weather::{Life, Weather};

/// Who may maintain every repository.
pub(super) const MAINTAINER: &str = "mona";
/// Who may only read.
pub(super) const STRANGER: &str = "stranger";
/// The bot's login.
pub(super) const BOT: &str = "pairbot[bot]";
const WEBHOOK_SECRET: &str = "a-secret-for-one-world";
/// 2026-01-05T08:00:00Z, a Monday morning.
pub(super) const BEGINNING_MS: u64 = 1_767_600_000_000;

/// Tells when every task of the thread waits.
#[derive(Debug, Default)]
pub(super) struct Idle {
    asked: AtomicBool,
    told: Notify,
}

impl Idle {
    /// To be called when the runtime finds nothing to do.
    pub(super) fn nothing_to_do(&self) {
        if self.asked.swap(false, Ordering::SeqCst) {
            self.told.notify_one();
        }
    }

    /// Returns once every other task waits for something outside.
    pub(super) async fn wait(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.told.notified().await;
    }
}

/// A process of the server.
#[derive(Debug)]
struct Process {
    server: Server,
    router: Router,
    life: Arc<Life>,
}

/// A world under way.
#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) chance: Chance,
    pub(super) clock: ManualClock,
    pub(super) weather: Arc<Weather>,
    pub(super) host: Arc<Host>,
    pub(super) models: Arc<ModelSim>,
    /// Number of each planned issue.
    pub(super) numbers: Vec<u64>,
    pub(super) server_clock: WrongClock,
    pub(super) lives: u32,
    idle: Arc<Idle>,
    config: Config,
    process: Option<Process>,
    /// Webhooks on their way, with their delivery's number.
    on_their_way: JoinSet<(u64, Result<u16, String>)>,
    sent: BTreeMap<tokio::task::Id, u64>,
}

/// The key of the App: making one takes longer than a whole world.
fn key() -> &'static AppKey {
    static KEY: OnceLock<AppKey> = OnceLock::new();
    KEY.get_or_init(|| AppKey::generate().unwrap())
}

impl World {
    pub(super) async fn build(plan: Plan, seed: u64, directory: &Path, idle: Arc<Idle>) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_ms(BEGINNING_MS));
        let repositories = directory.join("github");
        std::fs::create_dir_all(&repositories).unwrap();
        let host = Arc::new(Host::start(&clock, repositories));
        let weather = Weather::new(clock.clone(), Chance::of(seed, 2), plan.rates, plan.cuts.clone());
        let app = settle(&host.github, &plan);
        let scripts = plan.issues.iter().map(super::plan::IssuePlan::script).collect();
        let models = Arc::new(ModelSim::without_socket(SimConfig { scripts, ..SimConfig::default() }));
        let config = config(app, &models, directory.join("data"));
        let mona = host.github.person(MAINTAINER);
        let numbers = plan.issues.iter().map(|issue| {
            let repository = &plan.repositories[issue.repository].name;
            mona.open_issue(repository, &issue.title, "Please.", &[]).unwrap()
        });
        let numbers = numbers.collect();
        let mut world = Self {
            chance: Chance::of(seed, 3),
            server_clock: WrongClock::of(&clock),
            plan,
            clock,
            weather,
            host,
            models,
            numbers,
            lives: 0,
            idle,
            config,
            process: None,
            on_their_way: JoinSet::new(),
            sent: BTreeMap::new(),
        };
        world.server_starts().await;
        world
    }

    pub(super) fn github(&self) -> &GitHubSim {
        &self.host.github
    }

    /// The store, without trouble.
    pub(super) fn database(&self) -> PathBuf {
        self.config.storage.data_dir.join("pairbot.db")
    }

    pub(super) fn repository(&self, issue: usize) -> &str {
        &self.plan.repositories[self.plan.issues[issue].repository].name
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        self.clock.now().unix_ms - BEGINNING_MS
    }

    async fn server_starts(&mut self) {
        let life = Life::begin(self.weather.clone());
        let store = loop {
            match SqliteStore::open(&self.database()) {
                Ok(store) => break store,
                // A program that another thread starts at this moment holds every file of this process until it runs.
                Err(StoreError::InUse { .. }) => std::thread::yield_now(),
                Err(error) => panic!("the store does not open: {error}"),
            }
        };
        let store = Arc::new(TroubledStore { store, life: life.clone() });
        self.lives += 1;
        let machine = Machine {
            clock: Arc::new(self.server_clock.clone()),
            entropy: Arc::new(self.chance.clone()),
            spawner: Arc::new(TroubledPrograms { host: self.host.clone(), life: life.clone() }),
            transport: Arc::new(TroubledTransport { host: self.host.clone(), life: life.clone() }),
            models: Arc::new(TroubledModels { models: self.models.clone(), life: life.clone() }),
        };
        let tuning = Tuning { scripted: true, ..Tuning::default() };
        let (server, router) = Server::start_inside(&self.config, machine, tuning, store).await.unwrap();
        self.process = Some(Process { server, router, life });
    }

    /// The server's process ends where it stands, and another begins on what is stored.
    async fn power_comes_back(&mut self) {
        let Some(process) = self.process.take() else { return };
        let Process { server, router, life } = process;
        drop(router);
        self.on_their_way.abort_all();
        while let Some(ended) = self.on_their_way.join_next_with_id().await {
            match ended {
                Ok((task, answered)) => self.answered(task, answered),
                Err(lost) => {
                    if let Some(id) = self.sent.remove(&lost.id()) {
                        self.github().webhook_answered(id, Err("connection reset"));
                    }
                }
            }
        }
        let killing = tokio::spawn(server.kill());
        // The tasks are told to end; then each of them is dropped where it waits.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        life.bury();
        killing.await.unwrap();
        self.server_starts().await;
        self.weather.note("power is back");
    }

    /// Everything that happens without time going on happens. What GitHub wants to tell is sent on its way.
    pub(super) async fn settle(&mut self) {
        loop {
            self.idle.wait().await;
            if self.process.as_ref().is_some_and(|process| process.life.is_off()) {
                self.power_comes_back().await;
                continue;
            }
            let mut moved = false;
            while let Some(ended) = self.on_their_way.try_join_next_with_id() {
                if let Ok((task, answered)) = ended {
                    self.answered(task, answered);
                    moved = true;
                }
            }
            moved |= self.send_webhooks();
            if !moved {
                return;
            }
        }
    }

    fn answered(&mut self, task: tokio::task::Id, (id, answer): (u64, Result<u16, String>)) {
        self.sent.remove(&task);
        self.github().webhook_answered(id, answer.as_ref().map(|status| *status).map_err(String::as_str));
    }

    /// Sends every delivery that waits. It may be lost, doubled, or late, and so overtaken by others.
    fn send_webhooks(&mut self) -> bool {
        let held: Vec<u64> = self.github().held_webhook_ids();
        for &id in &held {
            let rate = self.weather.rates().webhooks;
            let trouble = self.chance.per_mille(rate).then(|| self.chance.below(8));
            if let Some(0 | 1) = trouble {
                self.weather.note(format_args!("webhook {id} is lost"));
                self.github().lose_webhook(id);
                continue;
            }
            let Some(request) = self.github().take_webhook(id) else { continue };
            if let Some(2 | 3) = trouble {
                self.weather.note(format_args!("webhook {id} comes twice"));
                self.send(id, request.clone(), 0);
            }
            let late_ms = match trouble {
                Some(4..7) => self.chance.between(1, 20_000),
                Some(7) => self.chance.between(20_000, 600_000),
                Some(_) | None => 0,
            };
            if late_ms > 0 {
                self.weather.note(format_args!("webhook {id} is {late_ms} ms late"));
            }
            self.send(id, request, late_ms);
        }
        !held.is_empty()
    }

    fn send(&mut self, id: u64, request: WebhookRequest, late_ms: u64) {
        let router = self.process.as_ref().map(|process| process.router.clone());
        let clock = self.clock.clone();
        let task = self.on_their_way.spawn(async move {
            clock.sleep(std::time::Duration::from_millis(late_ms)).await;
            let Some(router) = router else { return (id, Err("failed to connect to host".to_owned())) };
            let mut http = http::Request::post("/api/github/webhooks");
            for (name, value) in &request.headers {
                http = http.header(*name, value);
            }
            let Ok(response) = router.oneshot(http.body(Body::from(request.body)).unwrap()).await;
            (id, Ok(response.status().as_u16()))
        });
        self.sent.insert(task.id(), id);
    }

    /// Whether a webhook is under way.
    pub(super) fn webhooks_under_way(&self) -> bool {
        !self.on_their_way.is_empty()
    }

    /// The store of the running server, for looking at.
    pub(super) fn store(&self) -> Arc<dyn Store> {
        self.process.as_ref().unwrap().server.store.clone()
    }

    /// The server stops in order.
    pub(super) async fn end(mut self) {
        let process = self.process.take().unwrap();
        drop(process.router);
        self.on_their_way.abort_all();
        while self.on_their_way.join_next().await.is_some() {}
        let killing = tokio::spawn(process.server.kill());
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        process.life.bury();
        killing.await.unwrap();
    }
}

/// GitHub with everything in it; gives the App's id.
fn settle(github: &GitHubSim, plan: &Plan) -> u64 {
    let app = github.register_app(&NewApp {
        events: Some(pairbot::http::webhook::EVENTS.map(str::to_owned).into()),
        ..NewApp::new("pairbot", &key().public_pem)
    });
    let mut owners = Vec::new();
    for repository in &plan.repositories {
        let name = &repository.name;
        let files = [("README.md", "# A repository\n"), (".github/pairbot.yml", &repository.policy)];
        github.create_repository(&NewRepository::with_files(name, &files)).unwrap();
        github.grant(name, MAINTAINER, Role::Maintain).unwrap();
        github.grant(name, STRANGER, Role::Read).unwrap();
        github.define_label(name, LABEL, "5319e7", "").unwrap();
        let required_checks = ["pairbot / ready".to_owned()].into();
        let rules = Protection { required_checks, strict: false, require_pull_request: false };
        github.protect(name, "main", rules).unwrap();
        let owner = name.split('/').next().unwrap().to_owned();
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }
    for owner in owners {
        github.install(app, &owner, None).unwrap();
    }
    let url = format!("{ADDRESS}/webhooks");
    github.set_webhook(app, &url, WEBHOOK_SECRET, ContentType::Json).unwrap();
    app
}

fn config(app: u64, models: &ModelSim, data_dir: PathBuf) -> Config {
    let provider = |base_url| Some(ProviderConfig { api_key: SecretString::from("scripted"), base_url });
    std::fs::create_dir_all(&data_dir).unwrap();
    Config {
        agents: AgentsConfig::default(),
        app: AppConfig {
            id: app,
            private_key: SecretString::from(key().private_pem.clone()),
            webhook_secret: SecretString::from(WEBHOOK_SECRET),
        },
        github: GitHubConfig { api_url: ADDRESS.to_owned(), server_url: ADDRESS.to_owned() },
        listen: Listen { host: "127.0.0.1".to_owned(), port: 0 },
        drain: std::time::Duration::from_secs(20),
        storage: StorageConfig {
            database: Database::Sqlite { path: data_dir.join("pairbot.db") },
            data_dir,
            bus: Bus::Embedded,
            retention_days: None,
        },
        budgets: budgets::defaults(),
        sandbox: Sandbox::NoneAccepted,
        sandbox_uids: SlotUids::default(),
        sandbox_read_only: Vec::new(),
        egress: EgressRules::default(),
        models: ModelsConfig {
            anthropic: provider(models.anthropic_base_url()),
            openai: provider(models.openai_base_url()),
            gemini: provider(models.gemini_base_url()),
            price_file: None,
        },
        otlp_endpoint: None,
        log: LogConfig::default(),
    }
}

/// A thread with nothing else to do, in which `work` is done with one clock.
pub(super) fn alone<T, F>(work: impl FnOnce(Arc<Idle>) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let _staying = disk::stay_on_this_thread();
    let idle = Arc::new(Idle::default());
    let told = idle.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || told.nothing_to_do())
        .max_blocking_threads(4)
        .build()
        .unwrap();
    // On a task of its own: what the runtime waits for itself is looked at when it likes.
    let ended = runtime.block_on(async { tokio::spawn(work(idle)).await });
    ended.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}
