//! Worktrees: clean for each user, kept over a crash, and fast because they are not made anew.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::server::{Ground, shell};
use super::{branch, fetched};
use crate::git::{GitError, Swept, WorktreeName};

fn name(text: &str) -> WorktreeName {
    text.parse().unwrap()
}

/// Every entry of a tree with its content or target.
fn listing(tree: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut directories = vec![tree.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let shown = path.strip_prefix(tree).unwrap().to_str().unwrap().to_owned();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                found.push((shown, "directory".to_owned()));
                directories.push(path);
            } else if metadata.is_symlink() {
                found.push((shown, path.read_link().unwrap().to_str().unwrap().to_owned()));
            } else {
                found.push((shown, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_worktree_holds_the_files_of_its_commit_and_nothing_of_git() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let opened = mirror.open(&name("a"), &main).await.unwrap();
    assert!(!opened.resumed);
    let expected = [("README.md", "hello\n"), ("src", "directory"), ("src/a.txt", "one\n")];
    assert_eq!(
        listing(&opened.worktree.path()),
        expected.map(|(path, text)| (path.to_owned(), text.to_owned()))
    );
}

#[tokio::test]
async fn a_worktree_goes_on_after_a_crash_with_what_was_written() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let opened = mirror.open(&name("a"), &main).await.unwrap();
    std::fs::write(opened.worktree.path().join("new.txt"), "half\n").unwrap();
    // Killed while git was adding.
    std::fs::write(opened.worktree.path().join("../index.lock"), "").unwrap();
    drop(opened);
    let (mirror, main) = fetched(&ground).await;
    let again = mirror.open(&name("a"), &main).await.unwrap();
    assert!(again.resumed);
    let staged = again.worktree.stage().await.unwrap();
    assert_eq!(staged.changes.len(), 1);
    // The index is lost with the mirror's objects; the files are what counts.
    std::fs::remove_file(again.worktree.path().join("../index")).unwrap();
    let again = mirror.open(&name("a"), &main).await.unwrap();
    assert_eq!(again.worktree.stage().await.unwrap().tree, staged.tree);
}

#[tokio::test]
async fn the_next_user_of_a_warm_tree_finds_nothing_of_the_last() {
    let ground = Ground::new().await;
    ground.write(".gitignore", "target\n");
    ground.write("deep/er/x.txt", "x\n");
    ground.write("keep.txt", "keep\n");
    ground.in_clone("git add -A && git commit -qm more && git push -q origin main").await;
    let (mirror, main) = fetched(&ground).await;
    let clean = listing(&mirror.open(&name("reference"), &main).await.unwrap().worktree.path());

    let opened = mirror.open(&name("a"), &main).await.unwrap();
    let tree = opened.worktree.path();
    let kept = std::fs::metadata(tree.join("keep.txt")).unwrap().ino();
    let outside = ground.directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("x.txt"), "mine\n").unwrap();
    std::fs::create_dir_all(tree.join("target/debug")).unwrap();
    std::fs::write(tree.join("target/debug/out"), "ignored\n").unwrap();
    std::fs::create_dir_all(tree.join("untracked/nested/.git")).unwrap();
    std::fs::write(tree.join("src/a.txt"), "changed\n").unwrap();
    std::fs::remove_file(tree.join("README.md")).unwrap();
    std::fs::create_dir(tree.join("README.md")).unwrap();
    std::fs::remove_dir_all(tree.join("deep")).unwrap();
    symlink(&outside, tree.join("deep")).unwrap();
    std::fs::write(tree.join(".git"), "gitdir: /elsewhere\n").unwrap();
    std::fs::set_permissions(tree.join("keep.txt"), std::fs::Permissions::from_mode(0o644)).unwrap();
    opened.worktree.stage().await.unwrap();
    opened.worktree.close().await.unwrap();

    let next = mirror.open(&name("b"), &main).await.unwrap();
    assert_eq!(listing(&next.worktree.path()), clean);
    assert_eq!(std::fs::metadata(next.worktree.path().join("keep.txt")).unwrap().ino(), kept, "not warm");
    assert_eq!(listing(&outside), [("x.txt".to_owned(), "mine\n".to_owned())]);
}

#[tokio::test]
async fn a_warm_tree_is_switched_to_another_commit_and_checked_after_a_restart() {
    let ground = Ground::new().await;
    let (mirror, first) = fetched(&ground).await;
    mirror.open(&name("a"), &first).await.unwrap().worktree.close().await.unwrap();
    ground.write("src/a.txt", "two\n");
    ground.write("added.txt", "added\n");
    ground
        .in_clone("git rm -q README.md && git add -A && git commit -qm two && git push -q origin main")
        .await;
    mirror.fetch(&ground.remote(), &[branch("main")]).await.unwrap();
    let second: pairbot_protocol::ids::HeadSha = mirror.branch(&branch("main")).await.unwrap().unwrap();
    let expected = [("added.txt", "added\n"), ("src", "directory"), ("src/a.txt", "two\n")]
        .map(|(path, text)| (path.to_owned(), text.to_owned()));
    let opened = mirror.open(&name("b"), &second).await.unwrap();
    assert_eq!(listing(&opened.worktree.path()), expected);
    opened.worktree.close().await.unwrap();

    // Another process finds it, and cannot know what happened to it meanwhile.
    let warm = ground.directory.path().join(format!("data/workspaces/{}/0/tree", super::REPOSITORY));
    std::fs::write(warm.join("src/a.txt"), "bad\n").unwrap();
    let (mirror, second) = fetched(&ground).await;
    let opened = mirror.open(&name("c"), &second).await.unwrap();
    assert_eq!(listing(&opened.worktree.path()), expected);
    assert!(!warm.exists());
}

#[tokio::test]
async fn a_worktree_at_another_commit_is_not_taken_for_the_wanted_one() {
    let ground = Ground::new().await;
    let (mirror, first) = fetched(&ground).await;
    let opened = mirror.open(&name("a"), &first).await.unwrap();
    std::fs::write(opened.worktree.path().join("old-work"), "").unwrap();
    ground.in_clone("git commit -q --allow-empty -m x && git push -q origin main").await;
    let (mirror, second) = fetched(&ground).await;
    let other = mirror.open(&name("a"), &second).await.unwrap();
    assert!(!other.resumed && !other.worktree.path().join("old-work").exists());
}

#[tokio::test]
async fn sweeping_ends_what_nobody_needs_and_keeps_the_rest() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    for each in ["kept", "b", "c", "d", "e", "f"] {
        mirror.open(&name(each), &main).await.unwrap();
    }
    let data = ground.directory.path().join("data");
    std::fs::create_dir_all(data.join("worktrees/.x.opening/tree")).unwrap();
    std::fs::create_dir_all(data.join("worktrees/broken/tree")).unwrap();
    let git = ground.git().await;
    let swept = git.sweep(&BTreeSet::from([name("kept")]), true).await.unwrap();
    assert_eq!(swept, Swept { worktrees: 6, leftovers: 1 });
    let left: Vec<_> =
        std::fs::read_dir(data.join("worktrees")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["kept"]);
    let warm = std::fs::read_dir(data.join(format!("workspaces/{}", super::REPOSITORY))).unwrap().count();
    assert_eq!(warm, 3, "as many warm trees are kept as the settings say");
}

