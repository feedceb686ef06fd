//! What clients do on a good day.

use serde_json::{Value, json};

use super::stage::{REPO, Stage};
use crate::{Protection, ReviewVerdict};

#[tokio::test]
async fn an_issue_becomes_a_pull_request_that_a_person_merges() {
    let stage = Stage::new().await;
    let issue = stage.alice.open_issue(REPO, "Shout", "please", &["agent:pair"]).expect("an issue");
    let token = stage.token().await;
    let (pull, head) = stage.pull(&token).await;
    let first = stage.send(&token, "GET", "/repos/acme/shop/pulls/2", Value::Null).await;
    assert_eq!(first.json["mergeable"], Value::Null, "not computed at the first look");
    let second = stage.send(&token, "GET", "/repos/acme/shop/pulls/2", Value::Null).await;
    assert_eq!(second.json["mergeable"], json!(true));
    assert_eq!(second.json["changed_files"], json!(1));
    assert!(stage.alice.merge(REPO, pull, "merge").is_err(), "a draft cannot be merged");
    stage.alice.set_draft(REPO, pull, false).expect("ready");
    let merged = stage.alice.merge(REPO, pull, "squash").expect("merged");
    let seen = stage.sim.pull(REPO, pull).expect("it is there");
    assert!(seen.merged && !seen.open);
    assert_eq!(seen.head_sha, head);
    assert_eq!(stage.sim.branch(REPO, "main").expect("main"), Some(merged));
    assert!(!stage.sim.issue(REPO, issue).expect("it is there").open, "`Closes #1` closed it");
    assert!(stage.sim.file(REPO, "main", "src/cart.txt").expect("read").expect("a file").contains("THREE"));
    assert_eq!(stage.sim.unlooked(), Vec::<String>::new());
}

#[tokio::test]
async fn what_an_app_wrote_stays_unlooked_until_a_test_looks() {
    let stage = Stage::new().await;
    let issue = stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    let token = stage.token().await;
    let path = format!("/repos/{REPO}/issues/{issue}/comments");
    let comment = stage.send(&token, "POST", &path, json!({"body": "hello"})).await;
    assert_eq!(stage.sim.unlooked().len(), 1);
    assert_eq!(stage.sim.comments(REPO, issue).expect("comments")[0].body, "hello");
    assert_eq!(stage.sim.unlooked().len(), 0);
    let path = format!("/repos/{REPO}/issues/comments/{}", comment.json["id"]);
    assert!(comment.json["id"].as_u64().expect("an id") > u64::from(u32::MAX));
    stage.send(&token, "PATCH", &path, json!({"body": "changed"})).await;
    assert_eq!(stage.sim.unlooked().len(), 1, "an edit must be looked at again");
}

#[tokio::test]
async fn a_comment_on_a_changed_line_is_outdated_and_one_on_an_untouched_line_moves() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let (pull, head) = stage.pull(&token).await;
    let comments = json!([
        {"path": "src/cart.txt", "line": 3, "side": "RIGHT", "body": "loud"},
        {"path": "src/cart.txt", "line": 11, "side": "RIGHT", "body": "more"},
    ]);
    let body = json!({"commit_id": head, "event": "COMMENT", "body": "", "comments": comments});
    let review =
        stage.send(&token, "POST", &format!("/repos/{REPO}/pulls/{pull}/reviews"), body.clone()).await;
    assert_eq!(review.status, 200, "{}", review.json);
    let changed = "zero\none\ntwo\nthrice\nfour\nfive\nsix\nseven\neight\nnine\nten\neleven\n";
    stage.alice.push(REPO, "work", &[("src/cart.txt", Some(changed))]).expect("a push");
    let seen = &stage.sim.reviews(REPO, pull).expect("reviews")[0];
    assert!(seen.comments[0].outdated, "its line was changed");
    assert_eq!(seen.comments[1].line, Some(12), "its line moved down by one");
    let late = stage.send(&token, "POST", &format!("/repos/{REPO}/pulls/{pull}/reviews"), body).await;
    assert_eq!(late.status, 200, "an older head of the pull request is accepted");
    assert!(stage.sim.reviews(REPO, pull).expect("reviews")[1].comments[0].outdated);
}

#[tokio::test]
async fn a_required_check_holds_the_merge_until_it_is_green() {
    let stage = Stage::new().await;
    let rules = Protection { required_checks: ["gate".to_owned()].into(), ..Protection::default() };
    stage.sim.protect(REPO, "main", rules).expect("protected");
    let token = stage.token().await;
    let (pull, head) = stage.pull(&token).await;
    stage.alice.set_draft(REPO, pull, false).expect("ready");
    let refused = stage.alice.merge(REPO, pull, "merge").expect_err("nothing reported yet");
    assert!(refused.to_string().contains("Required status check \"gate\" is expected."), "{refused}");
    let ci = stage.sim.app("ci").expect("an app");
    ci.report_check(REPO, &head, "gate", Some("failure")).expect("reported");
    assert!(stage.alice.merge(REPO, pull, "merge").is_err());
    ci.report_check(REPO, &head, "gate", Some("success")).expect("reported");
    stage.alice.merge(REPO, pull, "merge").expect("green");
}

