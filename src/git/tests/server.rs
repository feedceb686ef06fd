//! A git server over HTTP for tests: `git http-backend` behind a few lines of CGI, with a token and with faults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use secrecy::SecretString;

use crate::adapters::{SeededEntropy, SystemSpawner};
use crate::git::{Git, GitSettings, Remote};
use crate::ports::{CommandSpec, Finished, Spawner};

pub(super) const TOKEN: &str = "ghs_0123456789012345678901234567890123456789";

/// A repository on a server, with a person's clone of it, and our git.
pub(super) struct Ground {
    pub(super) directory: tempfile::TempDir,
    pub(super) faults: Arc<Faults>,
    address: String,
}

/// What the server does wrong.
#[derive(Default)]
pub(super) struct Faults {
    /// Applies pushes, but answers 502.
    pub(super) lose_push_answers: AtomicBool,
    /// Answers everything with this status.
    pub(super) status: Mutex<Option<StatusCode>>,
    /// How many requests came in.
    pub(super) requests: AtomicUsize,
}

#[derive(Clone)]
struct Served {
    root: PathBuf,
    faults: Arc<Faults>,
}

impl Ground {
    pub(super) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("served");
        std::fs::create_dir_all(root.join("o/r.git")).unwrap();
        let faults = Arc::new(Faults::default());
        let app = Router::new().fallback(serve).with_state(Served { root, faults: Arc::clone(&faults) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let ground = Self { directory, faults, address };
        let bare = ground.served();
        ground.person(&bare, "git init -q --bare -b main && git config http.receivepack true && git config uploadpack.allowAnySHA1InWant true").await;
        std::fs::create_dir_all(ground.clone_path()).unwrap();
        ground.write("src/a.txt", "one\n");
        ground.write("README.md", "hello\n");
        ground.in_clone("git init -q -b main && git add -A && git commit -qm start && git remote add origin ../served/o/r.git && git push -q origin main").await;
        ground
    }

    pub(super) fn served(&self) -> PathBuf {
        self.directory.path().join("served/o/r.git")
    }

    fn clone_path(&self) -> PathBuf {
        self.directory.path().join("clone")
    }

    /// Writes a file in the person's clone.
    pub(super) fn write(&self, path: &str, content: &str) {
        let path = self.clone_path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// What a person does in their clone.
    pub(super) async fn in_clone(&self, script: &str) -> String {
        self.person(&self.clone_path(), script).await
    }

    async fn person(&self, directory: &Path, script: &str) -> String {
        let finished = shell(directory, script).await;
        assert!(finished.succeeded(), "{script}: {}", String::from_utf8_lossy(&finished.stderr));
        String::from_utf8(finished.stdout).unwrap().trim().to_owned()
    }

    pub(super) fn remote(&self) -> Remote {
        self.remote_with(TOKEN)
    }

    pub(super) fn remote_with(&self, token: &str) -> Remote {
        Remote::new(&format!("{}/o/r.git", self.address), Some(SecretString::from(token))).unwrap()
    }

    /// A git of ours over the ground's data directory; each call is a restart of the process.
    pub(super) async fn git(&self) -> Git {
        let mut settings = GitSettings::new(self.directory.path().join("data"));
        settings.network_timeout = Duration::from_mins(1);
        Git::new(Arc::new(SystemSpawner), Arc::new(SeededEntropy::new(1)), settings).await.unwrap()
    }
}

/// What a program without our care would do: a shell with a plain git.
pub(super) async fn shell(directory: &Path, script: &str) -> Finished {
    let environment = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/nonexistent"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "Ann"),
        ("GIT_AUTHOR_EMAIL", "ann@example.org"),
        ("GIT_COMMITTER_NAME", "Ann"),
        ("GIT_COMMITTER_EMAIL", "ann@example.org"),
    ];
    let command = CommandSpec {
        program: "/bin/sh".to_owned(),
        arguments: vec!["-ec".to_owned(), script.to_owned()],
        directory: directory.to_owned(),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        stdin: Vec::new(),
        timeout: Duration::from_mins(1),
        output_bytes_max: 1_000_000,
    };
    SystemSpawner.run(command).await.unwrap()
}

async fn serve(State(served): State<Served>, request: Request) -> Response {
    served.faults.requests.fetch_add(1, Ordering::Relaxed);
    let (request, body) = request.into_parts();
    if let Some(status) = *served.faults.status.lock().unwrap() {
        return answer(status);
    }
    let expected = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{TOKEN}"));
    let shown = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if shown != Some(&format!("Basic {expected}")) {
        let mut refused = answer(StatusCode::UNAUTHORIZED);
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, "Basic realm=\"git\"".parse().unwrap());
        return refused;
    }
    let path = request.uri.path().to_owned();
    let mut environment: BTreeMap<String, String> = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("GIT_HTTP_EXPORT_ALL", "1"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("REMOTE_USER", "bot"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let of =
        |name: &str| request.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    environment.insert("GIT_PROJECT_ROOT".into(), served.root.to_str().unwrap().into());
    environment.insert("PATH_INFO".into(), path.clone());
    environment.insert("QUERY_STRING".into(), request.uri.query().unwrap_or_default().into());
    environment.insert("REQUEST_METHOD".into(), request.method.to_string());
    environment.insert("CONTENT_TYPE".into(), of("content-type"));
    environment.insert("HTTP_CONTENT_ENCODING".into(), of("content-encoding"));
    environment.insert("GIT_PROTOCOL".into(), of("git-protocol"));
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    environment.insert("CONTENT_LENGTH".into(), body.len().to_string());
    let command = CommandSpec {
        program: "git".to_owned(),
        arguments: vec!["http-backend".to_owned()],
        directory: served.root.clone(),
        environment,
        stdin: body.to_vec(),
        timeout: Duration::from_mins(1),
        output_bytes_max: usize::MAX,
    };
    let finished = SystemSpawner.run(command).await.unwrap();
    if path.ends_with("/git-receive-pack") && served.faults.lose_push_answers.load(Ordering::Relaxed) {
        return answer(StatusCode::BAD_GATEWAY);
    }
    from_cgi(&finished.stdout)
}

fn answer(status: StatusCode) -> Response {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

fn from_cgi(output: &[u8]) -> Response {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(Bytes::copy_from_slice(&output[end + 4..]))).unwrap()
}
