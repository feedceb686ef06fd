mod attacks;
mod server;
mod worktrees;

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use pairbot_protocol::ids::{BaseSha, HeadSha, RepositoryId, Timestamp, TreeSha, UserId};

use super::*;
use server::Ground;

const REPOSITORY: RepositoryId = RepositoryId(9_000_000_001);

fn branch(name: &str) -> BranchName {
    name.parse().unwrap()
}

/// A mirror that has just fetched `main`, and where `main` is.
async fn fetched(ground: &Ground) -> (Mirror, HeadSha) {
    let mirror = ground.git().await.mirror(REPOSITORY).await.unwrap();
    mirror.fetch(&ground.remote(), &[branch("main")]).await.unwrap();
    let main = mirror.branch(&branch("main")).await.unwrap().unwrap();
    (mirror, main)
}

fn request(tree: &TreeSha, parent: &HeadSha) -> CommitRequest {
    CommitRequest {
        tree: tree.clone(),
        parents: vec![parent.clone()],
        author: Identity::bot("pairbot", UserId(42)),
        date: Timestamp::from_unix_ms(1_700_000_000_123),
        message: "Add a file\n\nBecause it was missing.".to_owned(),
        co_authors: vec![
            Identity::person("ann", UserId(7)),
            Identity::new("Eve\nCo-authored-by: X <x@x>", "<e@e>"),
        ],
    }
}

async fn committed(mirror: &Mirror, main: &HeadSha, name: &str, file: &str) -> HeadSha {
    let opened = mirror.open(&name.parse().unwrap(), main).await.unwrap();
    std::fs::write(opened.worktree.path().join(file), "new\n").unwrap();
    let staged = opened.worktree.stage().await.unwrap();
    let commit = mirror.commit_tree(&request(&staged.tree, main)).await.unwrap();
    opened.worktree.close().await.unwrap();
    commit
}

#[tokio::test]
async fn a_mirror_fetches_what_is_new_and_keeps_no_token() {
    let ground = Ground::new().await;
    let (mirror, first) = fetched(&ground).await;
    ground.write("src/a.txt", "one\ntwo\n");
    ground.in_clone("git commit -qam two && git push -q origin main").await;
    let (_, second) = fetched(&ground).await;
    assert_eq!(second.as_str(), ground.in_clone("git rev-parse HEAD").await);
    assert!(mirror.is_ancestor(&first, &second).await.unwrap());
    assert!(!mirror.is_ancestor(&second, &first).await.unwrap());
    assert_eq!(mirror.commits_between(&first, &second).await.unwrap(), 1);
    let kept = server::shell(mirror.path(), &format!("grep -rl -e {} -e 127.0.0.1 .", server::TOKEN)).await;
    assert_eq!(String::from_utf8(kept.stdout).unwrap(), "");
}

#[tokio::test]
async fn a_commit_that_is_here_costs_no_request() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let before = ground.faults.requests.load(Ordering::Relaxed);
    mirror.fetch_commit(&ground.remote(), &main).await.unwrap();
    assert_eq!(ground.faults.requests.load(Ordering::Relaxed), before);
    let other = ground.in_clone("git commit -q --allow-empty -m x && git push -q origin HEAD:refs/pull/1/head && git rev-parse HEAD").await;
    let other: HeadSha = other.parse().unwrap();
    assert!(!mirror.has_commit(&other).await.unwrap());
    mirror.fetch_commit(&ground.remote(), &other).await.unwrap();
    assert!(mirror.has_commit(&other).await.unwrap());
}

#[tokio::test]
async fn what_a_killed_process_left_is_repaired() {
    let ground = Ground::new().await;
    let data = ground.directory.path().join("data/mirrors");
    std::fs::create_dir_all(data.join(format!("{REPOSITORY}.git/objects"))).unwrap();
    std::fs::create_dir_all(data.join(format!("{REPOSITORY}.git.new-1"))).unwrap();
    std::fs::create_dir_all(data.join(format!("{REPOSITORY}.new-1"))).unwrap();
    std::fs::write(data.join(format!("{REPOSITORY}.git/HEAD")), "").unwrap();
    let (mirror, _) = fetched(&ground).await;
    assert!(!data.join(format!("{REPOSITORY}.new-1")).exists());
    // A lock of a fetch that was killed, and a pack that it never finished.
    std::fs::create_dir_all(mirror.path().join("refs/heads")).unwrap();
    std::fs::write(mirror.path().join("refs/heads/main.lock"), "").unwrap();
    std::fs::write(mirror.path().join("objects/pack/tmp_pack_x"), "half").unwrap();
    ground.in_clone("git commit -q --allow-empty -m x && git push -q origin main").await;
    fetched(&ground).await;
    assert!(!mirror.path().join("objects/pack/tmp_pack_x").exists());
}

