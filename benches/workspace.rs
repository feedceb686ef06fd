//! How long a task waits for its files: a warm workspace against a fresh `git clone`.
//!
//! Makes a repository of 50,000 files (`PAIRBOT_BENCH_FILES` for another number) whose commits change ten files each,
//! and measures both ways on it in one run. Prints medians and ratios; ends with an error if opening a warm workspace
//! takes more than a tenth of the fastest clone. `TMPDIR` chooses the disk; one in memory favours the clone most.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use pairbot::adapters::{SystemEntropy, SystemSpawner};
use pairbot::git::{BranchName, Git, GitSettings, Mirror, Remote};
use pairbot::ports::{CommandSpec, Spawner};
use pairbot_protocol::ids::{HeadSha, RepositoryId};

const ROUNDS: usize = 3;
const CHANGED_FILES: usize = 10;
const RATIO_MAX: f64 = 0.1;

#[tokio::main]
async fn main() -> Result<()> {
    let files: usize = std::env::var("PAIRBOT_BENCH_FILES").map_or(Ok(50_000), |text| text.parse())?;
    let place = tempfile::tempdir()?;
    let root = place.path().join("served");
    std::fs::create_dir(&root)?;
    git(&root, &["init", "--quiet", "--bare", "--initial-branch=main", "r.git"], Vec::new()).await?;
    let bare = root.join("r.git");
    git(&bare, &["fast-import", "--quiet"], history(files)).await?;
    let address = serve(root).await?;

    let settings = GitSettings::new(place.path().join("data"));
    let ours = Git::new(Arc::new(SystemSpawner), Arc::new(SystemEntropy), settings).await?;
    let mirror = ours.mirror(RepositoryId(1)).await?;
    let remote = Remote::new(&format!("{address}/r.git"), None)?;
    let main: BranchName = "main".parse()?;

    let mut times = Times::default();
    let started = Instant::now();
    step(&bare, &mirror, &remote, &main, 0).await?;
    let start: HeadSha = mirror.branch(&main).await?.context("no main")?;
    let first = mirror.open(&"first".parse()?, &start).await?.worktree;
    println!("{files} files; first fetch and cold workspace {:.0} ms", ms(started.elapsed()));
    first.close().await?;
    for round in 1..=ROUNDS {
        measure_warm(&bare, &mirror, &remote, &main, round, &mut times).await?;
        measure_clones(place.path(), &bare, &address, &mut times).await?;
        times.report_round(round);
    }
    times.report()
}

#[derive(Default)]
struct Times {
    local: Vec<f64>,
    shared: Vec<f64>,
    http: Vec<f64>,
    fetch: Vec<f64>,
    open: Vec<f64>,
    close: Vec<f64>,
}

impl Times {
    /// Says how far it is: fifty thousand files take some disks half a minute a clone.
    fn report_round(&self, round: usize) {
        let last = |times: &[f64]| times.last().copied().unwrap_or_default();
        let fastest = last(&self.local).min(last(&self.shared));
        println!("round {round} of {ROUNDS}: open {:.1} ms, fastest clone {fastest:.1} ms", last(&self.open));
    }

    fn report(self) -> Result<()> {
        let all = [
            ("git clone of the path", self.local),
            ("git clone --shared, parallel checkout", self.shared),
            ("git clone over HTTP", self.http),
            ("ours: fetch of a new commit over HTTP", self.fetch),
            ("ours: open a warm workspace", self.open),
            ("ours: close it (clean for the next user)", self.close),
        ];
        let mut medians = Vec::new();
        for (name, mut times) in all {
            times.sort_by(f64::total_cmp);
            let at = |position: usize| times.get(position).copied().unwrap_or_default();
            let (median, least, most) = (at(times.len() / 2), at(0), at(times.len().saturating_sub(1)));
            println!("{name:<42} median {median:>8.1} ms   ({least:.1} to {most:.1}, {} times)", times.len());
            medians.push(median);
        }
        let [local, shared, http, fetch, open, close] = medians.as_slice() else { return Ok(()) };
        let fastest = local.min(*shared);
        let ratio = open / fastest;
        println!("open / fastest clone of the path             {ratio:.3}   (at most {RATIO_MAX})");
        println!("open and close / fastest clone of the path   {:.3}", (open + close) / fastest);
        println!("fetch and open / clone over HTTP             {:.3}", (fetch + open) / http);
        ensure!(
            ratio <= RATIO_MAX,
            "a warm workspace takes {ratio:.3} of a fresh clone, more than {RATIO_MAX}"
        );
        Ok(())
    }
}

/// Moves the branch on the server to the next commit and fetches it.
async fn step(bare: &Path, mirror: &Mirror, remote: &Remote, main: &BranchName, round: usize) -> Result<f64> {
    git(bare, &["update-ref", "refs/heads/main", &format!("refs/tags/c{round}")], Vec::new()).await?;
    let started = Instant::now();
    mirror.fetch(remote, std::slice::from_ref(main)).await?;
    Ok(ms(started.elapsed()))
}

