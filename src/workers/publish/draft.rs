//! Whether the pull request is a draft: until a person is awaited, it is.

use pairbot_protocol::publish::wants_draft;

use super::{Assignment, Product, Setback, Tools};

pub(super) async fn publish(tools: &Tools, task: &Assignment<'_>) -> Result<Product, Setback> {
    let run = &task.run;
    let (Some(wanted), Some(pull_request)) = (wants_draft(run), &run.pull_request) else {
        return Err(Setback::Cancelled);
    };
    let client = tools.repository(run);
    let shown = client.pull_request(pull_request.number).await?;
    // A pull request that was pushed to is not offered for merging on the word of an older head (promise P2).
    let fresh = run.head.as_ref() == Some(&shown.head);
    if shown.open && shown.draft != wanted && (wanted || fresh) {
        client.set_draft(task, &pull_request.node_id, wanted).await?;
    }
    Ok(Product::nothing())
}
