//! Trees made by someone who wants our git to run their program. The program leaves a canary; a plain git in the
//! same tree shows that the attack is real.

use std::path::{Path, PathBuf};

use super::server::{Ground, shell};
use super::{fetched, request};
use crate::git::{Mirror, Worktree};
use pairbot_protocol::ids::HeadSha;

/// A program that leaves `canary` beside itself, wherever it is started.
fn canary(ground: &Ground) -> (PathBuf, String) {
    let canary = ground.directory.path().join("canary");
    let script = ground.directory.path().join("evil.sh");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\ncat\n", canary.display())).unwrap();
    (canary, script.to_str().unwrap().to_owned())
}

/// Every operation of ours that walks a tree.
async fn walk_all(mirror: &Mirror, worktree: Worktree, main: &HeadSha) {
    let staged = worktree.stage().await;
    if let Ok(staged) = &staged {
        let head = mirror.commit_tree(&request(&staged.tree, main)).await.unwrap();
        mirror.diff(main, &head, crate::git::DiffLimits::default()).await.unwrap();
        mirror.merge_tree(main, &head).await.unwrap();
        let read = mirror.open(&"reader".parse().unwrap(), &head).await.unwrap();
        read.worktree.stage().await.unwrap();
        read.worktree.close().await.unwrap();
    }
    let _looked = worktree.look().await;
    worktree.begin_repository().await.unwrap();
    let name = worktree.name().clone();
    let again = mirror.open(&name, main).await.unwrap();
    assert!(again.resumed);
    worktree.close().await.unwrap();
    mirror.open(&name, main).await.unwrap();
}

async fn attack(script: impl Fn(&str) -> String, plain_git: &str) {
    let ground = Ground::new().await;
    let (canary, evil) = canary(&ground);
    let (mirror, main) = fetched(&ground).await;
    let worktree = mirror.open(&"agent".parse().unwrap(), &main).await.unwrap().worktree;
    let made = shell(&worktree.path(), &format!("chmod +x {evil}\n{}", script(&evil))).await;
    assert!(made.succeeded(), "{}", String::from_utf8_lossy(&made.stderr));
    let gone = |path: &Path| path.exists().then(|| std::fs::remove_file(path).unwrap());
    gone(&canary);
    walk_all(&mirror, worktree, &main).await;
    assert!(!canary.exists(), "our git ran the attacker's program");

    // The same tree under a git that trusts it: without this the test would prove nothing.
    let victim = ground.directory.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    let made = shell(
        &victim,
        &format!("git init -q; cp ../clone/README.md .; git add -A; git commit -qm x; {}", script(&evil)),
    )
    .await;
    assert!(made.succeeded(), "{}", String::from_utf8_lossy(&made.stderr));
    gone(&canary);
    shell(&victim, plain_git).await;
    assert!(canary.exists(), "the attack does not work even on a plain git");
}

#[tokio::test]
async fn a_monitor_configured_in_a_planted_repository_does_not_run() {
    attack(|evil| format!("git init -q; git config core.fsmonitor {evil}"), "git status").await;
}

#[tokio::test]
async fn hooks_in_a_planted_repository_do_not_run() {
    attack(
        |evil| format!("git init -q; mkdir -p .git/hooks; for h in pre-commit post-index-change post-checkout; do cp {evil} .git/hooks/$h; done"),
        "git commit -q --allow-empty -m x",
    )
    .await;
}

#[tokio::test]
async fn filters_named_by_attributes_do_not_run() {
    attack(
        |evil| {
            format!(
                "git init -q; git config filter.x.clean {evil}; git config filter.x.smudge {evil}; \
                 git config filter.x.process {evil}; git config diff.x.textconv {evil}; git config diff.x.command {evil}; \
                 git config merge.x.driver {evil}; echo '* filter=x diff=x merge=x' > .gitattributes; echo y > y.txt"
            )
        },
        "git add -A",
    )
    .await;
}

#[tokio::test]
async fn a_filter_in_a_nested_repository_does_not_run() {
    attack(
        |evil| {
            format!(
                "mkdir nested; cd nested; git init -q; echo a > a; git add a; git commit -qm a; \
                 git config filter.x.clean {evil}; git config core.fsmonitor {evil}; \
                 echo '* filter=x' > .gitattributes; echo b > a"
            )
        },
        "git add -A 2>/dev/null; git status",
    )
    .await;
}

#[tokio::test]
async fn a_repository_reached_through_a_git_file_is_not_used() {
    attack(
        |evil| {
            format!(
                "git init -q --separate-git-dir \"$PWD/../evil.git\"; git config core.fsmonitor {evil}; git add -A; true"
            )
        },
        "git status",
    )
    .await;
}

#[tokio::test]
async fn a_link_out_of_the_tree_is_recorded_and_never_followed() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let secret = ground.directory.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("a.txt"), "secret\n").unwrap();
    let worktree = mirror.open(&"agent".parse().unwrap(), &main).await.unwrap().worktree;
    std::fs::remove_dir_all(worktree.path().join("src")).unwrap();
    std::os::unix::fs::symlink(&secret, worktree.path().join("src")).unwrap();
    std::os::unix::fs::symlink(secret.join("a.txt"), worktree.path().join("direct")).unwrap();
    let staged = worktree.stage().await.unwrap();
    let head = mirror.commit_tree(&request(&staged.tree, &main)).await.unwrap();
    for entry in mirror.list_tree(&head).await.unwrap() {
        let blob = mirror.read_blob(&head, &entry.path, 1_000).await.unwrap().unwrap();
        assert!(!blob.bytes.starts_with(b"secret"), "{entry:?}");
    }
    // Back at a commit where `src` is a directory, nothing is written through the link.
    worktree.close().await.unwrap();
    let opened = mirror.open(&"agent".parse().unwrap(), &main).await.unwrap();
    assert_eq!(std::fs::read_to_string(opened.worktree.path().join("src/a.txt")).unwrap(), "one\n");
    assert_eq!(std::fs::read_to_string(secret.join("a.txt")).unwrap(), "secret\n");
}

#[tokio::test]
async fn a_history_with_names_that_attack_checkouts_is_not_fetched() {
    let ground = Ground::new().await;
    // A tree with an entry `.git`, as only a program that writes objects by itself can make it.
    ground
        .in_clone(
            "blob=$(echo evil | git hash-object -w --stdin); sub=$(printf '100644 blob %s\\tconfig\\n' $blob | git mktree); \
             raw=$(echo $sub | sed 's/../\\\\x&/g'); \
             tree=$(/bin/bash -c \"printf '40000 .git\\0$raw'\" | git hash-object -w -t tree --literally --stdin); \
             commit=$(git commit-tree $tree -m evil); git update-ref refs/heads/evil $commit; git push -q origin evil",
        )
        .await;
    let (mirror, _) = fetched(&ground).await;
    let refused = mirror.fetch(&ground.remote(), &[super::branch("evil")]).await.unwrap_err();
    assert!(refused.to_string().contains("hasDotgit"), "{refused}");
}
