//! What a run costs beside models, git and network: time to the first sign of life, CPU, start and memory of the real
//! server as a child process, against the simulated GitHub and scripted models.
//!
//! Numbers are printed with their targets and judged by people: they depend on the machine.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what a benchmark says is its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real processes in real time")]

#[path = "serving/mod.rs"]
mod serving;

use std::time::{Duration, Instant};

use pairbot::adapters::SystemClock;
use pairbot::demo::{MAINTAINER, REPOSITORY, Stage, StageSettings, play};
use pairbot_model_sim::story;
use serving::Serving;

/// Few enough that a minute's allowance of writes to GitHub is not used up, which would measure waiting.
const RUNS: u32 = 3;
const STARTS: usize = 11;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let build = if cfg!(debug_assertions) {
        "development build: targets are for an optimised one"
    } else {
        "optimised build"
    };
    println!("run ({build})");
    runtime.block_on(async {
        let mut stage = Stage::set(StageSettings::default()).await.unwrap();
        stage.stop_server().await;
        starts(&stage).await;
        runs(&stage).await;
    });
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn starts(stage: &Stage) {
    let (mut cold_ms, mut resident_mib) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let begin = Instant::now();
        let serving = Serving::start(stage);
        serving.is_up(stage).await;
        cold_ms.push(begin.elapsed().as_secs_f64() * 1_000.0);
        // What it asks at the start is asked and answered by then.
        tokio::time::sleep(Duration::from_millis(300)).await;
        resident_mib.push(serving.resident_mib());
    }
    println!(
        "  start to the first 2xx, median of {STARTS}    {:7.1} ms   (target: below 50)",
        median(cold_ms)
    );
    println!(
        "  resident memory when idle, median        {:7.1} MiB  (target: below 25)",
        median(resident_mib)
    );
}

async fn runs(stage: &Stage) {
    let serving = Serving::start(stage);
    serving.is_up(stage).await;
    let story = story("findings").unwrap();
    let (mut first_call_ms, mut cpu_ms) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let issue = stage.open_issue(story.issue_title, story.issue_body).unwrap();
        stage.github.settled().await;
        let (cpu_before, begin_ms) = (serving.cpu_ms(), stage.github.now_ms());
        let before = stage.github.requests().len();
        play(stage, &SystemClock, issue, Duration::from_mins(2)).await.unwrap();
        while !is_told(stage, issue) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let answered_ms = stage.github.requests()[before].at_ms;
        first_call_ms.push(std::time::Duration::from_millis(answered_ms - begin_ms).as_secs_f64() * 1_000.0);
        cpu_ms.push(serving.cpu_ms() - cpu_before);
        // The scripts know one repository: each run begins from what the first began from.
        restore(stage);
    }
    println!("  label to the first call to GitHub, median {:6.1} ms", median(first_call_ms));
    println!("  CPU a run of two rounds, first           {:7.1} ms   (aim: below 50)", cpu_ms[0]);
    println!("  CPU a run of two rounds, median of {RUNS}     {:7.1} ms   (aim: below 50)", median(cpu_ms));
}

fn is_told(stage: &Stage, issue: u64) -> bool {
    let comments = stage.github.comments(REPOSITORY, issue).unwrap();
    comments.iter().any(|comment| comment.body.contains("merged at"))
}

/// Takes back what the last run merged.
fn restore(stage: &Stage) {
    let files = StageSettings::default().files;
    let mut changes: Vec<(&str, Option<&str>)> =
        files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
    changes.extend([("tests/test-volume.sh", None), ("tests/data/volume.csv", None)]);
    let person = stage.github.person(MAINTAINER);
    stage.github.protect(REPOSITORY, "main", pairbot_github_sim::Protection::default()).unwrap();
    person.push(REPOSITORY, "main", &changes).unwrap();
}
