//! Pull requests.

use http::Method;
use pairbot_protocol::ids::{BaseSha, HeadSha, PullRequestNumber, RepositoryId};
use serde::Deserialize;
use serde_json::json;

use super::Licence;
use super::error::GitHubError;
use super::issues::Account;
use super::limits_of_texts::{BODY_BYTES_MAX, TITLE_BYTES_MAX, cut_line, cut_text};
use super::moment::Moment;
use super::repository::RepositoryClient;
use super::route::{path, segment};

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: PullRequestNumber,
    /// Its id in GraphQL.
    pub node_id: String,
    /// Whether it is open.
    pub open: bool,
    /// Whether it was merged. Only this says so: a squash leaves no ancestor behind.
    pub merged: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// Its title.
    pub title: String,
    /// Its description.
    pub body: String,
    /// Who opened it; none if the account is gone.
    pub author: Option<Account>,
    /// The commit to be merged.
    pub head: HeadSha,
    /// The branch that commit is the tip of.
    pub head_branch: String,
    /// The repository of that branch; none if a fork is gone.
    pub head_repository: Option<RepositoryId>,
    /// The commit it is compared with, as GitHub last computed it.
    pub base: BaseSha,
    /// The branch it goes to.
    pub base_branch: String,
    /// Whether it can be merged without conflict; none while GitHub computes it.
    pub mergeable: Option<bool>,
    /// When it changed last.
    pub updated_at: Option<Moment>,
    /// When it was closed or merged, if it was.
    pub closed_at: Option<Moment>,
    /// Who merged it, if it was merged and this is the answer for it alone.
    pub merged_by: Option<Account>,
}

/// What a new pull request is to be.
#[derive(Debug, Clone, Copy)]
pub struct NewPullRequest<'a> {
    /// Its branch, in the same repository.
    pub branch: &'a str,
    /// Where it goes.
    pub base_branch: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Its description.
    pub body: &'a str,
    /// Whether it starts as a draft, where the repository has drafts.
    pub draft: bool,
}

/// A pull request that exists now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// It.
    pub pull_request: PullRequest,
    /// Whether this call made it.
    pub created: bool,
}

/// A file of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ChangedFile {
    /// Its path on the new side.
    #[serde(rename = "filename")]
    pub path: String,
    /// Where it was before, if it moved.
    #[serde(rename = "previous_filename")]
    pub previous_path: Option<String>,
    /// `added`, `modified`, `removed`, `renamed`, …
    pub status: String,
    /// Lines added.
    #[serde(default)]
    pub additions: u32,
    /// Lines removed.
    #[serde(default)]
    pub deletions: u32,
    /// The hunks, unless the file is binary or the diff too large.
    pub patch: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PullRequestWire {
    number: PullRequestNumber,
    node_id: String,
    state: String,
    /// Only in the answer for a single pull request.
    #[serde(default)]
    merged: bool,
    merged_at: Option<String>,
    #[serde(default)]
    draft: bool,
    title: String,
    body: Option<String>,
    user: Option<Account>,
    head: EndWire<HeadSha>,
    base: EndWire<BaseSha>,
    #[serde(default)]
    mergeable: Option<bool>,
    updated_at: Option<Moment>,
    closed_at: Option<Moment>,
    merged_by: Option<Account>,
}

#[derive(Deserialize)]
struct EndWire<Sha> {
    sha: Sha,
    #[serde(rename = "ref")]
    branch: String,
    repo: Option<RepoWire>,
}

#[derive(Deserialize)]
struct RepoWire {
    id: RepositoryId,
}

impl From<PullRequestWire> for PullRequest {
    fn from(wire: PullRequestWire) -> Self {
        Self {
            number: wire.number,
            node_id: wire.node_id,
            open: wire.state == "open",
            merged: wire.merged || wire.merged_at.is_some(),
            draft: wire.draft,
            title: wire.title,
            body: wire.body.unwrap_or_default(),
            author: wire.user,
            head: wire.head.sha,
            head_branch: wire.head.branch,
            head_repository: wire.head.repo.map(|repo| repo.id),
            base: wire.base.sha,
            base_branch: wire.base.branch,
            mergeable: wire.mergeable,
            updated_at: wire.updated_at,
            closed_at: wire.closed_at,
            merged_by: wire.merged_by,
        }
    }
}

impl RepositoryClient {
    /// Reads a pull request.
    pub async fn pull_request(&self, number: PullRequestNumber) -> Result<PullRequest, GitHubError> {
        Ok(self.get::<PullRequestWire>(&format!("/pulls/{number}")).await?.into())
    }

    /// The pull request of a branch of this repository: the open one, else the newest.
    pub async fn find_pull_request(&self, branch: &str) -> Result<Option<PullRequest>, GitHubError> {
        let owner = self.full_name().await?.owner;
        let route = format!(
            "/pulls?head={}:{}&state=all&sort=created&direction=desc&per_page=100",
            segment(&owner),
            path(branch)
        );
        let list: Vec<PullRequestWire> = self.list(&route, None).await?;
        let mut own = list.into_iter().map(PullRequest::from).filter(|pull_request| {
            pull_request.head_branch == branch && pull_request.head_repository == Some(self.id)
        });
        let mut best: Option<PullRequest> = None;
        for candidate in own.by_ref() {
            let better = best
                .as_ref()
                .is_none_or(|best| (candidate.open, candidate.number) > (best.open, best.number));
            if better {
                best = Some(candidate);
            }
        }
        Ok(best)
    }