#[tokio::test]
async fn a_branch_that_takes_the_place_of_a_deleted_one_is_fetched() {
    let ground = Ground::new().await;
    ground.in_clone("git push -q origin HEAD:a").await;
    let (mirror, main) = fetched(&ground).await;
    mirror.fetch(&ground.remote(), &[branch("a")]).await.unwrap();
    ground.in_clone("git push -q origin :a && git push -q origin HEAD:a/b").await;
    mirror.fetch(&ground.remote(), &[branch("a/b")]).await.unwrap();
    assert_eq!(mirror.branch(&branch("a/b")).await.unwrap(), Some(main));
}

#[tokio::test]
async fn a_damaged_mirror_is_fetched_anew() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let wrecked =
        server::shell(mirror.path(), "find objects -type f | while read f; do chmod u+w $f; : > $f; done")
            .await;
    assert!(wrecked.succeeded());
    ground.in_clone("git commit -q --allow-empty -m x && git push -q origin main").await;
    let (mirror, _) = fetched(&ground).await;
    assert!(mirror.read_blob(&main, "README.md", 100).await.unwrap().is_some());
}

#[tokio::test]
async fn failures_of_the_server_say_what_to_do_next() {
    let ground = Ground::new().await;
    let mirror = ground.git().await.mirror(REPOSITORY).await.unwrap();
    let main = [branch("main")];
    let stale = ground.remote_with("ghs_000000000000000000000000000000000000");
    let refused = mirror.fetch(&stale, &main).await.unwrap_err();
    assert!(matches!(refused, GitError::AuthenticationFailed { .. }), "{refused:?}");
    let missing = mirror.fetch(&ground.remote(), &[branch("nowhere")]).await.unwrap_err();
    assert!(matches!(missing, GitError::NotFound { .. }), "{missing:?}");
    let nobody = Remote::new("http://127.0.0.1:1/o/r.git", None).unwrap();
    let unreachable = mirror.fetch(&nobody, &main).await.unwrap_err();
    assert!(matches!(unreachable, GitError::Unavailable { .. }), "{unreachable:?}");
    for (status, fits) in [
        (
            StatusCode::BAD_GATEWAY,
            (|error| matches!(error, GitError::Unavailable { .. })) as fn(&GitError) -> bool,
        ),
        (StatusCode::TOO_MANY_REQUESTS, |error| matches!(error, GitError::Unavailable { .. })),
        (StatusCode::FORBIDDEN, |error| matches!(error, GitError::AuthenticationFailed { .. })),
        (StatusCode::NOT_FOUND, |error| matches!(error, GitError::NotFound { .. })),
    ] {
        *ground.faults.status.lock().unwrap() = Some(status);
        let error = mirror.fetch(&ground.remote(), &main).await.unwrap_err();
        assert!(fits(&error), "{status}: {error:?}");
        assert!(!format!("{error} {error:?}").contains(server::TOKEN));
    }
}

#[tokio::test]
async fn the_same_request_makes_the_same_commit_with_bot_and_co_authors() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let one = committed(&mirror, &main, "one", "b.txt").await;
    let two = committed(&mirror, &main, "two", "b.txt").await;
    assert_eq!(one, two);
    let shown =
        server::shell(mirror.path(), &format!("git log -1 --format='%an|%ae|%cn|%ct|%B' {one}")).await;
    assert_eq!(
        String::from_utf8(shown.stdout).unwrap().trim(),
        "pairbot[bot]|42+pairbot[bot]@users.noreply.github.com|pairbot[bot]|1700000000|Add a file\n\n\
         Because it was missing.\n\nCo-authored-by: ann <7+ann@users.noreply.github.com>\n\
         Co-authored-by: EveCo-authored-by: X x@x <e@e>"
    );
}

