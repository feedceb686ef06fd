//! The real server with `PAIRBOT_SANDBOX=auto`: what it says of its sandbox, and the main job in it.

use pairbot::adapters::SystemClock;
use pairbot::demo::play;
use pairbot_model_sim::story;
use serde_json::{Value, json};

use super::server::{Serving, address, changed, ended, pairbot, stage, until};
use super::serving::PATIENCE;

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
    let mut without = pairbot(&["doctor"], &settings);
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
