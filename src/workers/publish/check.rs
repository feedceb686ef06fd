//! A check run: a view of the run, bound to one commit.

use pairbot_protocol::checks::{self, CheckState};
use pairbot_protocol::ids::{CheckRunId, GateName, HeadSha};

use super::{Assignment, Product, Setback, Tools, facts, receipt};
use crate::github::{self, CheckAction, CheckRun, Conclusion, ExternalId};
use crate::text;

pub(super) async fn publish(
    tools: &Tools,
    task: &Assignment<'_>,
    gate: &GateName,
    head: &HeadSha,
) -> Result<Product, Setback> {
    let run = &task.run;
    let home = tools.home(run).await?;
    let facts = facts(tools, run, &home).await?;
    let view = checks::view(run, gate, head);
    let words = text::check(run, gate, head, &facts);
    let state = match view.state {
        CheckState::InProgress => github::CheckState::InProgress,
        CheckState::Success => github::CheckState::Completed(Conclusion::Success),
        CheckState::Failure => github::CheckState::Completed(Conclusion::Failure),
        CheckState::ActionRequired => github::CheckState::Completed(Conclusion::ActionRequired),
        CheckState::Withdrawn => github::CheckState::Completed(Conclusion::Cancelled),
    };
    let external_id = ExternalId { run: run.id, gate: gate.clone(), head: head.clone() };
    let check = CheckRun {
        name: format!("pairbot / {gate}"),
        head: head.clone(),
        external_id: external_id.to_string(),
        state,
        title: words.title,
        summary: words.summary,
        text: None,
        annotations: words.annotations,
        actions: if view.state == CheckState::ActionRequired { actions() } else { Vec::new() },
        details_url: None,
    };
    let key = format!("check:{gate}:{head}");
    let known = receipt(tools, run, &key).await?.map(CheckRunId);
    // Without a receipt another life of the run may have left one: the first look is never saved on.
    let look = task.look_first() || known.is_none();
    let id = home.client.put_check_run(task, &check, known, look).await?;
    Ok(Product::receipt(key, &id))
}

/// Buttons for whoever must look. GitHub allows three, with at most 20, 40 and 20 characters.
fn actions() -> Vec<CheckAction> {
    let action = |label: &str, description: &str, identifier: &str| CheckAction {
        label: label.to_owned(),
        description: description.to_owned(),
        identifier: identifier.to_owned(),
    };
    vec![
        action("Retry", "Try again from where the run stopped", "retry"),
        action("Stop", "End this run", "stop"),
    ]
}
