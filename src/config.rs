//! The server's settings: read once at the start from the environment and from `pairbot.toml`, where the environment
//! wins. Everything that is wrong is reported at once, each with its name, the place and how to mend it.

mod addresses;
mod agents;
pub mod budgets;
mod problem;
mod source;
mod storage;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

pub use agents::AgentsConfig;
pub use problem::{ConfigError, Problem};
pub use source::{NAMES, Source};
pub use storage::{Bus, Database, StorageConfig};

use addresses::{server_url_of, url};
use problem::Problems;

use crate::sandbox::egress::{EgressRules, MalformedRule};
use crate::sandbox::{MalformedUids, SlotUids};
use crate::store::SharedLimits;

/// Everything `pairbot serve` needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who we are to GitHub.
    pub app: AppConfig,
    /// Where GitHub is.
    pub github: GitHubConfig,
    /// Where to listen.
    pub listen: Listen,
    /// How long what is under way may take to end once the server is told to stop.
    pub drain: Duration,
    /// Where state lives.
    pub storage: StorageConfig,
    /// What runs may spend together.
    pub budgets: SharedLimits,
    /// Whether agents may run commands.
    pub sandbox: Sandbox,
    /// The users that cages are given where no namespaces can be made.
    pub sandbox_uids: SlotUids,
    /// What programs in the sandbox can read of this machine besides its system, such as tools in `/opt`.
    pub sandbox_read_only: Vec<PathBuf>,
    /// Which hosts commands of gates may reach from the sandbox.
    pub egress: EgressRules,
    /// The models' providers.
    pub models: ModelsConfig,
    /// Agents of other vendors.
    pub agents: AgentsConfig,
    /// Where traces go, if anywhere.
    pub otlp_endpoint: Option<Url>,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// The GitHub App's credentials.
#[derive(Debug, Clone)]
pub struct AppConfig {
    /// The App's id.
    pub id: u64,
    /// Its private key as it was given: PEM, perhaps with escaped line ends or in base64.
    pub private_key: SecretString,
    /// What deliveries are signed with.
    pub webhook_secret: SecretString,
}

/// GitHub's addresses, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHubConfig {
    /// Base of the REST API, such as `https://api.github.com` or `https://host/api/v3`.
    pub api_url: String,
    /// Base of the pages and of git, such as `https://github.com`.
    pub server_url: String,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// A name or an address.
    pub host: String,
    /// The port; 0 takes any that is free.
    pub port: u16,
}

impl fmt::Display for Listen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An IPv6 address needs brackets before a port.
        if self.host.contains(':') && !self.host.starts_with('[') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

/// Whether agents and gates may run commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// Only inside a sandbox, the first that holds; where there is none, they run nothing.
    Auto,
    /// Only inside one that bubblewrap makes.
    Bubblewrap,
    /// Only as users of their own.
    UserSlot,
    /// Also without one: the operator said that this is accepted.
    NoneAccepted,
}

/// The models' providers; one without a key is not used.
#[derive(Debug, Clone, Default)]
pub struct ModelsConfig {
    /// Anthropic.
    pub anthropic: Option<ProviderConfig>,
    /// `OpenAI`, or a server that speaks its protocol.
    pub openai: Option<ProviderConfig>,
    /// Google's Gemini API, which only agents of a vendor's speak.
    pub gemini: Option<ProviderConfig>,
    /// Prices that replace or add to those that ship with the program.
    pub price_file: Option<PathBuf>,
}

/// How to reach a provider.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// The key.
    pub api_key: SecretString,
    /// Base of the API, without a slash at the end.
    pub base_url: String,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// A level, or directives such as `info,pairbot::engine=debug`.
    pub level: String,
    /// How a line is written.
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people where a terminal reads, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl Config {
    /// Reads all settings.
    pub fn load(source: &Source) -> Result<Self, ConfigError> {
        let mut problems = Problems::of(source);
        let app = app(source, &mut problems);
        let github = github(source, &mut problems);
        let port = parsed(source, &mut problems, "PORT", "3000", "a port from 0 to 65535");
        let drain = drain(source, &mut problems);
        let storage = StorageConfig::read(source, &mut problems);
        let budgets = budgets::read(source, &mut problems);
        let sandbox = sandbox(source, &mut problems);
        let sandbox_uids = sandbox_uids(source, &mut problems);
        let sandbox_read_only = sandbox_read_only(source, &mut problems);
        let egress = egress(source, &mut problems);
        let models = ModelsConfig::read(source, &mut problems);
        let agents = AgentsConfig::read(source, &mut problems);
        let otlp_endpoint = source
            .get("OTEL_EXPORTER_OTLP_ENDPOINT")
            .and_then(|text| url(&text, "OTEL_EXPORTER_OTLP_ENDPOINT", source, &mut problems));
        let log = log(source, &mut problems);
        let host = source.get("HOST").unwrap_or_else(|| "127.0.0.1".to_owned());
        let read = (app, github, port, drain, storage, budgets, sandbox.zip(sandbox_read_only), log);
        let (
            Some(app),
            Some(github),
            Some(port),
            Some(drain),
            Some(storage),
            Some(budgets),
            Some((sandbox, sandbox_read_only)),
            Some(log),
        ) = read
        else {
            return Err(problems.into());
        };
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let listen = Listen { host, port };
        Ok(Self {
            app,
            github,
            listen,
            drain,
            storage,
            budgets,
            sandbox,
            sandbox_uids,
            sandbox_read_only,
            egress,
            models,
            agents,
            otlp_endpoint,
            log,
        })
    }

    /// The secrets among the settings, which must never be written anywhere.
    pub fn secrets(&self) -> Vec<SecretString> {
        let keys = [&self.models.anthropic, &self.models.openai, &self.models.gemini];
        let keys = keys.into_iter().flatten().map(|provider| provider.api_key.clone());
        [self.app.private_key.clone(), self.app.webhook_secret.clone()].into_iter().chain(keys).collect()
    }
}

