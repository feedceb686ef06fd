//! What a call costs more that goes through a door than the same call straight to the model server: reading and limiting
//! the request, reserving in the real store, passing the answer on, settling.
//!
//! Both ways take turns over connections of their own, so that what else the machine does falls on both; the medians'
//! difference and ratio are what counts. A reservation is durable before a call is sent, so the difference holds two syncs
//! of the disk; `--account memory` leaves the store out and shows the door alone.
//!
//! `cargo bench --bench door [-- --calls 300 --bytes 400000 --account memory]`

#![expect(clippy::print_stdout, reason = "a benchmark speaks on standard output")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::cast_precision_loss, reason = "what is counted here is far below 2^52")]

#[path = "door/account.rs"]
mod account;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pairbot::adapters::{SystemClock, SystemEntropy};
use pairbot::gateway::{
    Door, Gateway, GatewaySettings, ModelChoice, PriceTable, ProviderKind, ProviderSettings, Visit,
    http_client,
};
use pairbot_model_sim::{Fault, ModelSim, SimConfig, When};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// The most that a call may cost more, and a streamed answer as a part of itself.
const CALL_MS_MAX: f64 = 1.0;
const STREAM_PERCENT_MAX: f64 = 2.0;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let calls = number(&arguments, "--calls", 300)?;
    let bytes = number(&arguments, "--bytes", 400_000)?;
    let memory = argument(&arguments, "--account") == Some("memory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(calls, bytes, memory))
}

async fn measure(calls: usize, bytes: usize, memory: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let sim = ModelSim::start(SimConfig::default()).await?;
    let account = account::of(folder.path(), memory).await?;
    let door = open(&sim, folder.path(), account).await?;
    println!("{calls} calls each way, {} account", if memory { "memory" } else { "durable" });
    let short = request(false, &"Say why. ".repeat(2_000));
    let pairs = turns(&sim, &door, &short, calls).await?;
    let (straight, through) = (median(&pairs.0), median(&pairs.1));
    let more_ms = (through - straight) * 1_000.0;
    println!(
        "a call with {} bytes: {:.3} ms straight, {:.3} ms through the door",
        short.len(),
        straight * 1e3,
        through * 1e3
    );
    println!("  {more_ms:.3} ms more (target: below {CALL_MS_MAX}), ratio {:.2}", through / straight);

    let long = request(true, "Go on.");
    let streams = (calls / 10).max(5);
    let warm = 2 * (streams + 1);
    sim.inject(When::next_call().times(u32::try_from(warm)?), Fault::VeryLong { bytes });
    let pairs = turns(&sim, &door, &long, streams).await?;
    let (straight, through) = (median(&pairs.0), median(&pairs.1));
    let chunks = (bytes / 48) as f64;
    // What a call costs more anyway is no part of what a chunk costs.
    let chunk_us = ((through - straight) * 1e3 - more_ms).max(0.0) * 1e3 / chunks;
    println!(
        "a streamed answer of {chunks:.0} chunks: {:.1} ms straight, {:.1} ms through the door",
        straight * 1e3,
        through * 1e3
    );
    println!("  {chunk_us:.2} µs more a chunk beside what a call costs");
    // A model writes about a hundred tokens a second, twelve in a chunk: that is what an agent waits for.
    let share = chunk_us / 120_000.0 * 100.0;
    println!(
        "  {share:.3} percent of a chunk's time at a hundred tokens a second (target: below {STREAM_PERCENT_MAX})"
    );
    println!("  ratio {:.2} against a server that writes without thinking", through / straight);
    door.close(Duration::from_secs(5)).await;
    Ok(())
}

async fn open(
    sim: &ModelSim,
    folder: &Path,
    account: Arc<dyn pairbot::gateway::BudgetAccount>,
) -> anyhow::Result<Door> {
    let provider = ProviderSettings {
        kind: ProviderKind::Anthropic,
        base_url: sim.anthropic_base_url(),
        key: SecretString::from("sk-bench-0123456789"),
        calls_max: 8,
    };
    let gateway = Arc::new(Gateway::new(
        http_client()?,
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        PriceTable::shipped()?,
        GatewaySettings::default(),
        [provider],
    ));
    let models = vec![ModelChoice { provider: ProviderKind::Anthropic, model: "scripted".to_owned() }];
    let visit =
        Visit { account, models, output_tokens_max: 200_000, deadline: None, purpose: "bench".to_owned() };
    Ok(gateway.open_door(folder, visit).await?)
}

fn request(streamed: bool, text: &str) -> Vec<u8> {
    let tools: Vec<_> = (0..20)
        .map(|number| {
            json!({ "name": format!("tool_{number}"), "description": "Does something. ".repeat(10),
            "input_schema": { "type": "object", "properties": { "path": { "type": "string" } } } })
        })
        .collect();
    json!({ "model": "scripted", "max_tokens": 16_000, "system": "You are the creator", "tools": tools,
        "messages": [{ "role": "user", "content": text }], "stream": streamed })
    .to_string()
    .into_bytes()
}

/// Seconds of each call, straight and through the door, in turns.
async fn turns(
    sim: &ModelSim,
    door: &Door,
    body: &[u8],
    calls: usize,
) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let address = sim.anthropic_base_url();
    let address = address.strip_prefix("http://").context("an address")?;
    let mut straight = TcpStream::connect(address).await?;
    straight.set_nodelay(true)?;
    let mut through = UnixStream::connect(door.socket()).await?;
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for turn in 0..=calls {
        let here = call(&mut straight, "key", body).await?;
        let there = call(&mut through, door.token().expose_secret(), body).await?;
        // The first makes connections.
        if turn > 0 {
            one.push(here);
            other.push(there);
        }
    }
    Ok((one, other))
}

/// Makes one call over a connection that stays open, and says how many seconds it took.
async fn call(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    key: &str,
    body: &[u8],
) -> anyhow::Result<f64> {
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\nanthropic-version: 2023-06-01\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let bytes = [head.as_bytes(), body].concat();
    let begin = Instant::now();
    stream.write_all(&bytes).await?;
    let (mut answer, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let count = stream.read(&mut piece).await?;
        ensure!(count > 0, "the connection ended");
        answer.extend_from_slice(piece.get(..count).unwrap_or_default());
        // All answers here come in chunks.
        if answer.ends_with(b"\r\n0\r\n\r\n") {
            break;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    Ok(seconds)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn argument<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let position = arguments.iter().position(|argument| argument == name)?;
    arguments.get(position + 1).map(String::as_str)
}

fn number(arguments: &[String], name: &str, default: usize) -> anyhow::Result<usize> {
    argument(arguments, name)
        .map_or(Ok(default), |text| text.parse().with_context(|| format!("{name} {text}")))
}
