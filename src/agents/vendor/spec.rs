//! What an operator says about an agent that runs as a program of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pairbot_protocol::ids::AgentName;

use crate::gateway::ProviderKind;

/// How an agent is talked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// By the Agent Client Protocol, over its standard input and output.
    Acp,
    /// By its command line alone.
    Command,
}

impl Manner {
    /// As it is written in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acp => "acp",
            Self::Command => "command",
        }
    }
}

/// One agent that the operator allows.
///
/// Arguments, environment, files, `stdin` and `meta` may hold the names of [`PLACEHOLDERS`](super::PLACEHOLDERS) in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSpec {
    /// What policies call it.
    pub name: AgentName,
    /// How it is talked with.
    pub manner: Manner,
    /// Whose models it calls, and so whose protocol it speaks to the gateway.
    pub provider: ProviderKind,
    /// The program: a name on the server's `PATH`, or a full path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What it reads on its standard input, which is empty otherwise; for those by command line. However long the
    /// prompt is, it stands there whole.
    pub stdin: Option<String>,
    /// Its environment beside what every agent gets.
    pub environment: BTreeMap<String, String>,
    /// Files in its home, by their path below it.
    pub files: BTreeMap<String, String>,
    /// What a session is set to, by category; for ACP.
    pub options: BTreeMap<String, String>,
    /// What a session is opened with besides, as JSON; for ACP.
    pub meta: Option<String>,
    /// What it needs to read beside the system and its own folder.
    pub read_only: Vec<PathBuf>,
}