async fn measure_warm(
    bare: &Path,
    mirror: &Mirror,
    remote: &Remote,
    main: &BranchName,
    round: usize,
    times: &mut Times,
) -> Result<()> {
    times.fetch.push(step(bare, mirror, remote, main, round).await?);
    let head: HeadSha = mirror.branch(main).await?.context("no main")?;
    let started = Instant::now();
    let worktree = mirror.open(&format!("round-{round}").parse()?, &head).await?.worktree;
    times.open.push(ms(started.elapsed()));
    // It is really at the new commit, and an agent leaves something behind.
    let changed = std::fs::read_to_string(worktree.path().join(file_name(round)))?;
    ensure!(changed == format!("changed in {round}\n"), "the workspace is not at the new commit");
    std::fs::write(worktree.path().join("left-behind"), "")?;
    let started = Instant::now();
    worktree.close().await?;
    times.close.push(ms(started.elapsed()));
    Ok(())
}

async fn measure_clones(place: &Path, bare: &Path, address: &str, times: &mut Times) -> Result<()> {
    let path = bare.to_str().context("path")?.to_owned();
    let url = format!("{address}/r.git");
    let parallel = ["-c", "checkout.workers=0", "-c", "index.skipHash=true"];
    let ways: [(&[&str], &str, &mut Vec<f64>); 3] = [
        (&[], &path, &mut times.local),
        (&["--shared", parallel[0], parallel[1], parallel[2], parallel[3]], &path, &mut times.shared),
        (&[], &url, &mut times.http),
    ];
    for (options, source, times) in ways {
        let arguments = [&["clone", "--quiet"], options, &[source, "fresh"]].concat();
        let started = Instant::now();
        git(place, &arguments, Vec::new()).await?;
        times.push(ms(started.elapsed()));
        std::fs::remove_dir_all(place.join("fresh"))?;
    }
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Files lie about twenty to a directory, as in large source trees.
fn file_name(position: usize) -> String {
    format!("part{:02}/module{:03}/source_{position}.rs", position / 1000, position / 20)
}

/// A first commit of all files, then one commit for each round, each under a tag, as `git fast-import` reads them.
fn history(files: usize) -> Vec<u8> {
    let mut text = String::new();
    for commit in 0..=ROUNDS {
        let seconds = 1_700_000_000 + commit;
        let _written = write!(
            text,
            "commit refs/heads/work\nmark :{}\ncommitter A <a@example.org> {seconds} +0000\ndata 1\nx\n",
            commit + 1
        );
        if commit == 0 {
            for position in 0..files {
                let body: String = (0..30).fold(String::new(), |mut body, line| {
                    let _written =
                        writeln!(body, "let value_{line} = compute({});", position * 31 % (line + 7));
                    body
                });
                put(&mut text, position, &format!("// source {position}\n{body}"));
            }
        } else {
            let _written = writeln!(text, "from :{commit}");
            for spread in 0..CHANGED_FILES {
                let position = (commit + spread * files / CHANGED_FILES) % files;
                put(&mut text, position, &format!("changed in {commit}\n"));
            }
        }
        let _written = write!(text, "reset refs/tags/c{commit}\nfrom :{}\n\n", commit + 1);
    }
    text.into_bytes()
}

fn put(text: &mut String, position: usize, body: &str) {
    let _written = write!(text, "M 100644 inline {}\ndata {}\n{body}\n", file_name(position), body.len());
}

/// Runs a plain git, as a person would.
async fn git(directory: &Path, arguments: &[&str], stdin: Vec<u8>) -> Result<()> {
    let finished = SystemSpawner.run(plain(directory, arguments, stdin)).await?;
    ensure!(finished.succeeded(), "git {arguments:?}: {}", String::from_utf8_lossy(&finished.stderr));
    Ok(())
}

fn plain(directory: &Path, arguments: &[&str], stdin: Vec<u8>) -> CommandSpec {
    let environment =
        [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/nonexistent"), ("GIT_CONFIG_NOSYSTEM", "1")];
    CommandSpec {
        program: "git".to_owned(),
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        directory: directory.to_owned(),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        stdin,
        timeout: Duration::from_mins(10),
        output_bytes_max: usize::MAX,
    }
}

/// Serves repositories on loopback: `git http-backend` over CGI (RFC 3875).
async fn serve(root: PathBuf) -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let app = Router::new().fallback(backend).with_state(root);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

async fn backend(State(root): State<PathBuf>, request: Request) -> Result<Response, String> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|error| error.to_string())?;
    let of =
        |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let mut command = plain(&root, &["http-backend"], body.to_vec());
    command.environment.extend(BTreeMap::from([
        ("GIT_HTTP_EXPORT_ALL".to_owned(), "1".to_owned()),
        ("GIT_PROJECT_ROOT".to_owned(), root.to_string_lossy().into_owned()),
        ("PATH_INFO".to_owned(), parts.uri.path().to_owned()),
        ("QUERY_STRING".to_owned(), parts.uri.query().unwrap_or_default().to_owned()),
        ("REQUEST_METHOD".to_owned(), parts.method.to_string()),
        ("CONTENT_TYPE".to_owned(), of("content-type")),
        ("CONTENT_LENGTH".to_owned(), body.len().to_string()),
        ("HTTP_CONTENT_ENCODING".to_owned(), of("content-encoding")),
        ("GIT_PROTOCOL".to_owned(), of("git-protocol")),
    ]));
    let finished = SystemSpawner.run(command).await.map_err(|error| error.to_string())?;
    let end = finished.stdout.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no CGI header")?;
    let (head, rest) = finished.stdout.split_at(end);
    let mut response = Response::builder();
    for (name, value) in String::from_utf8_lossy(head).lines().filter_map(|line| line.split_once(": ")) {
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap_or_default()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(rest.get(4..).unwrap_or_default().to_vec())).map_err(|error| error.to_string())
}
