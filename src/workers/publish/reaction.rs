//! A reaction. Setting one twice changes nothing (GitHub answers 200 instead of 201).

use pairbot_protocol::effect::{Reaction, ReactionTarget};

use super::{Assignment, Product, Setback, Tools};
use crate::github::ReactionPlace;

pub(super) async fn publish(
    tools: &Tools,
    task: &Assignment<'_>,
    to: ReactionTarget,
    with: Reaction,
) -> Result<Product, Setback> {
    let run = &task.run;
    let place = match to {
        ReactionTarget::Issue => ReactionPlace::Issue(run.id.issue),
        ReactionTarget::Comment { id } => ReactionPlace::Comment(id),
        ReactionTarget::LineComment { id } => ReactionPlace::LineComment(id),
        // Reviews take no reactions over REST; what they asked for is told in the status comment.
        ReactionTarget::Review { .. } => return Ok(Product::nothing()),
    };
    match tools.repository(run).react(task, place, with).await {
        // Whoever deleted the comment wants no answer to it.
        Err(error) if error.is_not_found() => Ok(Product::nothing()),
        other => {
            other?;
            Ok(Product::nothing())
        }
    }
}
