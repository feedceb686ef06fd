//! What a repository looks like now and what happened in it lately: what is read to find out what was not told.

use pairbot_protocol::ids::{CommentId, InstallationId, IssueNumber, RepositoryId};
use serde::Deserialize;

use super::app::GitHub;
use super::call::Caller;
use super::error::GitHubError;
use super::issues::{Account, Issue, IssueWire};
use super::moment::Moment;
use super::names::FullName;
use super::pulls::{PullRequest, PullRequestWire};
use super::repository::RepositoryClient;
use super::route::segment;

/// A repository that an installation reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachedRepository {
    /// Its id, which never changes.
    pub id: RepositoryId,
    /// What it is called now.
    pub full_name: FullName,
    /// Whether it takes no changes.
    pub archived: bool,
}

/// An entry of an issue's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueEvent {
    /// What happened, such as `labeled`.
    pub event: String,
    /// Who did it; none if the account is gone.
    pub actor: Option<Account>,
    /// When.
    pub created_at: Moment,
    /// The label that was set or taken off.
    pub label: Option<String>,
}

/// A comment that somebody wrote, with where and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentComment {
    /// Its id.
    pub id: CommentId,
    /// The issue or pull request it is on. To GitHub each pull request is an issue.
    pub conversation: IssueNumber,
    /// Who wrote it; none if the account is gone.
    pub author: Option<Account>,
    /// What it says.
    pub body: String,
    /// When it was written.
    pub created_at: Moment,
    /// When it was changed last.
    pub updated_at: Moment,
    /// The file and line it is at, for one at a diff.
    pub path: Option<String>,
    /// The line.
    pub line: Option<u64>,
    /// The App that wrote it in somebody's name.
    pub through_app: Option<u64>,
}

#[derive(Deserialize)]
struct RepositoryWire {
    id: RepositoryId,
    name: String,
    owner: OwnerWire,
    #[serde(default)]
    archived: bool,
}

#[derive(Deserialize)]
struct OwnerWire {
    login: String,
}

#[derive(Deserialize)]
struct EventWire {
    event: String,
    actor: Option<Account>,
    created_at: Moment,
    label: Option<LabelWire>,
}

#[derive(Deserialize)]
struct LabelWire {
    name: Option<String>,
}

#[derive(Deserialize)]
struct CommentWire {
    id: CommentId,
    issue_url: Option<String>,
    pull_request_url: Option<String>,
    user: Option<Account>,
    body: Option<String>,
    created_at: Moment,
    updated_at: Moment,
    path: Option<String>,
    line: Option<u64>,
    performed_via_github_app: Option<AppWire>,
}

#[derive(Deserialize)]
struct AppWire {
    id: u64,
}

impl GitHub {
    /// Every repository that an installation reaches. What they are called now is taken note of.
    pub async fn reached_repositories(
        &self,
        installation: InstallationId,
    ) -> Result<Vec<ReachedRepository>, GitHubError> {
        let client = self.client(Caller::Installation(installation));
        let list: Vec<RepositoryWire> =
            client.list("/installation/repositories?per_page=100", Some("repositories")).await?;
        let reached = list.into_iter().map(|wire| ReachedRepository {
            id: wire.id,
            full_name: FullName { owner: wire.owner.login, name: wire.name },
            archived: wire.archived,
        });
        let reached: Vec<ReachedRepository> = reached.collect();
        for repository in &reached {
            self.learn_name(repository.id, repository.full_name.clone());
        }
        Ok(reached)
    }
}

impl RepositoryClient {
    /// The open issues that have a label, pull requests left out.
    pub async fn issues_with_label(&self, label: &str) -> Result<Vec<Issue>, GitHubError> {
        let route = format!("/issues?state=open&labels={}&per_page=100", segment(label));
        let list: Vec<IssueWire> = self.list(&route, None).await?;
        Ok(list.into_iter().map(Issue::from).filter(|issue| !issue.is_pull_request).collect())
    }

    /// The open pull requests.
    pub async fn open_pull_requests(&self) -> Result<Vec<PullRequest>, GitHubError> {
        let list: Vec<PullRequestWire> = self.list("/pulls?state=open&per_page=100", None).await?;
        Ok(list.into_iter().map(PullRequest::from).collect())
    }

    /// The history of an issue, oldest first.
    pub async fn issue_events(&self, issue: IssueNumber) -> Result<Vec<IssueEvent>, GitHubError> {
        let list: Vec<EventWire> = self.list(&format!("/issues/{issue}/events?per_page=100"), None).await?;
        Ok(list
            .into_iter()
            .map(|wire| IssueEvent {
                event: wire.event,
                actor: wire.actor,
                created_at: wire.created_at,
                label: wire.label.and_then(|label| label.name),
            })
            .collect())
    }

    /// Comments of all conversations that were written or changed since a moment.
    pub async fn comments_since(&self, since: &Moment) -> Result<Vec<RecentComment>, GitHubError> {
        self.since("/issues/comments", since).await
    }

    /// Comments at lines of any pull request that were written or changed since a moment.
    pub async fn line_comments_since(&self, since: &Moment) -> Result<Vec<RecentComment>, GitHubError> {
        self.since("/pulls/comments", since).await
    }

    async fn since(&self, path: &str, since: &Moment) -> Result<Vec<RecentComment>, GitHubError> {
        let since = segment(since.as_str());
        let route = format!("{path}?since={since}&sort=updated&direction=asc&per_page=100");
        let list: Vec<CommentWire> = self.list(&route, None).await?;
        Ok(list.into_iter().filter_map(CommentWire::read).collect())
    }
}

impl CommentWire {
    fn read(self) -> Option<RecentComment> {
        // Only the address says where it is.
        let address = self.issue_url.or(self.pull_request_url)?;
        let conversation = IssueNumber(address.rsplit('/').next()?.parse().ok()?);
        Some(RecentComment {
            id: self.id,
            conversation,
            author: self.user,
            body: self.body.unwrap_or_default(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            path: self.path,
            line: self.line,
            through_app: self.performed_via_github_app.map(|app| app.id),
        })
    }
}