/// Reads only what a command needs that looks at the store.
impl StorageConfig {
    /// Reads where state lives.
    pub fn load(source: &Source) -> Result<Self, ConfigError> {
        let mut problems = Problems::of(source);
        Self::read(source, &mut problems).filter(|_| problems.is_empty()).ok_or_else(|| problems.into())
    }
}

/// Reads only who plays the models, as the demo does.
impl ModelsConfig {
    /// Reads the providers.
    pub fn load(source: &Source) -> Result<Self, ConfigError> {
        let mut problems = Problems::of(source);
        let models = Self::read(source, &mut problems);
        if problems.is_empty() { Ok(models) } else { Err(problems.into()) }
    }

    fn read(source: &Source, problems: &mut Problems) -> Self {
        let anthropic = ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"];
        let openai = ["OPENAI_API_KEY", "OPENAI_BASE_URL"];
        let gemini = ["GEMINI_API_KEY", "GEMINI_BASE_URL"];
        Self {
            anthropic: provider(source, problems, anthropic, "https://api.anthropic.com"),
            openai: provider(source, problems, openai, "https://api.openai.com/v1"),
            gemini: provider(source, problems, gemini, "https://generativelanguage.googleapis.com"),
            price_file: source.get("PAIRBOT_PRICE_FILE").map(PathBuf::from),
        }
    }
}

fn app(source: &Source, problems: &mut Problems) -> Option<AppConfig> {
    let id = match source.get("APP_ID").map(|text| text.parse::<u64>()) {
        Some(Ok(id)) if id > 0 => Some(id),
        Some(_) => {
            problems.add(source, "APP_ID", "is not a number; take `App ID` from the App's settings page")
        }
        None => problems.missing("APP_ID", "the number `App ID` on the App's settings page"),
    };
    let private_key = private_key(source, problems);
    let webhook_secret = match source.get("WEBHOOK_SECRET") {
        Some(secret) if secret.trim() != secret => {
            problems.add(source, "WEBHOOK_SECRET", "begins or ends with white space; remove it")
        }
        Some(secret) => Some(SecretString::from(secret)),
        None => problems.missing("WEBHOOK_SECRET", "the webhook secret of the App's settings page"),
    };
    Some(AppConfig { id: id?, private_key: private_key?, webhook_secret: webhook_secret? })
}

fn private_key(source: &Source, problems: &mut Problems) -> Option<SecretString> {
    match (source.get("PRIVATE_KEY"), source.get("PRIVATE_KEY_PATH")) {
        (Some(_), Some(_)) => {
            problems.add(source, "PRIVATE_KEY", "and PRIVATE_KEY_PATH are both set; unset one")
        }
        (Some(key), None) => Some(SecretString::from(key)),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(key) if !key.trim().is_empty() => Some(SecretString::from(key)),
            Ok(_) => problems.add(source, "PRIVATE_KEY_PATH", &format!("names the empty file `{path}`")),
            Err(error) => problems.add(
                source,
                "PRIVATE_KEY_PATH",
                &format!("names `{path}`, which cannot be read: {error}"),
            ),
        },
        (None, None) => problems.missing(
            "PRIVATE_KEY or PRIVATE_KEY_PATH",
            "the private key generated on the App's settings page",
        ),
    }
}

fn github(source: &Source, problems: &mut Problems) -> Option<GitHubConfig> {
    let given = source.get("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".to_owned());
    let api_url = url(&given, "GITHUB_API_URL", source, problems)?;
    let server_url = match source.get("GITHUB_SERVER_URL") {
        Some(text) => url(&text, "GITHUB_SERVER_URL", source, problems)?,
        None => match server_url_of(&api_url) {
            Some(server_url) => server_url,
            None => problems
                .missing("GITHUB_SERVER_URL", "the base of git URLs, which GITHUB_API_URL does not tell")?,
        },
    };
    Some(GitHubConfig { api_url: without_slash(&api_url), server_url: without_slash(&server_url) })
}

