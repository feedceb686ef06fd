//! `pairbot doctor` against the simulated GitHub, in good health and not.

use pairbot::demo::Stage;
use pairbot_github_sim::{Access, permissions};

use super::server::{Ended, Serving, changed, ended, pairbot, settings, stage};

async fn doctor(settings: &[(String, String)]) -> Ended {
    ended(pairbot(&["doctor"], settings)).await
}

async fn examined(stage: &Stage) -> Ended {
    doctor(&settings(stage)).await
}

/// The lines that do not begin with `ok`.
fn complaints(report: &Ended) -> Vec<&str> {
    report.stdout.lines().filter(|line| !line.starts_with("ok  ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_good_health_the_doctor_warns_of_the_missing_sandbox_alone() {
    let stage = stage().await;
    let serving = Serving::start(&stage).await;
    stage.github.ping(stage.app).unwrap();
    stage.github.settled().await;
    serving.terminate().await;
    let report = examined(&stage).await;
    assert_eq!(report.code, Some(0), "{report:?}");
    let complaints = complaints(&report);
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    assert!(complaints[0].starts_with("warn  sandbox: none"), "{complaints:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_how_to_mend_it() {
    let stage = stage().await;
    stage.github.set_permissions(stage.installation, &permissions([("issues", Access::Read)]));
    // Nobody listens, so this delivery fails.
    stage.github.ping(stage.app).unwrap();
    stage.github.settled().await;
    let mut settings = settings(&stage);
    settings.retain(|(name, _)| !name.starts_with("ANTHROPIC") && !name.starts_with("OPENAI"));
    let report = doctor(&settings).await;
    assert_eq!(report.code, Some(1), "{report:?}");
    for begin in [
        "fail  permissions: the installation on `octo-org` has `issues: read` and needs `write`  -> ",
        "fail  permissions: the installation on `octo-org` has `checks: none` and needs `write`  -> ",
        "fail  webhook deliveries: the latest, `ping`",
        "fail  models: no provider has a key  -> set ANTHROPIC_API_KEY or OPENAI_API_KEY",
    ] {
        assert!(complaints(&report).iter().any(|line| line.starts_with(begin)), "{begin}\n{}", report.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_github_refuses_and_settings_that_are_missing_fail() {
    let stage = stage().await;
    let refused = doctor(&changed(&stage, "APP_ID", "999999")).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("fail  credentials: "), "{refused:?}");
    let bare = doctor(&[]).await;
    assert_eq!(bare.code, Some(1), "{bare:?}");
    assert_eq!(complaints(&bare).len(), 3, "{bare:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_the_server_uses_is_left_to_it() {
    let stage = stage().await;
    let serving = Serving::start(&stage).await;
    let report = examined(&stage).await;
    assert!(report.stdout.contains("warn  database: "), "{}", report.stdout);
    let (status, log) = serving.terminate().await;
    assert_eq!(status.code(), Some(0), "{log}");
}
