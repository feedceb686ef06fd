//! What GitHub refuses, in its words.

use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{REPO, Stage};
use crate::{Access, Limits, NewRepository, permissions};

#[tokio::test]
async fn a_request_without_a_user_agent_is_403() {
    let stage = Stage::new().await;
    let bare = reqwest::Client::new();
    let answer = bare.get(format!("{}/meta", stage.sim.url())).send().await.expect("an answer");
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn an_app_token_must_be_fresh_short_and_signed_by_its_key() {
    let stage = Stage::new().await;
    let now = stage.sim.now_ms() / 1000;
    let mut forged = stage.jwt();
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    for (case, token) in [
        ("expired", stage.jwt_with(now - 700, now - 100)),
        ("too long", stage.jwt_with(now - 60, now + 700)),
        ("from the future", stage.jwt_with(now + 100, now + 300)),
        ("forged", forged),
        ("nonsense", "eyJ.x.y".to_owned()),
    ] {
        let answer = stage.send(&token, "GET", "/app", Value::Null).await;
        assert_eq!(answer.status, 401, "{case}: {}", answer.json);
    }
    assert_eq!(stage.send(&stage.jwt(), "GET", "/app", Value::Null).await.json["slug"], json!("pair"));
}

#[tokio::test]
async fn an_installation_token_ends_after_an_hour() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    assert!(token.starts_with(&format!("ghs_{}_", stage.app)) && token.len() > 480, "{}", token.len());
    stage.clock.advance(Duration::from_secs(3_599));
    assert_eq!(stage.send(&token, "GET", "/repos/acme/shop", Value::Null).await.status, 200);
    stage.clock.advance(Duration::from_secs(1));
    let answer = stage.send(&token, "GET", "/repos/acme/shop", Value::Null).await;
    assert_eq!((answer.status, &answer.json["message"]), (401, &json!("Bad credentials")));
    assert_eq!(stage.send("ghs_nobody", "GET", "/repos/acme/shop", Value::Null).await.status, 401);
}

#[tokio::test]
async fn a_missing_permission_is_403_and_an_invisible_repository_404() {
    let stage = Stage::new().await;
    stage
        .sim
        .create_repository(&NewRepository::with_files("other/secret", &[("a", "a")]).private())
        .expect("made");
    stage.sim.set_permissions(stage.installation, &permissions([("issues", Access::Read)]));
    let token = stage.token().await;
    let issue = stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    let path = format!("/repos/{REPO}/issues/{issue}/comments");
    let answer = stage.send(&token, "POST", &path, json!({"body": "x"})).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json["message"], json!("Resource not accessible by integration"));
    assert_eq!(stage.send(&token, "GET", "/repos/other/secret", Value::Null).await.status, 404);
    assert_eq!(stage.send("", "GET", "/repos/other/secret", Value::Null).await.status, 404);
    assert_eq!(stage.send(&token, "GET", "/repos/acme/nothing", Value::Null).await.status, 404);
}

#[tokio::test]
async fn one_comment_outside_the_diff_loses_the_whole_review() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let (pull, head) = stage.pull(&token).await;
    let path = format!("/repos/{REPO}/pulls/{pull}/reviews");
    let good = json!({"path": "src/cart.txt", "line": 3, "side": "RIGHT", "body": "good"});
    for (bad, words) in [
        (
            json!({"path": "src/cart.txt", "line": 99, "side": "RIGHT", "body": "b"}),
            "Line could not be resolved",
        ),
        (json!({"path": "README.md", "line": 1, "side": "RIGHT", "body": "b"}), "Path could not be resolved"),
        (
            json!({"path": "src/cart.txt", "start_line": 3, "line": 3, "side": "RIGHT", "body": "b"}),
            "Start line must precede the end line.",
        ),
        (
            json!({"path": "src/cart.txt", "start_line": 5, "line": 11, "start_side": "LEFT", "side": "RIGHT", "body": "b"}),
            "Start line must precede the end line.",
        ),
    ] {
        let body = json!({"commit_id": head, "event": "COMMENT", "body": "all", "comments": [good, bad]});
        let answer = stage.send(&token, "POST", &path, body).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json["message"], json!("Unprocessable Entity"));
        assert_eq!(answer.json["errors"], json!([words]), "strings, which do not say which");
    }
    assert!(stage.sim.reviews(REPO, pull).expect("reviews").is_empty());
    let single = json!({"commit_id": head, "path": "src/cart.txt", "line": 99, "side": "RIGHT", "body": "b"});
    let answer = stage.send(&token, "POST", &format!("/repos/{REPO}/pulls/{pull}/comments"), single).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json["errors"][0]["field"], json!("pull_request_review_thread.line"));
}

