//! Publications: each brings about what the run, as it is now, wants to be seen. One file a kind.

mod answer;
mod check;
mod draft;
mod reaction;
mod review;
mod status;
mod stray;
mod thread;

use pairbot_protocol::effect::Publication;
use pairbot_protocol::run::Run;

use super::tools::Home;
use super::{Assignment, Product, Setback, Tools};
use crate::github::Marker;
use crate::sandbox::{Gap, Limit, Standing};
use crate::text::{self, Notice, RunFacts};

pub(super) async fn publish(
    tools: &Tools,
    task: &Assignment<'_>,
    publication: &Publication,
) -> Result<Product, Setback> {
    // What waited when the App lost its access can not be written any more.
    if task.run.lost_access() {
        return Err(Setback::Cancelled);
    }
    match publication {
        Publication::Status => status::publish(tools, task).await,
        Publication::Check { gate, head } => check::publish(tools, task, gate, head).await,
        Publication::Review { reviewer, head, reading } => {
            review::publish(tools, task, reviewer, head, *reading).await
        }
        Publication::Thread { finding } => thread::publish(tools, task, finding).await,
        Publication::DraftState => draft::publish(tools, task).await,
        Publication::Stray => stray::publish(tools, task).await,
        Publication::Reaction { to, with } => reaction::publish(tools, task, *to, *with).await,
        Publication::Answer { request } => answer::publish(tools, task, *request).await,
    }
}

/// What texts say beside the run itself.
pub(super) async fn facts(tools: &Tools, run: &Run, home: &Home) -> Result<RunFacts, Setback> {
    let url = home.facts.clone_url.trim_end_matches(".git").to_owned();
    let mut notices = vec![match tools.sandbox.standing() {
        Standing::NoneAccepted => Notice::CommandsWithoutSandbox,
        Standing::Bubblewrap { gaps } => {
            Notice::CommandsInSandbox { unbounded: limits(gaps), egress: !tools.egress.is_empty() }
        }
        Standing::UserSlot { gaps } => Notice::CommandsAsOwnUsers { unbounded: limits(gaps) },
        Standing::Unavailable { probe, why: _ } => Notice::NoCommands { probe },
    }];
    if tools.agents.scripted {
        notices.push(Notice::ScriptedModels);
    }
    Ok(RunFacts {
        home: text::Home { url },
        run_url: None,
        budget: tools.store.budget(run.id).await?,
        spend: tools.store.spend_lines(run.id).await?,
        // Asked for where it is told: the runs of a repository may be many.
        forecast: None,
        notices,
    })
}

fn limits(gaps: Vec<Gap>) -> Vec<Limit> {
    gaps.into_iter().map(|gap| gap.limit).collect()
}

/// The hidden name of something we wrote, by which a later attempt recognises it.
fn marker(run: &Run, name: &str) -> Result<Marker, Setback> {
    // A comment of HTML ends at two hyphens, which the names of reviewers and gates may hold.
    let name = format!("{}:{name}", run.id).replace("--", "-.-");
    Marker::new(&name).map_err(|error| Setback::agent(error.to_string()))
}

/// A number that an earlier publication left as its receipt.
async fn receipt(tools: &Tools, run: &Run, key: &str) -> Result<Option<u64>, Setback> {
    Ok(tools.store.receipt(run.id, key).await?.and_then(|value| value.parse().ok()))
}
