//! An answer in words to someone's command.

use pairbot_protocol::ids::IssueNumber;
use pairbot_protocol::publish::answer_of;
use pairbot_protocol::signal::RequestId;

use super::{Assignment, Product, Setback, Tools, marker};
use crate::text;

pub(super) async fn publish(
    tools: &Tools,
    task: &Assignment<'_>,
    request: RequestId,
) -> Result<Product, Setback> {
    let run = &task.run;
    let Some((asked, answer)) = run.requests.get(&request).and_then(|asked| Some((asked, answer_of(asked)?)))
    else {
        return Err(Setback::Cancelled);
    };
    let body = text::answer(answer, &asked.by.login);
    // People speak where the work is: on the pull request once there is one.
    let conversation: IssueNumber = Tools::conversation(run).unwrap_or(run.id.issue);
    let marker = marker(run, &format!("answer:{}", request.0))?;
    let client = tools.repository(run);
    // An attempt whose answer was lost may have spoken on the issue, when there was no pull request yet (promise P1).
    let elsewhere = task.look_first() && conversation != run.id.issue;
    if elsewhere && client.has_said(run.id.issue, &marker).await? {
        return Ok(Product::nothing());
    }
    client.comment_once(task, conversation, &marker, &body, None, task.look_first()).await?;
    Ok(Product::nothing())
}