#[tokio::test]
async fn what_changed_is_told_with_links_and_without_ignored_files() {
    let ground = Ground::new().await;
    ground.write(".gitignore", "target\n");
    ground.in_clone("git add -A && git commit -qm i && git push -q origin main").await;
    let (mirror, main) = fetched(&ground).await;
    let worktree = mirror.open(&name("a"), &main).await.unwrap().worktree;
    assert_eq!(worktree.stage().await.unwrap().tree, mirror.tree_of(&main).await.unwrap());
    let tree = worktree.path();
    std::fs::create_dir(tree.join("target")).unwrap();
    std::fs::write(tree.join("target/out"), "").unwrap();
    symlink("../../../etc/passwd", tree.join("escape")).unwrap();
    // What `cargo new` does in a directory outside of any repository.
    assert!(shell(&tree, "mkdir new && cd new && git init -q && echo x > lib.rs").await.succeeded());
    let staged = worktree.stage().await.unwrap();
    let paths: Vec<_> = staged.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["escape", "new/lib.rs"]);
    assert_eq!(staged.symlinks[0].target, "../../../etc/passwd");
}

#[tokio::test]
async fn submodules_are_refused_and_their_places_are_emptied() {
    let ground = Ground::new().await;
    ground
        .in_clone("id=$(git rev-parse HEAD) && git update-index --add --cacheinfo 160000,$id,sub && mkdir sub && git commit -qm sub && git push -q origin main")
        .await;
    let (mirror, main) = fetched(&ground).await;
    let worktree = mirror.open(&name("a"), &main).await.unwrap().worktree;
    let sub = worktree.path().join("sub");
    assert!(worktree.stage().await.unwrap().changes.is_empty());
    assert!(
        shell(&sub, "git init -q && git commit -q --allow-empty -m x && echo left > behind")
            .await
            .succeeded()
    );
    // Without its `.git` the place of the submodule holds plain files, which would replace it.
    let staged = worktree.stage().await;
    assert!(matches!(staged, Err(GitError::Unsafe { .. })) || staged.unwrap().changes.is_empty());
    worktree.close().await.unwrap();
    let worktree = mirror.open(&name("b"), &main).await.unwrap().worktree;
    assert_eq!(std::fs::read_dir(worktree.path().join("sub")).unwrap().count(), 0);
    std::fs::write(worktree.path().join(".gitmodules"), "[submodule \"x\"]\n").unwrap();
    assert!(matches!(worktree.stage().await, Err(GitError::Unsafe { .. })));
    std::fs::remove_file(worktree.path().join(".gitmodules")).unwrap();
    std::fs::remove_dir(worktree.path().join("sub")).unwrap();
    assert!(matches!(worktree.stage().await, Err(GitError::Unsafe { .. })));
}

