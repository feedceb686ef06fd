//! A widely used client reads what is sent.

use octocrab::models;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::stage::{REPO, Stage};

async fn reads<T: DeserializeOwned>(stage: &Stage, token: &str, path: &str) {
    let answer = stage.send(token, "GET", path, Value::Null).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.json);
    if let Err(error) = serde_json::from_value::<T>(answer.json.clone()) {
        panic!("{path}: {error}\n{:#}", answer.json);
    }
}

#[tokio::test]
async fn every_body_has_the_shape_that_octocrab_reads() {
    let stage = Stage::new().await;
    let issue = stage.alice.open_issue(REPO, "One", "text", &["agent:pair"]).expect("an issue");
    let token = stage.token().await;
    let (pull, head) = stage.pull(&token).await;
    let comment = json!({"path": "src/cart.txt", "line": 3, "side": "RIGHT", "body": "loud"});
    let review = json!({"commit_id": head, "event": "COMMENT", "body": "b", "comments": [comment]});
    let at = |path: &str| format!("/repos/{REPO}{path}");
    stage.send(&token, "POST", &at(&format!("/pulls/{pull}/reviews")), review).await;
    stage.send(&token, "POST", &at(&format!("/issues/{issue}/comments")), json!({"body": "c"})).await;
    stage.send(&token, "POST", &at(&format!("/issues/{issue}/reactions")), json!({"content": "eyes"})).await;
    let output = json!({"title": "t", "summary": "s"});
    let check = json!({"name": "gate", "head_sha": head, "conclusion": "success", "output": output});
    stage.send(&token, "POST", &at("/check-runs"), check).await;
    stage.sim.app("ci").expect("an app").report_status(REPO, &head, "build", "success").expect("reported");

    reads::<models::App>(&stage, &stage.jwt(), "/app").await;
    reads::<Vec<models::Installation>>(&stage, &stage.jwt(), "/app/installations").await;
    reads::<models::Installation>(&stage, &stage.jwt(), &at("/installation")).await;
    reads::<models::Repository>(&stage, &token, &at("")).await;
    reads::<models::issues::Issue>(&stage, &token, &at("/issues/1")).await;
    reads::<Vec<models::issues::Issue>>(&stage, &token, &at("/issues?labels=agent:pair")).await;
    reads::<Vec<models::issues::Comment>>(&stage, &token, &at("/issues/1/comments")).await;
    reads::<Vec<models::reactions::Reaction>>(&stage, &token, &at("/issues/1/reactions")).await;
    reads::<Vec<models::Label>>(&stage, &token, &at("/issues/1/labels")).await;
    reads::<models::pulls::PullRequest>(&stage, &token, &at("/pulls/2")).await;
    reads::<Vec<models::pulls::PullRequest>>(&stage, &token, &at("/pulls?head=acme:work")).await;
    reads::<Vec<models::pulls::Review>>(&stage, &token, &at("/pulls/2/reviews")).await;
    reads::<Vec<models::pulls::Comment>>(&stage, &token, &at("/pulls/2/comments")).await;
    reads::<Vec<models::repos::DiffEntry>>(&stage, &token, &at("/pulls/2/files")).await;
    reads::<Vec<models::repos::RepoCommit>>(&stage, &token, &at("/pulls/2/commits")).await;
    reads::<models::repos::RepoCommit>(&stage, &token, &at(&format!("/commits/{head}"))).await;
    reads::<models::checks::ListCheckRuns>(&stage, &token, &at(&format!("/commits/{head}/check-runs"))).await;
    reads::<models::CombinedStatus>(&stage, &token, &at(&format!("/commits/{head}/status"))).await;
    reads::<Vec<models::Status>>(&stage, &token, &at(&format!("/commits/{head}/statuses"))).await;
    reads::<models::repos::Ref>(&stage, &token, &at("/git/ref/heads/work")).await;
    reads::<models::repos::Content>(&stage, &token, &at("/contents/README.md")).await;
    reads::<Vec<models::repos::Content>>(&stage, &token, &at("/contents/")).await;
    reads::<models::UserProfile>(&stage, &token, "/users/alice").await;
    reads::<models::UserProfile>(&stage, &token, "/users/pair%5Bbot%5D").await;
    reads::<models::RateLimit>(&stage, &token, "/rate_limit").await;
}

#[tokio::test]
async fn octocrab_itself_logs_in_and_comments() {
    let stage = Stage::new().await;
    let issue = stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    for prefix in ["", "/api/v3"] {
        let token = stage.token().await;
        let client = octocrab::Octocrab::builder()
            .base_uri(format!("{}{prefix}", stage.sim.url()))
            .expect("an address")
            .personal_token(token)
            .build()
            .expect("a client");
        let made = client.issues("acme", "shop").create_comment(issue, "hello").await.expect("a comment");
        assert_eq!(made.user.login, "pair[bot]");
        let page =
            client.issues("acme", "shop").list_comments(issue).per_page(1).send().await.expect("a page");
        assert!(!client.all_pages(page).await.expect("all pages").is_empty());
    }
}
