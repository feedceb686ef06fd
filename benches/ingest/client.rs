//! The load, and what is measured under it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use pairbot::http::webhook::signature::WebhookSecret;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Mode, SECRET};

/// How many connections send at once.
pub(crate) const CONNECTIONS: usize = 64;

/// A delivery as GitHub sends it.
pub(crate) const BODY: &str = include_str!("../../tests/fixtures/webhooks/issues.labeled.json");

/// Requests as they go over the wire, each a delivery of its own about an issue of its own.
pub(crate) struct Load {
    requests: Arc<Vec<Vec<u8>>>,
}

impl Load {
    /// Signs all requests beforehand, so that the client's share of the machine stays small.
    pub(crate) fn new(deliveries: usize) -> Self {
        let secret = WebhookSecret::new(&SecretString::from(SECRET.to_owned()));
        let requests = (0..deliveries).map(|number| request(&secret, number)).collect();
        Self { requests: Arc::new(requests) }
    }
}

fn request(secret: &WebhookSecret, number: usize) -> Vec<u8> {
    let body = BODY.replace("\"number\":42,", &format!("\"number\":{},", 1_000_000 + number));
    let signature = secret.sign(body.as_bytes());
    // A random UUID's bits, spread as GitHub's are: neighbours must not help the index.
    let mixed = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (high, low) = (mixed >> 32, mixed & 0xFFFF_FFFF_FFFF);
    format!(
        "POST /api/github/webhooks HTTP/1.1\r\nHost: pairbot.example.com\r\nAccept: */*\r\n\
         User-Agent: GitHub-Hookshot/7f3a1c2\r\nContent-Type: application/json\r\n\
         X-GitHub-Delivery: {high:08x}-cc78-11e3-81ab-{low:012x}\r\nX-GitHub-Event: issues\r\n\
         X-GitHub-Hook-ID: 480123456\r\nX-GitHub-Hook-Installation-Target-ID: 1234567\r\n\
         X-GitHub-Hook-Installation-Target-Type: integration\r\nX-Hub-Signature-256: {signature}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What one run gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Requests answered a second.
    pub(crate) per_second: f64,
    /// Processor time of the server, in microseconds a request.
    pub(crate) cpu_us: f64,
    /// Half of the requests were answered within this time.
    pub(crate) latency_ms: f64,
    /// Ninety-nine of a hundred were.
    pub(crate) latency_ms_99: f64,
}

impl Measured {
    /// The median of each figure.
    pub(crate) fn median(all: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| percentile(all.iter().map(figure).collect(), 50);
        Self {
            per_second: of(|one| one.per_second),
            cpu_us: of(|one| one.cpu_us),
            latency_ms: of(|one| one.latency_ms),
            latency_ms_99: of(|one| one.latency_ms_99),
        }
    }
}

/// The value that this many of a hundred do not exceed.
fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let position = values.len() * percent / 100;
    values.get(position).or(values.last()).copied().unwrap_or_default()
}

/// Starts a server, sends it the whole load once, and ends it.
pub(crate) fn measure(mode: Mode, load: &Load) -> anyhow::Result<Measured> {
    let server = Server::start(mode)?;
    // One thread: the other processors are the server's.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cpu_before = server.cpu()?;
    let (elapsed, latencies) = runtime.block_on(send_all(server.port, load))?;
    let cpu = server.cpu()?.saturating_sub(cpu_before);
    let count = load.requests.len();
    let held = server.end()?;
    ensure!(mode != Mode::Durable || held == count, "the store holds {held} of {count} deliveries");
    Ok(Measured {
        per_second: count as f64 / elapsed.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / count as f64,
        latency_ms: percentile(latencies.clone(), 50),
        latency_ms_99: percentile(latencies, 99),
    })
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the real machine")]
async fn send_all(port: u16, load: &Load) -> anyhow::Result<(Duration, Vec<f64>)> {
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|stream| tokio::spawn(send_some(stream, next.clone(), load.requests.clone())))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok((start.elapsed(), latencies))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the real machine")]
async fn send_some(
    mut stream: TcpStream,
    next: Arc<AtomicUsize>,
    requests: Arc<Vec<Vec<u8>>>,
) -> anyhow::Result<Vec<f64>> {
    let mut answer = vec![0; 4096];
    let mut latencies = Vec::new();
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let start = Instant::now();
        stream.write_all(request).await?;
        let mut length = 0;
        while !is_whole(answer.get(..length).unwrap_or_default()) {
            let read = stream.read(answer.get_mut(length..).unwrap_or_default()).await?;
            ensure!(read > 0, "the server hung up");
            length += read;
        }
        let answer = answer.get(..length).unwrap_or_default();
        if !answer.starts_with(b"HTTP/1.1 202") || !answer.ends_with(br#"{"status":"accepted"}"#) {
            bail!("answered {}", String::from_utf8_lossy(answer));
        }
        latencies.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(latencies)
}

/// All answers have the same short body.
fn is_whole(answer: &[u8]) -> bool {
    answer.ends_with(b"}") || answer.ends_with(b"content-length: 0\r\n\r\n")
}

/// A server in a process of its own.
struct Server {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u16,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures the real machine")]
    fn start(mode: Mode) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", &mode.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("the server has no output")?).lines();
        let port = lines.next().context("the server said nothing")??.parse()?;
        Ok(Self { child, lines, port })
    }

    /// User and system time so far, from fields 14 and 15 of proc(5)'s `stat`, in ticks of 10 ms.
    fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, after_name) = stat.rsplit_once(')').context("no name in stat")?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        let ticks =
            |index: usize| -> anyhow::Result<u64> { Ok(fields.get(index).context("short stat")?.parse()?) };
        Ok(Duration::from_millis(10 * (ticks(11)? + ticks(12)?)))
    }

    /// Ends the server and returns how many deliveries it says it holds.
    fn end(mut self) -> anyhow::Result<usize> {
        drop(self.child.stdin.take());
        let held = self.lines.next().context("the server did not say what it holds")??.parse()?;
        ensure!(self.child.wait()?.success(), "the server failed");
        Ok(held)
    }
}
