//! `pairbot relay`: a program with the way to its models, and nothing left of it afterwards.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixListener};
use tokio::process::{Child, Command};

use super::server::{ended, pairbot};

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn relay(listen: SocketAddr, socket: &Path, program: &[&str]) -> Command {
    let (listen, socket) = (listen.to_string(), socket.to_str().unwrap());
    let own = ["relay", "--listen", &listen, "--socket", socket, "--"];
    pairbot(&[&own, program].concat(), &[])
}

/// Starts it, and returns once its program has said its first line.
async fn started(mut command: Command) -> (Child, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).await.unwrap();
    (child, first.trim().to_owned())
}

#[tokio::test]
async fn what_is_said_to_loopback_is_carried_to_the_socket_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("gateway.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.unwrap();
                all.reverse();
                stream.write_all(&all).await.unwrap();
            });
        }
    });
    let address = free();
    let (mut child, _) = started(relay(address, &socket, &["sh", "-c", "echo up; cat; exit 7"])).await;
    for words in [vec![b'a', b'b'], vec![b'x'; 3_000_000]] {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let heard = tokio::spawn(async move {
            let mut all = Vec::new();
            from.read_to_end(&mut all).await.unwrap();
            all
        });
        to.write_all(&words).await.unwrap();
        drop(to);
        let mut heard = heard.await.unwrap();
        heard.reverse();
        assert!(heard == words, "{} of {} bytes", heard.len(), words.len());
    }
    // The program's input is the relay's own, and its code too.
    drop(child.stdin.take());
    assert_eq!(child.wait().await.unwrap().code(), Some(7));
    assert!(TcpStream::connect(address).await.is_err(), "it listens on");
}

#[tokio::test]
async fn a_signal_is_passed_on_and_the_exit_code_is_passed_back() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nobody.sock");
    let script = "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done";
    let (mut child, _) = started(relay(free(), &nowhere, &["sh", "-c", script])).await;
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(9));
    let killed = ended(relay(free(), &nowhere, &["sh", "-c", "kill -KILL $$"])).await;
    assert_eq!(killed.code, Some(137));
}

#[tokio::test]
async fn what_the_program_leaves_running_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nobody.sock");
    let (mut child, left) = started(relay(free(), &nowhere, &["sh", "-c", "sleep 300 & echo $!"])).await;
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    let left = Pid::from_raw(left.parse().unwrap()).unwrap();
    // A process that was killed stays to be seen until whoever inherited it looks.
    let gone = || {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", left.as_raw_nonzero())).unwrap_or_default();
        stat.contains(") Z ") || test_kill_process(left).is_err()
    };
    while !gone() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_relay_listens_on_loopback_only_and_says_what_it_cannot_run() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nobody.sock");
    let wide = ended(relay("0.0.0.0:0".parse().unwrap(), &nowhere, &["true"])).await;
    assert!(wide.code == Some(1) && wide.stderr.contains("loopback"), "{wide:?}");
    let missing = ended(relay(free(), &nowhere, &["no-such-program"])).await;
    assert!(missing.code == Some(127) && missing.stderr.contains("no-such-program"), "{missing:?}");
    let folder = folder.path().to_str().unwrap();
    assert_eq!(ended(relay(free(), &nowhere, &[folder])).await.code, Some(126));
}

/// Nobody at the socket, or nobody any more: the connection ends, and the program goes on.
#[tokio::test]
async fn a_connection_to_a_gateway_that_is_gone_just_ends() {
    let folder = tempfile::tempdir().unwrap();
    let address = free();
    let nowhere = folder.path().join("nobody.sock");
    let (mut child, _) = started(relay(address, &nowhere, &["sh", "-c", "echo up; cat"])).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut heard = Vec::new();
    let _reset = stream.read_to_end(&mut heard).await;
    assert!(heard.is_empty());
    drop(child.stdin.take());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}
