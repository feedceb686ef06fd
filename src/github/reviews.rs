//! Reviews. They are comments, never approvals: the verdict is a check run.

use http::Method;
use pairbot_protocol::ids::{CommentId, HeadSha, PullRequestNumber, ReviewId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Licence;
use super::comments::signed_body;
use super::error::GitHubError;
use super::issues::Account;
use super::markers::Marker;
use super::moment::Moment;
use super::repository::RepositoryClient;

/// A review to be posted.
#[derive(Debug, Clone, Copy)]
pub struct NewReview<'a> {
    /// The commit that was read. It attributes the review; it is no precondition to GitHub.
    pub head: &'a HeadSha,
    /// By what the review is found again. Its comments carry the marker's parts, by their index.
    pub marker: &'a Marker,
    /// What it says as a whole.
    pub body: &'a str,
    /// What it says at lines.
    pub comments: &'a [LineComment],
}

/// A comment at a line of the diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineComment {
    /// The file.
    pub path: String,
    /// The line, or the last of several.
    pub line: u32,
    /// The first of several lines; less than `line`.
    pub start_line: Option<u32>,
    /// Which side of the diff the lines are counted on.
    pub side: Side,
    /// What it says.
    pub body: String,
}

/// A side of a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Side {
    /// What is removed.
    Left,
    /// What is added or kept.
    Right,
}

/// A review that exists now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedReview {
    /// Its id.
    pub review: ReviewId,
    /// The id of each comment, by its index in [`NewReview::comments`]; none for what is in the review's body instead.
    pub comments: Vec<Option<CommentId>>,
    /// Indexes of the comments that GitHub took at no line, and that are in the review's body instead.
    pub moved: Vec<usize>,
}

