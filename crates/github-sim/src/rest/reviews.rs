//! Reviews: written whole or not at all.

use serde_json::{Value, json};

use super::issues::BODY_CHARS_MAX;
use super::review_comments::{Place, Placed, store};
use crate::call::{Call, Route, number};
use crate::emit::Happening;
use crate::ids::Kind;
use crate::reply::{Outcome, Reply};
use crate::role::{Access, Role};
use crate::state::Review;

pub(crate) fn route(call: &mut Call, repo: u64, path: &[&str]) -> Route {
    let ["pulls", n, "reviews", rest @ ..] = path else { return None };
    let ids = |id: &str| Ok::<_, Reply>((number(n)?, number(id)?));
    Some(match (call.request.method.as_str(), rest) {
        ("GET", []) => number(n).and_then(|n| list(call, repo, n)),
        ("POST", []) => number(n).and_then(|n| create(call, repo, n)),
        ("GET", [id]) => ids(id).and_then(|(n, id)| get(call, repo, n, id)),
        ("PUT", [id]) => ids(id).and_then(|(n, id)| edit(call, repo, n, id)),
        ("DELETE", [id]) => ids(id).and_then(|(n, id)| delete_pending(call, repo, n, id)),
        ("GET", [id, "comments"]) => ids(id).and_then(|(n, id)| comments(call, repo, n, id)),
        ("POST", [id, "events"]) => ids(id).and_then(|(n, id)| submit_pending(call, repo, n, id)),
        ("PUT", [id, "dismissals"]) => ids(id).and_then(|(n, id)| dismiss(call, repo, n, id)),
        _ => return None,
    })
}

/// GitHub's refusal of a whole review: strings, which do not say which comment was wrong.
fn lost(reason: &str) -> Reply {
    Reply::unprocessable("Unprocessable Entity", &json!([reason]))
}

fn find<'a>(call: &'a Call, repo: u64, number: u64, id: u64) -> Result<&'a Review, Reply> {
    let review = call.state.repo(repo)?.reviews.get(&id);
    review.filter(|review| review.number == number).ok_or_else(Reply::not_found)
}

fn shown(call: &Call, repo: u64, number: u64, id: u64) -> Result<Value, Reply> {
    Ok(call.state.review_json(call.state.repo(repo)?, find(call, repo, number, id)?))
}

fn list(call: &Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    let found = call.state.repo(repo)?;
    found.pull(number)?;
    let reader = call.actor.account();
    let reviews = found.reviews.values().filter(|review| review.number == number);
    let visible = reviews.filter(|review| review.state != "PENDING" || Some(review.author) == reader);
    Ok(call.page(visible.map(|review| call.state.review_json(found, review)).collect()))
}

fn get(call: &Call, repo: u64, number: u64, id: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    shown(call, repo, number, id).map(Reply::ok)
}

fn comments(call: &Call, repo: u64, number: u64, id: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Read, Role::Read)?;
    find(call, repo, number, id)?;
    let found = call.state.repo(repo)?;
    let comments = found.review_comments.values().filter(|comment| comment.review == id);
    Ok(call.page(comments.map(|comment| call.state.review_comment_json(found, comment)).collect()))
}

/// Checks what a review of this kind needs; gives the state it gets.
fn verdict(
    call: &Call,
    repo: u64,
    number: u64,
    event: &str,
    body: &str,
    comments: usize,
) -> Result<&'static str, Reply> {
    let author = call.state.repo(repo)?.issue(number)?.author;
    let own = call.actor.account() == Some(author);
    if body.chars().count() > BODY_CHARS_MAX {
        return Err(lost("Body is too long (maximum is 65536 characters)"));
    }
    match event {
        "" => Ok("PENDING"),
        "APPROVE" if own => Err(lost("Can not approve your own pull request")),
        "APPROVE" => Ok("APPROVED"),
        "REQUEST_CHANGES" if own => Err(lost("Can not request changes on your own pull request")),
        "REQUEST_CHANGES" if body.trim().is_empty() => {
            Err(lost("Could not request changes on pull request. Body can't be blank"))
        }
        "REQUEST_CHANGES" => Ok("CHANGES_REQUESTED"),
        "COMMENT" if body.trim().is_empty() && comments == 0 => {
            Err(lost("Could not comment pull request review. Body can't be blank"))
        }
        "COMMENT" => Ok("COMMENTED"),
        _ => Err(Reply::bad_schema("event is not one of APPROVE, REQUEST_CHANGES, COMMENT.")),
    }
}

