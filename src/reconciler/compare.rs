//! The level seen against the ledger known: what must have happened and was not heard of. Pure.

use pairbot_protocol::ids::{IssueNumber, PullRequestNumber, RunId, Timestamp};
use pairbot_protocol::policy::LABEL;
use pairbot_protocol::run::{Phase, Run};
use pairbot_protocol::signal::{ActorKind, IssueFacts, Signal, Target};

use super::ledger::{Ended, Known};
use super::tell::{Telling, actor, nobody};
use crate::github::{Account, Issue, IssueEvent, OwnAccount, PullRequest};
use crate::meaning;

/// A label that is older starts nothing. GitHub keeps webhooks for three days; and where the App is newly installed, what
/// was labelled in earlier years is nobody's present wish.
const LABEL_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// A label set this soon after a run began is the one that began it: two machines have two clocks.
const SAME_LABEL_MS: u64 = 2_000;
/// How far GitHub's clock and ours may differ where a label and the end of a run are put in order.
const SKEW_MS: u64 = 60_000;
/// A run that was decided upon just now may be hearing of the difference just now; and what GitHub lists may lag.
const SETTLED_MS: u64 = 10_000;

/// What looks different and must be read more closely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// The issue is labelled and has no run that is not over.
    Label(IssueNumber),
    /// The run's issue is closed or has lost its label, or the run's pull request is not open any more.
    Ending(RunId),
    /// The run's pull request has another head than the run knows.
    Head(RunId, PullRequestNumber),
    /// A pull request is open on the branch of an issue that has no run which is not over.
    Stray(IssueNumber, PullRequestNumber),
}

/// Compares lists, which are cheap to read, with the runs of a repository that are not over.
pub(super) fn suspicions(
    live: &[Known],
    labelled: &[Issue],
    pulls: &[PullRequest],
    now: Timestamp,
) -> Vec<Suspicion> {
    let unheard = labelled
        .iter()
        .filter(|issue| !live.iter().any(|known| known.run.id.issue == issue.number))
        .map(|issue| Suspicion::Label(issue.number));
    let of_runs = live.iter().filter_map(|Known { run, updated_at }| {
        let has_label = labelled.iter().any(|issue| issue.number == run.id.issue);
        let number = run.pull_request.as_ref().map(|pull_request| pull_request.number);
        let shown = pulls.iter().find(|pull| Some(pull.number) == number);
        if !has_label || (number.is_some() && shown.is_none()) {
            return Some(Suspicion::Ending(run.id));
        }
        let settled = now.ms_since(*updated_at) >= SETTLED_MS;
        shown
            .filter(|shown| settled && minds_heads(run) && run.head.as_ref() != Some(&shown.head))
            .map(|shown| Suspicion::Head(run.id, shown.number))
    });
    let stray = pulls.iter().filter_map(|pull| {
        let issue = issue_of_branch(&pull.head_branch)?;
        let is_live = live.iter().any(|known| known.run.id.issue == issue);
        (!is_live).then_some(Suspicion::Stray(issue, pull.number))
    });
    unheard.chain(of_runs).chain(stray).collect()
}

/// Whether a head that nobody told of matters now. While the creator works, its own push is told by its result, and one
/// by somebody else makes that push fail, which tells as much; intake and opening read the branch themselves.
fn minds_heads(run: &Run) -> bool {
    match &run.phase {
        Phase::Validating(_) | Phase::AwaitingHuman(_) | Phase::Halted { .. } => true,
        Phase::Queued { .. }
        | Phase::Creating { .. }
        | Phase::Opening { .. }
        | Phase::Refused { .. }
        | Phase::Merged { .. }
        | Phase::Closed { .. } => false,
    }
}

/// The issue that a branch belongs to, if it is named as a run names it.
fn issue_of_branch(branch: &str) -> Option<IssueNumber> {
    let issue = IssueNumber(branch.strip_prefix("pairbot/issue-")?.parse().ok()?);
    (branch == format!("pairbot/issue-{issue}")).then_some(issue)
}

/// A pull request of ours that was opened when its run had ended, and that the run does not know.
pub(super) fn stray(run: &Run, pull: &PullRequest, own: &OwnAccount) -> Option<Telling> {
    let is_ours = actor(pull.author.as_ref(), own).kind == ActorKind::Own;
    let is_here = pull.head_repository == Some(run.id.repository);
    let is_unknown = run.is_over() && run.pull_request.is_none();
    (is_ours && is_here && is_unknown && pull.open).then(|| Telling {
        event: "opened",
        meaning: meaning::pull_request_opened(run.id, pull.number),
        again_for: None,
        target: Target::Run { run: run.id },
        signal: Signal::PullRequestOpened {
            number: pull.number,
            node_id: pull.node_id.clone(),
            draft: pull.draft,
            head: pull.head.clone(),
        },
    })
}

/// The last time that the label was set, or taken off.
fn last<'a>(events: &'a [IssueEvent], event: &str) -> Option<&'a IssueEvent> {
    let ours = |label: &str| label.eq_ignore_ascii_case(LABEL);
    events.iter().rev().find(|found| found.event == event && found.label.as_deref().is_some_and(ours))
}

