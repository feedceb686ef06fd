//! `pairbot serve`: the main job to the merge, killed on the way, ended in order, and alone on its data.

use std::time::Duration;

use pairbot::adapters::SystemClock;
use pairbot::demo::{REPOSITORY, Stage, play};
use pairbot::store::Store as _;
use pairbot::store::sqlite::SqliteStore;
use pairbot_github_sim::{Fault, Pause};
use pairbot_model_sim::story;

use super::server::{Serving, changed, database, ended, pairbot, stage, until};
use crate::scenarios::picture;

/// How long the simulated person waits, on a machine that may be busy with other things.
pub(super) const PATIENCE: Duration = Duration::from_mins(3);

/// What people see of the story `findings` at its end, whatever happened to the server.
pub(super) const MERGED: &str = "\
issue closed [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: merged at `c2`
pull merged: Give a volume discount
  pairbot[bot] COMMENTED on c1: Review by `correctness`
    lib/price.awk:6 outdated resolved
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
    lib/price.awk:7 outdated resolved
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 paths=success ready=failure review=failure size=success tests=success
  c2 paths=success ready=success review=success size=success tests=success
";

fn open_issue(stage: &Stage) -> u64 {
    let story = story("findings").unwrap();
    stage.open_issue(story.issue_title, story.issue_body).unwrap()
}

/// The picture is as it should be, the server ends in order, and it leaves nothing undone.
async fn ends_well(stage: &Stage, issue: u64, serving: Serving) {
    let seen = || async { picture::of(&stage.github, REPOSITORY, issue) };
    until("the end of the story", &serving, async || seen().await == MERGED).await;
    let (status, log) = serving.terminate().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(seen().await, MERGED);
    assert_eq!(stage.github.unlooked(), Vec::<String>::new());
    let counts = SqliteStore::open(database(stage)).unwrap().counts().await.unwrap();
    assert_eq!((counts.runs_open, counts.tasks.dead, counts.unreadable), (0, 0, 0), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_server_takes_an_issue_from_label_to_merge_and_stops_when_told() {
    let stage = stage().await;
    let issue = open_issue(&stage);
    let serving = Serving::start(&stage).await;
    play(&stage, &SystemClock, issue, PATIENCE).await.unwrap();
    ends_well(&stage, issue, serving).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_three_times_on_the_way_the_server_ends_in_the_same_picture() {
    let stage = stage().await;
    let issue = open_issue(&stage);
    let moments: [(Fault, Pause); 3] = [
        Fault::on("POST", "*/pulls").pause_after(),
        Fault::on("POST", "*/pulls/*/reviews").after(1).pause_before(),
        Fault::on("POST", "*/git-receive-pack").after(1).pause_after(),
    ];
    let pauses = moments.map(|(fault, pause)| {
        stage.github.fault(fault);
        pause
    });
    // A label that is set while nobody listens is lost: GitHub does not send it again by itself.
    let mut serving = Serving::start(&stage).await;
    let kills = async {
        for pause in pauses {
            pause.reached().await;
            serving.kill().await;
            pause.resume();
            serving = Serving::start(&stage).await;
        }
        serving
    };
    let (played, serving) =
        tokio::join!(play(&stage, &SystemClock, issue, PATIENCE), tokio::time::timeout(PATIENCE, kills));
    let serving = serving.unwrap_or_else(|_| panic!("a moment never came: {:#?}", stage.github.writes()));
    assert!(played.is_ok(), "{played:?}\n{}", serving.said());
    ends_well(&stage, issue, serving).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_data_refuses_and_the_first_goes_on() {
    let stage = stage().await;
    let serving = Serving::start(&stage).await;
    let second = ended(pairbot(&["serve"], &changed(&stage, "PORT", "0"))).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("is in use by process"), "{second:?}");
    assert!(second.stderr.contains("PAIRBOT_DATA_DIR"), "{second:?}");
    let (status, log) = serving.terminate().await;
    assert_eq!(status.code(), Some(0), "{log}");
}
