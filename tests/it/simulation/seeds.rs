//! The tests: a few seeds with every `cargo test`, as many as one likes with `scripts/simulate`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use super::course::{Outcome, live};
use super::plan::Trouble;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap())
}

/// A world whose end is looked at.
fn look(seed: u64, trouble: Trouble) -> Outcome {
    let outcome = std::panic::catch_unwind(|| live(seed, trouble));
    outcome.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let what = format!("the world of seed {seed} panicked: {}", words.unwrap_or_default());
        Outcome { record: String::new(), broken: vec![what], trace: String::new() }
    })
}

fn told(seed: u64, outcome: &Outcome) -> String {
    let broken = outcome.broken.join("\n  ");
    format!("seed {seed}:\n  {broken}\nagain with its trace: scripts/simulate --seed {seed}\n")
}

#[expect(clippy::print_stdout, reason = "a failure is told while the other worlds go on")]
fn tell(text: &str) {
    print!("{text}");
}

/// Lives through all of `seeds` on as many threads as `jobs`, and gives what failed.
fn live_all(first: u64, count: u64, jobs: u64) -> Vec<(u64, Outcome)> {
    let next = AtomicU64::new(first);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= first + count {
                        return;
                    }
                    let outcome = look(seed, Trouble::Any);
                    if !outcome.broken.is_empty() {
                        tell(&told(seed, &outcome));
                        sender.send((seed, outcome)).unwrap();
                    }
                }
            });
        }
    });
    drop(sender);
    receiver.into_iter().collect()
}

#[test]
fn an_untroubled_world_keeps_every_promise_and_repeats_itself() {
    for seed in 0..3 {
        let (first, second) = (look(seed, Trouble::None), look(seed, Trouble::None));
        assert!(first.broken.is_empty(), "{}{}", told(seed, &first), first.trace);
        assert_eq!(first.record, second.record, "seed {seed} has two histories");
    }
}

#[test]
fn the_same_seed_gives_the_same_ledgers_byte_for_byte() {
    for seed in number("PAIRBOT_SIMULATION_TWICE_FROM", 0)..number("PAIRBOT_SIMULATION_TWICE_TO", 3) {
        let (first, second) = (look(seed, Trouble::Any), look(seed, Trouble::Any));
        assert!(!first.record.is_empty(), "{}", told(seed, &first));
        if first.record != second.record {
            let differ = first.record.lines().zip(second.record.lines()).find(|(one, other)| one != other);
            panic!("seed {seed} has two histories; they part at {differ:#?}");
        }
    }
}

#[test]
fn a_few_worlds_keep_every_promise() {
    // Not those of the test above: two worlds of one seed have one place.
    let failed = live_all(100, 8, 2);
    assert!(
        failed.is_empty(),
        "{}",
        failed.iter().map(|(seed, outcome)| told(*seed, outcome)).collect::<String>()
    );
}

/// What `scripts/simulate` runs.
#[test]
#[ignore = "as long as one likes: run it by scripts/simulate"]
#[expect(clippy::disallowed_methods, reason = "how fast it goes is a question to the real clock")]
#[expect(clippy::cast_precision_loss, reason = "nobody lives through that many worlds")]
fn worlds_without_end() {
    if let Ok(seed) = std::env::var("PAIRBOT_SIMULATION_SEED") {
        let seed = seed.parse().unwrap();
        let outcome = look(seed, Trouble::Any);
        println!("{}", outcome.trace);
        assert!(outcome.broken.is_empty(), "{}", told(seed, &outcome));
        println!("seed {seed} keeps every promise");
        return;
    }
    let (first, count) = (number("PAIRBOT_SIMULATION_FROM", 0), number("PAIRBOT_SIMULATION_SEEDS", 100));
    let jobs = number("PAIRBOT_SIMULATION_JOBS", 2);
    let began = Instant::now();
    let failed = live_all(first, count, jobs);
    let took = began.elapsed().as_secs_f64();
    println!(
        "{count} worlds from seed {first} in {took:.0} s: {:.1} worlds/s, {} failed",
        count as f64 / took,
        failed.len()
    );
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    assert!(failed.is_empty(), "seeds that break a promise: {seeds:?}");
}
