//! Comments in the conversation of an issue or a pull request.

use http::Method;
use pairbot_protocol::ids::{CommentId, IssueNumber};
use serde::Deserialize;
use serde_json::json;

use super::Licence;
use super::error::{GitHubError, found};
use super::issues::Account;
use super::limits_of_texts::{BODY_BYTES_MAX, cut_text};
use super::markers::Marker;
use super::repository::RepositoryClient;

/// A comment of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueComment {
    /// Its id.
    pub id: CommentId,
    /// Who wrote it; none if the account is gone.
    pub author: Option<Account>,
    /// Whether this App wrote it.
    pub ours: bool,
    /// What it says, in Markdown: untrusted text unless it is ours.
    pub body: String,
}

#[derive(Deserialize)]
struct CommentWire {
    id: CommentId,
    user: Option<Account>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    id: CommentId,
}

impl RepositoryClient {
    /// All comments of a conversation, oldest first.
    pub async fn issue_comments(&self, issue: IssueNumber) -> Result<Vec<IssueComment>, GitHubError> {
        let identity = self.shared.identity().await?;
        let list: Vec<CommentWire> =
            self.list(&format!("/issues/{issue}/comments?per_page=100"), None).await?;
        Ok(list
            .into_iter()
            .map(|wire| IssueComment {
                id: wire.id,
                ours: wire.user.as_ref().is_some_and(|user| identity.is(&user.login)),
                author: wire.user,
                body: wire.body.unwrap_or_default(),
            })
            .collect())
    }

    /// Whether a comment of ours with this marker is in a conversation.
    pub async fn has_said(&self, issue: IssueNumber, marker: &Marker) -> Result<bool, GitHubError> {
        Ok(self.ours(issue, marker).await?.is_some())
    }

    async fn ours(&self, issue: IssueNumber, marker: &Marker) -> Result<Option<IssueComment>, GitHubError> {
        let comments = self.issue_comments(issue).await?;
        Ok(comments.into_iter().find(|comment| comment.ours && marker.signs(&comment.body)))
    }

    /// Brings one comment about: `known` is written anew in place; without it, or if somebody deleted it, a comment of
    /// ours with this marker is looked for when `look_first` says that an earlier attempt may have written it; else a
    /// new one is made.
    pub async fn comment_once(
        &self,
        lease: &impl Licence,
        issue: IssueNumber,
        marker: &Marker,
        body: &str,
        known: Option<CommentId>,
        look_first: bool,
    ) -> Result<CommentId, GitHubError> {
        let body = signed_body(marker, body);
        if let Some(id) = known
            && found(self.rewrite_comment(lease, id, &body).await)?.is_some()
        {
            return Ok(id);
        }
        if (look_first || known.is_some())
            && let Some(comment) = self.ours(issue, marker).await?
        {
            if comment.body != body {
                self.rewrite_comment(lease, comment.id, &body).await?;
            }
            return Ok(comment.id);
        }
        let written: Written = self
            .write(lease, Method::POST, &format!("/issues/{issue}/comments"), &json!({ "body": body }))
            .await?;
        Ok(written.id)
    }

    async fn rewrite_comment(
        &self,
        lease: &impl Licence,
        id: CommentId,
        body: &str,
    ) -> Result<CommentId, GitHubError> {
        let written: Written = self
            .write(lease, Method::PATCH, &format!("/issues/comments/{id}"), &json!({ "body": body }))
            .await?;
        Ok(written.id)
    }
}

/// A body with its marker, within GitHub's limit: the marker is never what is cut.
pub(super) fn signed_body(marker: &Marker, body: &str) -> String {
    marker.sign(&cut_text(body, BODY_BYTES_MAX - marker.bytes().min(BODY_BYTES_MAX)))
}
