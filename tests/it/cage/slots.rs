//! What is special about cages that are users of their own: whose files are whose, what a slot is, and that nothing that
//! others hold by namespaces is missing.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use pairbot::ports::Ending;
use pairbot::sandbox::{CageError, Limit, Socket, Standing};
use tokio::io::AsyncReadExt as _;

use super::stage::{Layer, SECRET, Stage, processes_with, sandbox, settings};

const MIB: u64 = 1024 * 1024;

/// A stage, where this user can set one.
async fn stage() -> Option<Stage> {
    if !Layer::UserSlot.is_possible() {
        return None;
    }
    Some(Stage::set(Layer::UserSlot).await)
}

#[tokio::test]
async fn a_cage_that_needs_sockets_is_refused_by_name() {
    let Some(mut stage) = stage().await else { return };
    stage
        .cage
        .sockets
        .push(Socket { host: "/tmp/door.sock".into(), inside: "/run/pairbot/door.sock".into() });
    let refused = stage.try_run("exit 0").await.unwrap_err();
    assert!(matches!(refused, CageError::NoSockets), "{refused}");
    assert!(refused.to_string().contains("bubblewrap"), "{refused}");
}

#[tokio::test]
async fn no_socket_of_any_kind_can_be_made_in_a_slot() {
    let Some(stage) = stage().await else { return };
    // A service of the host that everybody may talk to, by its path.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let path = folder.path().join("open.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    listener.set_nonblocking(true).unwrap();
    for (family, kind) in [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (10, 1), (16, 3), (17, 3), (40, 1)] {
        let said = stage.says(&format!("perl -e 'socket(my $s, {family}, {kind}, 0) or print \"$!\"'")).await;
        assert!(said.contains("not supported"), "family {family}, kind {kind}: {said}");
    }
    // A pair of datagrams would take an address with each of them.
    for kind in [2, 3, 2 | 0o2_000_000] {
        let said =
            stage.says(&format!("perl -e 'socketpair(my $a, my $b, 1, {kind}, 0) or print \"$!\"'")).await;
        assert!(said.contains("not supported"), "kind {kind}: {said}");
    }
    let pair = stage.says("perl -e 'socketpair(my $a, my $b, 1, 1, 0) and print \"a pair\"'").await;
    assert_eq!(pair, "a pair", "two halves that only know each other harm nobody");
    let path = path.display();
    let reach = format!("perl -MIO::Socket::UNIX -e 'exit !IO::Socket::UNIX->new(Peer => \"{path}\")'");
    assert_ne!(stage.run(&reach).await.ending, Ending::Exited(0));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn what_the_server_keeps_cannot_be_read_though_the_way_is_open() {
    let Some(stage) = stage().await else { return };
    let data_dir = stage.secret.parent().unwrap();
    std::fs::set_permissions(data_dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::create_dir_all(data_dir.join("mirrors/1.git/objects")).unwrap();
    // All of them as open as files can be: it is not their modes that keep them.
    let files = ["pairbot.db", "pairbot.db-wal", "key.pem", ".env", "mirrors/1.git/config"];
    for file in files {
        std::fs::write(data_dir.join(file), SECRET).unwrap();
        std::fs::set_permissions(data_dir.join(file), std::fs::Permissions::from_mode(0o666)).unwrap();
    }
    for file in files {
        let path = data_dir.join(file);
        let path = path.display();
        for attack in ["cat", "truncate -s 0", "rm", "mv -t .", "ln -t .", "chmod 777"] {
            let tried = stage.run(&format!("{attack} '{path}'")).await;
            assert_ne!(tried.ending, Ending::Exited(0), "{attack} {file}");
            assert!(!String::from_utf8_lossy(&tried.stdout).contains(SECRET), "{attack} {file}");
        }
        assert_eq!(std::fs::read_to_string(data_dir.join(file)).unwrap(), SECRET, "{file}");
    }
    let listed = stage.says(&format!("ls '{0}' '{0}/mirrors' 2>/dev/null", data_dir.display())).await;
    assert_eq!(listed, "");
    let mode = std::fs::metadata(data_dir).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o710, "open to pass through for slots, and to nobody else");
}

#[tokio::test]
async fn files_of_a_slot_are_the_servers_again_when_the_end_is_told() {
    let Some(stage) = stage().await else { return };
    std::fs::write(stage.cage.worktree.join("old"), "").unwrap();
    let owners = stage
        .says("touch new; mkdir -p deep/er; ln -s /etc/shadow link; stat -c %u . old new ~ $TMPDIR")
        .await;
    let owners: Vec<&str> = owners.lines().collect();
    assert!(
        owners.len() == 5 && owners.iter().all(|owner| *owner == owners[0] && *owner != "0"),
        "{owners:?}"
    );
    for name in ["", "old", "new", "deep/er", "link"] {
        let facts = std::fs::symlink_metadata(stage.cage.worktree.join(name)).unwrap();
        assert_eq!((facts.uid(), facts.gid()), (0, 0), "{name}");
    }
    let left: Vec<_> = std::fs::read_dir(&stage.cage.home).unwrap().collect();
    assert!(left.is_empty(), "temporary files are gone: {left:?}");
    assert_eq!(std::fs::metadata("/etc/shadow").unwrap().uid(), 0);
}

#[tokio::test]
async fn two_cages_are_two_users_who_cannot_reach_each_other() {
    let Some(one) = stage().await else { return };
    let Some(other) = stage().await else { return };
    let mut waiting = one
        .sandbox
        .start(one.shell("id -u; echo mine >file; echo ready; read end"), &one.cage)
        .await
        .unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"ready\n") {
        waiting.stdout.read_buf(&mut said).await.unwrap();
    }
    let said = String::from_utf8(said).unwrap();
    let (first, pid) = (said.lines().next().unwrap(), &one.marked()[0]);
    let second = other.says("id -u").await;
    assert_ne!(first, second.trim());
    let file = one.cage.worktree.join("file");
    for attack in
        [format!("cat '{}'", file.display()), format!("kill -9 {pid}"), format!("cat /proc/{pid}/environ")]
    {
        assert_ne!(other.run(&attack).await.ending, Ending::Exited(0), "{attack}");
    }
    assert_eq!(one.marked().len(), 1, "it lives");
}

