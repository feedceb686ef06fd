//! The real server with `PAIRBOT_SANDBOX=auto`: what it says of its sandbox, and the main job in it.

use std::time::Duration;

use pairbot::adapters::{SystemClock, SystemEntropy};
use pairbot::demo::{MAINTAINER, REPOSITORY, Stage, StageSettings, play};
use pairbot::ports::Entropy as _;
use pairbot_model_sim::story;
use pairbot_protocol::policy::LABEL;
use serde_json::{Value, json};

use super::server::{Serving, address, changed, ended, pairbot, stage, until};
use super::serving::PATIENCE;
use crate::cage::stage::processes_with;

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_is_done_with_every_command_in_the_sandbox() {
    let stage = stage().await;
    let told = story("findings").unwrap();
    let issue = stage.open_issue(told.issue_title, told.issue_body).unwrap();
    let serving = Serving::spawn(&changed(&stage, "PAIRBOT_SANDBOX", "auto"));
    serving.listens().await;
    let ready = async || {
        let answer = reqwest::get(address(&stage, "/readyz")).await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        body["sandbox"].clone()
    };
    until("the sandbox to be tried", &serving, async || ready().await != json!("probing")).await;
    assert_eq!(ready().await, json!({ "layer": "bubblewrap", "not_bounded": [] }));
    play(&stage, &SystemClock, issue, PATIENCE).await.unwrap();
    let (status, log) = serving.terminate().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("sandbox: bubblewrap holds"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_which_sandbox_holds_and_how_to_get_one() {
    let stage = stage().await;
    let settings = changed(&stage, "PAIRBOT_SANDBOX", "auto");
    let report = ended(pairbot(&["doctor"], &settings)).await;
    assert!(report.stdout.contains("ok    sandbox: bubblewrap holds\n"), "{}", report.stdout);
    let mut without = pairbot(&["doctor"], &changed(&stage, "PAIRBOT_SANDBOX", "bubblewrap"));
    // Where git is, `bwrap` is not.
    let only_git = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/usr/bin/git", only_git.path().join("git")).unwrap();
    without.env("PATH", only_git.path());
    let report = ended(without).await;
    let line = report.stdout.lines().find(|line| line.starts_with("warn  sandbox: none")).unwrap_or_default();
    assert!(
        line.contains("there is no `bwrap`") && line.contains("apt-get install bubblewrap"),
        "{report:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_leaves_no_program_of_a_cage_behind() {
    // `bwrap` and the shell have the mark among their arguments too, so four processes at the least.
    nothing_is_left_by_a_killed_server("auto", &[], 4).await;
}

/// Kills a server while so many processes of a gate are at work, with settings beside the usual ones.
pub(super) async fn nothing_is_left_by_a_killed_server(
    sandbox: &str,
    further: &[(&str, &str)],
    processes_min: usize,
) {
    // A number that no other process on this machine sleeps for.
    let mark = format!("300.{:019}", SystemEntropy.bits() >> 1);
    let policy =
        format!("gates: {{ long: {{ command: \"setsid sleep {mark} & sleep {mark}\", timeout: 10m }} }}\n");
    let mut settings = StageSettings::default();
    settings.files.retain(|(path, _)| path != ".github/pairbot.yml");
    settings.files.push((".github/pairbot.yml".to_owned(), policy));
    let mut stage = Stage::set(settings).await.unwrap();
    stage.stop_server().await;
    let mut settings = changed(&stage, "PAIRBOT_SANDBOX", sandbox);
    settings.extend(further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let serving = Serving::spawn(&settings);
    serving.listens().await;
    let told = story("smooth").unwrap();
    let issue = stage.open_issue(told.issue_title, told.issue_body).unwrap();
    stage.github.person(MAINTAINER).label(REPOSITORY, issue, LABEL).unwrap();
    let at_work = async || processes_with(&mark).len() >= processes_min;
    until("the gate to be at work", &serving, at_work).await;
    serving.kill().await;
    let gone = tokio::time::timeout(Duration::from_secs(10), async {
        while !processes_with(&mark).is_empty() {
            tokio::task::yield_now().await;
        }
    });
    assert!(gone.await.is_ok(), "left behind: {:?}", processes_with(&mark));
}
