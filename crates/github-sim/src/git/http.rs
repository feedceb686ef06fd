//! git over HTTP: who may read and push, and what a push sets off.

use std::collections::BTreeMap;
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

use super::command::{ZERO_SHA, environment};
use super::push::{RefCommand, commands, with_reasons};
use crate::actor::Actor;
use crate::call::Call;
use crate::reply::Reply;
use crate::role::{Access, Role};
use crate::server::Shared;
use crate::state::{Repo, State};

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
struct Admitted {
    repo: u64,
    actor: Actor,
    path: std::path::PathBuf,
}

impl Target {
    /// Whether it is part of a push.
    fn pushes(&self, query: &str) -> bool {
        self.service == "git-receive-pack" || query.contains("service=git-receive-pack")
    }

    /// Lets in who may read, or push.
    /// git sends no credentials until it is challenged, so a public repository is read whatever the token.
    fn admit(&self, state: &mut State, parts: &Parts) -> Result<Admitted, Response> {
        let unauthorized = || {
            text(
                StatusCode::UNAUTHORIZED,
                "remote: Invalid username or token. Password authentication is not supported for Git operations.",
            )
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
        let missing = || text(StatusCode::NOT_FOUND, "remote: Repository not found.");
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
                Err(text(StatusCode::FORBIDDEN, &message))
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
        Err(refusal) => refusal,
        Ok(admitted) if target.service == "git-receive-pack" => {
            push(shared, parts, &target, admitted, body).await
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
struct Head {
    status: StatusCode,
    headers: Vec<(String, String)>,
}

impl Head {
    fn with_body(self, body: AxumBody) -> Response {
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
    let mut command = Command::new("git");
    command.arg("http-backend").env_clear().envs(environment()).kill_on_drop(true);
    command
}

/// Starts `git http-backend` on a request and reads the head of its answer.
async fn backend(
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

impl State {
    /// Why branch protection and rules refuse these updates: lines of ref, code and message for the hook.
    fn push_refusals(&self, repo: &Repo, actor: &Actor, commands: &[RefCommand]) -> String {
        let admin = matches!(actor, Actor::Person(account) if self.role(*account, repo) == Role::Admin);
        let mut lines = String::new();
        for command in commands {
            let ruled = repo.push_rules.iter().find(|(name, _, _)| *name == command.name);
            let branch = command.name.strip_prefix("refs/heads/").unwrap_or_default();
            let protected = repo.protections.get(branch).filter(|_| !admin).and_then(|rules| {
                let green = |name: &String| {
                    let run = repo
                        .check_runs
                        .values()
                        .rfind(|run| run.head_sha == command.new && run.name == *name);
                    let status = repo
                        .statuses
                        .values()
                        .rfind(|status| status.sha == command.new && status.context == *name);
                    run.is_some_and(crate::state::CheckRun::passes)
                        || status.is_some_and(|status| status.state == "success")
                };
                if rules.require_pull_request {
                    return Some("Changes must be made through a pull request.".to_owned());
                }
                let missing = rules.required_checks.iter().find(|name| !green(name))?;
                Some(format!("Required status check \"{missing}\" is expected."))
            });
            let refusal = ruled.map(|(_, code, message)| (code.clone(), message.clone()));
            let refusal = refusal.or_else(|| protected.map(|message| ("GH006".to_owned(), message)));
            if let Some((code, message)) = refusal.filter(|_| command.new != ZERO_SHA || ruled.is_some()) {
                lines.push_str(&format!("{}\t{code}\t{message}\n", command.name));
            }
        }
        lines
    }
}

async fn push(
    shared: &Arc<Shared>,
    parts: &Parts,
    target: &Target,
    admitted: Admitted,
    body: Bytes,
) -> Response {
    let failed = |error: &dyn std::fmt::Display| text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
    let _one_at_a_time = shared.push.lock().await;
    let commands = commands(&body);
    let rules = shared.with(|state| {
        let repo = state.repo(admitted.repo).ok()?;
        let protected: Vec<String> =
            repo.protections.keys().map(|branch| format!("refs/heads/{branch}")).collect();
        Some((
            state.push_refusals(repo, &admitted.actor, &commands),
            protected.join(" "),
            repo.signatures_required,
        ))
    });
    let Some((refusals, protected, signatures)) = rules else {
        return text(StatusCode::NOT_FOUND, "remote: Repository not found.");
    };
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => return failed(&error),
    };
    let (rules, verdicts) = (folder.path().join("rules"), folder.path().join("verdicts"));
    if let Err(error) = tokio::fs::write(&rules, refusals).await {
        return failed(&error);
    }
    let workflows = match &admitted.actor {
        Actor::Installation(actor) => actor.permissions.get("workflows") == Some(&Access::Write),
        Actor::Person(_) | Actor::App(_) | Actor::Anonymous => true,
    };
    let environment = [
        ("SIM_RULES", rules.display().to_string()),
        ("SIM_VERDICTS", verdicts.display().to_string()),
        ("SIM_PROTECTED", protected),
        ("SIM_WORKFLOWS", (if workflows { "allowed" } else { "refused" }).to_owned()),
        ("SIM_SIGNATURES", (if signatures { "required" } else { "optional" }).to_owned()),
    ];
    let mut output = Vec::new();
    let head = match backend(&admitted.path, parts, &target.service, &environment, body).await {
        Ok((head, mut stdout, mut child)) => {
            let read = stdout.read_to_end(&mut output).await;
            if let Err(error) = read.and(child.wait().await.map(|_| 0)) {
                return failed(&error);
            }
            head
        }
        Err(error) => return failed(&error),
    };
    let reasons = tokio::fs::read_to_string(&verdicts).await.unwrap_or_default();
    let reasons: BTreeMap<String, String> = reasons
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, reason)| (name.to_owned(), reason.to_owned()))
        .collect();
    let sender = admitted.actor.account().unwrap_or_default();
    let noticed = shared.blocking(move |state| {
        let before = state.repo(admitted.repo).map(|repo| repo.refs.clone()).unwrap_or_default();
        let result = state.notice_refs(admitted.repo, sender);
        let after = state.repo(admitted.repo).map(|repo| repo.refs.clone()).unwrap_or_default();
        for (name, sha) in after.iter().filter(|(name, sha)| before.get(*name) != Some(*sha)) {
            state.wrote(
                sender,
                &format!("push:{}:{name}", admitted.repo),
                &format!("push of {sha} to {name}"),
            );
        }
        result
    });
    match noticed.await {
        Some(Ok(())) => {}
        Some(Err(reply)) => return failed(&reply.json()),
        None => return failed(&"the push could not be noticed"),
    }
    let output = if reasons.is_empty() { output } else { with_reasons(&output, &reasons) };
    head.with_body(AxumBody::from(output))
}
