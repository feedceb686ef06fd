//! Agents of other vendors, as measured: with which command line, environment and files each works headless or by the
//! Agent Client Protocol, calls its models through the gateway, and takes the task's tools.
//!
//! These programs change every month. Each row says which version it was measured with; what a newer one needs besides
//! an operator can say under `[agents.NAME]` in `pairbot.toml` until the row is mended.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pairbot_protocol::ids::AgentName;

use super::vendor::{AgentSpec, Manner};
use crate::gateway::ProviderKind;

/// One way to run one agent.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// What policies call it.
    pub agent: &'static str,
    /// How it is talked with.
    pub manner: Manner,
    /// What it was measured with.
    pub measured: &'static str,
    /// Its program.
    pub program: &'static str,
    provider: ProviderKind,
    arguments: &'static [&'static str],
    stdin: Option<&'static str>,
    environment: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
    options: &'static [(&'static str, &'static str)],
    meta: Option<&'static str>,
}

/// Nothing of a repository's own settings: they could redirect the calls and run what they like.
const CLAUDE_META: &str = r#"{"claudeCode":{"options":{"settingSources":["user"]}}}"#;

const CLAUDE_ENVIRONMENT: &[(&str, &str)] = &[
    ("ANTHROPIC_BASE_URL", "{gateway}"),
    ("ANTHROPIC_API_KEY", "{token}"),
    // Every call it makes, also for titles and summaries, goes to the one model that is allowed.
    ("ANTHROPIC_MODEL", "{model}"),
    ("ANTHROPIC_SMALL_FAST_MODEL", "{model}"),
    ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "{model}"),
    ("ANTHROPIC_DEFAULT_SONNET_MODEL", "{model}"),
    ("ANTHROPIC_DEFAULT_OPUS_MODEL", "{model}"),
    ("CLAUDE_CODE_SUBAGENT_MODEL", "{model}"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    // Else it goes on for three minutes after an error that does not pass.
    ("CLAUDE_CODE_MAX_RETRIES", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    // Else the task's tools are not shown to its model, which must search for them first.
    ("ENABLE_TOOL_SEARCH", "false"),
    // Without it the mode that asks nothing is refused to root.
    ("IS_SANDBOX", "1"),
];

const CODEX_ENVIRONMENT: &[(&str, &str)] = &[
    ("CODEX_HOME", "{home}/.codex"),
    ("PAIRBOT_GATEWAY_KEY", "{token}"),
    ("INITIAL_AGENT_MODE", "agent-full-access"),
];

/// Without searching the web: that is a tool which the provider runs, and the gateway lets none through.
const CODEX_GATEWAY: &str = r#"model = "{model}"
model_provider = "pairbot"
web_search = "disabled"
[model_providers.pairbot]
name = "pairbot"
base_url = "{gateway}/v1"
env_key = "PAIRBOT_GATEWAY_KEY"
wire_api = "responses"
"#;

const CODEX_GATEWAY_AND_TOOLS: &str = r#"model = "{model}"
model_provider = "pairbot"
web_search = "disabled"
[model_providers.pairbot]
name = "pairbot"
base_url = "{gateway}/v1"
env_key = "PAIRBOT_GATEWAY_KEY"
wire_api = "responses"
[mcp_servers.pairbot]
command = "{pairbot}"
args = ["mcp", "--socket", "{task_socket}"]
"#;

/// By Anthropic's protocol: by that of Chat Completions it sends a limit that newer models refuse. The small model is named, or its calls for titles go elsewhere.
const OPENCODE_GATEWAY: &str = r#"{"autoupdate":false,"share":"disabled","model":"pairbot/{model}","small_model":"pairbot/{model}","provider":{"pairbot":{"npm":"@ai-sdk/anthropic","options":{"baseURL":"{gateway}/v1","apiKey":"{token}"},"models":{"{model}":{"limit":{"context":200000,"output":8000}}}}}}"#;

const OPENCODE_GATEWAY_AND_TOOLS: &str = r#"{"autoupdate":false,"share":"disabled","model":"pairbot/{model}","small_model":"pairbot/{model}","provider":{"pairbot":{"npm":"@ai-sdk/anthropic","options":{"baseURL":"{gateway}/v1","apiKey":"{token}"},"models":{"{model}":{"limit":{"context":200000,"output":8000}}}}},"mcp":{"pairbot":{"type":"local","command":["{pairbot}","mcp","--socket","{task_socket}"],"enabled":true}}}"#;

const GEMINI_ENVIRONMENT: &[(&str, &str)] =
    &[("GEMINI_API_KEY", "{token}"), ("GOOGLE_GEMINI_BASE_URL", "{gateway}"), ("GEMINI_MODEL", "{model}")];

/// Whatever it asks a model for by the way goes to the one that is allowed; by itself it takes a smaller one for some of
/// it. Without what the provider would fetch or search, which the gateway does not let through.
const GEMINI_SETTINGS: &str = r#"{"security":{"auth":{"selectedType":"gemini-api-key"}},"privacy":{"usageStatisticsEnabled":false},"tools":{"exclude":["google_web_search","web_fetch"]},"modelConfigs":{"customOverrides":[{"match":{"overrideScope":"core"},"modelConfig":{"model":"{model}"}}]}}"#;

const GEMINI_SETTINGS_AND_TOOLS: &str = r#"{"security":{"auth":{"selectedType":"gemini-api-key"}},"privacy":{"usageStatisticsEnabled":false},"tools":{"exclude":["google_web_search","web_fetch"]},"modelConfigs":{"customOverrides":[{"match":{"overrideScope":"core"},"modelConfig":{"model":"{model}"}}]},"mcpServers":{"pairbot":{"command":"{pairbot}","args":["mcp","--socket","{task_socket}"],"trust":true}}}"#;

/// A provider of our own making: with the one that it brings, titles and summaries are asked of a smaller model.
const GOOSE_FILES: &[(&str, &str)] = &[(
    ".config/goose/custom_providers/pairbot.json",
    r#"{"name":"pairbot","engine":"anthropic","display_name":"Pairbot","description":"The gateway","api_key_env":"ANTHROPIC_API_KEY","base_url":"{gateway}","models":[{"name":"{model}","context_limit":200000}],"fast_model":"{model}","supports_streaming":true,"requires_auth":true}"#,
)];

const GOOSE_ENVIRONMENT: &[(&str, &str)] = &[
    ("GOOSE_PROVIDER", "pairbot"),
    ("GOOSE_MODEL", "{model}"),
    ("ANTHROPIC_API_KEY", "{token}"),
    ("GOOSE_DISABLE_KEYRING", "1"),
    ("GOOSE_MODE", "auto"),
    // Calls that nobody here reads the answers of.
    ("GOOSE_DISABLE_SESSION_NAMING", "true"),
    ("GOOSE_DISABLE_TOOL_CALL_SUMMARY", "true"),
    ("GOOSE_TELEMETRY_OFF", "1"),
];

/// The table. Of an agent's rows the first is meant where nothing says otherwise.
pub const PRESETS: &[Preset] = &[
    Preset {
        agent: "claude",
        manner: Manner::Command,
        measured: "claude-code 2.1.332",
        program: "claude",
        provider: ProviderKind::Anthropic,
        arguments: &[
            "-p",
            "{prompt}",
            "--output-format",
            "json",
            "--model",
            "{model}",
            "--dangerously-skip-permissions",
            "--setting-sources",
            "user",
            "--strict-mcp-config",
            "--mcp-config",
            r#"{"mcpServers":{"pairbot":{"command":"{pairbot}","args":["mcp","--socket","{task_socket}"]}}}"#,
        ],
        stdin: None,
        environment: CLAUDE_ENVIRONMENT,
        files: &[],
        options: &[],
        meta: None,
    },
    Preset {
        agent: "claude",
        manner: Manner::Acp,
        measured: "claude-agent-acp 0.101",
        program: "claude-agent-acp",
        provider: ProviderKind::Anthropic,
        arguments: &[],
        stdin: None,
        environment: CLAUDE_ENVIRONMENT,
        files: &[],
        options: &[("mode", "bypassPermissions")],
        meta: Some(CLAUDE_META),
    },
    Preset {
        agent: "codex",
        manner: Manner::Command,
        measured: "codex 0.171.0",
        program: "codex",
        provider: ProviderKind::OpenAi,
        arguments: &[
            "exec",
            "--json",
            "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox",
            "{prompt}",
        ],
        stdin: None,
        environment: CODEX_ENVIRONMENT,
        files: &[(".codex/config.toml", CODEX_GATEWAY_AND_TOOLS)],
        options: &[],
        meta: None,
    },
    Preset {
        agent: "codex",
        manner: Manner::Acp,
        measured: "codex-acp 2.6 (@agentclientprotocol)",
        program: "codex-acp",
        provider: ProviderKind::OpenAi,
        arguments: &[],
        stdin: None,
        environment: CODEX_ENVIRONMENT,
        files: &[(".codex/config.toml", CODEX_GATEWAY)],
        options: &[("mode", "agent-full-access")],
        meta: None,
    },
    Preset {
        agent: "opencode",
        manner: Manner::Command,
        measured: "opencode 1.18.33",
        program: "opencode",
        provider: ProviderKind::Anthropic,
        arguments: &["run", "--format", "json"],
        // An argument with a space in it reaches the model in quotes, and with every quote in it escaped.
        stdin: Some("{prompt}"),
        environment: &[
            ("OPENCODE_CONFIG_CONTENT", OPENCODE_GATEWAY_AND_TOOLS),
            ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
            ("OPENCODE_DISABLE_PROJECT_CONFIG", "1"),
        ],
        files: &[],
        options: &[],
        meta: None,
    },
    Preset {
        agent: "opencode",
        manner: Manner::Acp,
        measured: "opencode 1.18.33",
        program: "opencode",
        provider: ProviderKind::Anthropic,
        arguments: &["acp"],
        stdin: None,
        environment: &[
            ("OPENCODE_CONFIG_CONTENT", OPENCODE_GATEWAY),
            ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
            ("OPENCODE_DISABLE_PROJECT_CONFIG", "1"),
        ],
        files: &[],
        options: &[],
        meta: None,
    },
    Preset {
        agent: "gemini",
        manner: Manner::Command,
        measured: "gemini-cli 0.61.0",
        program: "gemini",
        provider: ProviderKind::Gemini,
        arguments: &["--skip-trust", "-y", "-o", "json", "-p", "{prompt}"],
        stdin: None,
        environment: GEMINI_ENVIRONMENT,
        files: &[(".gemini/settings.json", GEMINI_SETTINGS_AND_TOOLS)],
        options: &[],
        meta: None,
    },
    Preset {
        agent: "gemini",
        manner: Manner::Acp,
        measured: "gemini-cli 0.61.0",
        program: "gemini",
        provider: ProviderKind::Gemini,
        arguments: &["--acp", "--skip-trust"],
        stdin: None,
        environment: GEMINI_ENVIRONMENT,
        files: &[(".gemini/settings.json", GEMINI_SETTINGS)],
        options: &[("mode", "yolo")],
        meta: None,
    },
    Preset {
        agent: "goose",
        manner: Manner::Command,
        measured: "goose 1.34.0",
        program: "goose",
        provider: ProviderKind::Anthropic,
        arguments: &[
            "run",
            "--no-session",
            "--with-builtin",
            "developer",
            "--with-extension",
            "{pairbot} mcp --socket {task_socket}",
            "--output-format",
            "stream-json",
            "-t",
            "{prompt}",
        ],
        stdin: None,
        environment: GOOSE_ENVIRONMENT,
        files: GOOSE_FILES,
        options: &[],
        meta: None,
    },
    Preset {
        agent: "goose",
        manner: Manner::Acp,
        measured: "goose 1.34.0",
        program: "goose",
        provider: ProviderKind::Anthropic,
        arguments: &["acp", "--with-builtin", "developer"],
        stdin: None,
        environment: GOOSE_ENVIRONMENT,
        files: GOOSE_FILES,
        options: &[],
        meta: None,
    },
];

/// The rows of an agent.
pub fn of(agent: &str) -> impl Iterator<Item = &'static Preset> {
    PRESETS.iter().filter(move |preset| preset.agent == agent)
}

