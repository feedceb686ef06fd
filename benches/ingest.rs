//! How much of a plain server's speed is left when every webhook is made durable before it is acknowledged.
//!
//! Two servers with the same HTTP stack, each in a process of its own, take turns: one only checks the signature, the
//! other is the real door (signature, parse, idempotent insert, an fsync before the answer). Both get the same
//! deliveries from 64 keep-alive connections. The medians and their ratio are printed; the ratio is what counts, as
//! the client shares the machine.
//!
//! `cargo bench --bench ingest [-- --rounds 9 --deliveries 10000]`

#![expect(clippy::print_stdout, reason = "a benchmark speaks on standard output")]
#![expect(clippy::cast_precision_loss, reason = "what is counted here is far below 2^52")]

#[path = "ingest/client.rs"]
mod client;
#[path = "ingest/server.rs"]
mod server;

use anyhow::Context;
use client::{Load, Measured};
use server::Mode;

/// The ratio that must be reached, and the one that is aimed at.
const RATIO_MIN: f64 = 0.3;
const RATIO_AIM: f64 = 0.4;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(mode) = argument(&arguments, "--serve") {
        return server::run(mode.parse()?);
    }
    let rounds: usize = number(&arguments, "--rounds", 9)?;
    let deliveries: usize = number(&arguments, "--deliveries", 10_000)?;
    let load = Load::new(deliveries);
    println!(
        "{deliveries} deliveries of {} bytes over {} connections, {rounds} rounds",
        client::BODY.len(),
        client::CONNECTIONS
    );
    let mut measured: [(Mode, Vec<Measured>); 3] = Mode::ALL.map(|mode| (mode, Vec::new()));
    // In turns, so that what else the machine does falls on all of them.
    for _ in 0..rounds {
        for (mode, results) in &mut measured {
            results.push(client::measure(*mode, &load).with_context(|| format!("measuring {mode}"))?);
        }
    }
    let medians = measured.map(|(mode, results)| (mode, Measured::median(&results)));
    for (mode, median) in &medians {
        println!(
            "{mode:<10} {:>8.0} requests/s  {:>6.1} µs of CPU a request  {:>7.2} ms at the median, {:.2} ms at the 99th percentile",
            median.per_second, median.cpu_us, median.latency_ms, median.latency_ms_99
        );
    }
    let [(_, signature), _, (_, durable)] = medians;
    let ratio = durable.per_second / signature.per_second;
    let verdict = match ratio {
        ratio if ratio >= RATIO_AIM => "the aim is reached",
        ratio if ratio >= RATIO_MIN => "enough, below the aim",
        _ => "MISSED: measure on a machine that does nothing else, then look for what became slower",
    };
    println!("durable / signature: {ratio:.2} (at least {RATIO_MIN}, aim {RATIO_AIM}): {verdict}");
    Ok(())
}

fn argument<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let position = arguments.iter().position(|argument| argument == name)?;
    arguments.get(position + 1).map(String::as_str)
}

fn number(arguments: &[String], name: &str, default: usize) -> anyhow::Result<usize> {
    argument(arguments, name)
        .map_or(Ok(default), |text| text.parse().with_context(|| format!("{name} {text}")))
}