/// A review as it is on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// Who wrote it; none if the account is gone.
    pub author: Option<Account>,
    /// Whether this App wrote it.
    pub ours: bool,
    /// What it says as a whole.
    pub body: String,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED` or `PENDING`.
    pub state: String,
    /// The commit it is attributed to; none if that is gone.
    pub head: Option<HeadSha>,
    /// When it was handed in, if it was.
    pub submitted_at: Option<Moment>,
}

#[derive(Deserialize)]
struct ReviewWire {
    id: ReviewId,
    user: Option<Account>,
    body: Option<String>,
    #[serde(default)]
    state: String,
    commit_id: Option<HeadSha>,
    submitted_at: Option<Moment>,
}

#[derive(Deserialize)]
struct LineCommentWire {
    id: CommentId,
    user: Option<Account>,
    body: Option<String>,
    in_reply_to_id: Option<CommentId>,
}

#[derive(Deserialize)]
struct Written<Id> {
    id: Id,
}

/// A comment as GitHub takes it. `start_side` may only be there together with `start_line`.
#[derive(Serialize)]
struct NewLineComment<'a> {
    path: &'a str,
    line: u32,
    side: Side,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_side: Option<Side>,
}

impl RepositoryClient {
    /// All reviews of a pull request, oldest first.
    pub async fn reviews(&self, number: PullRequestNumber) -> Result<Vec<Review>, GitHubError> {
        let identity = self.shared.identity().await?;
        let list: Vec<ReviewWire> = self.list(&format!("/pulls/{number}/reviews?per_page=100"), None).await?;
        Ok(list
            .into_iter()
            .map(|wire| Review {
                id: wire.id,
                ours: wire.user.as_ref().is_some_and(|user| identity.is(&user.login)),
                author: wire.user,
                body: wire.body.unwrap_or_default(),
                state: wire.state,
                head: wire.commit_id,
                submitted_at: wire.submitted_at,
            })
            .collect())
    }

    /// Posts a review once. With `look_first`, one that an earlier attempt posted is found by its marker. If GitHub
    /// refuses a comment it does not say which, so all go into the body: a review is never lost for a line.
    pub async fn submit_review_once(
        &self,
        lease: &impl Licence,
        number: PullRequestNumber,
        new: NewReview<'_>,
        look_first: bool,
    ) -> Result<PostedReview, GitHubError> {
        if look_first {
            let reviews = self.reviews(number).await?;
            if let Some(review) =
                reviews.into_iter().find(|review| review.ours && new.marker.signs(&review.body))
            {
                return self.posted(number, new, review.id).await;
            }
        }
        let inline = new.comments.iter().enumerate().map(|(index, comment)| NewLineComment {
            path: &comment.path,
            line: comment.line,
            side: comment.side,
            body: signed_body(&new.marker.part(index), &comment.body),
            start_line: comment.start_line.filter(|start| *start < comment.line),
            start_side: comment.start_line.filter(|start| *start < comment.line).map(|_| comment.side),
        });
        let inline = inline.collect::<Vec<_>>();
        match self.post_review(lease, number, new, new.body, &inline).await {
            Ok(review) => self.posted(number, new, review).await,
            Err(GitHubError::Validation { message, errors, .. }) if !inline.is_empty() => {
                tracing::warn!(%number, message, ?errors, "GitHub takes no comment at these lines; moving them to the body");
                let review = self.post_review(lease, number, new, &body_with_comments(new), &[]).await?;
                Ok(PostedReview {
                    review,
                    comments: vec![None; new.comments.len()],
                    moved: (0..new.comments.len()).collect(),
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn post_review(
        &self,
        lease: &impl Licence,
        number: PullRequestNumber,
        new: NewReview<'_>,
        body: &str,
        comments: &[NewLineComment<'_>],
    ) -> Result<ReviewId, GitHubError> {
        let body = json!({
            "commit_id": new.head,
            "event": "COMMENT",
            "body": signed_body(new.marker, body),
            "comments": comments,
        });
        let written: Written<ReviewId> =
            self.write(lease, Method::POST, &format!("/pulls/{number}/reviews"), &body).await?;
        Ok(written.id)
    }

    /// The comments of a posted review: GitHub's answer to the post does not name them.
    async fn posted(
        &self,
        number: PullRequestNumber,
        new: NewReview<'_>,
        review: ReviewId,
    ) -> Result<PostedReview, GitHubError> {
        if new.comments.is_empty() {
            return Ok(PostedReview { review, comments: Vec::new(), moved: Vec::new() });
        }
        let route = format!("/pulls/{number}/reviews/{review}/comments?per_page=100");
        let list: Vec<LineCommentWire> = self.list(&route, None).await?;
        let comments = (0..new.comments.len()).map(|index| {
            let marker = new.marker.part(index);
            list.iter()
                .find(|comment| comment.body.as_deref().is_some_and(|body| marker.signs(body)))
                .map(|comment| comment.id)
        });
        let comments = comments.collect::<Vec<_>>();
        let moved = if list.is_empty() { (0..comments.len()).collect() } else { Vec::new() };
        Ok(PostedReview { review, comments, moved })
    }

    /// Answers in the thread of a line comment, once. With `look_first`, an answer that an earlier attempt wrote is
    /// found by its marker.
    pub async fn reply_to_review_comment_once(
        &self,
        lease: &impl Licence,
        number: PullRequestNumber,
        comment: CommentId,
        marker: &Marker,
        body: &str,
        look_first: bool,
    ) -> Result<CommentId, GitHubError> {
        if look_first {
            let identity = self.shared.identity().await?;
            let list: Vec<LineCommentWire> =
                self.list(&format!("/pulls/{number}/comments?per_page=100"), None).await?;
            let reply = list.into_iter().find(|reply| {
                reply.in_reply_to_id == Some(comment)
                    && reply.user.as_ref().is_some_and(|user| identity.is(&user.login))
                    && reply.body.as_deref().is_some_and(|body| marker.signs(body))
            });
            if let Some(reply) = reply {
                return Ok(reply.id);
            }
        }
        let route = format!("/pulls/{number}/comments/{comment}/replies");
        let body = json!({ "body": signed_body(marker, body) });
        let written: Written<CommentId> = self.write(lease, Method::POST, &route, &body).await?;
        Ok(written.id)
    }
}

/// The review's body, followed by what should have stood at lines.
fn body_with_comments(new: NewReview<'_>) -> String {
    let mut body = new.body.trim_end().to_owned();
    for comment in new.comments {
        let lines = match comment.start_line {
            Some(start) if start < comment.line => format!("{start}-{}", comment.line),
            Some(_) | None => comment.line.to_string(),
        };
        // A path may hold a backtick; a code span must not end there.
        let path = comment.path.replace('`', "'");
        for part in ["\n\n**`", &path, ":", &lines, "`**\n\n", comment.body.trim()] {
            body.push_str(part);
        }
    }
    body
}