#[tokio::test]
async fn a_push_moves_a_branch_only_from_where_it_is_expected() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let ours = committed(&mirror, &main, "ours", "b.txt").await;
    let work = branch("pairbot/issue-7");
    let remote = ground.remote();
    assert_eq!(mirror.push(&remote, &work, &ours, None).await.unwrap(), Pushed::Moved);
    assert_eq!(mirror.push(&remote, &work, &ours, None).await.unwrap(), Pushed::AlreadyThere);
    assert_eq!(mirror.remote_branch(&remote, &work).await.unwrap(), Some(ours.clone()));
    assert_eq!(mirror.remote_branch(&remote, &branch("issue-7")).await.unwrap(), None);
    // A person pushes; what we knew is stale, and their commit must survive.
    let theirs = ground
        .in_clone("git fetch -q origin pairbot/issue-7 && git checkout -q FETCH_HEAD && git commit -q --allow-empty -m mine && git push -q origin HEAD:pairbot/issue-7 && git rev-parse HEAD")
        .await;
    let next = committed(&mirror, &ours, "next", "c.txt").await;
    let moved = mirror.push(&remote, &work, &next, Some(&ours)).await.unwrap_err();
    assert!(
        matches!(&moved, GitError::HeadMoved { actual: Some(actual), .. } if actual.as_str() == theirs),
        "{moved:?}"
    );
    let created = mirror.push(&remote, &work, &next, None).await.unwrap_err();
    assert!(matches!(created, GitError::HeadMoved { .. }), "{created:?}");
    assert_eq!(mirror.remote_branch(&remote, &work).await.unwrap().unwrap().as_str(), theirs);
}

#[tokio::test]
async fn a_push_whose_answer_was_lost_is_found_to_have_happened() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let ours = committed(&mirror, &main, "ours", "b.txt").await;
    ground.faults.lose_push_answers.store(true, Ordering::Relaxed);
    let pushed = mirror.push(&ground.remote(), &branch("work"), &ours, None).await.unwrap();
    assert_eq!(pushed, Pushed::AlreadyThere);
    *ground.faults.status.lock().unwrap() = Some(StatusCode::BAD_GATEWAY);
    let unclear = mirror.push(&ground.remote(), &branch("work"), &main, Some(&ours)).await.unwrap_err();
    assert!(matches!(unclear, GitError::Unavailable { .. }), "{unclear:?}");
}

