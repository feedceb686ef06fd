//! What makes two tellings the same happening: the keys by which the inbox knows that it has heard something before.
//!
//! A webhook and the reconciler may both tell of one act, in any order. They build its key here, so that it is applied
//! once (promise P1). Moments are GitHub's own, letter by letter.

use pairbot_protocol::ids::{
    CommentId, HeadSha, InstallationId, IssueNumber, PullRequestNumber, RepositoryId, ReviewId, RunId,
};

/// How long a moment may be; GitHub's have twenty characters.
const MOMENT_BYTES_MAX: usize = 40;
/// A longer key is not kept: it would be made of something else than numbers and words.
const KEY_BYTES_MAX: usize = 200;

/// The label was set.
pub fn label_set(repository: RepositoryId, issue: IssueNumber, at: &str) -> Option<String> {
    at_moment(format_args!("labeled:{repository}:{issue}"), at)
}

/// The label was taken away.
pub fn label_removed(repository: RepositoryId, issue: IssueNumber, at: &str) -> Option<String> {
    at_moment(format_args!("unlabeled:{repository}:{issue}"), at)
}

/// The issue ended here.
pub fn issue_closed(repository: RepositoryId, issue: IssueNumber, at: &str) -> Option<String> {
    at_moment(format_args!("closed:{repository}:{issue}"), at)
}

/// The branch of a pull request has a new head. It can be pushed back to a commit it had before; the moment tells the
/// two pushes apart.
pub fn head_moved(
    repository: RepositoryId,
    number: PullRequestNumber,
    head: &HeadSha,
    at: &str,
) -> Option<String> {
    at_moment(format_args!("head:{repository}:{number}:{head}"), at)
}

/// A pull request was closed or merged.
pub fn pull_request_closed(repository: RepositoryId, number: PullRequestNumber, at: &str) -> Option<String> {
    at_moment(format_args!("pr-closed:{repository}:{number}"), at)
}

/// A pull request was opened for a run that had ended. Only looking tells.
pub fn pull_request_opened(run: RunId, number: PullRequestNumber) -> String {
    format!("pr-opened:{run}:{number}")
}

/// Somebody commented in a conversation.
pub fn comment(id: CommentId) -> String {
    format!("comment:{id}")
}

/// Somebody commented at a line.
pub fn line_comment(id: CommentId) -> String {
    format!("line-comment:{id}")
}

/// Somebody reviewed.
pub fn review(id: ReviewId) -> String {
    format!("review:{id}")
}

/// Another app's check run came to this state; without a conclusion it only appeared.
pub fn check_run(id: u64, action: &str, conclusion: &str, completed_at: &str) -> Option<String> {
    short(format!("check:{id}:{action}:{conclusion}:{completed_at}"))
}

/// Another app's check suite came to this state.
pub fn check_suite(id: u64, conclusion: &str, updated_at: &str) -> Option<String> {
    short(format!("suite:{id}:{conclusion}:{updated_at}"))
}

/// A commit status was reported; each report has an id of its own.
pub fn status(id: u64) -> Option<String> {
    short(format!("status:{id}"))
}

/// An installation can no longer be acted in, as far as this run is concerned.
pub fn access_lost(run: RunId, installation: InstallationId) -> String {
    format!("access:{run}:{installation}")
}

/// What was told once, and does not hold in the ledger: told again to this run. Signals about a state change nothing
/// where it holds already, so once more for each run cannot do harm, and once is enough.
pub fn again(run: RunId, meaning: &str) -> String {
    format!("again:{run}:{meaning}")
}

/// Without the moment two happenings could not be told apart, so there is no key.
fn at_moment(what: std::fmt::Arguments<'_>, moment: &str) -> Option<String> {
    let end = moment.floor_char_boundary(MOMENT_BYTES_MAX);
    (!moment.is_empty()).then(|| format!("{what}@{}", moment.get(..end).unwrap_or_default()))
}

fn short(key: String) -> Option<String> {
    (key.len() <= KEY_BYTES_MAX).then_some(key)
}
