//! git over HTTP: who may read and push, and what a push sets off.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use axum::body::Body as AxumBody;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http::request::Parts;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::command::{environment, program};
use crate::actor::Actor;
use crate::call::Call;
use crate::reply::Reply;
use crate::role::{Access, Role};
use crate::server::Shared;
use crate::state::State;

/// Bytes read at once from git.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a git client asks for.
pub(crate) struct Target {
    owner: String,
    name: String,
    /// The rest of the path, such as `info/refs`.
    service: String,
}

/// Whether a path is git's.
pub(crate) fn target(segments: &[String]) -> Option<Target> {
    let [owner, name, rest @ ..] = segments else { return None };
    let service = rest.join("/");
    matches!(service.as_str(), "info/refs" | "git-upload-pack" | "git-receive-pack").then(|| Target {
        owner: owner.clone(),
        name: name.strip_suffix(".git").unwrap_or(name).to_owned(),
        service,
    })
}

fn text(status: StatusCode, message: &str) -> Response {
    let mut builder = Response::builder().status(status).header("content-type", "text/plain; charset=utf-8");
    if status == StatusCode::UNAUTHORIZED {
        builder = builder.header("www-authenticate", "Basic realm=\"GitHub\"");
    }
    builder.body(AxumBody::from(message.to_owned())).unwrap_or_else(|_| Response::new(AxumBody::empty()))
}

/// A repository that may be used, and by whom.
pub(super) struct Admitted {
    pub(super) repo: u64,
    pub(super) actor: Actor,
    pub(super) path: std::path::PathBuf,
}

impl Target {
    /// Whether it is part of a push.
    fn pushes(&self, query: &str) -> bool {
        self.service == "git-receive-pack" || query.contains("service=git-receive-pack")
    }

    /// Lets in who may read, or push.
    /// git sends no credentials until it is challenged, so a public repository is read whatever the token.
    fn admit(&self, state: &mut State, parts: &Parts) -> Result<Admitted, Box<Response>> {
        let unauthorized = || {
            let message = "remote: Invalid username or token. Password authentication is not supported for Git operations.";
            Box::new(text(StatusCode::UNAUTHORIZED, message))
        };
        let pushes = self.pushes(parts.uri.query().unwrap_or_default());
        let former = format!("{}/{}", self.owner, self.name).to_lowercase();
        let found =
            state.repo_named(&self.owner, &self.name).or_else(|| state.former_names.get(&former).copied());
        let public = found.and_then(|id| state.repos.get(&id)).is_some_and(|repo| !repo.private);
        let actor = match state.authenticate(&parts.headers) {
            Ok(actor) => actor,
            Err(_) if public && !pushes => Actor::Anonymous,
            Err(_) => return Err(unauthorized()),
        };
        if actor == Actor::Anonymous && (pushes || !public) {
            return Err(unauthorized());
        }
        let missing = || Box::new(text(StatusCode::NOT_FOUND, "remote: Repository not found."));
        let repo = found.ok_or_else(missing)?;
        let who = state.caller_name(&actor);
        let request = crate::call::Request::internal(http::Method::GET, "/", serde_json::Value::Null);
        let call = Call { state, actor, request: &request };
        let allowed = if pushes {
            call.need(repo, &["contents"], Access::Write, Role::Write)
        } else {
            call.need(repo, &["contents"], Access::Read, Role::Read)
        };
        let Call { state, actor, .. } = call;
        match allowed {
            Ok(()) => {
                let path = state.repo(repo).map_err(|_| missing())?.git.path.clone();
                Ok(Admitted { repo, actor, path })
            }
            Err(Reply { status: 404, .. }) => Err(missing()),
            Err(_) => {
                let message =
                    format!("remote: Permission to {}/{}.git denied to {who}.", self.owner, self.name);
                Err(Box::new(text(StatusCode::FORBIDDEN, &message)))
            }
        }
    }
}

/// Answers a git client.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    parts: &Parts,
    path: &str,
    target: Target,
    body: Bytes,
) -> Response {
    let (admitted, who) = shared.with(|state| {
        let admitted = target.admit(state, parts);
        let who = match &admitted {
            Ok(admitted) => state.caller_name(&admitted.actor),
            Err(_) => "refused".to_owned(),
        };
        (admitted, who)
    });
    let response = match admitted {
        Err(refusal) => *refusal,
        Ok(admitted) if target.service == "git-receive-pack" => {
            match super::receive::push(shared, parts, admitted, body).await {
                Ok(response) => response,
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
            }
        }
        Ok(admitted) => match backend(&admitted.path, parts, &target.service, &[], body).await {
            Ok((head, stdout, child)) => head.streamed(stdout, child),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
    };
    shared.record(parts, path, &[], who, response.status().as_u16());
    response
}

/// The head of a CGI answer.
pub(super) struct Head {
    status: StatusCode,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(super) fn with_body(self, body: AxumBody) -> Response {
        let mut builder = Response::builder().status(self.status);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        builder.body(body).unwrap_or_else(|_| Response::new(AxumBody::empty()))
    }

    fn streamed(self, stdout: BufReader<ChildStdout>, child: Child) -> Response {
        // The child travels with the stream: it is killed if the client hangs up.
        let chunks = stream::unfold((stdout, child), |(mut stdout, child)| async move {
            let mut chunk = vec![0; CHUNK_BYTES];
            match stdout.read(&mut chunk).await {
                Ok(0) => None,
                Ok(read) => {
                    chunk.truncate(read);
                    Some((Ok(Bytes::from(chunk)), (stdout, child)))
                }
                Err(error) => Some((Err(error), (stdout, child))),
            }
        });
        self.with_body(AxumBody::from_stream(chunks))
    }
}

#[expect(clippy::disallowed_methods, reason = "the simulated GitHub serves git with git's own CGI program")]
fn http_backend() -> Command {
    let mut command = Command::new(program());
    command.arg("http-backend").env_clear().envs(environment()).kill_on_drop(true);
    command
}

/// Starts `git http-backend` on a request and reads the head of its answer.
pub(super) async fn backend(
    repository: &Path,
    parts: &Parts,
    service: &str,
    more: &[(&str, String)],
    body: Bytes,
) -> std::io::Result<(Head, BufReader<ChildStdout>, Child)> {
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let root = repository.parent().unwrap_or(repository);
    let folder = repository.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut child = http_backend()
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{folder}/{service}"))
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .envs(more.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        tokio::spawn(async move {
            // A git that stops reading ends its answer early, which the client sees.
            let _ended_early = stdin.write_all(&body).await;
        });
    }
    let stdout = child.stdout.take().ok_or_else(|| std::io::Error::other("git has no output"))?;
    let mut stdout = BufReader::new(stdout);
    let mut head = Head { status: StatusCode::OK, headers: Vec::new() };
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line).await? == 0 {
            return Err(std::io::Error::other("git http-backend gave no answer"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok((head, stdout, child));
        }
        if let Some((name, value)) = line.split_once(": ") {
            if name.eq_ignore_ascii_case("status") {
                let code = value.split(' ').next().and_then(|code| code.parse().ok());
                head.status = code.unwrap_or(StatusCode::OK);
            } else {
                head.headers.push((name.to_lowercase(), value.to_owned()));
            }
        }
    }
}
