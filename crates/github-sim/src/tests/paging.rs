//! The web page as a browser meets it.

use super::stage::{REPO, Stage};

async fn see(stage: &Stage, path: &str) -> String {
    let response = stage.client.get(format!("{}{path}", stage.sim.url())).send().await.expect("an answer");
    assert_eq!(response.status(), 200, "{path}");
    response.text().await.expect("a page")
}

async fn press(stage: &Stage, person: u64, form: &str) -> String {
    let request = stage
        .client
        .post(format!("{}/acme/shop/act", stage.sim.url()))
        .header("cookie", format!("person={person}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.to_owned());
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 303);
    response.headers()["location"].to_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_person_labels_comments_and_merges_with_buttons() {
    let stage = Stage::new().await;
    let alice = stage.alice.id();
    stage
        .alice
        .open_issue(REPO, "Shout <now>", "please **do** <script>alert(1)</script>", &[])
        .expect("an issue");
    let page = see(&stage, "/acme/shop/issues/1").await;
    assert!(page.contains("id=\"label-set\"") && page.contains("<strong>do</strong>"));
    assert!(page.contains("Shout &lt;now&gt;") && !page.contains("<script>alert"));
    let back = press(&stage, alice, "back=/acme/shop/issues/1&act=label&label=agent%3Apair&number=1").await;
    assert_eq!(back, "/acme/shop/issues/1");
    assert_eq!(stage.sim.issue(REPO, 1).expect("it").labels, vec!["agent:pair"]);
    assert!(see(&stage, "/acme/shop/issues/1").await.contains("id=\"label-remove\""));
    press(&stage, alice, "back=/&act=comment&number=1&body=%2Fretry+now").await;
    assert_eq!(stage.sim.comments(REPO, 1).expect("comments")[0].body, "/retry now");

    let token = stage.token().await;
    let (pull, head) = stage.pull(&token).await;
    stage.alice.review_line(REPO, pull, "src/cart.txt", 3, "why so loud?").expect("a review");
    let ci = stage.sim.app("ci").expect("an app");
    let run = ci.report_check(REPO, &head, "build", Some("failure")).expect("reported");
    let page = see(&stage, "/acme/shop/pull/2").await;
    assert!(page.contains("still a draft") && page.contains("why so loud?"));
    assert!(see(&stage, "/acme/shop/pull/2/files").await.contains("why so loud?"));
    assert!(see(&stage, "/acme/shop/pull/2/checks").await.contains(&format!("id=\"rerun-{run}\"")));
    assert!(see(&stage, "/acme/shop/pull/2/commits").await.contains("Change src/cart.txt"));
    assert!(see(&stage, "/acme/shop/pulls").await.contains("Work"));
    press(&stage, alice, &format!("back=/&act=rerun&run={run}")).await;
    stage.alice.set_draft(REPO, pull, false).expect("ready");
    press(&stage, alice, "back=/acme/shop/pull/2&act=merge&number=2").await;
    assert!(see(&stage, "/acme/shop/pull/2").await.contains("id=\"merged\""));
    assert!(see(&stage, "/").await.contains("acme/shop"));
}

#[tokio::test]
async fn a_refused_button_says_why_and_a_stranger_cannot_merge() {
    let stage = Stage::new().await;
    stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    let back =
        press(&stage, stage.stranger.id(), "back=/acme/shop/issues/1&act=label&label=x&number=1").await;
    let page = see(&stage, &back).await;
    assert!(page.contains("id=\"refused\"") && page.contains("Must have triage access"));
    let back = press(&stage, stage.alice.id(), "back=//evil.example/&act=comment&number=1&body=x").await;
    assert_eq!(back, "/", "a form leads back to this site only");
    let missing =
        stage.client.get(format!("{}/acme/shop/issues/99", stage.sim.url())).send().await.expect("it");
    assert_eq!(missing.status(), 404);
}
