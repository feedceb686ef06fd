//! A burst of deliveries, far more than can be worked off: all are kept, memory stays flat, and nobody else waits.

use futures_util::{StreamExt as _, stream};
use pairbot::demo::{MAINTAINER, REPOSITORY, Stage};
use pairbot::http::webhook::signature::WebhookSecret;
use pairbot::store::Store as _;
use pairbot::store::sqlite::SqliteStore;
use pairbot_github_sim::{NewRepository, Role};
use pairbot_protocol::policy::LABEL;
use serde_json::{Value, json};

use super::server::{Serving, address, database, stage, until};

/// Deliveries of the burst, each about an issue of its own.
const BURST: usize = 20_000;
/// Requests under way at once.
const SENDERS: usize = 64;
/// The repository of another installation.
const OTHER: &str = "quiet-org/tool";
/// How many requests for the busy installation may come before the first for the other one: what is under way, and
/// a few turns. Were it to wait for its turn in the order of arrival, tens of thousands would come before.
const TURNS_MAX: usize = 1_000;

/// Opens the issue of another installation; gives its number and its repository's id.
fn neighbour(stage: &Stage) -> (u64, u64) {
    let github = &stage.github;
    github.create_repository(&NewRepository::with_files(OTHER, &[("README.md", "A tool.\n")])).unwrap();
    github.grant(OTHER, MAINTAINER, Role::Maintain).unwrap();
    github.define_label(OTHER, LABEL, "5319e7", "Ask Pairbot for a pull request").unwrap();
    github.install(stage.app, "quiet-org", None).unwrap();
    let mona = github.person(MAINTAINER);
    let issue = mona.open_issue(OTHER, "Mend the tool", "Please.", &[]).unwrap();
    (issue, repository(stage, OTHER)["id"].as_u64().unwrap())
}

fn repository(stage: &Stage, name: &str) -> Value {
    stage.github.person(MAINTAINER).request("GET", &format!("/repos/{name}"), Value::Null).unwrap()
}

async fn send_burst(stage: &Stage, serving: &Serving) {
    use secrecy::ExposeSecret as _;
    let secret = stage.config.app.webhook_secret.expose_secret().to_owned();
    let secret = WebhookSecret::new(&secret.into());
    let (client, url) = (reqwest::Client::new(), address(stage, "/api/github/webhooks"));
    let mona = stage.github.person(MAINTAINER).request("GET", "/user", Value::Null).unwrap();
    let repository = repository(stage, REPOSITORY);
    let installation = stage.installation;
    let statuses = stream::iter(0..BURST).map(|number| {
        let payload = json!({
            "action": "labeled", "label": {"name": LABEL},
            "issue": {"number": 1_000_000 + number, "title": "One of many", "body": null, "labels": [],
                "user": {"id": mona["id"], "login": mona["login"]}, "updated_at": "2026-01-05T08:00:00Z"},
            "repository": {"id": repository["id"], "name": repository["name"],
                "full_name": repository["full_name"], "owner": repository["owner"]},
            "sender": {"id": mona["id"], "login": mona["login"], "type": "User"},
            "installation": {"id": installation},
        });
        let body = payload.to_string();
        let request = client
            .post(&url)
            .header("content-type", "application/json")
            .header("x-github-event", "issues")
            .header("x-github-delivery", format!("22222222-0000-0000-0000-{number:012}"))
            .header("x-hub-signature-256", secret.sign(body.as_bytes()));
        async move { request.body(body).send().await.unwrap().status().as_u16() }
    });
    let mut statuses = statuses.buffer_unordered(SENDERS).enumerate();
    let mut resident = Vec::new();
    while let Some((count, status)) = statuses.next().await {
        assert_eq!(status, 202, "delivery {count}\n{}", serving.said());
        if (count + 1).is_multiple_of(BURST / 4) {
            resident.push(serving.resident_kib());
        }
    }
    // What waits, waits in the store: the last three quarters of the burst take no memory of their own.
    let (first, last) = (resident[0], resident[resident.len() - 1]);
    assert!(last < first * 3 / 2, "resident memory grew with the burst, in KiB: {resident:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_kept_whole_in_flat_memory_and_holds_up_nobody_else() {
    let stage = stage().await;
    let (issue, other) = neighbour(&stage);
    let serving = Serving::start(&stage).await;
    send_burst(&stage, &serving).await;

    let before = stage.github.requests().len();
    stage.github.person(MAINTAINER).label(OTHER, issue, LABEL).unwrap();
    let about = [format!("/repositories/{other}/"), format!("/repos/{OTHER}/")];
    let turns = || {
        let requests = stage.github.requests();
        let by_app = requests[before..].iter().filter(|request| !request.path.ends_with("/access_tokens"));
        by_app.clone().position(|request| about.iter().any(|about| request.path.contains(about)))
    };
    until("the other installation's turn", &serving, async || turns().is_some()).await;
    let waited = turns().unwrap();
    assert!(waited <= TURNS_MAX, "{waited} requests for the busy installation came first");

    serving.kill().await;
    let counts = SqliteStore::open(database(&stage)).unwrap().counts().await.unwrap();
    assert!(counts.deliveries > BURST as u64, "{counts:?}");
    assert_eq!(counts.unreadable, 0);
}
