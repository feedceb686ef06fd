//! One call of git, in the one form that is safe in trees and repositories that strangers wrote.
//!
//! Everything is passed by environment: configuration through `GIT_CONFIG_COUNT` (git 2.31), which outranks every
//! file and, unlike `-c`, is not readable by other users of the machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::redacted;
use super::settings::path_text;
use super::{Git, GitError, Remote};
use crate::ports::{CommandSpec, Ending, Finished};

/// What a call of git may print before the rest is dropped, unless it asks for more.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// What a call that lists files may print: a million files with long paths.
pub(super) const LISTING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Configuration of every call. Each line takes away a way to run a stranger's code, or a surprise.
const CONFIG: &[(&str, &str)] = &[
    // Programs that git would start by itself.
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.askPass", ""),
    ("core.sshCommand", "false"),
    ("credential.helper", ""),
    ("diff.external", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    // Files that git would read by itself.
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    // Other repositories and other protocols.
    ("protocol.allow", "never"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("diff.ignoreSubmodules", "all"),
    // Names that are `.git` on other systems, and tokens in addresses.
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("transfer.credentialsInUrl", "die"),
    // Content is kept as it is, and a file counts as unchanged only if its change time says so as well.
    ("core.autocrlf", "false"),
    ("core.trustctime", "true"),
    ("core.checkStat", "default"),
    ("core.untrackedCache", "false"),
    ("core.splitIndex", "false"),
    // An index is rebuilt when it is damaged, so the second checksum over it buys nothing.
    ("index.skipHash", "true"),
    ("core.preloadIndex", "true"),
];

/// Configuration of calls that reach the network, on top.
const NETWORK_CONFIG: &[(&str, &str)] = &[
    ("protocol.http.allow", "always"),
    ("protocol.https.allow", "always"),
    // Git would show the token to wherever it is sent; a repository that moved is named anew by its caller.
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
    ("transfer.fsckObjects", "true"),
    // Harmless marks of age that real histories carry. Whatever could hurt a checkout stays an error.
    ("fetch.fsck.badTimezone", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    ("fetch.fsck.missingNameBeforeEmail", "ignore"),
    ("fetch.fsck.missingEmail", "ignore"),
    ("fetch.fsck.missingSpaceBeforeEmail", "ignore"),
    ("fetch.fsck.badEmail", "ignore"),
    ("fetch.fsck.zeroPaddedDate", "ignore"),
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("LC_ALL", "C"),
    ("TZ", "UTC"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_LITERAL_PATHSPECS", "1"),
    ("GIT_ADVICE", "0"),
];

/// One call of git, put together step by step.
pub(super) struct Call<'a> {
    git: &'a Git,
    operation: &'static str,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    config: Vec<(String, String)>,
    secrets: Vec<String>,
    directory: PathBuf,
    stdin: Vec<u8>,
    timeout: Duration,
    output_bytes_max: usize,
    asks: bool,
}

impl<'a> Call<'a> {
    /// A call inside a repository of ours.
    pub(super) fn new(git: &'a Git, git_dir: &Path, operation: &'static str) -> Result<Self, GitError> {
        let settings = &git.inner.settings;
        let mut environment: BTreeMap<_, _> =
            ENVIRONMENT.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        environment.insert("PATH".to_owned(), settings.search_path.clone());
        environment.insert("HOME".to_owned(), path_text(&git.directory("home"))?);
        environment.insert("GIT_DIR".to_owned(), path_text(git_dir)?);
        let config = CONFIG.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Ok(Self {
            git,
            operation,
            arguments: vec![operation.to_owned()],
            environment,
            config,
            secrets: Vec::new(),
            directory: git.directory("home"),
            stdin: Vec::new(),
            timeout: settings.local_timeout,
            output_bytes_max: OUTPUT_BYTES_MAX,
            asks: false,
        })
    }

    pub(super) fn args<I, S>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Works on the files of a tree through an index, both outside the repository.
    pub(super) fn in_tree(mut self, tree: &Path, index: &Path) -> Result<Self, GitError> {
        self.environment.insert("GIT_WORK_TREE".to_owned(), path_text(tree)?);
        self.environment.insert("GIT_INDEX_FILE".to_owned(), path_text(index)?);
        tree.clone_into(&mut self.directory);
        Ok(self)
    }

    /// Reaches a server, with its token for that server alone.
    pub(super) fn to(mut self, remote: &Remote) -> Self {
        let settings = &self.git.inner.settings;
        self.environment.extend(settings.network_environment.clone());
        self.config
            .extend(NETWORK_CONFIG.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        self.config.extend(remote.authorization());
        self.secrets = remote.secrets();
        self.timeout = settings.network_timeout;
        self
    }

    pub(super) fn config(mut self, key: &str, value: &str) -> Self {
        self.config.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = bytes;
        self
    }

    pub(super) fn output_bytes_max(mut self, bytes: usize) -> Self {
        self.output_bytes_max = bytes;
        self
    }

    /// Only asks whether something is there: a hard failure is an answer.
    pub(super) fn asks(mut self) -> Self {
        self.asks = true;
        self
    }

    /// Runs to the end, however it ends but by time.
    pub(super) async fn run(mut self) -> Result<Outcome, GitError> {
        self.environment.insert("GIT_CONFIG_COUNT".to_owned(), self.config.len().to_string());
        for (position, (key, value)) in self.config.into_iter().enumerate() {
            self.environment.insert(format!("GIT_CONFIG_KEY_{position}"), key);
            self.environment.insert(format!("GIT_CONFIG_VALUE_{position}"), value);
        }
        let spec = CommandSpec {
            program: self.git.inner.settings.program.clone(),
            arguments: self.arguments,
            directory: self.directory,
            environment: self.environment,
            stdin: self.stdin,
            timeout: self.timeout,
            output_bytes_max: self.output_bytes_max,
        };
        let finished = self.git.inner.spawner.run(spec).await?;
        if !self.asks && is_hard_failure(finished.ending) {
            self.git.inner.known.forget();
        }
        if finished.ending == Ending::TimedOut {
            return Err(GitError::Timeout { operation: self.operation, after: self.timeout });
        }
        let message = redacted(&finished.stderr, &self.secrets);
        Ok(Outcome { operation: self.operation, finished, message, secrets: self.secrets })
    }

    /// Runs to a good end and gives all of what was printed; an error if it ended badly or printed too much.
    pub(super) async fn output(self) -> Result<Vec<u8>, GitError> {
        let bytes_max = self.output_bytes_max;
        let outcome = self.run().await?;
        if !outcome.finished.succeeded() {
            return Err(outcome.into_error());
        }
        if outcome.finished.truncated && outcome.finished.stdout.len() >= bytes_max {
            let what = format!("the answer of git {}", outcome.operation);
            return Err(GitError::TooLarge { what, bytes_max });
        }
        Ok(outcome.finished.stdout)
    }

    /// Like [`Self::output`], as one trimmed line or lines of text.
    pub(super) async fn text(self) -> Result<String, GitError> {
        let operation = self.operation;
        let not_text = |_| GitError::Failed { operation, message: "the answer is not UTF-8".to_owned() };
        Ok(String::from_utf8(self.output().await?).map_err(not_text)?.trim().to_owned())
    }
}

/// Whether git ended as it does when it cannot go on: with 128 or 129, or by no will of its own. What it found may be
/// damaged.
fn is_hard_failure(ending: Ending) -> bool {
    match ending {
        Ending::Exited(code) => code >= 128,
        Ending::Signalled(_) | Ending::TimedOut => true,
    }
}

/// A call of git that ended.
pub(super) struct Outcome {
    operation: &'static str,
    pub(super) finished: Finished,
    /// Standard error without secrets.
    pub(super) message: String,
    secrets: Vec<String>,
}

impl Outcome {
    /// The exit code, `None` if a signal ended it.
    pub(super) fn code(&self) -> Option<i32> {
        match self.finished.ending {
            Ending::Exited(code) => Some(code),
            Ending::Signalled(_) | Ending::TimedOut => None,
        }
    }

    /// Standard output without secrets, for answers that are shown.
    pub(super) fn shown_stdout(&self) -> String {
        redacted(&self.finished.stdout, &self.secrets)
    }

    /// What the failure means.
    pub(super) fn into_error(self) -> GitError {
        let message =
            if self.message.is_empty() { format!("{:?}", self.finished.ending) } else { self.message };
        GitError::from_stderr(self.operation, message)
    }
}
