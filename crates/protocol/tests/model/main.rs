//! The model checker: small worlds around the real rules, explored to the last state.
//!
//! A world is the real [`decide`](pairbot_protocol::decide::decide) with everything it needs around it as a model: inbox,
//! outbox with lanes and withdrawn work, money set aside and settled, timers, and a GitHub that has issues, a branch, pull
//! requests, check runs and posted reviews. Every order of signals, every outcome of a task, a worker that dies with its
//! effect brought about, and some acts of people are tried. Of the code around the rules the model says what workers and
//! store promise; where they are changed, `house.rs` and `worker.rs` here are changed with them.
//!
//! What is looked for is named by promise in `promise.rs`. That the checker would find it is shown by mistakes made on
//! purpose (`bug.rs`).
//!
//! `scripts/check-model` explores the same worlds further.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod act;
mod bug;
mod checker;
mod house;
mod intern;
mod names;
mod promise;
mod protocol;
mod publisher;
mod scenarios;
mod worker;
mod world;

use std::fmt::Write as _;

use bug::Bug;
use checker::{Broken, Explored, explore};
use house::{House, Scenario};
use scenarios::*;
use worker::Chances;

/// No world of the daily tests comes near it; one that does has grown too large for them.
const STATES_MAX: usize = 3_000_000;

struct Told {
    explored: Explored,
    summary: String,
}

fn explored(scenario: Scenario, states_max: usize) -> Told {
    #[expect(clippy::disallowed_methods, reason = "how long an exploration takes decides nothing in it")]
    let began = std::time::Instant::now();
    let name = scenario.name;
    let mut house = House::of(scenario);
    let explored = explore(&mut house, states_max);
    let ms = began.elapsed().as_millis().max(1);
    let (states, per_second) = (explored.states, explored.states as u128 * 1_000 / ms);
    let mut summary =
        format!("{name}: {states} states, {} at rest, {} steps, ", explored.resting, explored.steps);
    let (decisions, runs) = (house.protocol.decisions(), house.protocol.runs.len());
    write!(summary, "{decisions} decisions on {runs} runs, {ms} ms, {per_second} states/s").unwrap();
    if !explored.complete {
        summary.push_str(", not all of them");
    }
    Told { explored, summary }
}

fn no_promise_is_broken(told: &Told) {
    if let Some((Broken { promise, what }, way)) = &told.explored.broken {
        panic!("{promise} is broken: {what}\n  {}", way.join("\n  "));
    }
}

/// The same world with everything that can go wrong and one act more. Not all of them end.
fn in_depth(scenario: Scenario) -> Scenario {
    let chances = Chances { failures: true, findings: true, red: true };
    Scenario { chances, acts_max: scenario.acts_max + 1, ..scenario }
}

macro_rules! worlds {
    ($(fn $test:ident in $scenario:ident;)*) => {
        $(#[test]
        fn $test() {
            let told = explored($scenario(), STATES_MAX);
            println!("{}", told.summary);
            no_promise_is_broken(&told);
            assert!(told.explored.complete, "the world has grown too large: {}", told.summary);
        })*

        /// On demand: as many states of each world as memory and patience allow.
        mod deep {
            use super::*;

            $(#[test]
            #[ignore = "minutes: run scripts/check-model"]
            fn $test() {
                let wanted = std::env::var("MODEL_STATES_MAX").ok();
                let states_max = wanted.map_or(STATES_MAX, |wanted| wanted.parse().unwrap());
                let told = explored(in_depth($scenario()), states_max);
                println!("{}", told.summary);
                no_promise_is_broken(&told);
            })*
        }
    };
}

worlds! {
    fn a_run_that_nobody_disturbs_keeps_every_promise in undisturbed;
    fn commands_at_any_time_break_no_promise in commands;
    fn heads_and_bases_that_move_break_no_promise in heads;
    fn money_that_runs_out_and_workers_that_die_break_no_promise in money;
    fn endings_and_new_beginnings_break_no_promise in endings;
    fn checks_of_other_apps_and_buttons_break_no_promise in checks;
    fn checks_that_are_only_observed_break_no_promise in observed;
    fn publications_that_are_slow_break_no_promise in slow_publisher;
    fn two_issues_do_not_disturb_each_other in two_issues;
    fn a_label_of_a_stranger_breaks_no_promise in stranger;
}

/// The promise that a world with this mistake breaks first.
fn broken_by(bug: Bug, scenario: Scenario) -> (&'static str, String) {
    let told = explored(Scenario { bug: Some(bug), ..scenario }, STATES_MAX);
    let (broken, way) = told.explored.broken.unwrap();
    (broken.promise, format!("{bug:?} in {}\n  {}, after {} steps", told.summary, broken.what, way.len()))
}

#[test]
fn the_checker_finds_a_broken_p1_when_what_was_accepted_is_accepted_again() {
    let (promise, how) = broken_by(Bug::ForgetsWhatWasAccepted, endings());
    println!("{how}");
    assert_eq!(promise, "P1", "{how}");
}

#[test]
fn the_checker_finds_a_broken_p1_when_nobody_looks_before_writing_again() {
    let (promise, how) = broken_by(Bug::DoesNotLook, slow_publisher());
    println!("{how}");
    assert_eq!(promise, "P1", "{how}");
}

#[test]
fn the_checker_finds_a_broken_p2_when_a_verdict_counts_for_another_head() {
    let (promise, how) = broken_by(Bug::RelabelsVerdicts, heads());
    println!("{how}");
    assert_eq!(promise, "P2", "{how}");
}

#[test]
fn the_checker_finds_a_broken_p3_when_nothing_is_set_aside() {
    let (promise, how) = broken_by(Bug::ReservesNothing, money());
    println!("{how}");
    assert_eq!(promise, "P3", "{how}");
}

#[test]
fn the_checker_finds_a_broken_p4_when_a_stranger_closes_the_breaker() {
    let (promise, how) = broken_by(Bug::BelievesEverybody, commands());
    println!("{how}");
    assert_eq!(promise, "P4", "{how}");
}

#[test]
fn the_checker_finds_a_broken_p4_when_there_is_always_another_round() {
    let (promise, how) = broken_by(Bug::IgnoresTheRoundCap, undisturbed());
    println!("{how}");
    assert_eq!(promise, "P4", "{how}");
}

#[test]
fn the_checker_finds_a_broken_p5_when_an_unknown_gate_is_green() {
    let (promise, how) = broken_by(Bug::CallsUnknownGreen, undisturbed());
    println!("{how}");
    assert_eq!(promise, "P5", "{how}");
}