#[tokio::test]
async fn who_kills_everybody_kills_nobody_but_itself() {
    let Some(stage) = stage().await else { return };
    // Whoever ends the slot must not be among those that it can end. Where the sandbox does not hold, nothing is tried.
    let spinning = "test $(id -u) -ge 65536 || exit 9; \
                    perl -e '$SIG{TERM}=\"IGNORE\"; for (1..4) { fork } while (1) { kill 9, -1 }' & sleep 1; exit 7";
    let ended = stage.run(spinning).await;
    assert!(matches!(ended.ending, Ending::Exited(7 | 137)), "{ended:?}");
    assert_eq!(stage.marked(), [""; 0]);
    assert_eq!(stage.says("echo the next").await, "the next\n");
}

#[tokio::test]
async fn memory_is_bounded_by_looking_where_no_control_group_can_be_made() {
    if !Layer::UserSlot.is_possible() {
        return;
    }
    let without = |settings: &mut pairbot::sandbox::SandboxSettings| settings.control_groups = false;
    let stage = Stage::with(Layer::UserSlot, without, |limits| limits.memory_bytes = 64 * MIB).await;
    let Standing::UserSlot { gaps } = stage.sandbox.standing() else { panic!("it holds") };
    assert!(gaps.iter().any(|gap| gap.limit == Limit::MemoryBursts), "{gaps:?}");
    let hog = format!("{} cage-probe hog --stay {}", stage.program(), 256 * MIB);
    assert_eq!(stage.run(&format!("exec {hog}")).await.ending, Ending::Signalled(9));
    let many =
        format!("for i in 1 2 3 4; do {} cage-probe hog --stay {} & done; wait", stage.program(), 40 * MIB);
    assert_eq!(stage.run(&many).await.ending, Ending::Signalled(9), "together they have more");
    assert_eq!(stage.run("kill -9 $$").await.ending, Ending::Exited(137));
    // Memory that no process shows would not be seen.
    let hidden =
        stage.says("perl -e 'my $name = \"x\"; syscall(319, $name, 0) == -1 and print \"$!\"'").await;
    if cfg!(target_arch = "x86_64") {
        assert!(hidden.contains("not implemented"), "{hidden}");
    }
}