/// When the label was set that a run goes back to.
pub(super) fn began_with(run: &Run, events: &[IssueEvent]) -> Timestamp {
    let latest = run.opened_at.plus_ms(SAME_LABEL_MS);
    let set = events.iter().rev().filter(|event| event.event == "labeled").filter_map(|event| {
        let ours = event.label.as_deref().is_some_and(|label| label.eq_ignore_ascii_case(LABEL));
        event.created_at.at().filter(|at| ours && *at <= latest)
    });
    set.max().unwrap_or(run.opened_at)
}

/// An open issue has the label, and no run that is not over. Says that it was set, unless a run has heard of it.
pub(super) fn label(
    repository_name: &str,
    issue: &Issue,
    run: RunId,
    newest: Option<&Ended>,
    events: &[IssueEvent],
    own: &OwnAccount,
    now: Timestamp,
) -> Option<Telling> {
    let set = last(events, "labeled");
    let at = set.and_then(|set| set.created_at.at());
    let wanted = match (at, newest) {
        // Nobody knows who set it, nor when: said once, to be refused with the reason.
        (None, newest) => newest.is_none(),
        (Some(at), _) if now.ms_since(at) > LABEL_MS_MAX => false,
        (Some(_), None) => true,
        // The label is there, so the removal that ended the run, or what it saw instead, is older than the label.
        (Some(_), Some(ended)) if ended.for_want_of_a_label => true,
        // A label that was set while a run went on began nothing, and begins nothing after its end.
        (Some(at), Some(ended)) => {
            at > ended.opened_at.plus_ms(SAME_LABEL_MS) && at.plus_ms(SKEW_MS) >= ended.closed_at
        }
    };
    let moment = set.map_or("unknown", |set| set.created_at.as_str());
    Some(Telling {
        event: "labeled",
        meaning: meaning::label_set(run.repository, run.issue, moment).filter(|_| wanted)?,
        again_for: newest.filter(|ended| ended.for_want_of_a_label).map(|ended| ended.run),
        target: Target::Issue { repository: run.repository, issue: run.issue },
        signal: Signal::LabelSet {
            by: actor(set.and_then(|set| set.actor.as_ref()), own),
            issue: IssueFacts { repository_name: repository_name.to_owned(), title: issue.title.clone() },
        },
    })
}

/// The run's issue, read closely: gone, closed, or without the label. `issue` is none if GitHub has it no more.
pub(super) fn issue(
    run: RunId,
    issue: Option<&Issue>,
    events: &[IssueEvent],
    own: &OwnAccount,
) -> Option<Telling> {
    let telling = |event, meaning: Option<String>, signal| Telling {
        event,
        meaning: meaning.unwrap_or_else(|| format!("{event}:{run}")),
        again_for: Some(run),
        target: Target::Run { run },
        signal,
    };
    let closed = |by: Option<&Account>, at: &str| {
        let meaning = meaning::issue_closed(run.repository, run.issue, at);
        telling("closed", meaning, Signal::IssueClosed { by: actor(by, own) })
    };
    let Some(issue) = issue else { return Some(closed(None, "")) };
    if !issue.open {
        let at = issue.closed_at.as_ref().map_or("", |at| at.as_str());
        return Some(closed(issue.closed_by.as_ref(), at));
    }
    if issue.labels.iter().any(|label| label.eq_ignore_ascii_case(LABEL)) {
        return None;
    }
    let removed = last(events, "unlabeled");
    let at = removed.map_or("", |removed| removed.created_at.as_str());
    let by = actor(removed.and_then(|removed| removed.actor.as_ref()), own);
    let meaning = meaning::label_removed(run.repository, run.issue, at);
    Some(telling("unlabeled", meaning, Signal::LabelRemoved { by }))
}

/// The run's pull request, read closely. `closed_by` is who closed it without a merge.
pub(super) fn pull_request(
    run: &Run,
    pull: &PullRequest,
    closed_by: Option<&Account>,
    own: &OwnAccount,
) -> Option<Telling> {
    let id = run.id;
    if pull.open {
        let moved = minds_heads(run) && run.head.as_ref() != Some(&pull.head);
        let at = pull.updated_at.as_ref().map_or("", |at| at.as_str());
        return moved.then(|| Telling {
            event: "synchronize",
            meaning: meaning::head_moved(id.repository, pull.number, &pull.head, at)
                .unwrap_or_else(|| format!("head:{id}:{}", pull.head)),
            again_for: Some(id),
            target: Target::Run { run: id },
            // A commit names an author, and says nothing of who pushed it.
            signal: Signal::HeadMoved { by: nobody(), head: pull.head.clone(), base: pull.base.clone() },
        });
    }
    let by = if pull.merged { pull.merged_by.as_ref() } else { closed_by };
    let at = pull.closed_at.as_ref().map_or("", |at| at.as_str());
    Some(Telling {
        event: "pull_request_closed",
        meaning: meaning::pull_request_closed(id.repository, pull.number, at)
            .unwrap_or_else(|| format!("pr-closed:{id}")),
        again_for: Some(id),
        target: Target::Run { run: id },
        signal: Signal::PullRequestClosed {
            by: actor(by, own),
            merged: pull.merged,
            head: pull.head.clone(),
        },
    })
}

#[cfg(test)]
mod tests;
