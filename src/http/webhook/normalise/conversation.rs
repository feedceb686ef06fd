//! What people say: comments, line comments and reviews.

use std::borrow::Cow;

use pairbot_protocol::command;
use pairbot_protocol::ids::{CommentId, IssueNumber, PullRequestNumber, RepositoryId, ReviewId};
use pairbot_protocol::signal::{FeedbackSource, Signal, Target};

use crate::http::webhook::bounded::{TEXT_BYTES_MAX, bounded};
use crate::http::webhook::own::OwnApp;
use crate::http::webhook::payload::{Comment, Payload};
use crate::meaning;

use super::pull_request::target;
use super::{Happening, Reason, person, unused_action};

/// `issue_comment`, on an issue or in the conversation of a pull request. Only here can a command be given: only
/// such a comment can be acknowledged by a reaction where everybody looks for it.
pub(super) fn comment(
    payload: &Payload<'_>,
    repository: RepositoryId,
    own: &OwnApp,
) -> Result<Happening, Reason> {
    created(payload)?;
    let issue = payload.issue.as_ref().ok_or("the payload has no issue")?;
    let comment = not_ours(payload, own)?;
    let by = person(payload, own)?;
    let target = match issue.pull_request {
        Some(_) => Target::PullRequest { repository, number: PullRequestNumber(issue.number), branch: None },
        None => Target::Issue { repository, issue: IssueNumber(issue.number) },
    };
    let id = CommentId(comment.id);
    let commands = command::parse(&comment.body);
    let signal = if commands.is_empty() {
        Signal::Remarked { by, source: FeedbackSource::Comment { id }, text: text(&comment.body)? }
    } else {
        Signal::Commanded { by, comment: id, commands }
    };
    Ok(Happening { target, signal, meaning: Some(meaning::comment(id)) })
}

/// `pull_request_review_comment`: a remark at a line. Its place goes with its words, which mean little without.
pub(super) fn line_comment(
    payload: &Payload<'_>,
    repository: RepositoryId,
    own: &OwnApp,
) -> Result<Happening, Reason> {
    created(payload)?;
    let comment = not_ours(payload, own)?;
    let by = person(payload, own)?;
    let id = CommentId(comment.id);
    let words = match (&comment.path, comment.line) {
        _ if comment.body.trim().is_empty() => Cow::Borrowed(""),
        (Some(path), Some(line)) => format!("{path}:{line}: {}", comment.body).into(),
        (Some(path), None) => format!("{path}: {}", comment.body).into(),
        (None, _) => Cow::Borrowed(&*comment.body),
    };
    let signal = Signal::Remarked { by, source: FeedbackSource::LineComment { id }, text: text(&words)? };
    Ok(Happening { target: target(payload, repository)?, signal, meaning: Some(meaning::line_comment(id)) })
}

/// `pull_request_review`. A review has no comment that could be answered, so commands in it are only words.
pub(super) fn review(
    payload: &Payload<'_>,
    repository: RepositoryId,
    own: &OwnApp,
) -> Result<Happening, Reason> {
    if payload.action != "submitted" {
        return Err(unused_action("a review", payload));
    }
    let review = payload.review.as_ref().ok_or("the payload has no review")?;
    let by = person(payload, own)?;
    let id = ReviewId(review.id);
    // Lower case in deliveries, upper case in REST.
    let changes_requested = review.state.eq_ignore_ascii_case("changes_requested");
    let body = review.body.as_deref().unwrap_or_default();
    let text = match text(body) {
        Err(_) if changes_requested => String::new(),
        other => other?,
    };
    let signal = Signal::Remarked { by, source: FeedbackSource::Review { id, changes_requested }, text };
    Ok(Happening { target: target(payload, repository)?, signal, meaning: Some(meaning::review(id)) })
}

fn created(payload: &Payload<'_>) -> Result<(), Reason> {
    match &*payload.action {
        "created" => Ok(()),
        "edited" => Err("editing a comment does not run a command".into()),
        _ => Err(unused_action("a comment", payload)),
    }
}

/// The comment, unless the App wrote it, in its own name or in that of a person who let it.
fn not_ours<'a>(payload: &'a Payload<'a>, own: &OwnApp) -> Result<&'a Comment<'a>, Reason> {
    let comment = payload.comment.as_ref().ok_or("the payload has no comment")?;
    match &comment.performed_via_github_app {
        Some(app) if own.is_app(app.id) => Err("the App itself said it".into()),
        Some(_) | None => Ok(comment),
    }
}

fn text(words: &str) -> Result<String, Reason> {
    if words.trim().is_empty() {
        Err("it says nothing".into())
    } else {
        Ok(bounded(words, TEXT_BYTES_MAX).to_owned())
    }
}
