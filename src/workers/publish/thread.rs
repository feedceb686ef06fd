//! The thread of a finding: resolved once the finding is settled, open as long as it is not.

use pairbot_protocol::finding::FindingState;
use pairbot_protocol::ids::{CommentId, FindingId};

use super::{Assignment, Product, Setback, Tools, receipt};

pub(super) async fn publish(
    tools: &Tools,
    task: &Assignment<'_>,
    finding: &FindingId,
) -> Result<Product, Setback> {
    let run = &task.run;
    let (Some(settled), Some(pull_request)) = (run.findings.get(finding), &run.pull_request) else {
        return Err(Setback::Cancelled);
    };
    // A finding outside the diff has no thread: it stands in the review's body.
    let Some(comment) = receipt(tools, run, &format!("finding:{finding}")).await?.map(CommentId) else {
        return Ok(Product::nothing());
    };
    let client = tools.repository(run);
    let threads = client.review_threads(pull_request.number).await?;
    let Some(thread) = threads.iter().find(|thread| thread.comment == Some(comment)) else {
        return Ok(Product::nothing());
    };
    match (&settled.state, thread.resolved) {
        (FindingState::Fixed { .. }, false) => client.resolve_thread(task, &thread.id).await?,
        (FindingState::Open, true) => client.unresolve_thread(task, &thread.id).await?,
        (FindingState::Fixed { .. }, true) | (FindingState::Open, false) | (FindingState::FollowUp, _) => {}
    }
    Ok(Product::nothing())
}
