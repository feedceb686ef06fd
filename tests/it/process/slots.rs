//! The real server with users of their own for cages, as where namespaces may not be made. Needs root.

use pairbot::adapters::SystemClock;
use pairbot::demo::play;
use pairbot_model_sim::story;
use serde_json::{Value, json};

use super::cage::nothing_is_left_by_a_killed_server;
use super::server::{Serving, address, changed, ended, pairbot, stage, until};
use super::serving::PATIENCE;
use crate::cage::stage::Layer;

#[tokio::test(flavor = "multi_thread")]
async fn the_main_job_is_done_with_every_command_as_a_user_of_its_own() {
    if !Layer::UserSlot.is_possible() {
        return;
    }
    let stage = stage().await;
    let told = story("findings").unwrap();
    let issue = stage.open_issue(told.issue_title, told.issue_body).unwrap();
    let serving = Serving::spawn(&changed(&stage, "PAIRBOT_SANDBOX", "user-slot"));
    serving.listens().await;
    let ready = async || {
        let answer = reqwest::get(address(&stage, "/readyz")).await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        body["sandbox"].clone()
    };
    until("the sandbox to be tried", &serving, async || ready().await != json!("probing")).await;
    let told = ready().await;
    assert_eq!(told["layer"], "user-slot", "{told}");
    let metadata = "what can be asked about a file of the server without reading it";
    assert!(told["not_bounded"].as_array().unwrap().contains(&json!(metadata)), "{told}");
    play(&stage, &SystemClock, issue, PATIENCE).await.unwrap();
    let (status, log) = serving.terminate().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("sandbox: user-slot holds"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_leaves_no_program_of_a_slot_behind() {
    if !Layer::UserSlot.is_possible() {
        return;
    }
    // Users that no other server has: one that starts or begins a cage would end what is left of this. Two that sleep,
    // and the shells before them.
    let own_users = [("PAIRBOT_SANDBOX_UIDS", "231000-231007")];
    nothing_is_left_by_a_killed_server("user-slot", &own_users, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_bubblewrap_a_server_that_is_root_gives_each_cage_a_user_of_its_own() {
    if !Layer::UserSlot.is_possible() {
        return;
    }
    let stage = stage().await;
    // Where git is, `bwrap` is not.
    let only_git = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/usr/bin/git", only_git.path().join("git")).unwrap();
    let line = async |choice: &str, agents: &str| {
        let mut settings = changed(&stage, "PAIRBOT_SANDBOX", choice);
        settings.push(("PAIRBOT_AGENTS".to_owned(), agents.to_owned()));
        let mut doctor = pairbot(&["doctor"], &settings);
        doctor.env("PATH", only_git.path());
        let report = ended(doctor).await;
        let line = report.stdout.lines().skip_while(|line| !line.contains("sandbox: ")).take(2);
        line.collect::<Vec<_>>().join(" ")
    };
    let auto = line("auto", "").await;
    assert!(auto.starts_with("warn  sandbox: user-slot holds"), "{auto}");
    assert!(
        auto.contains("without reading it is not bounded") && auto.contains("makes a connection"),
        "{auto}"
    );
    let with_agent = line("auto", "claude=/bin/true").await;
    assert!(with_agent.contains("agents of other vendors are not started"), "{with_agent}");
    let only_bubblewrap = line("bubblewrap", "").await;
    assert!(only_bubblewrap.contains("none, so nothing is run") && only_bubblewrap.contains("no `bwrap`"));
}