/// The row that is meant: the one that is talked with in this manner, else the one whose program has this name, else the
/// agent's first.
pub fn pick(agent: &str, manner: Option<Manner>, program: Option<&str>) -> Option<&'static Preset> {
    let program = program.map(|program| program.rsplit('/').next().unwrap_or(program));
    match manner {
        Some(manner) => of(agent).find(|preset| preset.manner == manner),
        None => of(agent).find(|preset| Some(preset.program) == program).or_else(|| of(agent).next()),
    }
}

/// The names of all agents in the table.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = PRESETS.iter().map(|preset| preset.agent).collect();
    names.dedup();
    names
}

impl Preset {
    /// The agent as an operator allows it, under a name and with a program of the operator's own if there is one.
    pub fn spec(&self, name: AgentName, program: Option<String>) -> AgentSpec {
        let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        AgentSpec {
            name,
            manner: self.manner,
            provider: self.provider,
            program: program.unwrap_or_else(|| self.program.to_owned()),
            arguments: self.arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            stdin: self.stdin.map(str::to_owned),
            environment: owned(self.environment),
            files: owned(self.files),
            options: owned(self.options),
            meta: self.meta.map(str::to_owned),
            read_only: Vec::<PathBuf>::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_an_adapter_means_the_protocol_that_it_adapts_to() {
        let manner = |agent, manner, program| pick(agent, manner, program).unwrap().manner;
        assert_eq!(manner("codex", None, Some("/opt/codex/bin/codex-acp")), Manner::Acp);
        assert_eq!(manner("codex", None, Some("/opt/codex/bin/codex")), Manner::Command);
        assert_eq!(manner("claude", None, None), Manner::Command);
        assert_eq!(manner("goose", Some(Manner::Acp), None), Manner::Acp);
        assert!(pick("nobody", None, None).is_none());
    }

    #[test]
    fn every_row_calls_its_models_through_the_gateway_with_the_tasks_token_and_names_the_model() {
        for preset in PRESETS {
            let spec = preset.spec("x".parse().unwrap(), None);
            let mut given =
                format!("{:?} {:?} {:?} {:?}", spec.arguments, spec.stdin, spec.environment, spec.files);
            given.push_str(&spec.meta.unwrap_or_default());
            for needed in ["{gateway}", "{token}", "{model}"] {
                assert!(given.contains(needed), "{} {:?} has no {needed}", preset.agent, preset.manner);
            }
            let has_tools = given.contains("{pairbot}") && given.contains("{task_socket}");
            assert_eq!(
                has_tools,
                preset.manner == Manner::Command,
                "{}: over ACP the session gives them",
                preset.agent
            );
        }
    }

    #[test]
    fn the_page_about_agents_has_every_row_and_every_placeholder() {
        let page = include_str!("../../docs/agents.md");
        for preset in PRESETS {
            let Preset { agent, manner, program, provider, measured, .. } = preset;
            let row =
                format!("| `{agent}` | {} | `{program}` | {provider} | {measured} |\n", manner.as_str());
            assert!(page.contains(&row), "{row}");
        }
        assert_eq!(page.matches("| command | `").count() + page.matches("| acp | `").count(), PRESETS.len());
        for placeholder in crate::agents::vendor::PLACEHOLDERS {
            assert!(page.contains(&format!("`{{{placeholder}}}`")), "{placeholder}");
        }
    }

    #[test]
    fn a_program_that_is_not_talked_with_is_told_its_prompt_once() {
        for preset in PRESETS {
            let told =
                preset.arguments.iter().chain(&preset.stdin).filter(|text| **text == "{prompt}").count();
            let expected = usize::from(preset.manner == Manner::Command);
            assert_eq!(told, expected, "{} {}", preset.agent, preset.manner.as_str());
        }
        // It puts a prompt that is an argument in quotes, and a backslash before each quote in it.
        let opencode = pick("opencode", Some(Manner::Command), None).unwrap();
        assert_eq!(opencode.stdin, Some("{prompt}"));
    }

    /// Other models than the one that a task may call are not let through, and what each of these would ask of them is
    /// lost, or tried again and again.
    #[test]
    fn what_an_agent_asks_by_the_way_it_asks_the_model_that_is_allowed() {
        let all =
            |agent: &'static str| of(agent).flat_map(|preset| preset.environment.iter().chain(preset.files));
        for (agent, needed) in [
            ("claude", "ANTHROPIC_SMALL_FAST_MODEL"),
            ("opencode", r#""small_model":"pairbot/{model}""#),
            ("gemini", r#""match":{"overrideScope":"core"},"modelConfig":{"model":"{model}"}"#),
            ("goose", r#""fast_model":"{model}""#),
        ] {
            let rows = all(agent)
                .filter(|(name, text)| *name == needed && *text == "{model}" || text.contains(needed));
            assert_eq!(rows.count(), of(agent).count(), "{agent}");
        }
    }

    #[test]
    fn texts_that_other_programs_read_are_well_formed() {
        for preset in PRESETS {
            for text in
                preset.environment.iter().chain(preset.files).map(|(_, text)| *text).chain(preset.meta)
            {
                if text.starts_with("{\"") {
                    assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
                } else if text.contains(" = ") {
                    assert!(text.parse::<toml::Table>().is_ok(), "{text}");
                }
            }
        }
    }
}
