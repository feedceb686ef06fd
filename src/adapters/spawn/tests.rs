use std::collections::BTreeMap;
use std::path::Path;

use rustix::process::test_kill_process;

use super::*;

fn shell(script: &str, directory: &Path) -> CommandSpec {
    CommandSpec {
        program: "/bin/sh".to_owned(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        directory: directory.to_owned(),
        environment: BTreeMap::new(),
        stdin: Vec::new(),
        timeout: Duration::from_secs(30),
        output_bytes_max: 1024,
    }
}

/// Waits until a process is gone. A killed process stays visible until its new parent has reaped it, so a zombie
/// counts as gone.
async fn gone(pid: i32) {
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let zombie = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
        if zombie || Pid::from_raw(pid).is_none_or(|pid| test_kill_process(pid).is_err()) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_program_sees_exactly_the_environment_it_is_given() {
    let place = tempfile::tempdir().unwrap();
    let mut command = shell("", place.path());
    command.program = "/usr/bin/env".to_owned();
    command.arguments = Vec::new();
    let bare = SystemSpawner.run(command.clone()).await.unwrap();
    assert_eq!(String::from_utf8(bare.stdout).unwrap(), "");
    command.environment.insert("ONE".to_owned(), "1".to_owned());
    let one = SystemSpawner.run(command).await.unwrap();
    assert_eq!(String::from_utf8(one.stdout).unwrap(), "ONE=1\n");
}

#[tokio::test]
async fn output_beyond_the_cap_is_dropped_and_said() {
    let place = tempfile::tempdir().unwrap();
    let mut command = shell("head -c 3000000 /dev/zero; echo oops >&2; exit 3", place.path());
    let long = SystemSpawner.run(command.clone()).await.unwrap();
    assert_eq!((long.ending, long.stdout.len(), long.truncated), (Ending::Exited(3), 1024, true));
    assert_eq!(long.stderr, b"oops\n");
    command.arguments = vec!["-c".to_owned(), "printf all".to_owned()];
    let short = SystemSpawner.run(command).await.unwrap();
    assert_eq!((short.stdout.as_slice(), short.truncated), (b"all".as_slice(), false));
}

#[tokio::test]
async fn input_and_output_larger_than_a_pipe_do_not_block_each_other() {
    let place = tempfile::tempdir().unwrap();
    let mut command = shell("cat", place.path());
    command.stdin = vec![b'x'; 1_000_000];
    command.output_bytes_max = 2_000_000;
    let echoed = SystemSpawner.run(command.clone()).await.unwrap();
    assert_eq!(echoed.stdout.len(), 1_000_000);
    command.arguments = vec!["-c".to_owned(), "exit 0".to_owned()];
    assert!(SystemSpawner.run(command).await.unwrap().succeeded());
}

#[tokio::test]
async fn a_timeout_kills_the_children_of_the_program_too() {
    let place = tempfile::tempdir().unwrap();
    let mut command = shell("sleep 300 & echo $!; sleep 300", place.path());
    command.timeout = Duration::from_secs(1);
    let late = SystemSpawner.run(command).await.unwrap();
    assert_eq!(late.ending, Ending::TimedOut);
    gone(String::from_utf8(late.stdout).unwrap().trim().parse().unwrap()).await;
}

#[tokio::test]
async fn what_a_program_leaves_running_is_killed_when_it_ends() {
    let place = tempfile::tempdir().unwrap();
    let done = SystemSpawner.run(shell("sleep 300 & echo $!", place.path())).await.unwrap();
    assert!(done.succeeded());
    gone(String::from_utf8(done.stdout).unwrap().trim().parse().unwrap()).await;
}

#[tokio::test]
async fn cancelling_kills_the_program_and_its_children() {
    let place = tempfile::tempdir().unwrap();
    let command = shell("sleep 300 & echo $! $$ > pids.new; mv pids.new pids; sleep 300", place.path());
    let running = tokio::spawn(async move { SystemSpawner.run(command).await });
    let pids = loop {
        if let Ok(pids) = std::fs::read_to_string(place.path().join("pids")) {
            break pids;
        }
        tokio::task::yield_now().await;
    };
    running.abort();
    for pid in pids.split_whitespace() {
        gone(pid.parse().unwrap()).await;
    }
}

#[tokio::test]
async fn a_signal_and_a_missing_program_are_told_apart() {
    let place = tempfile::tempdir().unwrap();
    let killed = SystemSpawner.run(shell("kill -TERM $$", place.path())).await.unwrap();
    assert_eq!(killed.ending, Ending::Signalled(15));
    let mut command = shell("", place.path());
    command.program = "no-such-program".to_owned();
    let error = SystemSpawner.run(command).await.unwrap_err();
    assert!(error.to_string().contains("no-such-program"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_core_dump_is_written() {
    let place = tempfile::tempdir().unwrap();
    // The limits are set before the input is written, so the program waits for its input.
    let mut limited = shell("read go; ulimit -c", place.path());
    limited.stdin = b"go\n".to_vec();
    let done = SystemSpawner.run(limited).await.unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert_eq!(text, "0\n");
}

/// Starts a shell that prints its process id and that of a child, and reads both.
async fn talking(script: &str, timeout: Duration) -> (Started, Vec<i32>) {
    let place = tempfile::tempdir().unwrap();
    let script = format!("sleep 300 & echo $! $$; {script}");
    let command = CommandSpec { timeout, ..shell(&script, place.path()) };
    let mut started = SystemSpawner.start(command).await.unwrap();
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(started.stdout.read_u8().await.unwrap());
    }
    let pids = String::from_utf8(line).unwrap();
    (started, pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect())
}

#[tokio::test]
async fn a_program_is_talked_with_and_its_ending_is_told_again() {
    let (mut started, pids) =
        talking("read word; echo heard $word; echo oops >&2; exit 7", Duration::from_mins(1)).await;
    started.stdin.write_all(b"hello\n").await.unwrap();
    let (mut said, mut complained) = (String::new(), String::new());
    assert_eq!(started.process.wait().await, Ending::Exited(7));
    assert_eq!(started.process.wait().await, Ending::Exited(7));
    started.stdout.read_to_string(&mut said).await.unwrap();
    started.stderr.read_to_string(&mut complained).await.unwrap();
    assert_eq!((said.as_str(), complained.as_str()), ("heard hello\n", "oops\n"));
    gone(pids[0]).await;
}

#[tokio::test]
async fn a_program_that_is_told_to_end_takes_its_children_with_it() {
    let (mut started, pids) = talking("sleep 300", Duration::from_mins(1)).await;
    started.process.kill();
    assert_eq!(started.process.wait().await, Ending::Signalled(9));
    for pid in pids {
        gone(pid).await;
    }
}

#[tokio::test]
async fn a_program_that_nobody_holds_any_more_is_killed_with_its_children() {
    let (started, pids) = talking("sleep 300", Duration::from_mins(1)).await;
    drop(started);
    for pid in pids {
        gone(pid).await;
    }
}

#[tokio::test]
async fn the_time_of_a_program_is_over_though_nobody_waits_for_it() {
    let (mut started, pids) = talking("sleep 300", Duration::from_millis(500)).await;
    for pid in pids {
        gone(pid).await;
    }
    assert_eq!(started.process.wait().await, Ending::TimedOut);
}
