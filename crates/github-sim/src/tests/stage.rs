//! One repository, one maintainer, one stranger, one app, one CI app.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{AppKey, GitHubSim, ManualClock, NewApp, NewRepository, Person, Role, SimConfig, permissions};

pub(crate) const REPO: &str = "acme/shop";
/// 2026-03-01T00:00:00Z
pub(crate) const START_MS: u64 = 1_772_323_200_000;

pub(crate) fn key() -> &'static AppKey {
    static KEY: OnceLock<AppKey> = OnceLock::new();
    KEY.get_or_init(|| AppKey::generate().expect("a key"))
}

pub(crate) struct Stage {
    pub(crate) sim: GitHubSim,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) client: reqwest::Client,
    pub(crate) alice: Person,
    pub(crate) stranger: Person,
    pub(crate) app: u64,
    pub(crate) installation: u64,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(NewRepository::with_files(
            REPO,
            &[
                ("README.md", "# Shop\n"),
                ("src/cart.txt", "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n"),
                (".github/workflows/ci.yml", "on: push\n"),
            ],
        ))
        .await
    }

    pub(crate) async fn with(repository: NewRepository) -> Self {
        let clock = Arc::new(ManualClock::new(START_MS));
        let config = SimConfig { clock: clock.clone(), ..SimConfig::default() };
        let sim = GitHubSim::start(config).await.expect("it starts");
        sim.create_repository(&repository).expect("a repository");
        sim.grant(REPO, "alice", Role::Maintain).expect("a role");
        let app = sim.register_app(&NewApp::new("pair", &key().public_pem));
        let installation = sim.install(app, "acme", None).expect("an installation");
        let ci = NewApp::new("ci", &key().public_pem).with_permissions(permissions([
            ("checks", crate::Access::Write),
            ("statuses", crate::Access::Write),
        ]));
        let ci = sim.register_app(&ci);
        sim.install(ci, "acme", None).expect("an installation");
        let client = reqwest::Client::builder()
            .user_agent("test")
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client");
        let (alice, stranger) = (sim.person("alice"), sim.person("stranger"));
        Self { sim, clock, client, alice, stranger, app, installation }
    }

    pub(crate) fn jwt_with(&self, issued_s: u64, expires_s: u64) -> String {
        let claims = json!({"iss": self.app.to_string(), "iat": issued_s, "exp": expires_s});
        let key = EncodingKey::from_rsa_pem(key().private_pem.as_bytes()).expect("a key");
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).expect("a token")
    }

    pub(crate) fn jwt(&self) -> String {
        let now = self.sim.now_ms() / 1000;
        self.jwt_with(now - 60, now + 540)
    }

    pub(crate) async fn send(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let method = method.parse::<reqwest::Method>().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.sim.url()));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        Answer { status, headers, json: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    pub(crate) async fn token(&self) -> String {
        self.token_of(self.installation).await
    }

    pub(crate) async fn token_of(&self, installation: u64) -> String {
        let path = format!("/app/installations/{installation}/access_tokens");
        let answer = self.send(&self.jwt(), "POST", &path, Value::Null).await;
        assert_eq!(answer.status, 201, "{}", answer.json);
        answer.json["token"].as_str().expect("a token").to_owned()
    }

    /// Pushes two changed lines to `work` and opens a pull request as the app.
    pub(crate) async fn pull(&self, token: &str) -> (u64, String) {
        let changed = "one\ntwo\nTHREE\nfour\nfive\nsix\nseven\neight\nnine\nten\neleven\n";
        let head = self.alice.push(REPO, "work", &[("src/cart.txt", Some(changed))]).expect("a push");
        let body =
            json!({"title": "Work", "head": "work", "base": "main", "body": "Closes #1", "draft": true});
        let answer = self.send(token, "POST", "/repos/acme/shop/pulls", body).await;
        assert_eq!(answer.status, 201, "{}", answer.json);
        (answer.json["number"].as_u64().expect("a number"), head)
    }
}
