//! Reviews and their comments.

use serde_json::{Value, json};

use super::account::extend;
use crate::clock::iso;
use crate::state::{ReactionTarget, Repo, Review, ReviewComment, State};

impl State {
    /// A review. REST writes its state in upper case, webhooks in lower case.
    pub(crate) fn review_json(&self, repo: &Repo, review: &Review) -> Value {
        let pull = format!("{}/pulls/{}", self.repo_url(repo), review.number);
        let html = format!("{}/pull/{}", self.repo_html(repo), review.number);
        let html = format!("{html}#pullrequestreview-{}", review.id);
        let mut json = json!({
            "id": review.id, "node_id": format!("PRR_{}", review.id), "user": self.account_json(review.author),
            "body": review.body, "state": review.state, "html_url": html, "pull_request_url": pull,
            "author_association": self.association(review.author, repo), "commit_id": review.commit_sha,
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
        });
        if let Some(at) = review.submitted_ms {
            extend(&mut json, json!({"submitted_at": iso(at)}));
        }
        json
    }

    /// A comment at a line of the diff.
    pub(crate) fn review_comment_json(&self, repo: &Repo, comment: &ReviewComment) -> Value {
        let repository = self.repo_url(repo);
        let url = format!("{repository}/pulls/comments/{}", comment.id);
        let pull = format!("{repository}/pulls/{}", comment.number);
        let html = format!("{}/pull/{}#discussion_r{}", self.repo_html(repo), comment.number, comment.id);
        let mut json = json!({
            "id": comment.id, "node_id": format!("PRRC_{}", comment.id), "url": url,
            "pull_request_review_id": comment.review, "diff_hunk": comment.diff_hunk, "path": comment.path,
            "commit_id": comment.commit_sha, "original_commit_id": comment.original_commit_sha,
            "user": self.account_json(comment.author), "body": comment.body,
            "created_at": iso(comment.created_ms), "updated_at": iso(comment.updated_ms),
            "html_url": html, "pull_request_url": pull,
            "author_association": self.association(comment.author, repo),
            "_links": {"self": {"href": url}, "html": {"href": html}, "pull_request": {"href": pull}},
            "reactions": self.reactions_json(repo, ReactionTarget::ReviewComment(comment.id), &url),
            "start_line": comment.start_line, "original_start_line": comment.original_start_line,
            "start_side": comment.start_side.map(crate::git::diff::Side::name), "line": comment.line,
            "original_line": comment.original_line, "side": comment.side.name(),
            "position": comment.position, "original_position": comment.original_position,
            "subject_type": if comment.whole_file { "file" } else { "line" },
        });
        if let Some(root) = comment.in_reply_to {
            extend(&mut json, json!({"in_reply_to_id": root}));
        }
        json
    }
}