fn create(call: &mut Call, repo: u64, number: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Write, Role::Read)?;
    let author = call.account()?;
    let found = call.state.repo(repo)?;
    let pull = found.pull(number)?;
    let body = call.request.text("body").unwrap_or_default().to_owned();
    let comments = match call.request.json.get("comments") {
        None | Some(Value::Null) => Vec::new(),
        Some(comments) => {
            comments.as_array().cloned().ok_or_else(|| Reply::bad_schema("comments is not an array."))?
        }
    };
    let state =
        verdict(call, repo, number, call.request.text("event").unwrap_or_default(), &body, comments.len())?;
    let pending =
        |review: &&Review| review.number == number && review.author == author && review.state == "PENDING";
    if state == "PENDING" && found.reviews.values().any(|review| pending(&review)) {
        return Err(lost("User can only have one pending review per pull request"));
    }
    let commit_sha = call.request.text("commit_id").unwrap_or(&pull.head_sha).to_owned();
    // `commit_id` only attributes the review: an older head that is still part of the pull request will do.
    if !super::review_comments::belongs(found, pull, &commit_sha) {
        return Err(lost("The commit_id is not part of the pull request"));
    }
    let files = found.git.pull_diff(&pull.base_sha, &commit_sha)?;
    let mut placed: Vec<(Placed, String)> = Vec::new();
    for comment in &comments {
        let text = comment.get("body").and_then(Value::as_str).unwrap_or_default();
        if text.trim().is_empty() || text.chars().count() > BODY_CHARS_MAX {
            return Err(lost("Body can't be blank"));
        }
        let place = Place::read(comment)
            .and_then(|place| place.resolve(&files))
            .map_err(|error| lost(error.short))?;
        placed.push((place, text.to_owned()));
    }
    let now = call.state.now_ms();
    let id = call.state.next_id(Kind::Review);
    let submitted_ms = (state != "PENDING").then_some(now);
    let review = Review {
        id,
        number,
        author,
        body,
        state: state.to_owned(),
        commit_sha: commit_sha.clone(),
        submitted_ms,
    };
    let found = call.state.repo_mut(repo)?;
    found.reviews.insert(id, review);
    found.pull_mut(number)?.requested_reviewers.retain(|reviewer| *reviewer != author);
    for (place, text) in placed {
        store(call, repo, number, id, &commit_sha, place, text)?;
    }
    call.state.move_review_comments(repo, number)?;
    if submitted_ms.is_some() {
        tell_submitted(call, repo, number, id, author)?;
    }
    call.state.wrote(author, &format!("review:{repo}:{id}"), &format!("review {id} on #{number}"));
    shown(call, repo, number, id).map(Reply::ok)
}

fn tell_submitted(call: &mut Call, repo: u64, number: u64, id: u64, sender: u64) -> Result<(), Reply> {
    tell(call, repo, number, id, "submitted", sender)?;
    let found = call.state.repo(repo)?;
    let comments: Vec<u64> = found
        .review_comments
        .values()
        .filter(|comment| comment.review == id)
        .map(|comment| comment.id)
        .collect();
    for comment in comments {
        super::review_comments::tell(call, repo, comment, "created", sender)?;
    }
    Ok(())
}

