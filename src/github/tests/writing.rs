use pairbot_protocol::ids::{CommentId, HeadSha, IssueNumber, PullRequestNumber, ReviewId};
use serde_json::{Value, json};

use super::reading::pull_request;
use super::script::{REPOSITORY, Reply, SHA, Stage, TestLicence, ok, status};
use crate::github::limits_of_texts::BODY_BYTES_MAX;
use crate::github::{LineComment, Marker, NewPullRequest, NewReview, Next, Side};

const ISSUE: IssueNumber = IssueNumber(3);
const PULL: PullRequestNumber = PullRequestNumber(5);
const COMMENTS: &str = "GET /repos/octo/hello/issues/3/comments?per_page=100";
const COMMENT: &str = "POST /repos/octo/hello/issues/3/comments";
const REVIEWS: &str = "GET /repos/octo/hello/pulls/5/reviews?per_page=100";
const REVIEW: &str = "POST /repos/octo/hello/pulls/5/reviews";
const OWN_COMMENTS: &str = "GET /repos/octo/hello/pulls/5/reviews/90/comments?per_page=100";

fn marker() -> Marker {
    Marker::new("status:9-3-1").unwrap()
}

fn comment(id: u64, login: &str, body: &str) -> Value {
    json!({ "id": id, "user": { "id": 1, "login": login, "type": "Bot" }, "body": body })
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_found_and_not_written_again() {
    let stage = Stage::new();
    stage.script.on(COMMENT, Reply::Broken);
    let repository = stage.repository();
    let error = repository.comment_once(&TestLicence, ISSUE, &marker(), "hi", None, false).await.unwrap_err();
    assert_eq!(error.next(), Next::LookThenRetry);
    let written = stage.script.seen()[0].body["body"].as_str().unwrap().to_owned();
    stage.script.on(COMMENTS, ok(&json!([comment(7_000_000_000, "pairbot[bot]", &written)])));
    let id = repository.comment_once(&TestLicence, ISSUE, &marker(), "hi", None, true).await;
    assert_eq!(id, Ok(CommentId(7_000_000_000)));
    assert_eq!(stage.script.all(COMMENT).len(), 1, "and an unchanged one is left alone");
}

#[tokio::test]
async fn a_marker_that_someone_else_pasted_is_not_trusted() {
    let stage = Stage::new();
    let pasted = json!([
        comment(1, "eve", &marker().sign("hi")),
        { "id": 2, "user": null, "body": marker().sign("hi") },
        comment(3, "pairbot[bot]", &format!("{}\n\nquoted", marker().sign("hi"))),
    ]);
    stage.script.on(COMMENTS, ok(&pasted)).on(COMMENT, status(201, &json!({ "id": 4 })));
    let id = stage.repository().comment_once(&TestLicence, ISSUE, &marker(), "hi", None, true).await;
    assert_eq!(id, Ok(CommentId(4)));
}

#[tokio::test]
async fn a_known_comment_is_changed_in_place_and_made_anew_when_deleted() {
    let stage = Stage::new();
    let patch = "PATCH /repos/octo/hello/issues/comments/8";
    stage.script.on(patch, ok(&json!({ "id": 8 })));
    let repository = stage.repository();
    let put = async || {
        repository.comment_once(&TestLicence, ISSUE, &marker(), "new", Some(CommentId(8)), false).await
    };
    assert_eq!(put().await, Ok(CommentId(8)));
    stage.script.on(patch, status(404, &json!({}))).on(COMMENTS, ok(&json!([])));
    stage.script.on(COMMENT, status(201, &json!({ "id": 9 })));
    assert_eq!(put().await, Ok(CommentId(9)));
}

#[tokio::test]
async fn a_long_comment_is_cut_and_keeps_its_marker() {
    let stage = Stage::new();
    stage.script.on(COMMENT, status(201, &json!({ "id": 4 })));
    let text = "ü".repeat(BODY_BYTES_MAX);
    stage.repository().comment_once(&TestLicence, ISSUE, &marker(), &text, None, false).await.unwrap();
    let body = stage.script.seen()[0].body["body"].as_str().unwrap().to_owned();
    assert!(body.len() <= BODY_BYTES_MAX && marker().signs(&body));
}

fn comments() -> Vec<LineComment> {
    let line = |path: &str, start_line, line, body: &str| LineComment {
        path: path.to_owned(),
        line,
        start_line,
        side: Side::Right,
        body: body.to_owned(),
    };
    vec![line("a.rs", None, 3, "one"), line("b`.rs", Some(4), 9, "two"), line("c.rs", Some(5), 5, "three")]
}

async fn review(
    stage: &Stage,
    look_first: bool,
) -> Result<crate::github::PostedReview, crate::github::GitHubError> {
    let head: HeadSha = SHA.parse().unwrap();
    let (marker, comments) = (marker(), comments());
    let new = NewReview { head: &head, marker: &marker, body: "summary", comments: &comments };
    stage.repository().submit_review_once(&TestLicence, PULL, new, look_first).await
}

#[tokio::test]
async fn a_review_names_the_id_of_each_of_its_comments() {
    let stage = Stage::new();
    stage.script.on(REVIEW, ok(&json!({ "id": 90 })));
    let own = json!([
        comment(12, "pairbot[bot]", &marker().part(1).sign("two")),
        comment(11, "pairbot[bot]", &marker().part(0).sign("one")),
        comment(13, "pairbot[bot]", &marker().part(2).sign("three")),
    ]);
    stage.script.on(OWN_COMMENTS, ok(&own));
    let posted = review(&stage, false).await.unwrap();
    assert_eq!(posted.review, ReviewId(90));
    assert_eq!(posted.comments, [11, 12, 13].map(|id| Some(CommentId(id))));
    assert_eq!(posted.moved, [0_usize; 0]);
    let sent = &stage.script.seen()[0].body;
    assert_eq!((&sent["event"], &sent["commit_id"]), (&json!("COMMENT"), &json!(SHA)));
    assert_eq!(sent["comments"][0]["start_line"], Value::Null);
    assert_eq!(sent["comments"][1]["start_line"], 4);
    assert_eq!(sent["comments"][1]["start_side"], "RIGHT");
    assert!(sent["comments"][2].get("start_line").is_none(), "a start at the line itself is refused");
}

#[tokio::test]
async fn a_comment_outside_the_diff_does_not_cost_the_review() {
    let stage = Stage::new();
    let refused = json!({ "message": "Unprocessable Entity", "errors": ["Line could not be resolved"] });
    stage.script.on(REVIEW, status(422, &refused)).on(REVIEW, ok(&json!({ "id": 90 })));
    let posted = review(&stage, false).await.unwrap();
    assert_eq!(posted.moved, [0, 1, 2]);
    assert_eq!(posted.comments, [None; 3]);
    let body = stage.script.seen()[1].body["body"].as_str().unwrap().to_owned();
    assert!(body.starts_with("summary") && marker().signs(&body));
    assert!(body.contains("**`a.rs:3`**\n\none") && body.contains("**`b'.rs:4-9`**\n\ntwo"), "{body}");
}

#[tokio::test]
async fn a_review_whose_answer_was_lost_is_found_by_its_marker() {
    let stage = Stage::new();
    stage.script.on(REVIEW, status(502, &json!({})));
    assert_eq!(review(&stage, false).await.unwrap_err().next(), Next::LookThenRetry);
    let mut forged = comment(80, "eve", &marker().sign("summary"));
    forged["commit_id"] = json!(SHA);
    let own = comment(90, "pairbot[bot]", &marker().sign("summary"));
    stage.script.on(REVIEWS, ok(&json!([forged, own]))).on(OWN_COMMENTS, ok(&json!([])));
    let posted = review(&stage, true).await.unwrap();
    assert_eq!(posted.review, ReviewId(90));
    assert_eq!(posted.moved, [0, 1, 2], "what it does not hold at lines is in its body");
}

#[tokio::test]
async fn a_reply_is_written_once() {
    let stage = Stage::new();
    let list = "GET /repos/octo/hello/pulls/5/comments?per_page=100";
    let post = "POST /repos/octo/hello/pulls/5/comments/11/replies";
    let mut elsewhere = comment(20, "pairbot[bot]", &marker().sign("fixed"));
    elsewhere["in_reply_to_id"] = json!(10);
    let mut here = comment(21, "pairbot[bot]", &marker().sign("fixed"));
    here["in_reply_to_id"] = json!(11);
    stage.script.on(list, ok(&json!([elsewhere]))).on(post, status(201, &json!({ "id": 21 })));
    stage.script.on(list, ok(&json!([elsewhere, here])));
    let repository = stage.repository();
    for _ in 0..2 {
        let id = repository
            .reply_to_review_comment_once(&TestLicence, PULL, CommentId(11), &marker(), "fixed", true)
            .await;
        assert_eq!(id, Ok(CommentId(21)));
    }
}

const NEW: NewPullRequest<'static> =
    NewPullRequest { branch: "pairbot/issue-7", base_branch: "main", title: "t\nx", body: "b", draft: true };
const OPEN: &str = "POST /repos/octo/hello/pulls";
const FIND: &str = "GET /repos/octo/hello/pulls?head=octo:pairbot/issue-7&state=all&sort=created&direction=desc&per_page=100";

fn exists() -> Reply {
    let error = json!({ "resource": "PullRequest", "code": "custom",
                        "message": "A pull request already exists for octo:pairbot/issue-7." });
    status(422, &json!({ "message": "Validation Failed", "errors": [error] }))
}

#[tokio::test]
async fn a_pull_request_that_exists_already_is_found() {
    let stage = Stage::new();
    stage.script.on(OPEN, status(201, &pull_request(6, "open", REPOSITORY.0))).on(OPEN, exists());
    stage.script.on(FIND, ok(&json!([pull_request(6, "open", REPOSITORY.0)])));
    let repository = stage.repository();
    let first = repository.open_pull_request(&TestLicence, NEW).await.unwrap();
    let second = repository.open_pull_request(&TestLicence, NEW).await.unwrap();
    assert_eq!((first.created, second.created), (true, false));
    assert_eq!(first.pull_request, second.pull_request);
    assert_eq!(stage.script.seen()[0].body["title"], "t", "a title is one line");
}

#[tokio::test]
async fn a_pull_request_that_was_closed_before_anybody_was_told_is_not_opened_again() {
    let stage = Stage::new();
    stage.script.on(FIND, ok(&json!([pull_request(6, "closed", REPOSITORY.0)])));
    stage.script.on(FIND, ok(&json!([pull_request(6, "closed", REPOSITORY.0)])));
    stage.script.on(OPEN, status(201, &pull_request(7, "open", REPOSITORY.0)));
    let (repository, head) = (stage.repository(), SHA.parse::<HeadSha>().unwrap());
    let found = repository.open_pull_request_once(&TestLicence, NEW, &head, true).await.unwrap();
    assert_eq!((found.created, found.pull_request.number.0), (false, 6));
    let other = "f".repeat(40).parse().unwrap();
    let opened = repository.open_pull_request_once(&TestLicence, NEW, &other, true).await.unwrap();
    assert_eq!(
        (opened.created, opened.pull_request.number.0),
        (true, 7),
        "one of an earlier run has its own head"
    );
}

#[tokio::test]
async fn other_refusals_of_a_pull_request_stay_errors() {
    let stage = Stage::new();
    let nothing =
        json!({ "message": "Validation Failed", "errors": [{ "message": "No commits between main and x" }] });
    stage.script.on(OPEN, status(422, &nothing));
    assert_eq!(
        stage.repository().open_pull_request(&TestLicence, NEW).await.unwrap_err().next(),
        Next::GiveUp
    );
}

#[tokio::test]
async fn a_repository_without_drafts_gets_a_plain_pull_request() {
    let stage = Stage::new();
    let refused = json!({ "message": "Draft pull requests are not supported in this repository." });
    stage.script.on(OPEN, status(422, &refused));
    stage.script.on(OPEN, status(201, &pull_request(6, "open", REPOSITORY.0)));
    assert!(stage.repository().open_pull_request(&TestLicence, NEW).await.unwrap().created);
    assert_eq!(stage.script.seen()[1].body["draft"], false);
}

#[tokio::test]
async fn making_a_draft_of_a_draft_is_success() {
    let refused = ok(&json!({ "errors": [{ "type": "UNPROCESSABLE", "message": "already a draft" }] }));
    for (is_draft, fine) in [(true, true), (false, false)] {
        let stage = Stage::new();
        stage.script.on("POST /graphql", refused.clone());
        stage.script.on("POST /graphql", ok(&json!({ "data": { "node": { "isDraft": is_draft } } })));
        let result = stage.repository().set_draft(&TestLicence, "PR_1", true).await;
        assert_eq!(result.is_ok(), fine);
        let sent = &stage.script.seen()[0].body;
        assert!(sent["query"].as_str().unwrap().contains("convertPullRequestToDraft"));
    }
}