#[tokio::test]
async fn a_refusal_by_the_server_is_told_with_its_reason() {
    let ground = Ground::new().await;
    let (mirror, main) = fetched(&ground).await;
    let hook = ground.served().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho 'error: GH006: Protected branch update failed' >&2\nexit 1\n")
        .unwrap();
    assert!(
        server::shell(ground.directory.path(), "chmod +x served/o/r.git/hooks/pre-receive").await.succeeded()
    );
    let ours = committed(&mirror, &main, "ours", "b.txt").await;
    let refused = mirror.push(&ground.remote(), &branch("work"), &ours, None).await.unwrap_err();
    assert!(
        matches!(&refused, GitError::PushRefused { kind: PushRefusal::ProtectedBranch, message } if message.contains("GH006")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_diff_of_commits_tells_every_kind_of_change_and_hides_nothing() {
    let ground = Ground::new().await;
    let lines = (1..=40).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n") + "\n";
    ground.write("long.txt", &lines);
    ground.write("moved.txt", &lines.replace("line", "row"));
    ground.write("tür \"x\".txt", "x\n");
    ground.in_clone("git add -A && git commit -qm base && git push -q origin main").await;
    let (_, old) = fetched(&ground).await;
    ground.write("long.txt", &lines.replace("line 20\n", "line twenty\n"));
    ground.write(".gitattributes", "* -diff\n*.txt diff=evil\n");
    ground.write("tür \"x\".txt", "y");
    ground.write("big.txt", &"long line\n".repeat(1000));
    ground
        .in_clone("git mv moved.txt there.txt && git rm -q README.md && printf 'a\\0b' > pic && chmod +x src/a.txt && ln -s /etc/passwd link && git add -A && git commit -qm head && git push -q origin main")
        .await;
    let (mirror, new) = fetched(&ground).await;
    let limits = DiffLimits { file_bytes_max: 5_000, ..DiffLimits::default() };
    let base: BaseSha = old.as_str().parse().unwrap();
    let diff = mirror.pull_request_diff(&base, &new, limits).await.unwrap();
    let facts: Vec<_> = diff
        .files
        .iter()
        .map(|f| (f.path.as_str(), f.status, f.additions, f.deletions, f.binary, f.omitted))
        .collect();
    assert_eq!(
        facts,
        [
            (".gitattributes", FileStatus::Added, 2, 0, false, false),
            ("README.md", FileStatus::Deleted, 0, 1, false, false),
            ("big.txt", FileStatus::Added, 0, 0, true, false),
            ("link", FileStatus::Added, 1, 0, false, false),
            ("long.txt", FileStatus::Modified, 1, 1, false, false),
            ("pic", FileStatus::Added, 0, 0, true, false),
            ("src/a.txt", FileStatus::Modified, 0, 0, false, false),
            ("there.txt", FileStatus::Renamed, 0, 0, false, false),
            ("tür \"x\".txt", FileStatus::Modified, 1, 1, false, false),
        ]
    );
    assert_eq!(diff.file("src/a.txt").unwrap().new_mode, Some(FileMode::Executable));
    assert_eq!(diff.file("there.txt").unwrap().old_path.as_deref(), Some("moved.txt"));
    assert_eq!(diff.comment_place("long.txt", 23), Some(CommentPlace { side: Side::Right, hunk: 0 }));
    assert_eq!(diff.comment_place("long.txt", 24), None);

    let cut = mirror.diff(&old, &new, DiffLimits { bytes_max: 1_500, ..limits }).await.unwrap();
    assert!(!cut.files[0].omitted && cut.files[8].omitted, "{cut:?}");
    let many = mirror.diff(&old, &new, DiffLimits { files_max: 8, ..limits }).await.unwrap();
    assert!(many.files.iter().all(|file| file.omitted));
}

#[tokio::test]
async fn files_are_read_from_git_within_limits() {
    let ground = Ground::new().await;
    ground
        .in_clone("ln -s ../../secret src/link && git add -A && git commit -qm l && git push -q origin main")
        .await;
    let (mirror, main) = fetched(&ground).await;
    let read = async |path: &str, max| mirror.read_blob(&main, path, max).await;
    assert_eq!(read("README.md", 6).await.unwrap().unwrap().bytes, b"hello\n");
    assert!(matches!(read("README.md", 5).await, Err(GitError::TooLarge { .. })));
    assert_eq!(read("src/link", 100).await.unwrap().unwrap().kind, EntryKind::Symlink);
    for absent in ["src", "no", "*.md", "../x", "src/link/x", ""] {
        assert_eq!(read(absent, 100).await.unwrap_or(None), None, "{absent}");
    }
    let paths: Vec<_> = mirror.list_tree(&main).await.unwrap().into_iter().map(|entry| entry.path).collect();
    assert_eq!(paths, ["README.md", "src/a.txt", "src/link"]);
    let unknown: HeadSha = "1".repeat(40).parse().unwrap();
    assert!(matches!(mirror.list_tree(&unknown).await, Err(GitError::NotFound { .. })));
    let name = "at-nothing".parse().unwrap();
    let nowhere = mirror.open(&name, &unknown).await.unwrap_err();
    assert!(matches!(nowhere, GitError::NotFound { .. }), "{nowhere:?}");
}

#[tokio::test]
async fn a_merge_is_foreseen_with_its_conflicts() {
    let ground = Ground::new().await;
    let (_, start) = fetched(&ground).await;
    ground.in_clone("echo theirs > src/a.txt && git commit -qam theirs && git push -q origin main").await;
    let (mirror, main) = fetched(&ground).await;
    let apart = committed(&mirror, &start, "apart", "b.txt").await;
    let clash = {
        let opened = mirror.open(&"clash".parse().unwrap(), &start).await.unwrap();
        std::fs::write(opened.worktree.path().join("src/a.txt"), "ours\n").unwrap();
        let staged = opened.worktree.stage().await.unwrap();
        mirror.commit_tree(&request(&staged.tree, &start)).await.unwrap()
    };
    let MergeResult::Clean { tree } = mirror.merge_tree(&main, &apart).await.unwrap() else {
        panic!("conflict")
    };
    assert_eq!(mirror.read_blob(&tree, "src/a.txt", 100).await.unwrap().unwrap().bytes, b"theirs\n");
    let conflicts = mirror.merge_tree(&main, &clash).await.unwrap();
    assert_eq!(conflicts, MergeResult::Conflicts { paths: vec!["src/a.txt".to_owned()] });
    assert_eq!(mirror.merge_base(&main, &apart).await.unwrap().unwrap().as_str(), start.as_str());
    mirror.compact().await.unwrap();
    assert!(mirror.has_commit(&clash).await.unwrap(), "packing lost a commit that no branch holds");
}
