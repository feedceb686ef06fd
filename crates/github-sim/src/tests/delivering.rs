//! Webhooks: who hears what, in which order, and what goes wrong on the way.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::stage::{REPO, Stage};
use crate::{
    ContentType, Courier, Fault, GitHubSim, ManualClock, Mishap, NewApp, NewRepository, Role, SimConfig,
    WebhookRequest,
};

/// Takes webhooks without a socket.
#[derive(Debug, Default)]
struct Letterbox {
    letters: Mutex<Vec<WebhookRequest>>,
    down: Mutex<bool>,
}

impl Courier for Letterbox {
    fn deliver(
        &self,
        request: WebhookRequest,
    ) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send + '_>> {
        let down = *self.down.lock().expect("a lock");
        if !down {
            self.letters.lock().expect("a lock").push(request);
        }
        Box::pin(async move { if down { Err("failed to connect to host".to_owned()) } else { Ok(202) } })
    }
}

impl Letterbox {
    fn names(&self) -> Vec<String> {
        let letters = self.letters.lock().expect("a lock");
        letters.iter().map(name).collect()
    }
}

fn header(letter: &WebhookRequest, name: &str) -> String {
    let found = letter.headers.iter().find(|(header, _)| *header == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn name(letter: &WebhookRequest) -> String {
    let json: Value = serde_json::from_slice(&letter.body).unwrap_or_default();
    match json["action"].as_str() {
        Some(action) => format!("{}.{action}", header(letter, "x-github-event")),
        None => header(letter, "x-github-event"),
    }
}

async fn stage() -> (GitHubSim, Arc<Letterbox>, u64) {
    let letterbox = Arc::new(Letterbox::default());
    let clock = Arc::new(ManualClock::new(super::stage::START_MS));
    let config = SimConfig { listen: None, clock, courier: letterbox.clone(), ..SimConfig::default() };
    let sim = GitHubSim::start(config).await.expect("it starts");
    sim.create_repository(&NewRepository::with_files(REPO, &[("a.txt", "a\n")])).expect("a repository");
    sim.grant(REPO, "alice", Role::Write).expect("a role");
    let app = sim.register_app(&NewApp::new("pair", ""));
    sim.set_webhook(app, "http://receiver/hook", "secret", ContentType::Json).expect("set");
    sim.install(app, "acme", None).expect("installed");
    sim.settled().await;
    letterbox.letters.lock().expect("a lock").clear();
    (sim, letterbox, app)
}

#[tokio::test]
async fn a_delivery_is_signed_over_its_bytes_and_names_its_installation() {
    let (sim, letterbox, _) = stage().await;
    sim.person("alice").open_issue(REPO, "One", "", &["agent:pair"]).expect("an issue");
    sim.settled().await;
    assert_eq!(letterbox.names(), vec!["issues.opened", "issues.labeled"]);
    let letters = letterbox.letters.lock().expect("a lock");
    let letter = &letters[1];
    let signature = crate::webhooks::signature("secret", &letter.body).expect("a signature");
    assert_eq!(header(letter, "x-hub-signature-256"), signature);
    assert!(header(letter, "user-agent").starts_with("GitHub-Hookshot/"));
    assert_eq!(header(letter, "x-github-delivery").len(), 36);
    let json: Value = serde_json::from_slice(&letter.body).expect("JSON");
    assert_eq!(json["label"]["name"], json!("agent:pair"));
    assert!(json["installation"]["id"].is_u64());
    assert_eq!((&json["sender"]["login"], &json["sender"]["type"]), (&json!("alice"), &json!("User")));
    assert_eq!(json["repository"]["full_name"], json!(REPO));
}

#[tokio::test]
async fn a_form_carries_the_payload_and_its_signature_covers_the_form() {
    let (sim, letterbox, app) = stage().await;
    sim.set_webhook(app, "http://receiver/hook", "secret", ContentType::Form).expect("set");
    sim.person("alice").open_issue(REPO, "Ü & more", "", &[]).expect("an issue");
    sim.settled().await;
    let letters = letterbox.letters.lock().expect("a lock");
    let text = String::from_utf8(letters[0].body.clone()).expect("text");
    let payload = crate::call::pairs(&text)["payload"].clone();
    let json: Value = serde_json::from_str(&payload).expect("JSON");
    assert_eq!(json["issue"]["title"], json!("Ü & more"));
    let signature = crate::webhooks::signature("secret", &letters[0].body).expect("a signature");
    assert_eq!(header(&letters[0], "x-hub-signature-256"), signature);
}

#[tokio::test]
async fn a_push_tells_of_the_branch_the_commits_the_suite_and_the_pull_request() {
    let (sim, letterbox, _) = stage().await;
    let alice = sim.person("alice");
    alice.push(REPO, "work", &[("a.txt", Some("b\n"))]).expect("a push");
    let pull = alice.open_pull(REPO, "Work", "work", "main").expect("a pull request");
    let before = sim.pull(REPO, pull).expect("it").head_sha;
    alice.push(REPO, "work", &[("a.txt", Some("c\n"))]).expect("a push");
    alice.close(REPO, pull).expect("closed");
    alice.delete_branch(REPO, "work").expect("deleted");
    sim.settled().await;
    let expected = [
        "create",
        "push",
        "check_suite.requested",
        "pull_request.opened",
        "push",
        "check_suite.requested",
        "pull_request.synchronize",
        "pull_request.closed",
        "delete",
        "push",
    ];
    assert_eq!(letterbox.names(), expected);
    let deliveries = sim.deliveries();
    let find = |name: &str| {
        deliveries.iter().rfind(|delivery| delivery.name == name).expect("it came").payload.clone()
    };
    let synchronize = find("pull_request.synchronize");
    assert_eq!(synchronize["before"], json!(before));
    assert_eq!(synchronize["pull_request"]["mergeable"], Value::Null);
    assert_eq!(find("delete")["ref"], json!("work"), "short here");
    let push = find("push");
    assert_eq!((&push["ref"], &push["deleted"]), (&json!("refs/heads/work"), &json!(true)), "full there");
    assert!(push["repository"]["pushed_at"].is_u64());
}

#[tokio::test]
async fn every_app_hears_of_check_runs_but_only_the_owner_of_its_buttons() {
    let (sim, letterbox, _) = stage().await;
    let ci = sim.register_app(&NewApp::new("ci", ""));
    sim.install(ci, "acme", None).expect("installed");
    let alice = sim.person("alice");
    let head = sim.branch(REPO, "main").expect("main").expect("a commit");
    let run = sim.app("ci").expect("an app").report_check(REPO, &head, "ci", Some("failure")).expect("a run");
    alice.rerun_check(REPO, run).expect("pressed");
    let own = sim.app("pair").expect("an app");
    let action = json!({"label": "Stop", "description": "now", "identifier": "stop"});
    let body = json!({"name": "gate", "head_sha": head, "actions": [action]});
    let run = own.request(REPO, "POST", "/check-runs", body).expect("a run")["id"].as_u64().expect("an id");
    alice.click_action(REPO, run, "stop").expect("pressed");
    assert!(alice.click_action(REPO, run, "go").is_err(), "no such button");
    assert!(sim.person("stranger").click_action(REPO, run, "stop").is_err(), "no right to press");
    sim.settled().await;
    let expected = [
        "check_run.created",
        "check_run.completed",
        "check_suite.completed",
        "check_run.created",
        "check_run.requested_action",
    ];
    assert_eq!(letterbox.names(), expected);
}

#[tokio::test]
async fn deliveries_can_be_held_lost_doubled_swapped_and_sent_again() {
    let (sim, letterbox, _) = stage().await;
    let alice = sim.person("alice");
    sim.hold_webhooks();
    alice.open_issue(REPO, "One", "", &["x"]).expect("an issue");
    sim.settled().await;
    assert_eq!(letterbox.names().len(), 0, "held");
    let held = sim.held_webhooks();
    assert!(sim.lose_webhook(held[0].id));
    sim.release_webhooks();
    sim.settled().await;
    assert_eq!(letterbox.names(), vec!["issues.labeled"]);
    let again = sim.redeliver(held[0].id).expect("sent again");
    sim.settled().await;
    let letter = letterbox.letters.lock().expect("a lock").last().cloned().expect("a letter");
    assert_eq!(header(&letter, "x-github-delivery"), held[0].guid, "a redelivery keeps its GUID");
    assert_ne!(again, held[0].id);

    letterbox.letters.lock().expect("a lock").clear();
    sim.mishap("issues.opened", Mishap::Swap);
    sim.mishap("issue_comment.created", Mishap::DuplicateUnderNewGuid);
    sim.mishap("issues.closed", Mishap::Duplicate);
    sim.mishap("issues.reopened", Mishap::Lose);
    let issue = alice.open_issue(REPO, "Two", "", &["x"]).expect("an issue");
    alice.comment(REPO, issue, "hi").expect("a comment");
    alice.close(REPO, issue).expect("closed");
    alice.reopen(REPO, issue).expect("open");
    sim.settled().await;
    let expected = [
        "issues.labeled",
        "issues.opened",
        "issue_comment.created",
        "issue_comment.created",
        "issues.closed",
        "issues.closed",
    ];
    assert_eq!(letterbox.names(), expected);
    let letters = letterbox.letters.lock().expect("a lock");
    let guid = |index: usize| header(&letters[index], "x-github-delivery");
    assert_ne!(guid(2), guid(3));
    assert_eq!(guid(4), guid(5));
}

#[tokio::test]
async fn failed_deliveries_are_not_retried_but_listed_and_redelivered_on_request() {
    let stage = Stage::new().await;
    stage.sim.set_webhook(stage.app, "http://127.0.0.1:9/", "s", ContentType::Json).expect("set");
    for number in 0..3 {
        stage.alice.open_issue(REPO, &format!("{number}"), "", &[]).expect("an issue");
    }
    stage.sim.settled().await;
    let path = "/app/hook/deliveries?status=failure&per_page=2";
    let page = stage.send(&stage.jwt(), "GET", path, Value::Null).await;
    assert_eq!(page.json.as_array().expect("a list").len(), 2);
    assert_eq!(page.json[0]["status_code"], json!(502));
    let link = page.header("link").to_owned();
    let next =
        link.split(['<', '>']).nth(1).and_then(|url| url.strip_prefix(stage.sim.url())).expect("a next page");
    let page = stage.send(&stage.jwt(), "GET", next, Value::Null).await;
    assert_eq!(page.json.as_array().expect("a list").len(), 1);
    let id = page.json[0]["id"].clone();
    let one = stage.send(&stage.jwt(), "GET", &format!("/app/hook/deliveries/{id}"), Value::Null).await;
    assert_eq!(one.json["request"]["payload"]["action"], json!("opened"));
    let path = format!("/app/hook/deliveries/{id}/attempts");
    assert_eq!(stage.send(&stage.jwt(), "POST", &path, Value::Null).await.status, 202);
    assert_eq!(stage.sim.deliveries().len(), 4);
    assert!(stage.sim.deliveries()[3].redelivery);
}

#[tokio::test]
async fn a_repository_hook_has_its_own_guid_and_names_no_installation() {
    let (sim, _, _) = stage().await;
    sim.add_repository_hook(REPO, "http://receiver/hook", "secret").expect("added");
    sim.person("alice").open_issue(REPO, "One", "", &[]).expect("an issue");
    let deliveries: Vec<_> =
        sim.deliveries().into_iter().filter(|delivery| delivery.name == "issues.opened").collect();
    assert_eq!(deliveries.len(), 2);
    assert_ne!(deliveries[0].guid, deliveries[1].guid);
    assert!(deliveries[0].payload["installation"].is_object());
    assert!(deliveries[1].payload.get("installation").is_none());
}

#[tokio::test]
async fn a_fault_loses_an_answer_after_the_write_was_applied() {
    let stage = Stage::new().await;
    let issue = stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    let token = stage.token().await;
    let path = format!("/repos/{REPO}/issues/{issue}/comments");
    stage.sim.fault(Fault::on("POST", "/repos/*/comments").lose_answer(502));
    stage.sim.fault(Fault::on("POST", "/repos/*/comments").answer_with(403, &[("retry-after", "7")], "{}"));
    assert_eq!(stage.send(&token, "POST", &path, json!({"body": "x"})).await.status, 502);
    assert_eq!(stage.send(&token, "POST", &path, json!({"body": "x"})).await.header("retry-after"), "7");
    assert_eq!(stage.sim.comments(REPO, issue).expect("comments").len(), 1);
    stage.sim.fault(Fault::on("GET", "/repos/acme/shop").cut());
    let url = format!("{}/repos/acme/shop", stage.sim.url());
    let cut = stage.client.get(&url).bearer_auth(&token).send().await;
    let failed = match cut {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(failed, "the connection was cut");
    stage.sim.fault(Fault::on("GET", "/repos/acme/shop").malformed());
    let answer = stage.send(&token, "GET", "/repos/acme/shop", Value::Null).await;
    assert!(answer.status == 200 && answer.json.is_string(), "no JSON");
    assert_eq!(stage.sim.writes(), vec![format!("POST {path}"), format!("POST {path}")]);
    let last = stage.sim.requests().pop().expect("a request");
    assert_eq!((last.who.as_str(), last.status), ("pair[bot]", 200));
}

#[tokio::test]
async fn a_paused_request_lets_the_world_move_on() {
    let stage = Stage::new().await;
    let issue = stage.alice.open_issue(REPO, "One", "", &[]).expect("an issue");
    let token = stage.token().await;
    let (fault, pause) = Fault::on("POST", "/repos/*/comments").pause_before();
    stage.sim.fault(fault);
    let path = format!("/repos/{REPO}/issues/{issue}/comments");
    let meanwhile = async {
        pause.reached().await;
        stage.alice.comment(REPO, issue, "first").expect("a comment");
        pause.resume();
    };
    let (answer, ()) = tokio::join!(stage.send(&token, "POST", &path, json!({"body": "second"})), meanwhile);
    assert_eq!(answer.status, 201);
    let bodies: Vec<_> =
        stage.sim.comments(REPO, issue).expect("comments").into_iter().map(|comment| comment.body).collect();
    assert_eq!(bodies, vec!["first", "second"]);
}
