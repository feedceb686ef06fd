//! What a cage costs: its start against a start without one, what survives it, and the memory of one that waits.
//!
//! Both ways are measured in turn within one run, so that whatever else the machine does meets both alike. Ends with an
//! error if anything survives.
//!
//! `cargo bench --bench cage [-- ROUNDS]` (100 rounds unless told otherwise); needs bubblewrap

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use pairbot::adapters::{SystemClock, SystemEntropy, SystemSpawner};
use pairbot::config;
use pairbot::ports::{CommandSpec, Spawner as _, Started};
use pairbot::sandbox::{
    Cage, PROGRAM, Sandbox, SandboxPorts, SandboxSettings, SlotUids, Standing, TreeAccess, establish,
};
use tokio::io::AsyncReadExt as _;

/// How many cages are held at a time where their memory is measured, and cancelled where survivors are counted.
const HELD: usize = 20;
/// The word by which the processes of this benchmark are told from others.
const MARK: &str = "pairbot-bench-cage";
/// How long the kernel gets to let go of what was killed.
const GONE_WITHIN: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100);
    let place = tempfile::tempdir()?;
    let cage = cage(place.path())?;
    let started = Instant::now();
    let sandbox = sandbox(place.path()).await;
    let standing = sandbox.standing();
    println!("{standing}; found out in {:.0} ms", ms(started.elapsed()));
    ensure!(matches!(standing, Standing::Bubblewrap { .. }), "there is nothing to measure");
    starts(sandbox.as_ref(), &cage, rounds).await?;
    idle(sandbox.as_ref(), &cage).await?;
    survivors(sandbox.as_ref(), &cage).await
}

fn cage(place: &Path) -> Result<Cage> {
    for folder in ["tree", "home"] {
        std::fs::create_dir(place.join(folder))?;
    }
    Ok(Cage::around(place.join("tree"), TreeAccess::Write, place.join("home")))
}

async fn sandbox(place: &Path) -> Arc<dyn Sandbox> {
    let ports = SandboxPorts {
        spawner: Arc::new(SystemSpawner),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let settings = SandboxSettings {
        slots: SlotUids::default(),
        control_groups: true,
        choice: config::Sandbox::Auto,
        scratch_dir: place.to_owned(),
        search_path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
        read_only: Vec::new(),
        program: Some(PathBuf::from(env!("CARGO_BIN_EXE_pairbot"))),
    };
    establish(ports, settings).await
}

fn command(cage: &Cage, program: &str, arguments: &[&str]) -> CommandSpec {
    CommandSpec {
        program: program.to_owned(),
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        directory: cage.worktree.clone(),
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        stdin: Vec::new(),
        timeout: Duration::from_mins(1),
        output_bytes_max: 64 * 1024,
    }
}

async fn starts(sandbox: &dyn Sandbox, cage: &Cage, rounds: usize) -> Result<()> {
    let (mut bare, mut caged) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let started = Instant::now();
        ensure!(SystemSpawner.run(command(cage, "/bin/true", &[])).await?.succeeded(), "true is false");
        bare.push(ms(started.elapsed()));
        let started = Instant::now();
        ensure!(sandbox.run(command(cage, "/bin/true", &[]), cage).await?.succeeded(), "true is false");
        caged.push(ms(started.elapsed()));
    }
    let bare = report("a program without a cage", bare);
    let caged = report("the same program in a cage", caged);
    println!("cage / no cage: {:.1}; a cage costs {:.1} ms", caged / bare, caged - bare);
    Ok(())
}

fn report(name: &str, mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = |position: usize| times.get(position).copied().unwrap_or_default();
    let (median, least, most) = (at(times.len() / 2), at(0), at(times.len().saturating_sub(1)));
    println!("{name:<28} median {median:>6.2} ms   ({least:.2} to {most:.2}, {} times)", times.len());
    median
}

/// Cages in which a program has said that it is there, and waits.
async fn held(sandbox: &dyn Sandbox, cage: &Cage, program: &str, arguments: &[&str]) -> Result<Vec<Started>> {
    let mut held = Vec::new();
    for _ in 0..HELD {
        let mut started = sandbox.start(command(cage, program, arguments), cage).await?;
        started.stdout.read_u8().await.context("a program did not say that it is there")?;
        held.push(started);
    }
    Ok(held)
}

async fn idle(sandbox: &dyn Sandbox, cage: &Cage) -> Result<()> {
    let before = kib("/proc/self/smaps_rollup", "Pss:")?;
    let waiting = held(sandbox, cage, "/bin/sh", &["-c", "echo; exec sleep 60", MARK]).await?;
    let ours = kib("/proc/self/smaps_rollup", "Pss:")?.saturating_sub(before);
    let mut theirs = 0;
    for process in marked() {
        // A process that ended meanwhile has no memory.
        theirs += kib(&format!("/proc/{process}/smaps_rollup"), "Pss:").unwrap_or_default();
    }
    let each = |kib: u64| kib / u64::try_from(HELD).unwrap_or(1);
    println!("memory per idle cage: {} KiB of the server, {} KiB of bubblewrap", each(ours), each(theirs));
    drop(waiting);
    Ok(())
}

async fn survivors(sandbox: &dyn Sandbox, cage: &Cage) -> Result<()> {
    let script = format!("(({PROGRAM} cage-probe linger {MARK} &) &); exec sleep 60");
    let waiting = held(sandbox, cage, "/bin/sh", &["-c", &script, MARK]).await?;
    let before = marked().len();
    drop(waiting);
    let until = Instant::now() + GONE_WITHIN;
    while !marked().is_empty() && Instant::now() < until {
        tokio::task::yield_now().await;
    }
    let survivors = marked().len();
    println!("cancelled: {HELD} cages of {before} processes; survivors: {survivors}");
    ensure!(survivors == 0, "{survivors} processes outlived their cage");
    Ok(())
}

/// Processes of cages of this benchmark.
fn marked() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let marked = entries.filter(|entry| {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(MARK)
    });
    marked.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn kib(file: &str, field: &str) -> Result<u64> {
    let text = std::fs::read_to_string(file)?;
    let line =
        text.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