#[tokio::test]
async fn a_review_of_a_foreign_commit_or_of_nothing_is_422() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let (pull, _) = stage.pull(&token).await;
    let foreign = stage.alice.push(REPO, "elsewhere", &[("x", Some("x"))]).expect("a push");
    let main = stage.sim.branch(REPO, "main").expect("main").expect("a commit");
    let path = format!("/repos/{REPO}/pulls/{pull}/reviews");
    for commit in [foreign, main, "0".repeat(40), "work".to_owned()] {
        let body = json!({"commit_id": commit, "event": "COMMENT", "body": "b"});
        assert_eq!(stage.send(&token, "POST", &path, body).await.status, 422, "{commit}");
    }
    assert_eq!(stage.send(&token, "POST", &path, json!({"event": "COMMENT"})).await.status, 422);
    let long = json!({"event": "COMMENT", "body": "x".repeat(65_537)});
    assert_eq!(stage.send(&token, "POST", &path, long).await.status, 422);
}

#[tokio::test]
async fn nobody_approves_a_pull_request_of_their_own() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let (pull, _) = stage.pull(&token).await;
    let path = format!("/repos/{REPO}/pulls/{pull}/reviews");
    for (event, words) in [
        ("APPROVE", "Can not approve your own pull request"),
        ("REQUEST_CHANGES", "Can not request changes on your own pull request"),
    ] {
        let answer = stage.send(&token, "POST", &path, json!({"event": event, "body": "b"})).await;
        assert_eq!((answer.status, &answer.json["errors"]), (422, &json!([words])));
    }
}

#[tokio::test]
async fn a_second_or_empty_pull_request_is_422() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    stage.pull(&token).await;
    let body = json!({"title": "Again", "head": "acme:work", "base": "main"});
    let answer = stage.send(&token, "POST", "/repos/acme/shop/pulls", body).await;
    assert_eq!(answer.json["errors"][0]["message"], json!("A pull request already exists for acme:work."));
    assert_eq!(answer.status, 422);
    let main = stage.sim.branch(REPO, "main").expect("main").expect("a commit");
    let body = json!({"ref": "refs/heads/same", "sha": main});
    assert_eq!(stage.send(&token, "POST", "/repos/acme/shop/git/refs", body.clone()).await.status, 201);
    let again = stage.send(&token, "POST", "/repos/acme/shop/git/refs", body).await;
    assert_eq!((again.status, &again.json["message"]), (422, &json!("Reference already exists")));
    let body = json!({"title": "Nothing", "head": "same", "base": "main"});
    let answer = stage.send(&token, "POST", "/repos/acme/shop/pulls", body).await;
    assert_eq!(answer.json["errors"][0]["message"], json!("No commits between main and same"));
    let body = json!({"title": "Nowhere", "head": "missing", "base": "main"});
    let answer = stage.send(&token, "POST", "/repos/acme/shop/pulls", body).await;
    assert_eq!(answer.json["errors"][0]["field"], json!("head"));
}

