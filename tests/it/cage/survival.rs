//! What outlives a cage: nothing, however the cage ends and wherever a process went to.

use std::time::Duration;

use pairbot::ports::{Ending, Started};
use tokio::io::AsyncReadExt as _;

use super::stage::{Layer, Stage};

in_each_layer! {
    a_process_that_left_its_session_ends_when_the_program_does,
    a_process_that_left_its_session_ends_when_the_time_is_over,
    a_process_that_left_its_session_ends_when_the_task_is_cancelled,
    a_process_that_left_its_session_ends_when_nobody_holds_the_program_any_more,
    a_run_that_is_cancelled_leaves_nothing_behind,
    a_fork_bomb_stays_small_and_is_gone_at_the_end,
    a_cage_leaves_no_control_group_behind,
}

/// A process that leaves session, group and parent behind, twice removed, and says `ready` once it has.
fn daemon(stage: &Stage) -> String {
    format!("(({} cage-probe linger $0 &) &); ", stage.program())
}

/// Starts a daemon in a cage, and returns once it has left its session.
async fn haunted(stage: &Stage, then: &str, timeout: Duration) -> Started {
    let mut command = stage.shell(&format!("{} {then}", daemon(stage)));
    command.timeout = timeout;
    let mut started = stage.sandbox.start(command, &stage.cage).await.unwrap();
    let mut word = [0; 6];
    started.stdout.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"ready\n");
    assert!(!stage.marked().is_empty(), "it can be seen from outside");
    started
}

/// Killing is asynchronous; the kernel is given time, and then there must be nothing.
async fn nothing_is_left(stage: &Stage) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !stage.marked().is_empty() {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "it outlived its cage: {:?}", stage.marked());
}

async fn a_process_that_left_its_session_ends_when_the_program_does(layer: Layer) {
    let stage = Stage::set(layer).await;
    let mut started = haunted(&stage, "read end; exit 5", Duration::from_secs(30)).await;
    drop(started.stdin);
    assert_eq!(started.process.wait().await, Ending::Exited(5));
    assert_eq!(stage.marked(), [""; 0], "it is gone when the end is told");
}

async fn a_process_that_left_its_session_ends_when_the_time_is_over(layer: Layer) {
    let stage = Stage::set(layer).await;
    let mut started = haunted(&stage, "sleep 300", Duration::from_secs(2)).await;
    assert_eq!(started.process.wait().await, Ending::TimedOut);
    assert_eq!(stage.marked(), [""; 0]);
}

async fn a_process_that_left_its_session_ends_when_the_task_is_cancelled(layer: Layer) {
    let stage = Stage::set(layer).await;
    let mut started = haunted(&stage, "sleep 300", Duration::from_secs(30)).await;
    started.process.kill();
    assert_eq!(started.process.wait().await, Ending::Signalled(9));
    assert_eq!(stage.marked(), [""; 0]);
}

async fn a_process_that_left_its_session_ends_when_nobody_holds_the_program_any_more(layer: Layer) {
    let stage = Stage::set(layer).await;
    drop(haunted(&stage, "sleep 300", Duration::from_secs(30)).await);
    nothing_is_left(&stage).await;
}

async fn a_run_that_is_cancelled_leaves_nothing_behind(layer: Layer) {
    let stage = Stage::set(layer).await;
    let command = stage.shell(&format!("{} touch began; sleep 300", daemon(&stage)));
    let (sandbox, cage) = (stage.sandbox.clone(), stage.cage.clone());
    let running = tokio::spawn(async move { sandbox.run(command, &cage).await });
    while !stage.cage.worktree.join("began").exists() {
        tokio::task::yield_now().await;
    }
    assert!(!stage.marked().is_empty());
    running.abort();
    nothing_is_left(&stage).await;
}

async fn a_fork_bomb_stays_small_and_is_gone_at_the_end(layer: Layer) {
    let stage = Stage::bounded(layer, |limits| limits.processes = 32).await;
    let refused = stage.says("i=0; while [ $i -lt 100 ]; do sleep 60 & i=$((i+1)); done; echo all").await;
    assert!(refused.to_lowercase().contains("fork") && !refused.contains("all"), "{refused}");
    let mut bomb = stage.shell("bomb() { bomb | bomb & }; bomb; sleep 60");
    bomb.timeout = Duration::from_secs(2);
    let ended = stage.sandbox.run(bomb, &stage.cage).await.unwrap();
    assert!(matches!(ended.ending, Ending::TimedOut | Ending::Exited(_)), "{ended:?}");
    assert_eq!(stage.marked(), [""; 0]);
}

async fn a_cage_leaves_no_control_group_behind(layer: Layer) {
    let stage = Stage::set(layer).await;
    // The folders of its groups, as it describes itself.
    let described = format!("{:?}", stage.sandbox);
    let folders: Vec<&str> =
        described.split("folder: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!folders.is_empty(), "{described}");
    stage.run("sleep 300 & exit 0").await;
    for folder in &folders {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        let groups: Vec<_> = entries.filter(|entry| entry.path().is_dir()).collect();
        assert!(groups.is_empty(), "{groups:?}");
    }
    drop(stage.sandbox);
    for folder in folders {
        assert!(!std::path::Path::new(folder).exists(), "{folder}");
    }
}
