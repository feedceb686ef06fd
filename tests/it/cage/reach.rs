//! What is out of reach: files, processes, services and the kernel's settings of the host, and the cage's own arguments.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;

use pairbot::ports::Ending;
use pairbot::sandbox::TreeAccess;

use super::stage::{Layer, SECRET, Stage, processes_with};

in_each_layer! {
    no_file_of_the_host_can_be_read_from_a_cage,
    no_process_and_no_variable_of_the_host_can_be_seen_from_a_cage,
    nothing_on_the_hosts_network_can_be_reached_from_a_cage,
    the_arguments_of_a_cage_say_nothing_of_the_host_and_of_no_variable,
    a_link_out_of_the_worktree_leads_nowhere,
    nothing_outside_of_worktree_and_home_can_be_written,
    a_tree_that_is_only_read_cannot_be_changed,
    nobody_in_a_cage_gains_rights_or_makes_namespaces,
}

async fn no_file_of_the_host_can_be_read_from_a_cage(layer: Layer) {
    let stage = Stage::set(layer).await;
    let secret = stage.secret.display();
    for path in [secret.to_string(), format!("/proc/1/root{secret}"), format!("/proc/self/cwd/..{secret}")] {
        let tried = stage.run(&format!("cat '{path}'")).await;
        assert_eq!(tried.ending, Ending::Exited(1), "{path}");
        assert!(!String::from_utf8_lossy(&tried.stdout).contains(SECRET), "{path}");
    }
    let seen = stage.says("cat /etc/passwd; ls / /etc /etc/ssl /home /root /var 2>&1").await;
    match layer {
        Layer::Bubblewrap => assert!(seen.contains("agent:x:1000"), "{seen}"),
        Layer::UserSlot => assert!(!seen.contains("root:x:0"), "{seen}"),
    }
    for foreign in ["shadow", "private", "ssh", "lib/dpkg"] {
        assert!(!seen.lines().any(|line| line == foreign), "{foreign}: {seen}");
    }
}

async fn no_process_and_no_variable_of_the_host_can_be_seen_from_a_cage(layer: Layer) {
    let stage = Stage::set(layer).await;
    let count = stage.says("ls /proc 2>/dev/null | grep -c '^[0-9]*$'").await;
    let seen = match layer {
        // `bwrap`, the shell, `ls`, `grep`.
        Layer::Bubblewrap => 4,
        Layer::UserSlot => 0,
    };
    assert!(count.trim().parse::<u32>().unwrap() <= seen, "{count}");
    let variables = stage.says("env | cut -d= -f1 | grep -v PWD | sort").await;
    assert_eq!(variables, "HOME\nPATH\nTMPDIR\nUSER\n");
    if layer == Layer::UserSlot {
        // There are no numbers of processes of its own there, so the server's is the server.
        let server = format!("/proc/{}", std::process::id());
        for file in ["environ", "cmdline", "status", "maps", "cwd/", "fd"] {
            let tried = stage.run(&format!("cat {server}/{file} || ls {server}/{file}/")).await;
            assert_ne!(tried.ending, Ending::Exited(0), "{file}: {tried:?}");
        }
    }
    let inherited = stage.says("cat /proc/1/environ 2>/dev/null | tr '\\0' '\\n'").await;
    let own: Vec<String> = std::env::vars().map(|(name, _)| format!("{name}=")).collect();
    let leaked: Vec<&str> = inherited.lines().filter(|line| !line.starts_with("PWD=")).collect();
    assert!(leaked.is_empty() && own.len() > 1, "{leaked:?}");
}

