//! Comments at lines of a diff, and where they may be.

use serde_json::{Value, json};

use super::comments::checked;
use crate::actor::Actor;
use crate::call::{Call, Route, number};
use crate::emit::Happening;
use crate::git::diff::{FileDiff, Side};
use crate::ids::Kind;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::{Pull, Repo, Review, ReviewComment, ReviewThread};

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    Some(match (call.request.method.as_str(), path) {
        ("GET", ["pulls", "comments"]) => list(call, repo, None),
        ("GET", ["pulls", "comments", id]) => number(id).and_then(|id| get(call, repo, id)),
        ("PATCH", ["pulls", "comments", id]) => number(id).and_then(|id| update(call, repo, id)),
        ("DELETE", ["pulls", "comments", id]) => number(id).and_then(|id| delete(call, repo, id)),
        ("GET", ["pulls", n, "comments"]) => number(n).and_then(|n| list(call, repo, Some(n))),
        ("POST", ["pulls", n, "comments"]) => number(n).and_then(|n| create(call, repo, n)),
        ("POST", ["pulls", n, "comments", id, "replies"]) => {
            number(n).and_then(|n| Ok((n, number(id)?))).and_then(|(n, id)| reply(call, repo, n, id))
        }
        _ => return None,
    })
}

/// Where a comment asks to be.
pub(crate) struct Place {
    path: String,
    whole_file: bool,
    position: Option<u64>,
    line: Option<u64>,
    side: Side,
    start_line: Option<u64>,
    start_side: Option<Side>,
}

/// Where a comment is in the diff of its commit.
pub(crate) struct Placed {
    path: String,
    whole_file: bool,
    line: Option<u64>,
    side: Side,
    start_line: Option<u64>,
    start_side: Option<Side>,
    position: Option<u64>,
    hunk: String,
}

/// Why a place is none: in a review's words, and for a single comment its field and words.
pub(crate) struct Misplaced {
    pub(crate) short: &'static str,
    field: &'static str,
    long: &'static str,
}

const NO_PATH: Misplaced = Misplaced {
    short: "Path could not be resolved",
    field: "pull_request_review_thread.path",
    long: "pull_request_review_thread.path is missing or not part of the diff",
};
const NO_LINE: Misplaced = Misplaced {
    short: "Line could not be resolved",
    field: "pull_request_review_thread.line",
    long: "pull_request_review_thread.line must be part of the diff",
};
const NO_START: Misplaced = Misplaced {
    short: "Start line must precede the end line.",
    field: "pull_request_review_thread.start_line",
    long: "pull_request_review_thread.start_line must precede the end line and be part of the same hunk.",
};

fn side(value: Option<&Value>) -> Option<Side> {
    match value.and_then(Value::as_str) {
        Some("LEFT") => Some(Side::Left),
        Some("RIGHT") => Some(Side::Right),
        Some(_) | None => None,
    }
}

impl Place {
    pub(crate) fn read(json: &Value) -> Result<Self, Misplaced> {
        let line = |name: &str| json.get(name).and_then(Value::as_u64);
        let path = json.get("path").and_then(Value::as_str).ok_or(NO_PATH)?.to_owned();
        Ok(Self {
            path,
            whole_file: json.get("subject_type").and_then(Value::as_str) == Some("file"),
            position: line("position"),
            line: line("line"),
            side: side(json.get("side")).unwrap_or(Side::Right),
            start_line: line("start_line"),
            start_side: side(json.get("start_side")),
        })
    }

    /// Finds the place in a diff. A range must be in order, inside one hunk, and its line must be shown.
    pub(crate) fn resolve(self, files: &[FileDiff]) -> Result<Placed, Misplaced> {
        let file = files.iter().find(|file| file.path == self.path).ok_or(NO_PATH)?;
        if self.whole_file {
            return Ok(Placed {
                path: self.path,
                whole_file: true,
                line: None,
                side: Side::Right,
                start_line: None,
                start_side: None,
                position: None,
                hunk: String::new(),
            });
        }
        let (side, line) = match (self.line, self.position) {
            (Some(line), _) => (self.side, line),
            (None, Some(position)) => file.at_position(position).ok_or(NO_LINE)?,
            (None, None) => return Err(NO_LINE),
        };
        let (hunk, shown) = file.find(side, line).ok_or(NO_LINE)?;
        let start_side = self.start_line.map(|_| self.start_side.unwrap_or(side));
        if let (Some(start), Some(start_side)) = (self.start_line, start_side) {
            let (start_hunk, start_shown) = file.find(start_side, start).ok_or(NO_START)?;
            if start_hunk != hunk || start_shown.position >= shown.position || start_side != side {
                return Err(NO_START);
            }
        }
        Ok(Placed {
            hunk: file.hunk_above(side, line),
            path: self.path,
            whole_file: false,
            line: Some(line),
            side,
            start_line: self.start_line,
            start_side,
            position: Some(shown.position),
        })
    }
}

