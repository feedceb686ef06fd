//! The run's pull request: found if it exists, opened if it does not.

use pairbot_protocol::ids::HeadSha;
use pairbot_protocol::signal::Signal;

use super::{Assignment, Product, Setback, Tools, publish};
use crate::github::NewPullRequest;

pub(super) async fn open(tools: &Tools, task: &Assignment<'_>, head: &HeadSha) -> Result<Product, Setback> {
    let run = &task.run;
    let home = tools.home(run).await?;
    let facts = publish::facts(tools, run, &home).await?;
    let opened = home
        .client
        .open_pull_request_once(
            task,
            NewPullRequest {
                branch: &run.id.branch(),
                base_branch: &home.facts.default_branch,
                title: &crate::text::pull_request_title(run),
                body: &crate::text::pull_request_body(run, &facts),
                draft: true,
            },
            head,
            task.look_first(),
        )
        .await?;
    let found = opened.pull_request;
    tracing::info!(number = %found.number, created = opened.created, %head, "the pull request is there");
    let signal = Signal::PullRequestOpened {
        number: found.number,
        node_id: found.node_id,
        draft: found.draft,
        head: found.head,
    };
    Ok(Product::signal(run, signal))
}
