//! Where settings come from.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::problem::Problem;

/// The names of all settings in the environment. In the file each is written in lower case and without `pairbot_`.
pub const NAMES: [&str; 32] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "APP_ID",
    "DATABASE_URL",
    "GEMINI_API_KEY",
    "GEMINI_BASE_URL",
    "GITHUB_API_URL",
    "GITHUB_SERVER_URL",
    "HOST",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PAIRBOT_AGENTS",
    "PAIRBOT_BUS",
    "PAIRBOT_DATA_DIR",
    "PAIRBOT_DRAIN_SECONDS",
    "PAIRBOT_EGRESS",
    "PAIRBOT_INSTALLATION_MONTH_TOKENS",
    "PAIRBOT_INSTALLATION_MONTH_USD",
    "PAIRBOT_PRICE_FILE",
    "PAIRBOT_REPOSITORY_DAY_TOKENS",
    "PAIRBOT_REPOSITORY_DAY_USD",
    "PAIRBOT_RETENTION_DAYS",
    "PAIRBOT_SANDBOX",
    "PAIRBOT_SANDBOX_READ_ONLY",
    "PAIRBOT_SANDBOX_UIDS",
    "PORT",
    "PRIVATE_KEY",
    "PRIVATE_KEY_PATH",
    "WEBHOOK_SECRET",
];

/// The key of the file under which agents have their tables.
const AGENTS: &str = "agents";

/// The settings as they were written, from the environment and the file.
pub struct Source {
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    agents: BTreeMap<String, toml::Table>,
    path: PathBuf,
    problems: Vec<Problem>,
}

impl fmt::Debug for Source {
    /// Names only: some values are secrets.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
        out.debug_struct("Source")
            .field("environment", &names(&self.environment))
            .field("file", &names(&self.file))
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Reads the process's environment and the file at `path`, if there is one. What is wrong with the file is told
    /// together with everything else, when settings are taken from here.
    pub fn of_process(path: &Path) -> Self {
        // A value that is not UTF-8 becomes one that does not fit, and is reported under its name.
        let environment = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
        let source = Self::of_environment(environment);
        match std::fs::read_to_string(path) {
            Ok(text) => source.with_file(path, &text),
            Err(error) if error.kind() == ErrorKind::NotFound => source,
            Err(error) => {
                let mut source = source;
                path.clone_into(&mut source.path);
                source.complain(&path.display().to_string(), format!("cannot be read: {error}"));
                source
            }
        }
    }

    /// Takes these pairs as the environment.
    pub fn of_environment(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let known = pairs.into_iter().filter(|(name, _)| NAMES.contains(&name.as_str()));
        Self {
            environment: known.collect(),
            file: BTreeMap::new(),
            agents: BTreeMap::new(),
            path: PathBuf::new(),
            problems: Vec::new(),
        }
    }

    /// Adds the text of a settings file.
    #[must_use]
    pub fn with_file(mut self, path: &Path, text: &str) -> Self {
        path.clone_into(&mut self.path);
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                // The message without the quoted line, which may hold a secret.
                let line = error
                    .span()
                    .map_or(1, |span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
                self.complain(&format!("line {line}"), format!("is not valid TOML: {}", error.message()));
                return self;
            }
        };
        for (key, value) in table {
            // `agents` is a list of names, or a table for each.
            let value = match (value, key == AGENTS) {
                (toml::Value::Table(table), true) => {
                    self.take_agents(table);
                    continue;
                }
                (value, _) => value,
            };
            let name = NAMES.into_iter().find(|name| file_key(name) == key);
            let text = match value {
                toml::Value::String(text) => Some(text),
                toml::Value::Integer(number) => Some(number.to_string()),
                toml::Value::Float(_)
                | toml::Value::Boolean(_)
                | toml::Value::Datetime(_)
                | toml::Value::Array(_)
                | toml::Value::Table(_) => None,
            };
            match (name, text) {
                (Some(name), Some(text)) => {
                    self.file.insert(name.to_owned(), text);
                }
                (Some(_), None) => self.complain(&key, "must be a string or a number".to_owned()),
                (None, _) => self.complain(&key, unknown(&key)),
            }
        }
        self
    }

    fn take_agents(&mut self, tables: toml::Table) {
        for (name, value) in tables {
            match value {
                toml::Value::Table(table) => {
                    self.agents.insert(name, table);
                }
                toml::Value::String(_)
                | toml::Value::Integer(_)
                | toml::Value::Float(_)
                | toml::Value::Boolean(_)
                | toml::Value::Datetime(_)
                | toml::Value::Array(_) => {
                    self.complain(&format!("agents.{name}"), "must be a table, `[agents.NAME]`".to_owned());
                }
            }
        }
    }

    /// The tables of agents in the file.
    pub(super) const fn agents(&self) -> &BTreeMap<String, toml::Table> {
        &self.agents
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The value of a setting; one that is empty counts as not set, as deployment tools cannot unset a variable.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let set = |map: &BTreeMap<String, String>| map.get(name).filter(|value| !value.is_empty()).cloned();
        set(&self.environment).or_else(|| set(&self.file))
    }

    /// Where a setting's value was found, in words.
    pub(super) fn place_of(&self, name: &str) -> Option<String> {
        if self.environment.get(name).is_some_and(|value| !value.is_empty()) {
            Some(format!("environment variable {name}"))
        } else if self.file.contains_key(name) {
            Some(format!("`{}` in {}", file_key(name), self.path.display()))
        } else {
            None
        }
    }

    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn complain(&mut self, name: &str, message: String) {
        let place = Some(self.path.display().to_string());
        self.problems.push(Problem { name: name.to_owned(), place, message });
    }
}

fn file_key(name: &str) -> String {
    name.strip_prefix("PAIRBOT_").unwrap_or(name).to_lowercase()
}

fn unknown(key: &str) -> String {
    let likeness = |name: &&str| common_prefix(&file_key(name), &key.to_lowercase());
    let nearest = NAMES.iter().max_by_key(|name| likeness(name)).filter(|name| likeness(name) >= 3);
    if let Some(name) = nearest {
        return format!("is not a setting; is `{}` meant?", file_key(name));
    }
    let known: Vec<String> = NAMES.iter().map(|name| file_key(name)).collect();
    format!("is not a setting; there are {}", known.join(", "))
}

fn common_prefix(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
}