#[tokio::test]
async fn a_worktree_goes_back_to_a_checkpoint_whatever_was_written_since() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let worktree = mirror.open(&name("a"), &main).await.unwrap().worktree;
    let tree = worktree.path();
    std::fs::write(tree.join(".gitignore"), "cache/\n").unwrap();
    std::fs::write(tree.join("new.txt"), "kept\n").unwrap();
    std::fs::remove_file(tree.join("README.md")).unwrap();
    let before = listing(&tree);
    let checkpoint = worktree.checkpoint().await.unwrap();
    std::fs::write(tree.join("new.txt"), "changed\n").unwrap();
    std::fs::write(tree.join("README.md"), "back\n").unwrap();
    std::fs::create_dir_all(tree.join("more/.git")).unwrap();
    std::fs::write(tree.join("more/half.txt"), "half\n").unwrap();
    std::fs::remove_dir_all(tree.join("src")).unwrap();
    worktree.go_back(&checkpoint).await.unwrap();
    assert_eq!(listing(&tree), before);
    // What a build keeps for itself is no part of a change, and stays.
    std::fs::create_dir(tree.join("cache")).unwrap();
    std::fs::write(tree.join("cache/warm"), "warm\n").unwrap();
    worktree.go_back(&checkpoint).await.unwrap();
    assert!(tree.join("cache/warm").exists());
    assert_eq!(worktree.checkpoint().await.unwrap(), checkpoint);
}

#[tokio::test]
async fn an_agents_own_git_works_in_its_tree_and_is_no_part_of_the_change() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let worktree = mirror.open(&name("a"), &main).await.unwrap().worktree;
    worktree.begin_repository().await.unwrap();
    let story = "git log --format=%H && git status --short && echo new > new.txt && git add -A && \
                 git -c user.name=a -c user.email=a@b commit -qm x && git remote | wc -l";
    let told = shell(&worktree.path(), story).await;
    assert!(told.succeeded(), "{}", String::from_utf8_lossy(&told.stderr));
    assert_eq!(String::from_utf8_lossy(&told.stdout), format!("{main}\n0\n"));
    let seen = worktree.look().await.unwrap();
    assert_eq!(seen.changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["new.txt"]);
    assert!(shell(&worktree.path(), "git log -1").await.succeeded(), "the agent keeps its repository");
    let staged = worktree.stage().await.unwrap();
    assert_eq!(staged.tree, seen.tree);
    assert!(!worktree.path().join(".git").exists());
    // Killed while the files were looked at.
    std::fs::create_dir(worktree.path().join("../aside")).unwrap();
    worktree.close().await.unwrap();
    let again = mirror.open(&name("b"), &main).await.unwrap().worktree;
    assert!(!again.path().join("../aside").exists());
}
