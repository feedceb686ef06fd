//! Review threads. Resolving them exists in GraphQL only.

use pairbot_protocol::ids::{CommentId, PullRequestNumber};
use serde::Deserialize;
use serde_json::json;

use super::Licence;
use super::error::GitHubError;
use super::repository::RepositoryClient;

/// How many pages of a hundred threads are read at most.
const PAGES_MAX: usize = 50;

/// A thread of a pull request's diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewThread {
    /// Its id in GraphQL.
    pub id: String,
    /// Whether somebody resolved it.
    pub resolved: bool,
    /// The id of its first comment, as REST and the answer to a posted review give it: by it a thread is known.
    pub comment: Option<CommentId>,
    /// What its first comment says.
    pub body: String,
}

#[derive(Deserialize)]
struct Data {
    repository: Option<RepositoryNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryNode {
    pull_request: Option<PullRequestNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequestNode {
    review_threads: Threads,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Threads {
    nodes: Vec<Thread>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    id: String,
    is_resolved: bool,
    comments: Comments,
}

#[derive(Deserialize)]
struct Comments {
    nodes: Vec<Comment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comment {
    full_database_id: Option<BigInt>,
    #[serde(default)]
    body: String,
}

/// GraphQL's integers end at 2^31, so it writes larger ones as strings.
#[derive(Deserialize)]
#[serde(untagged)]
enum BigInt {
    Number(u64),
    Text(String),
}

impl BigInt {
    fn value(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(digits) => digits.parse().ok(),
        }
    }
}

impl RepositoryClient {
    /// All threads of a pull request's diff.
    pub async fn review_threads(&self, number: PullRequestNumber) -> Result<Vec<ReviewThread>, GitHubError> {
        const DOCUMENT: &str = "query($owner: String!, $name: String!, $number: Int!, $after: String) { \
            repository(owner: $owner, name: $name) { pullRequest(number: $number) { \
            reviewThreads(first: 100, after: $after) { \
            nodes { id isResolved comments(first: 1) { nodes { fullDatabaseId body } } } \
            pageInfo { hasNextPage endCursor } } } } }";
        let name = self.full_name().await?;
        let not_found = || GitHubError::NotFound { request: format!("the threads of pull request {number}") };
        let mut threads = Vec::new();
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let variables =
                json!({ "owner": name.owner, "name": name.name, "number": number, "after": after });
            let data: Data = self.client.graphql(DOCUMENT, variables).await?;
            let page = data
                .repository
                .and_then(|repository| repository.pull_request)
                .ok_or_else(not_found)?
                .review_threads;
            threads.extend(page.nodes.into_iter().map(read));
            after = page.page_info.end_cursor;
            if !page.page_info.has_next_page || after.is_none() {
                break;
            }
        }
        Ok(threads)
    }

    /// Marks a thread as settled. Doing so twice changes nothing.
    pub async fn resolve_thread(&self, lease: &impl Licence, thread: &str) -> Result<(), GitHubError> {
        const DOCUMENT: &str = "mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) \
                                { thread { id isResolved } } }";
        self.change_thread(lease, DOCUMENT, thread).await
    }

    /// Opens a thread again. Doing so twice changes nothing.
    pub async fn unresolve_thread(&self, lease: &impl Licence, thread: &str) -> Result<(), GitHubError> {
        const DOCUMENT: &str = "mutation($id: ID!) { unresolveReviewThread(input: {threadId: $id}) \
                                { thread { id isResolved } } }";
        self.change_thread(lease, DOCUMENT, thread).await
    }

    async fn change_thread(
        &self,
        lease: &impl Licence,
        document: &str,
        thread: &str,
    ) -> Result<(), GitHubError> {
        let _: serde::de::IgnoredAny = self.client.mutate(lease, document, json!({ "id": thread })).await?;
        Ok(())
    }
}

fn read(thread: Thread) -> ReviewThread {
    let first = thread.comments.nodes.into_iter().next();
    ReviewThread {
        id: thread.id,
        resolved: thread.is_resolved,
        comment: first.as_ref().and_then(|comment| comment.full_database_id.as_ref()?.value()).map(CommentId),
        body: first.map(|comment| comment.body).unwrap_or_default(),
    }
}
