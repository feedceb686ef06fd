//! Intake: everything a run needs to know before its first round, read in one task.

use pairbot_protocol::policy::{LABEL, Policy};
use pairbot_protocol::run::Run;
use pairbot_protocol::signal::{Actor, Inspection, PullRequestFacts, Signal};

use super::tools::Home;
use super::{Assignment, Product, Setback, Tools};
use crate::github::PullRequest;
use crate::policy;

pub(super) async fn inspect(tools: &Tools, task: &Assignment<'_>, by: &Actor) -> Result<Product, Setback> {
    let run = &task.run;
    let home = tools.home(run).await?;
    let inspection = look(tools, run, &home, by).await?;
    Ok(Product::signal(run, Signal::Inspected(inspection)))
}

async fn look(tools: &Tools, run: &Run, home: &Home, by: &Actor) -> Result<Inspection, Setback> {
    let github = &home.client;
    let issue = github.issue(run.id.issue).await?;
    let labelled = issue.labels.iter().any(|label| label.eq_ignore_ascii_case(LABEL));
    if !issue.open || !labelled {
        return Ok(Inspection::Gone);
    }
    let permission = github.permission_of(by.login.as_str()).await?;
    let rules = match read_policy(home).await? {
        Ok(rules) => rules,
        Err(problems) => return Ok(Inspection::PolicyInvalid { problems }),
    };
    let problems = tools.roster.problems(&rules);
    if !problems.is_empty() {
        let problems = problems.iter().map(|problem| format!("{}: {problem}", policy::PATH)).collect();
        return Ok(Inspection::PolicyInvalid { problems });
    }
    let default_branch = &home.facts.default_branch;
    let Some(base) = github.base_tip(default_branch).await? else {
        return Err(Setback::agent(format!(
            "the default branch `{default_branch}` has no commit to build on"
        )));
    };
    let branch = run.id.branch();
    let branch_head = github.branch_head(&branch).await?;
    let pull_request = match &branch_head {
        Some(_) => {
            github.find_pull_request(&branch).await?.filter(|found| found.open).map(|found| facts(&found))
        }
        None => None,
    };
    Ok(Inspection::Fit { permission, policy: Box::new(rules), base, branch_head, pull_request })
}

/// What the protocol keeps of a pull request.
pub(super) fn facts(found: &PullRequest) -> PullRequestFacts {
    PullRequestFacts { number: found.number, node_id: found.node_id.clone(), draft: found.draft }
}

/// The policy on the default branch, and on no other: nothing a pull request brings can change the rules it is
/// measured by (promise P5).
async fn read_policy(home: &Home) -> Result<Result<Policy, Vec<String>>, Setback> {
    let branch = &home.facts.default_branch;
    let file = home.client.read_file(policy::PATH, branch, policy::BYTES_MAX + 1).await?;
    Ok(match file {
        None => Ok(policy::default_policy()),
        Some(file) => policy::read(&file).map_err(|problems| {
            problems.iter().map(|problem| format!("{}:{problem}", policy::PATH)).collect()
        }),
    })
}
