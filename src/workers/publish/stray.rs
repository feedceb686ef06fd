//! A pull request that was opened although its run had ended: closed with the reason, unless people have made it theirs.

use pairbot_protocol::ids::IssueNumber;
use pairbot_protocol::signal::Target;

use super::{Assignment, Product, Setback, Tools, marker};
use crate::text;

pub(super) async fn publish(tools: &Tools, task: &Assignment<'_>) -> Result<Product, Setback> {
    let run = &task.run;
    let Some(number) = run.pull_request.as_ref().map(|pull_request| pull_request.number) else {
        return Err(Setback::Cancelled);
    };
    // A newer run of the issue goes on with the pull request.
    let target = Target::Issue { repository: run.id.repository, issue: run.id.issue };
    if !tools.store.runs_for(&target).await?.contains(&run.id) {
        return Err(Setback::Cancelled);
    }
    let client = tools.repository(run);
    let own = tools.own.resolve(&tools.github, run.installation).await?;
    let shown = client.pull_request(number).await?;
    let is_ours = shown.author.as_ref().is_some_and(|author| author.id == own.id);
    if !shown.open || !is_ours {
        return Ok(Product::nothing());
    }
    let conversation = IssueNumber(number.0);
    let spoken = client.issue_comments(conversation).await?.iter().any(|comment| !comment.ours)
        || client.reviews(number).await?.iter().any(|review| !review.ours);
    let is_untouched = run.head.as_ref() == Some(&shown.head) && !spoken;
    let body = text::stray(run, is_untouched);
    let marker = marker(run, "stray")?;
    client.comment_once(task, conversation, &marker, &body, None, task.look_first()).await?;
    if is_untouched {
        client.close_pull_request(task, number).await?;
    }
    Ok(Product::nothing())
}
