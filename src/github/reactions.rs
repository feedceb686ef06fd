//! Reactions. Setting one twice changes nothing (GitHub answers 200 instead of 201).

use http::Method;
use pairbot_protocol::effect::Reaction;
use pairbot_protocol::ids::{CommentId, IssueNumber};
use serde_json::json;

use super::Licence;
use super::error::GitHubError;
use super::repository::RepositoryClient;

/// What a reaction can be set on over REST. Reviews are not among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReactionPlace {
    /// An issue or pull request.
    Issue(IssueNumber),
    /// A comment of a conversation.
    Comment(CommentId),
    /// A comment at a line of the diff.
    LineComment(CommentId),
}

impl RepositoryClient {
    /// Sets a reaction.
    pub async fn react(
        &self,
        lease: &impl Licence,
        place: ReactionPlace,
        with: Reaction,
    ) -> Result<(), GitHubError> {
        let route = match place {
            ReactionPlace::Issue(issue) => format!("/issues/{issue}/reactions"),
            ReactionPlace::Comment(id) => format!("/issues/comments/{id}/reactions"),
            ReactionPlace::LineComment(id) => format!("/pulls/comments/{id}/reactions"),
        };
        let content = match with {
            Reaction::Seen => "eyes",
            Reaction::Accepted => "+1",
            Reaction::Refused => "confused",
        };
        let _: serde::de::IgnoredAny =
            self.write(lease, Method::POST, &route, &json!({ "content": content })).await?;
        Ok(())
    }
}