async fn nothing_on_the_hosts_network_can_be_reached_from_a_cage(layer: Layer) {
    let stage = Stage::set(layer).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for address in [format!("127.0.0.1/{port}"), "169.254.169.254/80".to_owned()] {
        let tried = stage.run(&format!("bash -c 'exec 3<>/dev/tcp/{address}'")).await;
        assert_eq!(tried.ending, Ending::Exited(1), "{address}: {tried:?}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let devices = stage.says("tail -n +3 /proc/net/dev 2>/dev/null | cut -d: -f1 | tr -d ' '").await;
    match layer {
        Layer::Bubblewrap => assert_eq!(devices, "lo\n"),
        Layer::UserSlot => assert_eq!(devices, "", "not even that is seen"),
    }
    // The way to the hypervisor belongs to no namespace.
    let hypervisor = stage.says("perl -e 'socket(my $s, 40, 1, 0) or print \"$!\"'").await;
    assert!(hypervisor.contains("not supported"), "{hypervisor}");
}

async fn the_arguments_of_a_cage_say_nothing_of_the_host_and_of_no_variable(layer: Layer) {
    let stage = Stage::set(layer).await;
    let token = format!("token-{}", stage.mark);
    let mut command =
        stage.shell("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'; echo ready; read end");
    command.environment.insert("TOKEN".to_owned(), token.clone());
    let mut started = stage.sandbox.start(command, &stage.cage).await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"ready\n") {
        tokio::io::AsyncReadExt::read_buf(&mut started.stdout, &mut said).await.unwrap();
    }
    let said = String::from_utf8(said).unwrap();
    let place = stage.cage.worktree.parent().unwrap().display().to_string();
    match layer {
        Layer::Bubblewrap => assert!(said.contains("bwrap"), "{said}"),
        Layer::UserSlot => assert_eq!(said, "ready\n"),
    }
    assert!(!said.contains(&place) && !said.contains(&token), "{said}");
    assert_eq!(processes_with(&token), [""; 0], "nor can anybody on the host see a variable");
    assert_eq!(processes_with(&place), [""; 0]);
}

async fn a_link_out_of_the_worktree_leads_nowhere(layer: Layer) {
    let stage = Stage::set(layer).await;
    symlink(&stage.secret, stage.cage.worktree.join("planted")).unwrap();
    symlink(stage.secret.parent().unwrap(), stage.cage.worktree.join("folder")).unwrap();
    let read = stage.says("cat planted folder/secret; ln -s /proc/1/root up; cat up/../../secret").await;
    assert!(!read.contains(SECRET), "{read}");
    let written = stage.run("echo changed >planted").await;
    assert_ne!(written.ending, Ending::Exited(0));
    assert_eq!(std::fs::read_to_string(&stage.secret).unwrap(), SECRET);
}

async fn nothing_outside_of_worktree_and_home_can_be_written(layer: Layer) {
    let stage = Stage::set(layer).await;
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
    assert!(stage.run("echo x >new && echo x >~/new && echo x >$TMPDIR/new").await.succeeded());
    assert_eq!(std::fs::read_to_string(stage.cage.worktree.join("new")).unwrap(), "x\n");
    assert_eq!(std::fs::read_to_string(stage.cage.home.join("new")).unwrap(), "x\n");
}

async fn a_tree_that_is_only_read_cannot_be_changed(layer: Layer) {
    let mut stage = Stage::set(layer).await;
    std::fs::write(stage.cage.worktree.join("file"), "as it was\n").unwrap();
    stage.cage.access = TreeAccess::Read;
    assert_eq!(stage.says("cat file").await, "as it was\n");
    assert_ne!(stage.run("echo x >file; rm -f file; test ! -e file").await.ending, Ending::Exited(0));
    assert_eq!(std::fs::read_to_string(stage.cage.worktree.join("file")).unwrap(), "as it was\n");
}

async fn nobody_in_a_cage_gains_rights_or_makes_namespaces(layer: Layer) {
    let stage = Stage::set(layer).await;
    let status = match layer {
        Layer::Bubblewrap => stage.says("cat /proc/self/status").await,
        // Nobody in there may look.
        Layer::UserSlot => stage.status_of("read end").await,
    };
    let told = ["CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"];
    let lines = status.lines().filter(|line| told.iter().any(|name| line.starts_with(name)));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    let none = "0000000000000000";
    assert_eq!(words, ["CapEff:", none, "CapBnd:", none, "NoNewPrivs:", "1", "Seccomp:", "2"]);
    for attempt in
        ["unshare --user true", "unshare --mount true", "mount -t tmpfs none /tmp", "chroot /tmp /bin/true"]
    {
        assert_ne!(stage.run(attempt).await.ending, Ending::Exited(0), "{attempt}");
    }
}
