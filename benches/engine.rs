//! How fast the engine turns signals into decisions, and how soon everything goes on after a crash.
//!
//! The first is told as a share of what the same file takes when nothing is decided: as many rows of the same size,
//! written in transactions of as many rows as the engine decides side by side.
//!
//! `cargo bench --bench engine [-- RUNS]` (1,000 runs unless told otherwise)

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]
#![expect(dead_code, reason = "each benchmark asks the server for something else")]
#![expect(clippy::print_stdout, reason = "a benchmark speaks on standard output")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real processes in real time")]
#![expect(clippy::cast_precision_loss, reason = "what is counted here is far below 2^52")]

#[path = "engine/recovery.rs"]
mod recovery;
#[path = "serving/mod.rs"]
mod serving;
#[path = "engine/throughput.rs"]
mod throughput;

fn main() -> anyhow::Result<()> {
    let runs = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        throughput::measure(runs).await?;
        recovery::measure(runs).await
    })
}
