//! What goes in and out of a cage as it should.

use std::io::Write as _;
use std::os::unix::net::UnixListener;

use pairbot::ports::Ending;
use pairbot::sandbox::{CageError, Socket};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::stage::{Layer, Stage};

in_each_layer! {
    a_program_in_a_cage_ends_as_it_would_outside,
    a_program_that_never_ran_is_no_program_that_failed,
    a_program_is_talked_with_in_its_cage,
    paths_of_the_host_are_told_as_they_are_seen_inside;
    bubblewrap: a_socket_that_is_bound_in_is_the_only_one_there
}

async fn a_program_in_a_cage_ends_as_it_would_outside(layer: Layer) {
    let stage = Stage::set(layer).await;
    for (script, ending) in [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("no-such-program", 127)] {
        assert_eq!(stage.run(script).await.ending, Ending::Exited(ending), "{script}");
    }
    let both = stage.run("pwd; echo oops >&2; cat").await;
    assert_eq!(
        (both.stdout.as_slice(), both.stderr.as_slice()),
        (format!("{}\n", stage.tree()).as_bytes(), &b"oops\n"[..])
    );
}

async fn a_program_that_never_ran_is_no_program_that_failed(layer: Layer) {
    let stage = Stage::set(layer).await;
    let mut missing = stage.shell("");
    "no-such-program".clone_into(&mut missing.program);
    let error = stage.sandbox.run(missing, &stage.cage).await.unwrap_err();
    assert!(matches!(&error, CageError::NotBuilt { why } if why.contains("no-such-program")), "{error}");
    let mut outside = stage.shell("exit 0");
    outside.directory = stage.secret.parent().unwrap().to_owned();
    let error = stage.sandbox.run(outside, &stage.cage).await.unwrap_err();
    assert!(matches!(error, CageError::NotBuilt { .. }), "{error}");
    let mut gone = stage.cage.clone();
    gone.home = "/no/such/home".into();
    let error = stage.sandbox.run(stage.shell("exit 0"), &gone).await.unwrap_err();
    assert!(matches!(&error, CageError::NotBuilt { why } if why.contains("/no/such/home")), "{error}");
}

async fn a_program_is_talked_with_in_its_cage(layer: Layer) {
    let stage = Stage::set(layer).await;
    let mut started = stage.sandbox.start(stage.shell("cat; exit 4"), &stage.cage).await.unwrap();
    started.stdin.write_all(b"hello\n").await.unwrap();
    let mut line = [0; 6];
    started.stdout.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"hello\n");
    drop(started.stdin);
    assert_eq!(started.process.wait().await, Ending::Exited(4));
}

async fn a_socket_that_is_bound_in_is_the_only_one_there(layer: Layer) {
    let mut stage = Stage::set(layer).await;
    let host = stage.secret.with_file_name("door.sock");
    let listener = UnixListener::bind(&host).unwrap();
    let answering =
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"from the host\n").unwrap());
    let inside = std::path::PathBuf::from("/run/pairbot/door.sock");
    let other = Socket { host, inside: inside.clone() };
    assert_eq!(stage.sandbox.inside(&stage.cage, &other.host), other.host);
    stage.cage.sockets.push(other.clone());
    assert_eq!(stage.sandbox.inside(&stage.cage, &other.host), inside);
    let said = stage
        .says("perl -MIO::Socket::UNIX -e 'print IO::Socket::UNIX->new(Peer => $ARGV[0])->getline' /run/pairbot/door.sock; ls /run/pairbot")
        .await;
    answering.join().unwrap();
    assert_eq!(said, "from the host\ndoor.sock\npairbot\n");
}

async fn paths_of_the_host_are_told_as_they_are_seen_inside(layer: Layer) {
    let stage = Stage::set(layer).await;
    let inside = |path: &std::path::Path| stage.sandbox.inside(&stage.cage, path).display().to_string();
    let host = |path: std::path::PathBuf| path.display().to_string();
    let expected = match layer {
        Layer::Bubblewrap => {
            ["/work", "/work/src/a.rs", "/home/agent/.config", "/run/pairbot/pairbot"].map(str::to_owned)
        }
        // Where there is no other view of the files, there is nothing to translate.
        Layer::UserSlot => [
            host(stage.cage.worktree.clone()),
            host(stage.cage.worktree.join("src/a.rs")),
            host(stage.cage.home.join(".config")),
            host(env!("CARGO_BIN_EXE_pairbot").into()),
        ],
    };
    assert_eq!(inside(&stage.cage.worktree), expected[0]);
    assert_eq!(inside(&stage.cage.worktree.join("src/a.rs")), expected[1]);
    assert_eq!(inside(&stage.cage.home.join(".config")), expected[2]);
    assert_eq!(inside(env!("CARGO_BIN_EXE_pairbot").as_ref()), expected[3]);
    assert_eq!(inside(&stage.secret), stage.secret.display().to_string());
}