/// Whether a commit is, or ever was, part of a pull request.
pub(crate) fn belongs(repo: &Repo, pull: &Pull, sha: &str) -> bool {
    let full = sha.len() == 40 && repo.git.resolve(sha, "commit").is_some();
    full && (pull.heads.contains(sha)
        || pull.heads.iter().any(|head| repo.git.is_ancestor(sha, head))
            && !repo.git.is_ancestor(sha, &pull.base_sha))
}

/// Keeps a comment that begins a thread; gives its id.
pub(crate) fn store(
    call: &mut Call,
    repo: u64,
    number: u64,
    review: u64,
    commit_sha: &str,
    place: Placed,
    body: String,
) -> Result<u64, Reply> {
    let author = call.account()?;
    let now = call.state.now_ms();
    let id = call.state.next_id(Kind::ReviewComment);
    let thread = call.state.next_id(Kind::ReviewThread);
    let comment = ReviewComment {
        id,
        number,
        review,
        thread,
        in_reply_to: None,
        author,
        body,
        path: place.path,
        side: place.side,
        line: place.line,
        original_line: place.line,
        start_line: place.start_line,
        original_start_line: place.start_line,
        start_side: place.start_side,
        position: place.position,
        original_position: place.position,
        commit_sha: commit_sha.to_owned(),
        original_commit_sha: commit_sha.to_owned(),
        diff_hunk: place.hunk,
        whole_file: place.whole_file,
        created_ms: now,
        updated_ms: now,
        minimized: None,
    };
    let found = call.state.repo_mut(repo)?;
    found.review_comments.insert(id, comment);
    found.threads.insert(thread, ReviewThread { id: thread, number, resolved_by: None });
    call.state.wrote(
        author,
        &format!("review_comment:{repo}:{id}"),
        &format!("review comment {id} on #{number}"),
    );
    Ok(id)
}

fn shown(call: &Call, repo: u64, id: u64) -> Result<Value, Reply> {
    let found = call.state.repo(repo)?;
    let comment = found.review_comments.get(&id).ok_or_else(Reply::not_found)?;
    Ok(call.state.review_comment_json(found, comment))
}

/// Tells of something that happened to a review comment.
pub(crate) fn tell(
    call: &mut Call,
    repo: u64,
    id: u64,
    action: &'static str,
    sender: u64,
) -> Result<(), Reply> {
    let found = call.state.repo(repo)?;
    let number = found.review_comments.get(&id).ok_or_else(Reply::not_found)?.number;
    let pull = call.state.pull_json(found, found.issue(number)?, found.pull(number)?);
    let payload = json!({"comment": shown(call, repo, id)?, "pull_request": pull});
    call.state.emit(Happening {
        event: "pull_request_review_comment",
        action: Some(action),
        repository: Some(repo),
        sender,
        only_app: None,
        payload,
    });
    Ok(())
}

fn list(call: &Call, repo: u64, number: Option<u64>) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    if let Some(number) = number {
        found.pull(number)?;
    }
    let comments =
        found.review_comments.values().filter(|comment| number.is_none_or(|n| comment.number == n));
    let published = comments
        .filter(|comment| found.reviews.get(&comment.review).is_none_or(|review| review.state != "PENDING"));
    Ok(call.page(published.map(|comment| call.state.review_comment_json(found, comment)).collect()))
}

fn get(call: &Call, repo: u64, id: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    shown(call, repo, id).map(Reply::ok)
}

/// A single comment and each reply comes in a review of its own, which has no text.
fn enclosing_review(
    call: &mut Call,
    repo: u64,
    number: u64,
    commit_sha: &str,
    author: u64,
) -> Result<u64, Reply> {
    let id = call.state.next_id(Kind::Review);
    let submitted_ms = Some(call.state.now_ms());
    let review = Review {
        id,
        number,
        author,
        body: String::new(),
        state: "COMMENTED".to_owned(),
        commit_sha: commit_sha.to_owned(),
        submitted_ms,
    };
    call.state.repo_mut(repo)?.reviews.insert(id, review);
    Ok(id)
}