#[tokio::test]
async fn lists_come_in_pages_with_links_and_known_answers_as_304() {
    let stage = Stage::new().await;
    for number in 1..=5 {
        stage.alice.open_issue(REPO, &format!("Issue {number}"), "", &[]).expect("an issue");
    }
    let token = stage.token().await;
    let path = "/api/v3/repos/ACME/Shop/issues?state=all&per_page=2&page=2";
    let page = stage.send(&token, "GET", path, Value::Null).await;
    let numbers: Vec<_> =
        page.json.as_array().expect("a list").iter().map(|issue| issue["number"].clone()).collect();
    assert_eq!(numbers, vec![json!(3), json!(2)], "newest first");
    let link = page.header("link");
    assert!(
        link.contains("/api/v3/repos/ACME/Shop/issues?page=3&per_page=2&state=all>; rel=\"next\""),
        "{link}"
    );
    assert!(link.contains("rel=\"prev\"") && link.contains("rel=\"last\""));
    let known = stage
        .client
        .get(format!("{}{path}", stage.sim.url()))
        .bearer_auth(&token)
        .header("if-none-match", page.header("etag"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(known.status(), 304);
}

#[tokio::test]
async fn a_renamed_repository_is_reached_through_its_former_name() {
    let stage = Stage::new().await;
    stage.sim.rename_repository(REPO, "store").expect("renamed");
    let token = stage.token().await;
    let answer = stage.send(&token, "GET", "/repos/acme/shop/issues?state=all", Value::Null).await;
    assert_eq!(answer.status, 301);
    let id = stage.send(&token, "GET", "/repos/acme/store", Value::Null).await.json["id"].clone();
    let location = answer.header("location");
    assert_eq!(location, format!("{}/repositories/{id}/issues?state=all", stage.sim.url()));
    let path = location.strip_prefix(stage.sim.url()).expect("here");
    assert_eq!(stage.send(&token, "GET", path, Value::Null).await.status, 200);
}

#[tokio::test]
async fn a_reaction_given_twice_is_one_reaction() {
    let stage = Stage::new().await;
    let issue = stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    let token = stage.token().await;
    let path = format!("/repos/{REPO}/issues/{issue}/reactions");
    let first = stage.send(&token, "POST", &path, json!({"content": "eyes"})).await;
    let second = stage.send(&token, "POST", &path, json!({"content": "eyes"})).await;
    assert_eq!((first.status, second.status), (201, 200));
    assert_eq!(first.json["id"], second.json["id"]);
    assert_eq!(stage.sim.issue_reactions(REPO, issue).expect("reactions").len(), 1);
}

#[tokio::test]
async fn annotations_add_up_and_a_conclusion_completes_the_run() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let head = stage.sim.branch(REPO, "main").expect("main").expect("a commit");
    let note =
        json!({"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"});
    let output = json!({"title": "t", "summary": "s", "annotations": [note]});
    let body = json!({"name": "gate", "head_sha": head, "output": output});
    let run = stage.send(&token, "POST", "/repos/acme/shop/check-runs", body).await;
    assert_eq!(run.json["status"], json!("queued"));
    let path = format!("/repos/acme/shop/check-runs/{}", run.json["id"]);
    let update = json!({"conclusion": "success", "output": output});
    let run = stage.send(&token, "PATCH", &path, update).await;
    assert_eq!(run.json["status"], json!("completed"));
    assert_eq!(run.json["output"]["annotations_count"], json!(2));
    let path = format!("/repos/acme/shop/commits/{head}/check-runs?check_name=gate&app_id={}", stage.app);
    let listed = stage.send(&token, "GET", &path, Value::Null).await;
    assert_eq!(listed.json["total_count"], json!(1));
}

#[tokio::test]
async fn a_fork_s_pull_request_follows_the_fork_s_branch() {
    let stage = Stage::new().await;
    stage.sim.fork(REPO, "stranger").expect("a fork");
    stage.stranger.push("stranger/shop", "fix", &[("new.txt", Some("1\n"))]).expect("a push");
    let pull = stage.stranger.open_pull(REPO, "Fix", "stranger:fix", "main").expect("a pull request");
    let head = stage.stranger.push("stranger/shop", "fix", &[("new.txt", Some("2\n"))]).expect("a push");
    assert_eq!(stage.sim.pull(REPO, pull).expect("it").head_sha, head);
    assert_eq!(stage.sim.branch(REPO, "fix").expect("asked"), None, "there is no branch to push to here");
    stage.alice.review(REPO, pull, ReviewVerdict::Approve, "").expect("approved");
    stage.alice.merge(REPO, pull, "rebase").expect("merged");
}