#[tokio::test]
async fn check_runs_are_made_by_apps_and_changed_by_their_own() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let head = stage.sim.branch(REPO, "main").expect("main").expect("a commit");
    let person = stage.sim.personal_token("alice");
    let body = json!({"name": "gate", "head_sha": head});
    assert_eq!(stage.send(&person, "POST", "/repos/acme/shop/check-runs", body).await.status, 403);
    let run = stage.sim.app("ci").expect("an app").report_check(REPO, &head, "ci", None).expect("a run");
    let path = format!("/repos/acme/shop/check-runs/{run}");
    assert_eq!(stage.send(&token, "PATCH", &path, json!({"conclusion": "success"})).await.status, 403);
    let note =
        json!({"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"});
    let action = json!({"label": "Retry", "description": "again", "identifier": "retry"});
    for (case, extra) in [
        ("annotations", json!({"output": {"title": "t", "summary": "s", "annotations": vec![note; 51]}})),
        ("summary", json!({"output": {"title": "t", "summary": "s".repeat(65_536)}})),
        ("text", json!({"output": {"title": "t", "summary": "s", "text": "s".repeat(65_536)}})),
        ("actions", json!({"actions": vec![action; 4]})),
        ("label", json!({"actions": [{"label": "x".repeat(21), "description": "d", "identifier": "i"}]})),
        (
            "description",
            json!({"actions": [{"label": "l", "description": "x".repeat(41), "identifier": "i"}]}),
        ),
        (
            "identifier",
            json!({"actions": [{"label": "l", "description": "d", "identifier": "x".repeat(21)}]}),
        ),
        ("no conclusion", json!({"status": "completed"})),
        ("bad conclusion", json!({"conclusion": "fine"})),
        ("unknown commit", json!({"head_sha": "1".repeat(40)})),
    ] {
        let mut body = json!({"name": "gate", "head_sha": head});
        crate::view::account::extend(&mut body, extra);
        let answer = stage.send(&token, "POST", "/repos/acme/shop/check-runs", body).await;
        assert_eq!(answer.status, 422, "{case}: {}", answer.json);
    }
}

#[tokio::test]
async fn a_comment_longer_than_65536_characters_is_422() {
    let stage = Stage::new().await;
    let issue = stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    let token = stage.token().await;
    let path = format!("/repos/{REPO}/issues/{issue}/comments");
    let body = |length: usize| json!({"body": "ü".repeat(length)});
    assert_eq!(stage.send(&token, "POST", &path, body(65_537)).await.status, 422);
    assert_eq!(stage.send(&token, "POST", &path, json!({"body": "  "})).await.status, 422);
    assert_eq!(stage.send(&token, "POST", &path, body(65_536)).await.status, 201);
}

#[tokio::test]
async fn a_merge_is_405_while_not_mergeable_and_409_after_the_head_moved() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let (pull, head) = stage.pull(&token).await;
    let path = format!("/repos/{REPO}/pulls/{pull}/merge");
    let draft = stage.send(&token, "PUT", &path, json!({})).await;
    assert_eq!((draft.status, &draft.json["message"]), (405, &json!("Pull Request is still a draft")));
    stage.alice.set_draft(REPO, pull, false).expect("ready");
    stage.alice.push(REPO, "work", &[("y", Some("y"))]).expect("a push");
    assert_eq!(stage.send(&token, "PUT", &path, json!({"sha": head})).await.status, 409);
    stage.alice.push(REPO, "main", &[("src/cart.txt", Some("all\nnew\n"))]).expect("a push");
    stage.send(&token, "GET", &format!("/repos/{REPO}/pulls/{pull}"), Value::Null).await;
    let seen = stage.send(&token, "GET", &format!("/repos/{REPO}/pulls/{pull}"), Value::Null).await;
    assert_eq!((&seen.json["mergeable"], &seen.json["mergeable_state"]), (&json!(false), &json!("dirty")));
    let conflict = stage.send(&token, "PUT", &path, json!({})).await;
    assert_eq!((conflict.status, &conflict.json["message"]), (405, &json!("Pull Request is not mergeable")));
}

