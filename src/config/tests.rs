use pairbot_protocol::budget::Limits;
use pairbot_protocol::ids::{Money, Tokens};

use super::*;
use crate::agents::vendor::{AgentSpec, Manner};
use crate::gateway::ProviderKind;

const COMPLETE: [(&str, &str); 3] =
    [("APP_ID", "12"), ("PRIVATE_KEY", "-----BEGIN"), ("WEBHOOK_SECRET", "s3cret")];

fn source(pairs: &[(&str, &str)]) -> Source {
    let complete = COMPLETE.iter().filter(|(name, _)| pairs.iter().all(|(other, _)| other != name));
    Source::of_environment(
        complete.chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn load(pairs: &[(&str, &str)]) -> Config {
    Config::load(&source(pairs)).unwrap()
}

fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
    Config::load(&source(pairs)).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

fn sqlite(path: &str) -> Database {
    Database::Sqlite { path: path.into() }
}

#[test]
fn credentials_are_enough() {
    let config = load(&[]);
    assert_eq!(config.app.id, 12);
    assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(config.github.api_url, "https://api.github.com");
    assert_eq!(config.github.server_url, "https://github.com");
    assert_eq!(config.storage.database, sqlite("pairbot-data/pairbot.db"));
    assert_eq!(config.storage.bus, Bus::Embedded);
    assert_eq!(config.sandbox, Sandbox::Auto);
    assert!(config.sandbox_read_only.is_empty() && config.egress.is_empty());
    assert_eq!(config.log, LogConfig::default());
    assert!(config.models.anthropic.is_none() && config.models.openai.is_none());
    assert!(config.models.gemini.is_none());
    assert_eq!(config.budgets, budgets::defaults());
}

#[test]
fn a_budget_is_limited_unless_the_operator_says_none() {
    let config = load(&[
        ("PAIRBOT_REPOSITORY_DAY_USD", "12.50"),
        ("PAIRBOT_REPOSITORY_DAY_TOKENS", "20M"),
        ("PAIRBOT_INSTALLATION_MONTH_USD", "none"),
    ]);
    let day = Limits { money: Some(Money::from_cents(1_250)), tokens: Some(Tokens(20_000_000)) };
    assert_eq!(config.budgets, SharedLimits { repository_day: day, installation_month: Limits::NONE });
    let file = source(&[]).with_file("pairbot.toml".as_ref(), "repository_day_usd = 20\n");
    let config = Config::load(&file).unwrap();
    assert_eq!(config.budgets.repository_day.money, Some(Money::from_cents(2_000)));
    for wrong in ["0", "-1", "much", "unlimited"] {
        let found = problems(&[("PAIRBOT_INSTALLATION_MONTH_USD", wrong)]);
        assert!(found.iter().any(|problem| problem.contains("nor `none` for no limit")), "{wrong} {found:?}");
    }
}

#[test]
fn every_setting_is_described_for_people() {
    let readme = include_str!("../../README.md");
    let described = |name: &&str| readme.contains(&format!("`{name}`"));
    let missing: Vec<_> = NAMES.iter().filter(|name| !described(name)).collect();
    assert!(missing.is_empty(), "not in the README: {missing:?}");
    let (day, month) = (budgets::REPOSITORY_DAY, budgets::INSTALLATION_MONTH);
    for (name, limit) in [("PAIRBOT_REPOSITORY_DAY_USD", day), ("PAIRBOT_INSTALLATION_MONTH_USD", month)] {
        let row = format!("| `{name}` | `{}` |", limit.microdollars / 1_000_000);
        assert!(readme.contains(&row), "{row}");
    }
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place() {
    let found = problems(&[
        ("APP_ID", "my-app"),
        ("WEBHOOK_SECRET", ""),
        ("PRIVATE_KEY_PATH", "/nowhere/key.pem"),
        ("PRIVATE_KEY", ""),
        ("PORT", "70000"),
        ("GITHUB_API_URL", "ftp://x"),
        ("DATABASE_URL", "postgres://u:p@host/db"),
        ("PAIRBOT_BUS", "kafka://broker"),
        ("PAIRBOT_DRAIN_SECONDS", "86400"),
        ("PAIRBOT_SANDBOX", "none"),
        ("PAIRBOT_SANDBOX_UIDS", "0-99"),
        ("PAIRBOT_SANDBOX_READ_ONLY", "/opt/tools:relative"),
        ("PAIRBOT_EGRESS", "registry.example https://x"),
        ("LOG_LEVEL", "=="),
        ("OPENAI_BASE_URL", "http://me:secret@host"),
    ]);
    let expected = [
        "APP_ID is not a number",
        "PRIVATE_KEY_PATH names `/nowhere/key.pem`, which cannot be read",
        "WEBHOOK_SECRET is not set",
        "GITHUB_API_URL must begin with http",
        "PORT is not a port",
        "PAIRBOT_DRAIN_SECONDS is not a number of seconds from 0 to 3600",
        "DATABASE_URL names a PostgreSQL database, which this build has no support for",
        "PAIRBOT_BUS names a queue that this build has no support for",
        "PAIRBOT_SANDBOX is none of",
        "PAIRBOT_SANDBOX_UIDS is not `FIRST-LAST`",
        "PAIRBOT_SANDBOX_READ_ONLY is not a list of absolute paths",
        "PAIRBOT_EGRESS holds something that is no host: `https://x`",
        "OPENAI_BASE_URL must not hold a user name or password",
        "LOG_LEVEL is not one of",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
        let has_place = found.ends_with(')') && found.contains("(from environment variable ");
        assert!(has_place || found.contains("is not set"), "{found}");
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "app_id = 99\nport = 4000\ndata_dir = \"/srv\"\nsandbox = \"none-i-accept\"\n";
    let config = Config::load(&source(&[]).with_file(default_file(), file)).unwrap();
    assert_eq!((config.app.id, config.listen.port, config.sandbox), (12, 4000, Sandbox::NoneAccepted));
    assert_eq!(config.storage.database, sqlite("/srv/pairbot.db"));
    let config = Config::load(&source(&[("APP_ID", "")]).with_file(default_file(), file)).unwrap();
    assert_eq!(load(&[("PAIRBOT_SANDBOX_READ_ONLY", "/opt:/srv/tools")]).sandbox_read_only.len(), 2);
    assert_eq!(load(&[("PAIRBOT_SANDBOX", "user-slot")]).sandbox, Sandbox::UserSlot);
    assert_eq!(load(&[("PAIRBOT_SANDBOX_UIDS", "300000-300001")]).sandbox_uids.first(), 300_000);
    assert_eq!(config.app.id, 99, "an empty variable is one that is not set");
}

#[test]
fn a_wrong_file_is_told_without_its_secrets() {
    let wrong = |text: &str| {
        let error = Config::load(&source(&[]).with_file(default_file(), text)).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        error
    };
    assert!(wrong("port = 1\nwebhook_secret = \"hunter2\nport = 2").contains("line 2 is not valid TOML"));
    assert!(wrong("webhook_secrets = \"hunter2\"").contains("is `webhook_secret` meant?"));
    assert!(wrong("zzz = 1").contains("there are anthropic_api_key"));
    assert!(wrong("port = true").contains("port must be a string or a number (from pairbot.toml)"));
    assert!(wrong("sandbox = \"no\"").contains("(from `sandbox` in pairbot.toml)"));
}

#[test]
fn the_server_belongs_to_the_api() {
    for (api, server) in [
        ("https://api.github.com/", "https://github.com"),
        ("https://ghe.example.com/api/v3", "https://ghe.example.com"),
        ("http://127.0.0.1:1234/api/v3/", "http://127.0.0.1:1234"),
        ("https://host/git/api/v3", "https://host/git"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com"),
    ] {
        assert_eq!(load(&[("GITHUB_API_URL", api)]).github.server_url, server, "{api}");
    }
    let own = load(&[("GITHUB_API_URL", "http://127.0.0.1:1"), ("GITHUB_SERVER_URL", "http://127.0.0.1:2/")]);
    assert_eq!(own.github.server_url, "http://127.0.0.1:2");
    assert_eq!(own.github.api_url, "http://127.0.0.1:1");
    assert!(
        problems(&[("GITHUB_API_URL", "http://127.0.0.1:1")])[0].starts_with("GITHUB_SERVER_URL is not set")
    );
}

#[test]
fn a_database_is_a_file() {
    for (url, path) in [
        ("sqlite://pairbot.db", "pairbot-data/pairbot.db"),
        ("sqlite:other.db", "pairbot-data/other.db"),
        ("sqlite:///var/lib/pairbot.db", "/var/lib/pairbot.db"),
    ] {
        assert_eq!(load(&[("DATABASE_URL", url)]).storage.database, sqlite(path));
    }
    for wrong in ["sqlite::memory:", "sqlite://", "sqlite://a.db?mode=ro", "mysql://x", "pairbot.db"] {
        assert!(problems(&[("DATABASE_URL", wrong)])[0].starts_with("DATABASE_URL "), "{wrong}");
    }
}

#[test]
fn a_command_that_looks_at_the_store_needs_no_credentials() {
    let source = Source::of_environment([("PAIRBOT_DATA_DIR".to_owned(), "/data".to_owned())]);
    assert_eq!(StorageConfig::load(&source).unwrap().database, sqlite("/data/pairbot.db"));
    assert!(Config::load(&source).is_err());
}

#[test]
fn a_key_is_given_once() {
    let both = problems(&[("PRIVATE_KEY_PATH", "key.pem")]);
    assert_eq!(
        both,
        ["PRIVATE_KEY and PRIVATE_KEY_PATH are both set; unset one (from environment variable PRIVATE_KEY)"]
    );
}

#[test]
fn no_secret_shows() {
    let source = source(&[("ANTHROPIC_API_KEY", "sk-ant-1"), ("OPENAI_API_KEY", "sk-2")]);
    let config = Config::load(&source).unwrap();
    let shown = format!("{config:?} {source:?}");
    assert_eq!(config.secrets().len(), 4);
    for secret in ["BEGIN", "s3cret", "sk-ant-1", "sk-2"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[test]
fn an_address_is_written_as_a_socket_takes_it() {
    let listen = |host: &str| Listen { host: host.to_owned(), port: 80 }.to_string();
    assert_eq!((listen("::1").as_str(), listen("0.0.0.0").as_str()), ("[::1]:80", "0.0.0.0:80"));
}

/// What the image promises and what the deployment expects must be the same port and the same folder.
#[test]
fn the_image_and_the_deployment_fit_each_other() {
    let dockerfile = include_str!("../../Dockerfile");
    let fly: toml::Table = include_str!("../../fly.toml").parse().unwrap();
    let text = |table: &str, key: &str| fly[table][key].as_str().unwrap().to_owned();
    let environment = |name: &str| text("env", name);
    let in_image = |line: &str| assert!(dockerfile.lines().any(|other| other == line), "{line}");

    let (host, port, data) = (environment("HOST"), environment("PORT"), environment("PAIRBOT_DATA_DIR"));
    in_image(&format!(
        "ENV HOST={host} PORT={port} PAIRBOT_DATA_DIR={data} LOG_FORMAT={}",
        environment("LOG_FORMAT")
    ));
    in_image(&format!("EXPOSE {port}"));
    in_image(&format!("VOLUME {data}"));
    assert_eq!(fly["mounts"][0]["destination"].as_str(), Some(data.as_str()));
    assert_eq!(fly["http_service"]["internal_port"].as_integer().unwrap().to_string(), port);
    assert_eq!(text("build", "dockerfile"), "Dockerfile");
    let probe = fly["http_service"]["checks"][0]["path"].as_str().unwrap();
    assert!(dockerfile.contains(&format!("GET {probe} HTTP/1.0")));

    let variables = fly["env"].as_table().unwrap();
    assert!(variables.keys().all(|name| NAMES.contains(&name.as_str())), "a variable that nobody reads");
    let pairs: Vec<_> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let config = load(&pairs);
    assert_eq!(config.listen.to_string(), "0.0.0.0:3000");
    assert_eq!(config.storage.database, sqlite("/data/pairbot.db"));
}

#[test]
fn the_image_runs_without_root() {
    let lines: Vec<&str> = include_str!("../../Dockerfile").lines().collect();
    let user = lines.iter().position(|line| *line == "USER 10001").unwrap();
    let entry = lines.iter().position(|line| line.starts_with("ENTRYPOINT")).unwrap();
    assert!(user < entry && lines.iter().filter(|line| line.starts_with("USER")).count() == 1);
}

fn allowed(pairs: &[(&str, &str)], file: &str) -> Vec<AgentSpec> {
    Config::load(&source(pairs).with_file(Path::new("pairbot.toml"), file)).unwrap().agents.allowed
}

#[test]
fn agents_are_allowed_by_a_list_of_presets() {
    let agents = allowed(&[("PAIRBOT_AGENTS", "claude, codex=/opt/codex/bin/codex-acp,goose:acp")], "");
    let seen: Vec<_> =
        agents.iter().map(|spec| (spec.name.as_str(), spec.manner, spec.program.as_str())).collect();
    let expected = [
        ("claude", Manner::Command, "claude"),
        ("codex", Manner::Acp, "/opt/codex/bin/codex-acp"),
        ("goose", Manner::Acp, "goose"),
    ];
    assert_eq!(seen, expected);
    assert!(load(&[]).agents.allowed.is_empty());
}

#[test]
fn agents_of_the_operators_own_and_changed_presets_stand_in_the_file() {
    let file = r#"
[agents.claude]
environment = { CLAUDE_EXTRA = "1" }
read_only = ["/opt/node"]

[agents.house]
kind = "acp"
command = ["/opt/house/agent", "--serve"]
provider = "openai"
environment = { OPENAI_BASE_URL = "{gateway}/v1", OPENAI_API_KEY = "{token}" }
files = { ".house/config" = "model = {model}" }
options = { mode = "free" }

[agents.twin]
preset = "codex"
kind = "acp"

[agents.reader]
preset = "goose"
command = ["goose", "run", "-i", "-"]
stdin = "{prompt}"
"#;
    let agents = allowed(&[], file);
    let of = |name: &str| agents.iter().find(|spec| spec.name.as_str() == name).unwrap();
    assert_eq!(of("claude").environment["CLAUDE_EXTRA"], "1");
    assert_eq!(of("claude").environment["ANTHROPIC_API_KEY"], "{token}");
    let house = of("house");
    assert_eq!((house.manner, house.provider), (Manner::Acp, ProviderKind::OpenAi));
    assert_eq!(
        (house.program.as_str(), house.arguments.len(), house.files.len()),
        ("/opt/house/agent", 1, 1)
    );
    assert_eq!((of("twin").manner, of("twin").program.as_str()), (Manner::Acp, "codex-acp"));
    assert_eq!((of("reader").arguments.len(), of("reader").stdin.as_deref()), (3, Some("{prompt}")));
}

#[test]
fn what_is_wrong_with_agents_is_told_with_what_is_allowed() {
    let wrong = |list: &str, file: &str| {
        let source = source(&[("PAIRBOT_AGENTS", list)]).with_file(Path::new("pairbot.toml"), file);
        Config::load(&source).unwrap_err().to_string()
    };
    for (list, file, words) in [
        ("cluade", "", "there is no preset `cluade`; there are claude, codex"),
        ("claude:mcp", "", "`mcp` is neither `acp` nor `command`"),
        ("builtin", "", "there is no preset `builtin`"),
        ("", "[agents.builtin]\nkind = \"acp\"\ncommand = [\"x\"]", "always allowed"),
        ("", "[agents.house]\n", "agents.house needs `kind`"),
        ("", "[agents.house]\nkind = \"acp\"", "needs `command`"),
        ("", "[agents.house]\nkind = \"acp\"\ncommand = \"x\"", "`command` is not a list of strings"),
        ("", "[agents.house]\npreset = \"goose\"\ncomand = []", "unknown key `comand`"),
        ("", "[agents.house]\npreset = \"goose\"\nfiles = { \"../x\" = \"\" }", "not below the agent's home"),
        (
            "",
            "[agents.goose]\nkind = \"acp\"\nstdin = \"{prompt}\"",
            "over `acp` standard input is the protocol's",
        ),
        ("", "[agents]\nclaude = 3", "must be a table"),
    ] {
        let told = wrong(list, file);
        assert!(told.contains(words), "`{words}` is not in {told}");
    }
}
