//! What happens to a pull request and its branch.

use pairbot_protocol::ids::{HeadSha, PullRequestNumber, RepositoryId};
use pairbot_protocol::signal::{Signal, Target};

use crate::http::webhook::own::OwnApp;
use crate::http::webhook::payload::{Payload, PullRequest};
use crate::meaning;

use super::{Happening, Reason, actor, unused_action};

/// `pull_request`. Our own pushes pass too: the head that they made is what reviews and gates are about.
pub(super) fn pull_request(
    payload: &Payload<'_>,
    repository: RepositoryId,
    own: &OwnApp,
) -> Result<Happening, Reason> {
    let (pull_request, number) = read(payload)?;
    let head: HeadSha = pull_request.head.sha.parse().map_err(|_| "the head is not a full git object id")?;
    let (signal, meaning) = match &*payload.action {
        "synchronize" => {
            let base = pull_request.base.sha.parse().map_err(|_| "the base is not a full git object id")?;
            let what = meaning::head_moved(repository, number, &head, &pull_request.updated_at);
            (Signal::HeadMoved { by: actor(payload, own)?, head, base }, what)
        }
        "closed" => {
            let merged = pull_request.merged.ok_or("the payload does not say whether it was merged")?;
            let what = meaning::pull_request_closed(repository, number, &pull_request.updated_at);
            (Signal::PullRequestClosed { by: actor(payload, own)?, merged, head }, what)
        }
        _ => return Err(unused_action("a pull request", payload)),
    };
    Ok(Happening { target: target(payload, repository)?, signal, meaning })
}

/// The pull request that a payload is about.
pub(super) fn target(payload: &Payload<'_>, repository: RepositoryId) -> Result<Target, Reason> {
    let (pull_request, number) = read(payload)?;
    let head = &pull_request.head;
    // A branch of a fork may be called like one of ours, and is not.
    let same_repository = head.repo.as_ref().is_some_and(|home| home.id == repository.0);
    let branch = (same_repository && is_branch(&head.branch)).then(|| head.branch.to_string());
    Ok(Target::PullRequest { repository, number, branch })
}

fn read<'a>(payload: &'a Payload<'a>) -> Result<(&'a PullRequest<'a>, PullRequestNumber), Reason> {
    let pull_request = payload.pull_request.as_ref().ok_or("the payload has no pull request")?;
    Ok((pull_request, PullRequestNumber(pull_request.number)))
}

/// Whether a name is one that GitHub would accept for a branch, as far as length goes.
fn is_branch(name: &str) -> bool {
    (1..=255).contains(&name.len())
}
