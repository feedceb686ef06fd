//! This machine: git, data directory, database, sandbox.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::Line;
use crate::agents::vendor::{self, AgentSpec};
use crate::config::{Config, Database};
use crate::git::GitSettings;
use crate::ports::{CommandSpec, Spawner};
use crate::sandbox::{Gap, Limit, Probe, Standing};
use crate::server::{self, Machine};
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};

/// The oldest git that `merge-tree --write-tree` and the messages we read are known of.
const GIT_OLDEST: [u32; 2] = [2, 39];

pub(super) async fn examine(config: &Config, machine: &Machine) -> Vec<Line> {
    let mut lines = vec![
        git(&config.storage.data_dir, machine.spawner.as_ref()).await,
        data_dir(&config.storage.data_dir),
        database(&config.storage.database),
        dead_letters(&config.storage.database).await,
        sandbox(config, machine).await,
    ];
    lines.extend(config.agents.allowed.iter().map(agent));
    lines
}

/// What the operator asked for and this layer cannot give, since nobody makes a socket in it.
fn without_sockets(config: &Config, standing: &Standing, gaps: &[Gap]) -> Line {
    let mut text = format!("sandbox: {standing}; no program in it makes a connection, not even to itself");
    let mut mend: Vec<&str> = gaps.iter().filter_map(|gap| mend_gap(gap.limit)).collect();
    if !config.agents.allowed.is_empty() {
        text.push_str("; agents of other vendors are not started");
        mend.push("for the agents of PAIRBOT_AGENTS, make bubblewrap work");
    }
    if !config.egress.is_empty() {
        text.push_str("; no host of PAIRBOT_EGRESS is reached");
        mend.push("for PAIRBOT_EGRESS, make bubblewrap work");
    }
    mend.push(
        "bubblewrap holds more: see docs/operations.md, PAIRBOT_SANDBOX=bubblewrap says what it lacks here",
    );
    Line::warn(text, mend.join("; "))
}

/// Whether the program of an agent that is allowed is there.
fn agent(spec: &AgentSpec) -> Line {
    let (name, manner) = (&spec.name, spec.manner.as_str());
    match vendor::find(&spec.program, &server::search_path()) {
        Some(path) => Line::ok(format!("agent {name}: {manner}, {}", path.display())),
        None => Line::fail(
            format!("agent {name}: its program `{}` is not there", spec.program),
            format!(
                "install it, give its full path (`{name}=/path/to/{}`), or take it out of PAIRBOT_AGENTS",
                spec.program
            ),
        ),
    }
}

async fn git(data_dir: &Path, spawner: &dyn Spawner) -> Line {
    let settings = GitSettings::new(data_dir.to_owned());
    let asked = spawner.run(CommandSpec {
        program: settings.program,
        arguments: vec!["--version".to_owned()],
        directory: std::env::temp_dir(),
        environment: BTreeMap::from([("PATH".to_owned(), settings.search_path.clone())]),
        stdin: Vec::new(),
        timeout: Duration::from_secs(10),
        output_bytes_max: 1_000,
    });
    let mend = format!("install git 2.39 or newer in one of {}", settings.search_path);
    match asked.await {
        Err(error) => Line::fail(format!("git: {error}"), mend),
        Ok(finished) => {
            let said = String::from_utf8_lossy(&finished.stdout).trim().to_owned();
            match version(&said) {
                Some(version) if version >= GIT_OLDEST => Line::ok(format!("git: {said}")),
                Some(_) => Line::fail(format!("git: {said} is too old"), mend),
                None => Line::fail(format!("git: `git --version` answered `{said}`"), mend),
            }
        }
    }
}

/// The first two numbers of `git version 2.47.1 (Apple Git-155)`.
fn version(said: &str) -> Option<[u32; 2]> {
    let mut numbers = said.strip_prefix("git version ")?.split('.').map(str::parse);
    Some([numbers.next()?.ok()?, numbers.next()?.ok()?])
}

fn data_dir(path: &Path) -> Line {
    let written = std::fs::create_dir_all(path)
        .and_then(|()| tempfile::tempfile_in(path))
        .and_then(|mut file| file.write_all(b"pairbot doctor"));
    match written {
        Ok(()) => Line::ok(format!("data directory: {} can be written", path.display())),
        Err(error) => Line::fail(
            format!("data directory: {} cannot be written: {error}", path.display()),
            "set PAIRBOT_DATA_DIR to a folder that this user may write, on a disk with room",
        ),
    }
}