/// Longer than an hour nobody waits, and a number that long is a mistake.
const DRAIN_SECONDS_MAX: u32 = 3_600;

fn drain(source: &Source, problems: &mut Problems) -> Option<Duration> {
    const NAME: &str = "PAIRBOT_DRAIN_SECONDS";
    const EXPECTED: &str = "a number of seconds from 0 to 3600";
    let seconds: u32 = parsed(source, problems, NAME, "20", EXPECTED)?;
    if seconds > DRAIN_SECONDS_MAX {
        return problems.add(source, NAME, &format!("is not {EXPECTED}"));
    }
    Some(Duration::from_secs(u64::from(seconds)))
}

fn sandbox(source: &Source, problems: &mut Problems) -> Option<Sandbox> {
    match source.get("PAIRBOT_SANDBOX").as_deref() {
        None | Some("auto") => Some(Sandbox::Auto),
        Some("bubblewrap") => Some(Sandbox::Bubblewrap),
        Some("user-slot") => Some(Sandbox::UserSlot),
        Some("none-i-accept") => Some(Sandbox::NoneAccepted),
        Some(_) => problems.add(
            source,
            "PAIRBOT_SANDBOX",
            "is none of `auto`, `bubblewrap`, `user-slot` and `none-i-accept`",
        ),
    }
}

fn sandbox_uids(source: &Source, problems: &mut Problems) -> SlotUids {
    const NAME: &str = "PAIRBOT_SANDBOX_UIDS";
    let Some(text) = source.get(NAME) else { return SlotUids::default() };
    let uids = text.parse();
    uids.unwrap_or_else(|error: MalformedUids| {
        problems.add(source, NAME, &error.to_string()).unwrap_or_default()
    })
}

fn sandbox_read_only(source: &Source, problems: &mut Problems) -> Option<Vec<PathBuf>> {
    const NAME: &str = "PAIRBOT_SANDBOX_READ_ONLY";
    let text = source.get(NAME).unwrap_or_default();
    let paths: Vec<PathBuf> =
        std::env::split_paths(&text).filter(|path| !path.as_os_str().is_empty()).collect();
    // The root itself would show everything.
    if paths.iter().any(|path| !path.is_absolute() || path.parent().is_none()) {
        return problems.add(source, NAME, "is not a list of absolute paths with `:` between them");
    }
    Some(paths)
}

fn egress(source: &Source, problems: &mut Problems) -> EgressRules {
    const NAME: &str = "PAIRBOT_EGRESS";
    let rules = source.get(NAME).unwrap_or_default().parse();
    rules.unwrap_or_else(|error: MalformedRule| {
        problems.add(source, NAME, &format!("holds something that is no host: {error}")).unwrap_or_default()
    })
}

fn provider(
    source: &Source,
    problems: &mut Problems,
    [key_name, url_name]: [&str; 2],
    default: &str,
) -> Option<ProviderConfig> {
    // The address is checked even where there is no key: a mistake in it should not wait for one.
    let base_url =
        url(&source.get(url_name).unwrap_or_else(|| default.to_owned()), url_name, source, problems)?;
    let api_key = SecretString::from(source.get(key_name)?);
    if api_key.expose_secret().contains(char::is_whitespace) {
        return problems.add(source, key_name, "contains white space; remove it");
    }
    Some(ProviderConfig { api_key, base_url: without_slash(&base_url) })
}

fn log(source: &Source, problems: &mut Problems) -> Option<LogConfig> {
    let level = source.get("LOG_LEVEL").unwrap_or_else(|| "info".to_owned());
    let level = if tracing_subscriber::EnvFilter::builder().parse(&level).is_ok() {
        Some(level)
    } else {
        problems.add(
            source,
            "LOG_LEVEL",
            "is not one of `error`, `warn`, `info`, `debug`, `trace` or a list of directives",
        )
    };
    let format = match source.get("LOG_FORMAT").as_deref() {
        None | Some("auto") => Some(LogFormat::Auto),
        Some("json") => Some(LogFormat::Json),
        Some("pretty") => Some(LogFormat::Pretty),
        Some(_) => problems.add(source, "LOG_FORMAT", "is none of `auto`, `json`, `pretty`"),
    };
    Some(LogConfig { level: level?, format: format? })
}

fn parsed<T: std::str::FromStr>(
    source: &Source,
    problems: &mut Problems,
    name: &'static str,
    default: &str,
    expected: &str,
) -> Option<T> {
    let text = source.get(name).unwrap_or_else(|| default.to_owned());
    text.parse().ok().or_else(|| problems.add(source, name, &format!("is not {expected}")))
}

fn without_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// The settings file that is read if it is there.
pub fn default_file() -> &'static Path {
    Path::new("pairbot.toml")
}

#[cfg(test)]
mod tests;
