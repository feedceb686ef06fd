//! A transport that answers from a script, a clock that jumps, and chance without chance.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use pairbot_github_sim::AppKey;
use pairbot_protocol::ids::{InstallationId, RepositoryId, TaskId, Timestamp};
use serde_json::{Value, json};

use crate::github::{
    BodyLimit, GitHub, GitHubSettings, Licence, RepositoryClient, Transport, TransportError, Unconfirmed,
};
use crate::ports::{Clock, Entropy};

/// A key in the form that GitHub hands out (PKCS #1), made for this run of the tests.
pub(super) static KEY: LazyLock<String> = LazyLock::new(|| {
    let pkcs8 = AppKey::generate().unwrap().private_pem;
    let lines = pkcs8.lines().filter(|line| !line.starts_with("-----"));
    let der = STANDARD.decode(lines.collect::<String>()).unwrap();
    // PKCS #8 puts 26 bytes before an RSA key of 2048 bits: version, algorithm, and lengths.
    let packed = STANDARD.encode(&der[26..]);
    let lines: Vec<_> = packed.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"))
});
pub(super) const INSTALLATION: InstallationId = InstallationId(5_000_000_001);
pub(super) const REPOSITORY: RepositoryId = RepositoryId(9_000_000_007);
/// One of the server's secrets.
pub(super) const SECRET: &str = "webhook-secret-0123456789";
pub(super) const SHA: &str = "0123456789abcdef0123456789abcdef01234567";
/// 2026-01-01T00:00:00Z.
pub(super) const START: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);

/// Time that passes only when somebody waits for it.
#[derive(Debug)]
pub(super) struct JumpingClock(AtomicU64);

impl JumpingClock {
    pub(super) fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub(super) fn set_back_ms(&self, ms: u64) {
        self.0.fetch_sub(ms, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, at: Timestamp) {
        // Whatever else can go on goes on first: time jumps when everybody waits.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        self.0.fetch_max(at.unix_ms, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(super) struct NoChance;

impl Entropy for NoChance {
    fn bits(&self) -> u64 {
        7
    }
}

/// The licence of a task that nobody checks.
pub(super) struct TestLicence;

impl Licence for TestLicence {
    fn task(&self) -> TaskId {
        TaskId(1)
    }

    async fn confirm(&self) -> Result<(), Unconfirmed> {
        Ok(())
    }
}

/// What the script does with a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Status(u16, Vec<(String, String)>, String),
    /// Carried out, but the connection breaks before the answer.
    Broken,
    /// No connection at all.
    Refused,
    /// Never an answer.
    Silence,
}

pub(super) fn ok(body: &Value) -> Reply {
    status(200, body)
}

pub(super) fn status(status: u16, body: &Value) -> Reply {
    Reply::Status(status, Vec::new(), body.to_string())
}

impl Reply {
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Status(_, headers, _) = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// A request as it went over the wire.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Value,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Debug, Default)]
pub(super) struct Script {
    once: Mutex<VecDeque<(String, Reply)>>,
    always: Mutex<Vec<(String, Reply)>>,
    seen: Mutex<Vec<Seen>>,
    tokens: AtomicU64,
}

impl Script {
    /// Answers the next such request (`METHOD path?query`) like this, once.
    pub(super) fn on(&self, line: &str, reply: Reply) -> &Self {
        self.once.lock().unwrap().push_back((line.to_owned(), reply));
        self
    }

    /// Answers such requests like this whenever nothing else was said.
    pub(super) fn always(&self, line: &str, reply: Reply) -> &Self {
        self.always.lock().unwrap().push((line.to_owned(), reply));
        self
    }

    /// Every request but those for tokens, names and the App's own identity.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let basics = ["/access_tokens", &format!("GET /repositories/{REPOSITORY}"), "GET /app"];
        let seen = self.seen.lock().unwrap().clone();
        seen.into_iter().filter(|seen| !basics.iter().any(|basic| seen.line.ends_with(basic))).collect()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    /// Every request whose line ends like this.
    pub(super) fn all(&self, end: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.line.ends_with(end)).cloned().collect()
    }

    fn reply(&self, line: &str, now: Timestamp) -> Reply {
        let mut once = self.once.lock().unwrap();
        if let Some(index) = once.iter().position(|(expected, _)| expected == line) {
            return once.remove(index).unwrap().1;
        }
        if let Some((_, reply)) = self.always.lock().unwrap().iter().find(|(expected, _)| expected == line) {
            return reply.clone();
        }
        if line.ends_with("/access_tokens") {
            let number = self.tokens.fetch_add(1, Ordering::SeqCst);
            let ends = i64::try_from(now.unix_ms).unwrap() + 3_600_000;
            let ends = chrono::DateTime::from_timestamp_millis(ends).unwrap().to_rfc3339();
            return status(201, &json!({ "token": format!("ghs_1_token{number}"), "expires_at": ends }));
        }
        if line == format!("GET /repositories/{REPOSITORY}") {
            return ok(&json!({
                "id": REPOSITORY, "name": "hello", "owner": { "login": "octo" }, "default_branch": "main",
                "private": true,
            }));
        }
        if line == "GET /app" {
            return ok(&json!({
                "id": 77, "slug": "pairbot", "permissions": { "checks": "write" }, "events": ["issues"],
            }));
        }
        panic!("nobody foresaw `{line}`");
    }
}

#[derive(Debug)]
struct ScriptTransport {
    script: Arc<Script>,
    clock: Arc<JumpingClock>,
}

#[async_trait]
impl Transport for ScriptTransport {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let line = format!("{} {}", request.method(), request.uri().path_and_query().unwrap());
        let bytes_max = BodyLimit::of(&request);
        self.script.seen.lock().unwrap().push(Seen {
            line: line.clone(),
            headers: request.headers().clone(),
            body: serde_json::from_slice(request.body()).unwrap_or_default(),
        });
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        match self.script.reply(&line, self.clock.now()) {
            Reply::Status(_, _, body) if body.len() > bytes_max => {
                Err(TransportError::TooLarge { bytes_max })
            }
            Reply::Status(status, headers, body) => {
                let mut builder = Response::builder().status(status);
                for (name, value) in headers {
                    builder = builder.header(name, value);
                }
                Ok(builder.body(Bytes::from(body)).unwrap())
            }
            Reply::Broken => Err(TransportError::Broken("reset by peer".to_owned())),
            Reply::Refused => Err(TransportError::NotSent("refused".to_owned())),
            Reply::Silence => std::future::pending().await,
        }
    }
}

/// A client on a script.
pub(super) struct Stage {
    pub(super) script: Arc<Script>,
    pub(super) clock: Arc<JumpingClock>,
    pub(super) github: GitHub,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::at("https://api.github.com")
    }

    pub(super) fn at(api_url: &str) -> Self {
        let script = Arc::new(Script::default());
        let clock = Arc::new(JumpingClock(AtomicU64::new(START.unix_ms)));
        let transport = Arc::new(ScriptTransport { script: Arc::clone(&script), clock: Arc::clone(&clock) });
        let settings = GitHubSettings {
            api_url: api_url.to_owned(),
            server_url: "https://github.com".to_owned(),
            app_id: "77".to_owned(),
            private_key: KEY.clone().into(),
            secrets: vec![SECRET.to_owned().into()],
        };
        let chance = Arc::new(NoChance);
        let github = GitHub::new(&settings, transport, Arc::<JumpingClock>::clone(&clock), chance).unwrap();
        Self { script, clock, github }
    }

    pub(super) fn repository(&self) -> RepositoryClient {
        self.github.repository(INSTALLATION, REPOSITORY)
    }
}