#[tokio::test]
async fn processes_are_bounded_where_no_control_group_can_be_made() {
    if !Layer::UserSlot.is_possible() {
        return;
    }
    let without = |settings: &mut pairbot::sandbox::SandboxSettings| settings.control_groups = false;
    let stage = Stage::with(Layer::UserSlot, without, |limits| limits.processes = 16).await;
    let refused = stage.says("i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i+1)); done; echo all").await;
    assert!(refused.to_lowercase().contains("fork") && !refused.contains("all"), "{refused}");
    // Who has ended is forgotten while the program still runs, and then there is room for another.
    let many = "i=0; while [ $i -lt 60 ]; do until [ \"$( (echo one & ) )\" = one ]; do :; done; i=$((i+1)); done; echo all";
    assert_eq!(stage.run(many).await.stdout, b"all\n");
}

#[tokio::test]
async fn what_the_server_inherited_is_not_handed_on_to_a_slot() {
    let Some(stage) = stage().await else { return };
    let open = std::fs::File::open(&stage.secret).unwrap();
    rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty()).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&open);
    let read = stage.run(&format!("bash -c 'cat <&{number}'")).await;
    assert_eq!(read.ending, Ending::Exited(1), "{read:?}");
    assert!(!String::from_utf8_lossy(&read.stdout).contains(SECRET));
}

#[tokio::test]
async fn temporary_files_count_to_the_disk_of_a_slot() {
    if !Layer::UserSlot.is_possible() {
        return;
    }
    let stage = Stage::bounded(Layer::UserSlot, |limits| limits.disk_bytes = 16 * MIB).await;
    let fill = "i=0; while :; do head -c 8388608 /dev/zero >$TMPDIR/fill$i; i=$((i+1)); sleep 0.1; done";
    let filled = stage.try_run(fill).await;
    assert!(matches!(filled, Err(CageError::Outgrown { .. })), "{filled:?}");
    for place in ["/tmp", "/var/tmp", "/dev/shm"] {
        assert_ne!(stage.run(&format!("echo x >{place}/new")).await.ending, Ending::Exited(0), "{place}");
    }
}

#[tokio::test]
async fn what_outlives_processes_elsewhere_cannot_be_made_in_a_slot() {
    let Some(stage) = stage().await else { return };
    // Shared memory, semaphores and queues of System V stay after their makers.
    for call in ["shmget(0, 4096, 01600)", "semget(0, 1, 01600)", "msgget(0, 01600)"] {
        let said = stage.says(&format!("perl -e 'defined({call}) and print \"made\"'")).await;
        assert_eq!(said, "", "{call}");
    }
}

#[tokio::test]
async fn what_an_earlier_server_left_in_a_slot_is_ended_at_the_next_start() {
    if !Layer::UserSlot.is_possible() {
        return;
    }
    let uids = "230000-230007";
    #[expect(clippy::disallowed_methods, reason = "it is what a server left, and nobody's any more")]
    // A process as a server that was killed, and its keeper with it, would have left it.
    let mut left = Command::new("setpriv")
        .args([
            "--reuid",
            "230003",
            "--regid",
            "230000",
            "--clear-groups",
            "sh",
            "-c",
            "echo ready; sleep 300",
            uids,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut word = String::new();
    BufReader::new(left.stdout.take().unwrap()).read_line(&mut word).unwrap();
    assert_eq!(word, "ready\n");
    let scratch = tempfile::tempdir().unwrap();
    let mut settings = settings(Layer::UserSlot, scratch.path().to_owned());
    settings.slots = uids.parse().unwrap();
    let sandbox = sandbox(settings).await;
    assert!(matches!(sandbox.standing(), Standing::UserSlot { .. }), "{}", sandbox.standing());
    let ended = left.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(9));
    assert_eq!(processes_with(uids), [""; 0]);
}

#[tokio::test]
async fn a_second_program_in_a_worktree_waits_until_the_first_has_left_it() {
    let Some(stage) = stage().await else { return };
    let mut first = stage
        .sandbox
        .start(stage.shell("echo ready; read end; echo first >>order"), &stage.cage)
        .await
        .unwrap();
    let mut word = [0; 6];
    first.stdout.read_exact(&mut word).await.unwrap();
    let mut second = Box::pin(stage.run("echo second >>order; cat order"));
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(waited.is_err(), "{waited:?}");
    drop(first.stdin);
    assert_eq!(first.process.wait().await, Ending::Exited(0));
    assert_eq!(second.await.stdout, b"first\nsecond\n");
}