fn tell(
    call: &mut Call,
    repo: u64,
    number: u64,
    id: u64,
    action: &'static str,
    sender: u64,
) -> Result<(), Reply> {
    let found = call.state.repo(repo)?;
    let mut review = shown(call, repo, number, id)?;
    if let Some(object) = review.as_object_mut() {
        let state = object.get("state").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        object.insert("state".to_owned(), state.into());
    }
    let pull = call.state.pull_json(found, found.issue(number)?, found.pull(number)?);
    call.state.emit(Happening {
        event: "pull_request_review",
        action: Some(action),
        repository: Some(repo),
        sender,
        only_app: None,
        payload: json!({"review": review, "pull_request": pull}),
    });
    Ok(())
}

fn own_review(call: &Call, repo: u64, number: u64, id: u64) -> Result<u64, Reply> {
    call.need(repo, &["pull_requests"], Access::Write, Role::Read)?;
    let account = call.account()?;
    match find(call, repo, number, id)?.author == account {
        true => Ok(account),
        false => Err(Reply::not_accessible()),
    }
}

fn edit(call: &mut Call, repo: u64, number: u64, id: u64) -> Outcome {
    let sender = own_review(call, repo, number, id)?;
    let body = call.request.required("body")?.to_owned();
    if let Some(review) = call.state.repo_mut(repo)?.reviews.get_mut(&id) {
        review.body = body;
    }
    tell(call, repo, number, id, "edited", sender)?;
    call.state.wrote(sender, &format!("review:{repo}:{id}"), &format!("edited review {id} on #{number}"));
    shown(call, repo, number, id).map(Reply::ok)
}

fn pending(call: &Call, repo: u64, number: u64, id: u64) -> Result<u64, Reply> {
    let account = own_review(call, repo, number, id)?;
    if find(call, repo, number, id)?.state == "PENDING" {
        Ok(account)
    } else {
        Err(lost("Can not delete a non-pending pull request review"))
    }
}

fn delete_pending(call: &mut Call, repo: u64, number: u64, id: u64) -> Outcome {
    pending(call, repo, number, id)?;
    let json = shown(call, repo, number, id)?;
    let found = call.state.repo_mut(repo)?;
    found.reviews.remove(&id);
    found.review_comments.retain(|_, comment| comment.review != id);
    call.state.looked.saw(&format!("review:{repo}:{id}"));
    Ok(Reply::ok(json))
}

fn submit_pending(call: &mut Call, repo: u64, number: u64, id: u64) -> Outcome {
    let sender = pending(call, repo, number, id)?;
    let known = find(call, repo, number, id)?.body.clone();
    let body = call.request.text("body").map_or(known, str::to_owned);
    let comments =
        call.state.repo(repo)?.review_comments.values().filter(|comment| comment.review == id).count();
    let state = verdict(call, repo, number, call.request.required("event")?, &body, comments)?;
    let now = call.state.now_ms();
    if let Some(review) = call.state.repo_mut(repo)?.reviews.get_mut(&id) {
        state.clone_into(&mut review.state);
        review.body = body;
        review.submitted_ms = Some(now);
    }
    tell_submitted(call, repo, number, id, sender)?;
    shown(call, repo, number, id).map(Reply::ok)
}

fn dismiss(call: &mut Call, repo: u64, number: u64, id: u64) -> Outcome {
    call.need(repo, &["pull_requests"], Access::Write, Role::Write)?;
    let sender = call.account()?;
    call.request.required("message")?;
    let review = find(call, repo, number, id)?;
    if review.state != "APPROVED" && review.state != "CHANGES_REQUESTED" {
        return Err(lost("Can not dismiss a commented pull request review"));
    }
    if let Some(review) = call.state.repo_mut(repo)?.reviews.get_mut(&id) {
        "DISMISSED".clone_into(&mut review.state);
    }
    tell(call, repo, number, id, "dismissed", sender)?;
    shown(call, repo, number, id).map(Reply::ok)
}
