//! What is out of reach: files, processes, services and the kernel's settings of the host, and the cage's own arguments.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;

use pairbot::ports::Ending;
use pairbot::sandbox::TreeAccess;

use super::stage::{SECRET, Stage, processes_with};

#[tokio::test]
async fn no_file_of_the_host_can_be_read_from_a_cage() {
    let stage = Stage::set().await;
    let secret = stage.secret.display();
    for path in [secret.to_string(), format!("/proc/1/root{secret}"), format!("/proc/self/cwd/..{secret}")] {
        let tried = stage.run(&format!("cat '{path}'")).await;
        assert_eq!(tried.ending, Ending::Exited(1), "{path}");
        assert!(!String::from_utf8_lossy(&tried.stdout).contains(SECRET), "{path}");
    }
    let seen = stage.says("cat /etc/passwd; ls / /etc /etc/ssl /home /root /var 2>&1").await;
    assert!(seen.contains("agent:x:1000"), "{seen}");
    for foreign in ["shadow", "private", "ssh", "lib/dpkg"] {
        assert!(!seen.lines().any(|line| line == foreign), "{foreign}: {seen}");
    }
}

#[tokio::test]
async fn no_process_and_no_variable_of_the_host_can_be_seen_from_a_cage() {
    let stage = Stage::set().await;
    let count = stage.says("ls /proc | grep -c '^[0-9]*$'").await;
    // `bwrap`, the shell, `ls`, `grep`.
    assert!(count.trim().parse::<u32>().unwrap() <= 4, "{count}");
    let variables = stage.says("env | cut -d= -f1 | sort").await;
    assert_eq!(variables, "HOME\nPATH\nPWD\nTMPDIR\nUSER\n");
    let inherited = stage.says("tr '\\0' '\\n' </proc/1/environ").await;
    let own: Vec<String> = std::env::vars().map(|(name, _)| format!("{name}=")).collect();
    let leaked: Vec<&str> = inherited.lines().filter(|line| !line.starts_with("PWD=")).collect();
    assert!(leaked.is_empty() && own.len() > 1, "{leaked:?}");
}

#[tokio::test]
async fn nothing_on_the_hosts_network_can_be_reached_from_a_cage() {
    let stage = Stage::set().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for address in [format!("127.0.0.1/{port}"), "169.254.169.254/80".to_owned()] {
        let tried = stage.run(&format!("bash -c 'exec 3<>/dev/tcp/{address}'")).await;
        assert_eq!(tried.ending, Ending::Exited(1), "{address}: {tried:?}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(stage.says("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").await, "lo\n");
    // The way to the hypervisor belongs to no namespace.
    let hypervisor = stage.says("perl -e 'socket(my $s, 40, 1, 0) or print \"$!\"'").await;
    assert!(hypervisor.contains("not supported"), "{hypervisor}");
}

#[tokio::test]
async fn the_arguments_of_a_cage_say_nothing_of_the_host_and_of_no_variable() {
    let stage = Stage::set().await;
    let token = format!("token-{}", stage.mark);
    let mut command = stage.shell("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'; echo ready; read end");
    command.environment.insert("TOKEN".to_owned(), token.clone());
    let mut started = stage.sandbox.start(command, &stage.cage).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"ready\n") {
        tokio::io::AsyncReadExt::read_buf(&mut started.stdout, &mut said).await.unwrap();
    }
    let said = String::from_utf8(said).unwrap();
    let place = stage.cage.worktree.parent().unwrap().display().to_string();
    assert!(said.contains("bwrap"), "{said}");
    assert!(!said.contains(&place) && !said.contains(&token), "{said}");
    assert_eq!(processes_with(&token), [""; 0], "nor can anybody on the host see a variable");
    assert_eq!(processes_with(&place), [""; 0]);
}

#[tokio::test]
async fn a_link_out_of_the_worktree_leads_nowhere() {
    let stage = Stage::set().await;
    symlink(&stage.secret, stage.cage.worktree.join("planted")).unwrap();
    symlink(stage.secret.parent().unwrap(), stage.cage.worktree.join("folder")).unwrap();
    let read = stage.says("cat planted folder/secret; ln -s /proc/1/root up; cat up/../../secret").await;
    assert!(!read.contains(SECRET), "{read}");
    let written = stage.run("echo changed >planted").await;
    assert_ne!(written.ending, Ending::Exited(0));
    assert_eq!(std::fs::read_to_string(&stage.secret).unwrap(), SECRET);
}

#[tokio::test]
async fn nothing_outside_of_worktree_and_home_can_be_written() {
    let stage = Stage::set().await;
    let setting = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    for path in [
        "/new",
        "/usr/new",
        "/usr/bin/sh",
        "/etc/new",
        "/etc/passwd",
        "/dev/new",
        "/run/pairbot/new",
        "/run/pairbot/pairbot",
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/kernel/uevent_helper",
    ] {
        let tried = stage.run(&format!("echo x >>{path}")).await;
        assert_ne!(tried.ending, Ending::Exited(0), "{path} was written");
    }
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), setting);
    assert!(stage.run("echo x >/work/new && echo x >~/new && echo x >/tmp/new").await.succeeded());
    assert_eq!(std::fs::read_to_string(stage.cage.worktree.join("new")).unwrap(), "x\n");
    assert_eq!(std::fs::read_to_string(stage.cage.home.join("new")).unwrap(), "x\n");
}

#[tokio::test]
async fn a_tree_that_is_only_read_cannot_be_changed() {
    let mut stage = Stage::set().await;
    std::fs::write(stage.cage.worktree.join("file"), "as it was\n").unwrap();
    stage.cage.access = TreeAccess::Read;
    assert_eq!(stage.says("cat /work/file").await, "as it was\n");
    assert_ne!(
        stage.run("echo x >/work/file; rm -f /work/file; test ! -e /work/file").await.ending,
        Ending::Exited(0)
    );
    assert_eq!(std::fs::read_to_string(stage.cage.worktree.join("file")).unwrap(), "as it was\n");
}

#[tokio::test]
async fn nobody_in_a_cage_gains_rights_or_makes_namespaces() {
    let stage = Stage::set().await;
    let status = stage.says("grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status").await;
    let words: Vec<&str> = status.split_whitespace().collect();
    let none = "0000000000000000";
    assert_eq!(words, ["CapEff:", none, "CapBnd:", none, "NoNewPrivs:", "1", "Seccomp:", "2"]);
    for attempt in
        ["unshare --user true", "unshare --mount true", "mount -t tmpfs none /tmp", "chroot /tmp /bin/true"]
    {
        assert_ne!(stage.run(attempt).await.ending, Ending::Exited(0), "{attempt}");
    }
}
