//! Issues, as far as a run reads them.

use pairbot_protocol::ids::{IssueNumber, UserId};
use serde::Deserialize;

use super::error::GitHubError;
use super::moment::Moment;
use super::repository::RepositoryClient;

/// An issue, or a pull request seen as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number.
    pub number: IssueNumber,
    /// Its title: untrusted text.
    pub title: String,
    /// Its description in Markdown: untrusted text.
    pub body: String,
    /// Whether it is open.
    pub open: bool,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Who wrote it; none if the account is gone.
    pub author: Option<Account>,
    /// Whether it is a pull request.
    pub is_pull_request: bool,
    /// When it was closed, if it is.
    pub closed_at: Option<Moment>,
    /// Who closed it, if it is closed and GitHub says so.
    pub closed_by: Option<Account>,
}

/// An account as it appears beside something it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "AccountWire")]
pub struct Account {
    /// Its id.
    pub id: UserId,
    /// Its login at the moment.
    pub login: String,
    /// Whether it is a program.
    pub is_bot: bool,
    /// Whether it is a person: GitHub knows accounts that are neither.
    pub is_person: bool,
}

#[derive(Deserialize)]
struct AccountWire {
    id: UserId,
    login: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl From<AccountWire> for Account {
    fn from(wire: AccountWire) -> Self {
        Self { id: wire.id, login: wire.login, is_bot: wire.kind == "Bot", is_person: wire.kind == "User" }
    }
}

#[derive(Deserialize)]
pub(super) struct IssueWire {
    number: IssueNumber,
    title: String,
    body: Option<String>,
    state: String,
    #[serde(default)]
    labels: Vec<LabelWire>,
    user: Option<Account>,
    pull_request: Option<serde::de::IgnoredAny>,
    closed_at: Option<Moment>,
    /// Only in the answer for a single issue.
    closed_by: Option<Account>,
}

/// Old issues name their labels as plain strings.
#[derive(Deserialize)]
#[serde(untagged)]
enum LabelWire {
    Object { name: Option<String> },
    Name(String),
}

impl From<IssueWire> for Issue {
    fn from(wire: IssueWire) -> Self {
        Self {
            number: wire.number,
            title: wire.title,
            body: wire.body.unwrap_or_default(),
            open: wire.state == "open",
            labels: wire
                .labels
                .into_iter()
                .filter_map(|label| match label {
                    LabelWire::Object { name } => name,
                    LabelWire::Name(name) => Some(name),
                })
                .collect(),
            author: wire.user,
            is_pull_request: wire.pull_request.is_some(),
            closed_at: wire.closed_at,
            closed_by: wire.closed_by,
        }
    }
}

impl RepositoryClient {
    /// Reads an issue.
    pub async fn issue(&self, number: IssueNumber) -> Result<Issue, GitHubError> {
        Ok(self.get::<IssueWire>(&format!("/issues/{number}")).await?.into())
    }
}