#[tokio::test]
async fn the_81st_comment_of_a_minute_must_wait() {
    let stage = Stage::new().await;
    let limits = Limits { content_per_minute: 3, ..Limits::default() };
    stage.sim.set_limits(limits);
    let issue = stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    let token = stage.token().await;
    let path = format!("/repos/{REPO}/issues/{issue}/comments");
    for _ in 0..3 {
        assert_eq!(stage.send(&token, "POST", &path, json!({"body": "x"})).await.status, 201);
    }
    let answer = stage.send(&token, "POST", &path, json!({"body": "x"})).await;
    assert_eq!((answer.status, answer.header("retry-after")), (403, "60"));
    stage.clock.advance(Duration::from_mins(1));
    assert_eq!(stage.send(&token, "POST", &path, json!({"body": "x"})).await.status, 201);
    stage.sim.set_limits(Limits { requests_per_hour: 4, ..limits });
    let answer = stage.send(&token, "GET", "/repos/acme/shop", Value::Null).await;
    assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (403, "0"));
}

#[tokio::test]
async fn every_installation_has_limits_of_its_own() {
    let stage = Stage::new().await;
    stage.sim.create_repository(&NewRepository::with_files("zoo/ape", &[("a", "b")])).expect("a repository");
    let other = stage.sim.install(stage.app, "zoo", None).expect("an installation");
    let (one, other) = (stage.token().await, stage.token_of(other).await);
    stage.sim.set_limits(Limits { requests_per_hour: 3, ..Limits::default() });
    while stage.send(&one, "GET", "/repos/acme/shop", Value::Null).await.status == 200 {}
    let refused = stage.send(&one, "GET", "/repos/acme/shop", Value::Null).await;
    let message = format!("API rate limit exceeded for installation ID {}.", stage.installation);
    assert_eq!((refused.status, refused.json["message"].as_str()), (403, Some(message.as_str())));
    let answer = stage.send(&other, "GET", "/repos/zoo/ape", Value::Null).await;
    assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, "2"));
}

#[tokio::test]
async fn a_stranger_may_comment_but_neither_label_nor_merge() {
    let stage = Stage::new().await;
    let issue = stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    stage.stranger.comment(REPO, issue, "/retry").expect("anyone may comment");
    assert!(stage.stranger.label(REPO, issue, "agent:pair").is_err());
    assert!(stage.stranger.push(REPO, "main", &[("x", Some("x"))]).is_err());
    let opened = stage.stranger.open_issue(REPO, "Two", "", &["agent:pair"]).expect("anyone may open");
    assert!(stage.sim.issue(REPO, opened).expect("it").labels.is_empty(), "labels are dropped silently");
    let token = stage.token().await;
    let path = "/repos/acme/shop/collaborators/stranger/permission";
    let answer = stage.send(&token, "GET", path, Value::Null).await;
    assert_eq!(answer.json["role_name"], json!("read"), "a public repository is read by all");
    let path = "/repos/acme/shop/collaborators/Alice/permission";
    let answer = stage.send(&token, "GET", path, Value::Null).await;
    assert_eq!(
        (&answer.json["permission"], &answer.json["role_name"]),
        (&json!("write"), &json!("maintain"))
    );
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_400_and_nothing_dies() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    for text in ["{", "3", "null", "\"x\"", "\u{0}", &"[".repeat(5_000)] {
        let response = stage
            .client
            .post(format!("{}/repos/acme/shop/issues", stage.sim.url()))
            .bearer_auth(&token)
            .body(text.to_owned())
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), 400, "{text:.10}");
    }
    let array = stage.send(&token, "POST", "/repos/acme/shop/issues", json!([1])).await;
    assert_eq!(array.status, 422);
    for path in
        ["/repos/acme/shop/issues/99999999999999999999", "/repos/%ff%/x", "/repos/acme/shop/compare/a"]
    {
        assert_eq!(stage.send(&token, "GET", path, Value::Null).await.status / 100, 4, "{path}");
    }
    assert_eq!(stage.send(&token, "GET", "/meta", Value::Null).await.status, 200);
}