fn create(call: &mut Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Write, Role::Read)?;
    if let Some(root) = call.request.json.get("in_reply_to").and_then(Value::as_u64) {
        return reply(call, repo, number, root);
    }
    let author = call.account()?;
    let found = call.state.repo(repo)?;
    let pull = found.pull(number)?;
    let body = checked(call, "PullRequestReviewComment")?;
    let commit_sha = call.request.required("commit_id")?.to_owned();
    let invalid =
        |field: &str, message: &str| Reply::invalid_because("PullRequestReviewComment", field, message);
    if !belongs(found, pull, &commit_sha) {
        return Err(invalid("commit_id", "commit_id is not part of the pull request"));
    }
    let files = found.git.pull_diff(&pull.base_sha, &commit_sha)?;
    let place = Place::read(&call.request.json)
        .and_then(|place| place.resolve(&files))
        .map_err(|error| invalid(error.field, error.long))?;
    let review = enclosing_review(call, repo, number, &commit_sha, author)?;
    let id = store(call, repo, number, review, &commit_sha, place, body)?;
    call.state.move_review_comments(repo, number)?;
    tell(call, repo, id, "created", author)?;
    shown(call, repo, id).map(Reply::created)
}

fn reply(call: &mut Call, repo: u64, number: u64, id: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Write, Role::Read)?;
    let body = checked(call, "PullRequestReviewComment")?;
    let id = answer(call, repo, number, id, body)?;
    shown(call, repo, id).map(Reply::created)
}

/// Adds a reply to the thread of comment `id`; gives the reply's id.
pub(crate) fn answer(call: &mut Call, repo: u64, number: u64, id: u64, body: String) -> Result<u64, Reply> {
    let author = call.account()?;
    let parent = call.state.repo(repo)?.review_comments.get(&id).filter(|comment| comment.number == number);
    let parent = parent.cloned().ok_or_else(Reply::not_found)?;
    let review = enclosing_review(call, repo, number, &parent.commit_sha, author)?;
    let id = call.state.next_id(Kind::ReviewComment);
    let now = call.state.now_ms();
    let comment = ReviewComment {
        id,
        review,
        author,
        body,
        in_reply_to: Some(parent.in_reply_to.unwrap_or(parent.id)),
        created_ms: now,
        updated_ms: now,
        minimized: None,
        ..parent
    };
    call.state.repo_mut(repo)?.review_comments.insert(id, comment);
    tell(call, repo, id, "created", author)?;
    call.state.wrote(author, &format!("review_comment:{repo}:{id}"), &format!("reply {id} on #{number}"));
    Ok(id)
}

fn need_own(call: &Call, repo: u64, id: u64) -> Result<u64, Reply> {
    call.need(repo, &["pull_requests"], Access::Write, Role::Read)?;
    let sender = call.account()?;
    let author = call.state.repo(repo)?.review_comments.get(&id).ok_or_else(Reply::not_found)?.author;
    if author != sender && matches!(call.actor, Actor::Person(_)) {
        call.need(repo, &["pull_requests"], Access::Write, Role::Write)?;
    }
    Ok(sender)
}

fn update(call: &mut Call, repo: u64, id: u64) -> Outcome {
    let sender = need_own(call, repo, id)?;
    let body = checked(call, "PullRequestReviewComment")?;
    let now = call.state.now_ms();
    if let Some(comment) = call.state.repo_mut(repo)?.review_comments.get_mut(&id) {
        comment.body = body;
        comment.updated_ms = now;
    }
    tell(call, repo, id, "edited", sender)?;
    call.state.wrote(sender, &format!("review_comment:{repo}:{id}"), &format!("edited review comment {id}"));
    shown(call, repo, id).map(Reply::ok)
}

fn delete(call: &mut Call, repo: u64, id: u64) -> Outcome {
    let sender = need_own(call, repo, id)?;
    tell(call, repo, id, "deleted", sender)?;
    call.state.repo_mut(repo)?.review_comments.remove(&id);
    call.state.looked.saw(&format!("review_comment:{repo}:{id}"));
    Ok(Reply::empty(204))
}
