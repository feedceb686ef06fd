//! Which agents of other vendors are allowed: by a short list, and by tables of the settings file for those that no preset
//! knows.

use std::collections::BTreeMap;

use pairbot_protocol::ids::AgentName;

use super::problem::Problems;
use super::source::Source;
use crate::agents::presets::{self, Preset};
use crate::agents::roster::BUILTIN;
use crate::agents::vendor::{AgentSpec, Manner};
use crate::gateway::ProviderKind;

/// The setting of the short list; the tables stand under `agents` in the file.
const NAME: &str = "PAIRBOT_AGENTS";

/// The agents that the operator allows beside the builtin one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentsConfig {
    /// By name, each once.
    pub allowed: Vec<AgentSpec>,
}

impl AgentsConfig {
    pub(super) fn read(source: &Source, problems: &mut Problems) -> Self {
        let mut allowed: BTreeMap<AgentName, AgentSpec> = BTreeMap::new();
        let list = source.get(NAME).unwrap_or_default();
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match listed(entry) {
                Ok(spec) => {
                    allowed.insert(spec.name.clone(), spec);
                }
                Err(wrong) => {
                    let _nothing: Option<()> =
                        problems.add(source, NAME, &format!("has the entry `{entry}`: {wrong}"));
                }
            }
        }
        for (key, table) in source.agents() {
            match tabled(key, table) {
                Ok(spec) => {
                    allowed.insert(spec.name.clone(), spec);
                }
                Err(wrong) => problems.add_in_file(source, &format!("agents.{key}"), &wrong),
            }
        }
        Self { allowed: allowed.into_values().collect() }
    }
}

fn name(text: &str) -> Result<AgentName, String> {
    if text == BUILTIN {
        return Err("the builtin agent is always allowed; leave it out".to_owned());
    }
    text.parse().map_err(|error: pairbot_protocol::ids::MalformedId| error.to_string())
}

fn manner(text: &str) -> Result<Manner, String> {
    match text {
        "acp" => Ok(Manner::Acp),
        "command" => Ok(Manner::Command),
        _ => Err(format!("`{text}` is neither `acp` nor `command`")),
    }
}

fn preset(agent: &str, manner: Option<Manner>, program: Option<&str>) -> Result<&'static Preset, String> {
    presets::pick(agent, manner, program)
        .ok_or_else(|| format!("there is no preset `{agent}`; there are {}", presets::names().join(", ")))
}

/// `claude`, `codex:acp`, `codex=/opt/codex/bin/codex-acp`.
fn listed(entry: &str) -> Result<AgentSpec, String> {
    let (who, program) = match entry.split_once('=') {
        Some((who, program)) => (who.trim(), Some(program.trim())),
        None => (entry, None),
    };
    let (agent, kind) = match who.split_once(':') {
        Some((agent, kind)) => (agent, Some(manner(kind)?)),
        None => (who, None),
    };
    let preset = preset(agent, kind, program)?;
    if program.is_some_and(str::is_empty) {
        return Err("nothing stands behind `=`; name the program, or leave `=` out".to_owned());
    }
    Ok(preset.spec(name(agent)?, program.map(str::to_owned)))
}

/// What a table may hold.
const KEYS: [&str; 9] =
    ["command", "environment", "files", "kind", "options", "preset", "provider", "read_only", "stdin"];

/// An agent as a table of the file says it: a preset with something changed, or one of the operator's own.
fn tabled(key: &str, table: &toml::Table) -> Result<AgentSpec, String> {
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("has the unknown key `{unknown}`; there are {}", KEYS.join(", ")));
    }
    let kind = text(table, "kind")?.map(manner).transpose()?;
    let command = texts(table, "command")?;
    let program = command.as_ref().and_then(|words| words.first()).map(String::as_str);
    let mut spec = match text(table, "preset")? {
        Some(agent) => {
            let mut spec = preset(agent, kind, program)?.spec(name(key)?, program.map(str::to_owned));
            // A program alone keeps the preset's arguments; whoever gives some gives all.
            if let Some([_, arguments @ ..]) = command.as_deref().filter(|words| words.len() > 1) {
                spec.arguments = arguments.to_vec();
                // Nor is it told its prompt twice.
                spec.stdin.take_if(|_| arguments.iter().any(|argument| argument.contains("{prompt")));
            }
            spec
        }
        // A table under a preset's own name changes that preset.
        None if command.is_none() && presets::of(key).next().is_some() => {
            preset(key, kind, None)?.spec(name(key)?, None)
        }
        None => own(key, kind, command)?,
    };
    match text(table, "provider")? {
        Some("anthropic") => spec.provider = ProviderKind::Anthropic,
        Some("openai") => spec.provider = ProviderKind::OpenAi,
        Some("gemini") => spec.provider = ProviderKind::Gemini,
        Some(other) => return Err(format!("`{other}` is none of `anthropic`, `openai`, `gemini`")),
        None => {}
    }
    if let Some(stdin) = text(table, "stdin")? {
        spec.stdin = Some(stdin.to_owned());
    }
    if spec.manner == Manner::Acp && spec.stdin.is_some() {
        return Err(
            "`stdin` is for the kind `command`; over `acp` standard input is the protocol's".to_owned()
        );
    }
    spec.environment.extend(pairs(table, "environment")?);
    spec.files.extend(pairs(table, "files")?);
    spec.options.extend(pairs(table, "options")?);
    if let Some(path) =
        spec.files.keys().find(|path| path.starts_with('/') || path.split('/').any(|part| part == ".."))
    {
        return Err(format!("the file `{path}` is not below the agent's home"));
    }
    for path in texts(table, "read_only")?.unwrap_or_default() {
        if !path.starts_with('/') {
            return Err(format!("`read_only` names `{path}`, which is no full path"));
        }
        spec.read_only.push(path.into());
    }
    Ok(spec)
}

fn own(key: &str, kind: Option<Manner>, command: Option<Vec<String>>) -> Result<AgentSpec, String> {
    let manner = kind.ok_or("needs `kind`, `acp` or `command`; or a `preset`")?;
    let mut words = command.unwrap_or_default().into_iter();
    let program = words.next().ok_or("needs `command`: the program and its arguments, or a `preset`")?;
    Ok(AgentSpec {
        name: name(key)?,
        manner,
        provider: ProviderKind::Anthropic,
        program,
        arguments: words.collect(),
        stdin: None,
        environment: BTreeMap::new(),
        files: BTreeMap::new(),
        options: BTreeMap::new(),
        meta: None,
        read_only: Vec::new(),
    })
}

fn text<'a>(table: &'a toml::Table, key: &str) -> Result<Option<&'a str>, String> {
    match table.get(key) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| format!("`{key}` is not a string")),
    }
}

fn texts(table: &toml::Table, key: &str) -> Result<Option<Vec<String>>, String> {
    let Some(value) = table.get(key) else { return Ok(None) };
    let words = value.as_array().and_then(|items| {
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
    });
    words.map(Some).ok_or_else(|| format!("`{key}` is not a list of strings"))
}

fn pairs(table: &toml::Table, key: &str) -> Result<BTreeMap<String, String>, String> {
    let Some(value) = table.get(key) else { return Ok(BTreeMap::new()) };
    let pairs = value.as_table().and_then(|table| {
        let pair = |(key, value): (&String, &toml::Value)| Some((key.clone(), value.as_str()?.to_owned()));
        table.iter().map(pair).collect::<Option<BTreeMap<_, _>>>()
    });
    pairs.ok_or_else(|| format!("`{key}` is not a table of strings"))
}
