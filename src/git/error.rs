//! How git can fail, in the words of what to do next.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use pairbot_protocol::ids::HeadSha;
use regex::Regex;

use crate::ports::SpawnError;

/// Why the server refused a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushRefusal {
    /// The push changes a workflow file and the App has no `workflows` permission.
    WorkflowPermission,
    /// A protected branch (GH006) or a ruleset (GH013) forbids it.
    ProtectedBranch,
    /// Push protection found a secret (GH013 with `Push cannot contain secrets`).
    SecretDetected,
    /// A file is larger than the server takes (GH001).
    FileTooLarge,
    /// Anything else; the message says what.
    Other,
}

/// What went wrong with git. Messages hold no token.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The server could not be reached, or answered that it cannot serve now. Try again later.
    #[error("git {operation}: the server cannot be reached now: {message}")]
    Unavailable {
        /// The git command.
        operation: &'static str,
        /// What git said.
        message: String,
    },
    /// The token is missing, expired, or has no right here. Mint a new one and try once more.
    #[error("git {operation}: the server refused the token: {message}")]
    AuthenticationFailed {
        /// The git command.
        operation: &'static str,
        /// What git said.
        message: String,
    },
    /// The repository answers under another address now: it was renamed or transferred. Read its name again.
    #[error("git {operation}: the repository has moved: {message}")]
    Moved {
        /// The git command.
        operation: &'static str,
        /// What git said.
        message: String,
    },
    /// The server refused a push by a rule; pushing the same again is in vain.
    #[error("the server refused the push ({kind:?}): {message}")]
    PushRefused {
        /// Which rule.
        kind: PushRefusal,
        /// What the server said.
        message: String,
    },
    /// The branch is not where it was expected. Read it again and decide anew.
    #[error("the branch {branch} has moved: it is at {}", actual.as_ref().map_or("no commit", HeadSha::as_str))]
    HeadMoved {
        /// The branch.
        branch: String,
        /// Where it is, `None` if it does not exist.
        actual: Option<HeadSha>,
    },
    /// A commit, branch, path or repository does not exist, or the token may not know that it does.
    #[error("{what} was not found")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// Something in a tree, a name or a setting must not be handled.
    #[error("refused as unsafe: {what}")]
    Unsafe {
        /// What, and why it is refused.
        what: String,
    },
    /// A limit on size was reached.
    #[error("{what} is larger than {bytes_max} bytes")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// Git did not end in time and was killed.
    #[error("git {operation} did not end within {} s", after.as_secs())]
    Timeout {
        /// The git command.
        operation: &'static str,
        /// The time it was given.
        after: Duration,
    },
    /// The local copy is damaged. It can be fetched anew.
    #[error("git {operation}: the local copy is damaged: {message}")]
    Corrupt {
        /// The git command.
        operation: &'static str,
        /// What git said.
        message: String,
    },
    /// Git failed, or answered in a form that is not understood.
    #[error("git {operation} failed: {message}")]
    Failed {
        /// The git command.
        operation: &'static str,
        /// What git said.
        message: String,
    },
    /// A file or directory of Pairbot's own could not be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Git could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl GitError {
    /// Whether the same call may succeed later without anything else being done.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Timeout { .. } | Self::Disk { .. } | Self::Spawn(_) => true,
            Self::AuthenticationFailed { .. }
            | Self::Moved { .. }
            | Self::PushRefused { .. }
            | Self::HeadMoved { .. }
            | Self::NotFound { .. }
            | Self::Unsafe { .. }
            | Self::TooLarge { .. }
            | Self::Corrupt { .. }
            | Self::Failed { .. } => false,
        }
    }

    pub(super) fn disk(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Disk { path, source }
    }

    /// Sorts what git printed when it failed. Messages are those of git 2.39 to 2.47 under `LC_ALL=C`.
    pub(super) fn from_stderr(operation: &'static str, message: String) -> Self {
        let says = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
        if says(&["could not read Username", "Authentication failed", "error: 401", "error: 403"])
            || says(&["terminal prompts disabled", "Permission to", "Write access to repository not granted"])
        {
            Self::AuthenticationFailed { operation, message }
        } else if says(&[
            "error: 301",
            "error: 302",
            "error: 307",
            "error: 308",
            "update url base from redirection",
        ]) {
            Self::Moved { operation, message }
        } else if says(&[
            "couldn't find remote ref",
            "not our ref",
            "Not a valid object name",
            "not a tree object",
        ]) || says(&[
            "Repository not found",
            "error: 404",
            "bad revision",
            "unknown revision",
            "not a valid object",
        ]) || says(&["' not found", "Needed a single revision"])
        {
            Self::NotFound { what: message }
        } else if says(&[
            "object file",
            "packfile",
            "unable to read tree",
            "bad object",
            "missing blob",
            "corrupt",
        ]) || says(&[
            "index file smaller",
            "bad index file",
            "not a git repository",
            "invalid object",
            "inflate",
        ]) {
            Self::Corrupt { operation, message }
        } else if says(&[
            "Could not resolve host",
            "Failed to connect",
            "Couldn't connect",
            "Connection",
            "timed out",
        ]) || says(&[
            "RPC failed",
            "remote end hung up",
            "early EOF",
            "error: 5",
            "error: 429",
            "Empty reply",
        ]) || says(&[
            "unexpected disconnect",
            "SSL",
            "GnuTLS",
            "Operation too slow",
            "transfer closed",
        ]) {
            Self::Unavailable { operation, message }
        } else {
            Self::Failed { operation, message }
        }
    }
}

/// The most of git's words that an error keeps, in characters.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// GitHub's tokens of every kind: since April 2026 installation tokens are a prefix and a JWT with dots.
/// <https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats>
static TOKEN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?:gh[a-z]_[A-Za-z0-9._-]{30,}|github_pat_[A-Za-z0-9_]{30,})").ok());

/// What git printed, fit to be shown: shortened, without control characters, and without any secret.
pub(super) fn redacted(bytes: &[u8], secrets: &[String]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[redacted]");
    }
    if let Some(token) = TOKEN.as_ref() {
        text = token.replace_all(&text, "[redacted]").into_owned();
    }
    let shown =
        text.trim().chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { ' ' } else { c });
    shown.take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_survives_in_a_message() {
        let long = format!("ghs_1234_{}", "eyJ.abc_D".repeat(60));
        let text = format!("fatal: {long} and mytoken and github_pat_{}", "x".repeat(40));
        let shown = redacted(text.as_bytes(), &["mytoken".to_owned()]);
        assert_eq!(shown, "fatal: [redacted] and [redacted] and [redacted]");
    }

    #[test]
    fn what_git_says_is_sorted_by_what_to_do_next() {
        let sort = |text: &str| GitError::from_stderr("fetch", text.to_owned());
        let unreachable = "fatal: unable to access 'http://h/': Failed to connect to h port 1 after 0 ms";
        assert!(matches!(sort(unreachable), GitError::Unavailable { .. }));
        assert!(sort("The requested URL returned error: 503").is_retryable());
        assert!(matches!(
            sort("The requested URL returned error: 403"),
            GitError::AuthenticationFailed { .. }
        ));
        assert!(matches!(sort("The requested URL returned error: 301"), GitError::Moved { .. }));
        assert!(matches!(sort("fatal: couldn't find remote ref refs/heads/x"), GitError::NotFound { .. }));
        assert!(matches!(sort("fatal: repository 'http://h/' not found"), GitError::NotFound { .. }));
        assert!(matches!(sort("error: object file x is empty"), GitError::Corrupt { .. }));
        assert!(matches!(sort("something new"), GitError::Failed { .. }));
    }
}