/// Opening is trying: a store that opens is sound, of a schema that is known, and nobody else's.
fn database(database: &Database) -> Line {
    let Database::Sqlite { path } = database;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // A log without its database is no new beginning; opening says so.
    if !path.exists() && !Path::new(&log).exists() {
        return Line::ok(format!("database: {} will be made at the first start", path.display()));
    }
    match SqliteStore::open(path) {
        Ok(_) => Line::ok(format!("database: {} opens, and its pages hang together", path.display())),
        Err(StoreError::InUse { pid, .. }) => Line::warn(
            format!("database: {} is in use by process {pid}", path.display()),
            "well if that is the running server; else stop it before `pairbot serve`",
        ),
        Err(error @ StoreError::Corrupt { .. }) => {
            let file = path.display();
            Line::fail(
                format!("database: {error}"),
                format!(
                    "with the server stopped, keep what there is: `mkdir damaged && cp -a {file}* damaged/`; see what is \
                     wrong: `sqlite3 {file} 'PRAGMA integrity_check'`; restore a backup: `rm -f {file} {file}-wal \
                     {file}-shm {file}.lock && cp BACKUP {file} && pairbot verify-ledger`"
                ),
            )
        }
        Err(error) => Line::fail(format!("database: {error}"), "mend what it names"),
    }
}

/// What was given up, which nobody may have noticed.
async fn dead_letters(database: &Database) -> Line {
    let Database::Sqlite { path } = database;
    let counted = async { SqliteStore::beside(path)?.counts().await };
    match counted.await {
        Ok(counts) if counts.tasks.dead + counts.unreadable == 0 => Line::ok("dead letters: none"),
        Ok(counts) => Line::warn(
            format!("dead letters: {} tasks, {} signals", counts.tasks.dead, counts.unreadable),
            "look at them with `pairbot dlq list`; replay or drop them",
        ),
        Err(_) if !path.exists() => Line::ok("dead letters: none"),
        Err(error) => Line::warn(format!("dead letters: {error}"), "see what is said of the database"),
    }
}

/// Which layer holds is found out by the probes that the server itself makes when it starts.
async fn sandbox(config: &Config, machine: &Machine) -> Line {
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => scratch,
        Err(error) => return Line::fail(format!("sandbox: no temporary directory: {error}"), "make room"),
    };
    let sandbox = server::sandbox(config, machine, None, scratch.path()).await;
    let standing = sandbox.standing();
    match &standing {
        Standing::Bubblewrap { gaps } if gaps.is_empty() => Line::ok(format!("sandbox: {standing}")),
        Standing::Bubblewrap { gaps } => {
            let mend: Vec<&str> = gaps.iter().filter_map(|gap| mend_gap(gap.limit)).collect();
            Line::warn(format!("sandbox: {standing}"), mend.join("; "))
        }
        Standing::UserSlot { gaps } => without_sockets(config, &standing, gaps),
        Standing::NoneAccepted => Line::warn(
            "sandbox: none; agents and gates run commands with this server's rights, as you accepted",
            "unset PAIRBOT_SANDBOX, so that they run in a sandbox where one holds and else not at all",
        ),
        Standing::Unavailable { probe, .. } => Line::warn(format!("sandbox: {standing}"), mend_probe(*probe)),
    }
}

fn mend_probe(probe: Probe) -> &'static str {
    match probe {
        Probe::Present => {
            "on Linux, install bubblewrap 0.5 or newer: `apt-get install bubblewrap`; or run the server as root, so that \
             it can give each cage a user of its own"
        }
        Probe::Starts => {
            "let this user make user namespaces: `sysctl -w kernel.unprivileged_userns_clone=1 \
             user.max_user_namespaces=10000`; on Ubuntu 24.04 and newer also \
             `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; in Docker `--security-opt \
             seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`; or run the \
             server as root, so that it can give each cage a user of its own"
        }
        Probe::Files | Probe::Processes | Probe::Network | Probe::Survivors => {
            "update bubblewrap and the kernel, and report this; PAIRBOT_SANDBOX=none-i-accept runs commands with this \
             server's rights"
        }
    }
}

/// What can be done about a gap, if anything can.
fn mend_gap(limit: Limit) -> Option<&'static str> {
    match limit {
        Limit::Memory | Limit::MemoryBursts => Some(
            "to bound memory, let this user make control groups with the memory controller: run as root, or \
             `Delegate=yes` in the systemd unit; or bound the whole server from outside",
        ),
        Limit::Processes => {
            Some("to bound processes, the same with the pids controller, or `TasksMax=` on the systemd unit")
        }
        Limit::TemporaryFiles | Limit::Metadata => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_git_is_read_from_what_it_says() {
        assert_eq!(version("git version 2.47.1"), Some([2, 47]));
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some([2, 39]));
        assert_eq!(version("git version 3.0-rc1"), None);
        assert_eq!(version("sh: git: not found"), None);
    }

    #[test]
    fn a_folder_that_cannot_be_made_fails() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(data_dir(&file.path().join("inside")).verdict, super::super::Verdict::Fail);
    }

    #[test]
    fn a_database_in_use_is_told_with_who_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairbot.db");
        let _held = SqliteStore::open(&path).unwrap();
        let line = database(&Database::Sqlite { path }).to_string();
        assert!(line.starts_with("warn") && line.contains(&std::process::id().to_string()), "{line}");
    }
}
