//! What a program in a cage can use up: memory, temporary files, the disk, output, time.

use std::time::Duration;

use pairbot::ports::Ending;
use pairbot::sandbox::CageError;

use super::stage::{Layer, Stage};

in_each_layer! {
    a_memory_hog_is_killed_alone,
    whoever_fills_the_disk_is_ended,
    endless_output_is_cut_and_ends_in_time;
    bubblewrap: temporary_files_fill_no_more_than_their_share
}

const MIB: u64 = 1024 * 1024;

async fn a_memory_hog_is_killed_alone(layer: Layer) {
    let stage = Stage::bounded(layer, |limits| limits.memory_bytes = 64 * MIB).await;
    let hog = format!("{} cage-probe hog {}", stage.program(), 512 * MIB);
    assert_eq!(stage.run(&format!("exec {hog}")).await.ending, Ending::Signalled(9));
    let asked = stage.run(&format!("{hog}; code=$?; echo the shell lives; exit $code")).await;
    assert_eq!(asked.ending, Ending::Signalled(9), "what memory ran out for says nothing about the change");
    // A program that ends itself in the same way has not run out of anything.
    assert_eq!(stage.run("kill -9 $$").await.ending, Ending::Exited(137));
}

async fn temporary_files_fill_no_more_than_their_share(layer: Layer) {
    let stage = Stage::bounded(layer, |limits| limits.tmp_bytes = 4 * MIB).await;
    for place in ["/tmp", "/var/tmp", "/dev/shm"] {
        let filled = stage.says(&format!("dd if=/dev/zero of={place}/fill bs=1M count=16 2>&1")).await;
        assert!(filled.contains("No space left on device"), "{place}: {filled}");
    }
}

async fn whoever_fills_the_disk_is_ended(layer: Layer) {
    let stage = Stage::bounded(layer, |limits| limits.disk_bytes = 16 * MIB).await;
    let fill = "i=0; while :; do head -c 8388608 /dev/zero >fill$i; i=$((i+1)); sleep 0.1; done";
    let filled = stage.try_run(fill).await;
    assert!(matches!(filled, Err(CageError::Outgrown { .. })), "{filled:?}");
    assert_eq!(stage.marked(), [""; 0]);
}

async fn endless_output_is_cut_and_ends_in_time(layer: Layer) {
    let stage = Stage::set(layer).await;
    let mut command = stage.shell("exec yes");
    command.timeout = Duration::from_secs(1);
    let ended = stage.sandbox.run(command, &stage.cage).await.unwrap();
    assert_eq!((ended.ending, ended.stdout.len(), ended.truncated), (Ending::TimedOut, 64 * 1024, true));
}
