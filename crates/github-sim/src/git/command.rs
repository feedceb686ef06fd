//! Runs `git` in a clean environment.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The object id that stands for "no such ref".
pub(crate) const ZERO_SHA: &str = "0000000000000000000000000000000000000000";

/// A `git` command that did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`git {command}` in {path} failed: {reason}")]
pub struct GitError {
    /// The arguments.
    pub command: String,
    /// The repository.
    pub path: String,
    /// What git said, or why it could not be started.
    pub reason: String,
}

/// A bare repository on disk.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    pub(crate) path: PathBuf,
}

/// The environment of every `git`: nothing of the machine's configuration gets in.
pub(crate) fn environment() -> BTreeMap<String, String> {
    let mut environment: BTreeMap<String, String> = [
        ("HOME", ""),
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
    environment.insert("PATH".to_owned(), path);
    environment
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulated GitHub stores real repositories and runs git itself"
)]
fn git_command() -> Command {
    let mut command = Command::new(program());
    command.env_clear().envs(environment());
    command
}

/// Where `git` is. Started by its full path a program costs no `fork`, which takes longer the larger this process is.
pub(super) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = environment().remove("PATH").unwrap_or_default();
        let files = std::env::split_paths(&path).map(|folder| folder.join("git"));
        files
            .filter(|file| file.is_absolute())
            .find(|file| file.is_file())
            .unwrap_or_else(|| PathBuf::from("git"))
    })
}

impl Git {
    /// Creates an empty bare repository with `default_branch` as its `HEAD`.
    pub(crate) fn create(path: &Path, default_branch: &str) -> Result<Self, GitError> {
        let git = Self { path: path.to_owned() };
        std::fs::create_dir_all(path).map_err(|error| git.error("init", &error.to_string()))?;
        let branch = format!("--initial-branch={default_branch}");
        git.run(&["init", "--quiet", "--bare", "--template=", &branch, "."])?;
        git.configure()?;
        Ok(git)
    }

    /// Creates a bare repository with everything that `source` has.
    pub(crate) fn fork(source: &Self, path: &Path) -> Result<Self, GitError> {
        let git = Self { path: path.to_owned() };
        std::fs::create_dir_all(path).map_err(|error| git.error("clone", &error.to_string()))?;
        let from = source.path.to_string_lossy().into_owned();
        git.run(&["clone", "--quiet", "--bare", "--template=", &from, "."])?;
        git.configure()?;
        Ok(git)
    }

    fn configure(&self) -> Result<(), GitError> {
        let settings = "[http]\n\treceivepack = true\n[uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true\n\
             [receive]\n\tadvertisePushOptions = true\n[transfer]\n\thideRefs = refs/sim\n[gc]\n\tauto = 0\n\
             [core]\n\thooksPath = hooks\n\tlogAllRefUpdates = false\n";
        let config = self.path.join("config");
        let failed = |error: std::io::Error| self.error("config", &error.to_string());
        let before = std::fs::read_to_string(&config).map_err(failed)?;
        std::fs::write(&config, before + settings).map_err(failed)?;
        super::push::install_hook(&self.path).map_err(failed)
    }

    pub(crate) fn error(&self, command: &str, reason: &str) -> GitError {
        GitError {
            command: command.to_owned(),
            path: self.path.display().to_string(),
            reason: reason.trim().to_owned(),
        }
    }

    /// Runs `git` to its end whatever its exit code.
    pub(crate) fn output(
        &self,
        arguments: &[&str],
        environment: &[(&str, String)],
        stdin: &[u8],
    ) -> Result<Output, GitError> {
        let failed = |error: std::io::Error| self.error(&arguments.join(" "), &error.to_string());
        let mut child = git_command()
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .current_dir(&self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            // A git that stops reading says why on stderr, which is the better report.
            let _ended_early = input.write_all(stdin);
        }
        child.wait_with_output().map_err(failed)
    }

    /// Runs `git`, which must succeed, and gives its standard output.
    pub(crate) fn run_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, String)],
        stdin: &[u8],
    ) -> Result<Vec<u8>, GitError> {
        let output = self.output(arguments, environment, stdin)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(self.error(&arguments.join(" "), &String::from_utf8_lossy(&output.stderr)))
    }

    /// Runs `git`, which must succeed, and gives its standard output as trimmed text.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, GitError> {
        let output = self.run_with(arguments, &[], &[])?;
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }

    /// The object that `revision` names, if there is one of that kind (`commit`, `tree`, `blob`).
    pub(crate) fn resolve(&self, revision: &str, kind: &str) -> Option<String> {
        if revision.is_empty() || revision.starts_with('-') {
            return None;
        }
        self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{{kind}}}")])
            .ok()
            .filter(|sha| !sha.is_empty())
    }

    /// Branches and tags with the objects they point to.
    pub(crate) fn refs(&self) -> Result<BTreeMap<String, String>, GitError> {
        let listed =
            self.run(&["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags"])?;
        Ok(listed
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(sha, name)| (name.to_owned(), sha.to_owned()))
            .collect())
    }

    /// Points `name` to `sha`; the zero id deletes it.
    pub(crate) fn set_ref(&self, name: &str, sha: &str) -> Result<(), GitError> {
        if sha == ZERO_SHA {
            self.run(&["update-ref", "-d", name]).map(drop)
        } else {
            self.run(&["update-ref", name, sha]).map(drop)
        }
    }

    /// Whether `name` may be a branch.
    pub(crate) fn valid_branch(&self, name: &str) -> bool {
        self.run(&["check-ref-format", "--branch", name]).is_ok()
    }

    /// Whether `ancestor` is `descendant` or reachable from it.
    pub(crate) fn is_ancestor(&self, ancestor: &str, descendant: &str) -> bool {
        self.run(&["merge-base", "--is-ancestor", ancestor, descendant]).is_ok()
    }

    /// The best common ancestor.
    pub(crate) fn merge_base(&self, left: &str, right: &str) -> Option<String> {
        self.run(&["merge-base", left, right]).ok().filter(|sha| !sha.is_empty())
    }

    /// Copies the objects of `revision` from another repository of the network.
    pub(crate) fn take_from(&self, other: &Self, revision: &str) -> Result<(), GitError> {
        let from = other.path.to_string_lossy().into_owned();
        self.run(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", &from, revision]).map(drop)
    }
}