    /// The files that a pull request changes.
    pub async fn pull_request_files(
        &self,
        number: PullRequestNumber,
    ) -> Result<Vec<ChangedFile>, GitHubError> {
        self.list(&format!("/pulls/{number}/files?per_page=100"), None).await
    }

    /// Opens the pull request of a branch. GitHub allows one open pull request for a branch and a base, so one that an
    /// earlier attempt made is found, not made again.
    pub async fn open_pull_request(
        &self,
        lease: &impl Licence,
        new: NewPullRequest<'_>,
    ) -> Result<Opened, GitHubError> {
        match self.create_pull_request(lease, new).await {
            Ok(pull_request) => Ok(Opened { pull_request, created: true }),
            Err(error) if error.is_validation_about("already exists") => {
                match self.find_pull_request(new.branch).await? {
                    Some(pull_request) if pull_request.open => Ok(Opened { pull_request, created: false }),
                    Some(_) | None => Err(error),
                }
            }
            // Private repositories of free accounts have no drafts.
            Err(error) if new.draft && error.is_validation_about("draft pull requests are not supported") => {
                let new = NewPullRequest { draft: false, ..new };
                let pull_request = self.create_pull_request(lease, new).await?;
                Ok(Opened { pull_request, created: true })
            }
            Err(error) => Err(error),
        }
    }

    /// The same, where an earlier attempt may have got through: the pull request that it opened for exactly this head may
    /// be closed or merged by now, and then the next one would be a second (promise P1).
    pub async fn open_pull_request_once(
        &self,
        lease: &impl Licence,
        new: NewPullRequest<'_>,
        head: &HeadSha,
        look_first: bool,
    ) -> Result<Opened, GitHubError> {
        if look_first
            && let Some(pull_request) = self.find_pull_request(new.branch).await?
            && pull_request.head == *head
        {
            return Ok(Opened { pull_request, created: false });
        }
        self.open_pull_request(lease, new).await
    }

    async fn create_pull_request(
        &self,
        lease: &impl Licence,
        new: NewPullRequest<'_>,
    ) -> Result<PullRequest, GitHubError> {
        let body = json!({
            "head": new.branch,
            "base": new.base_branch,
            "title": cut_line(new.title, TITLE_BYTES_MAX),
            "body": cut_text(new.body, BODY_BYTES_MAX),
            "draft": new.draft,
        });
        Ok(self.write::<PullRequestWire>(lease, Method::POST, "/pulls", &body).await?.into())
    }

    /// Sets title and description.
    pub async fn update_pull_request(
        &self,
        lease: &impl Licence,
        number: PullRequestNumber,
        title: &str,
        body: &str,
    ) -> Result<PullRequest, GitHubError> {
        let body = json!({
            "title": cut_line(title, TITLE_BYTES_MAX),
            "body": cut_text(body, BODY_BYTES_MAX),
        });
        let route = format!("/pulls/{number}");
        Ok(self.write::<PullRequestWire>(lease, Method::PATCH, &route, &body).await?.into())
    }

    /// Closes a pull request without a merge. Its branch stays.
    pub async fn close_pull_request(
        &self,
        lease: &impl Licence,
        number: PullRequestNumber,
    ) -> Result<PullRequest, GitHubError> {
        let body = json!({ "state": "closed" });
        let route = format!("/pulls/{number}");
        Ok(self.write::<PullRequestWire>(lease, Method::PATCH, &route, &body).await?.into())
    }

    /// Makes a pull request a draft, or ready for review. Being so already is success.
    pub async fn set_draft(
        &self,
        lease: &impl Licence,
        node_id: &str,
        draft: bool,
    ) -> Result<(), GitHubError> {
        const TO_DRAFT: &str = "mutation($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: $id}) \
                                { pullRequest { id isDraft } } }";
        const TO_READY: &str = "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) \
                                { pullRequest { id isDraft } } }";
        const LOOK: &str = "query($id: ID!) { node(id: $id) { ... on PullRequest { id isDraft } } }";
        #[derive(Deserialize)]
        struct Looked {
            node: Option<Node>,
        }
        #[derive(Deserialize)]
        struct Node {
            #[serde(rename = "isDraft")]
            draft: Option<bool>,
        }
        let variables = json!({ "id": node_id });
        let document = if draft { TO_DRAFT } else { TO_READY };
        let result: Result<serde::de::IgnoredAny, _> =
            self.client.mutate(lease, document, variables.clone()).await;
        match result {
            Ok(_) => Ok(()),
            // GitHub refuses to make a draft of a draft.
            Err(error @ GitHubError::Validation { .. }) => {
                let looked: Looked = self.client.graphql(LOOK, variables).await?;
                if looked.node.and_then(|node| node.draft) == Some(draft) { Ok(()) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }
}
