//! Real git against the server.

use std::path::Path;
use std::process::{Command, Output};

use super::stage::{REPO, Stage};
use crate::{NewRepository, Protection};

#[expect(clippy::disallowed_methods, reason = "the test is a git client")]
fn git(directory: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "credential.helper="])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .envs(crate::git::command::environment())
        .output()
        .expect("git runs")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs git where it may block, for the server answers on this runtime.
async fn run(directory: &Path, arguments: &[&str]) -> Output {
    let directory = directory.to_owned();
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let task = tokio::task::spawn_blocking(move || {
        git(&directory, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    });
    task.await.expect("it ran")
}

fn address(stage: &Stage, token: &str, repository: &str) -> String {
    let host = stage.sim.url().strip_prefix("http://").expect("plain http");
    if token.is_empty() {
        format!("http://{host}/{repository}.git")
    } else {
        format!("http://x-access-token:{token}@{host}/{repository}.git")
    }
}

struct Clone {
    folder: tempfile::TempDir,
}

impl Clone {
    async fn of(stage: &Stage, token: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let output = run(folder.path(), &["clone", "--quiet", &address(stage, token, REPO), "."]).await;
        assert!(output.status.success(), "{}", words(&output));
        Self { folder }
    }

    async fn commit(&self, path: &str, text: &str) {
        let file = self.folder.path().join(path);
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("made");
        std::fs::write(file, text).expect("written");
        run(self.folder.path(), &["add", "-A"]).await;
        let output = run(self.folder.path(), &["commit", "--quiet", "-m", "change"]).await;
        assert!(output.status.success(), "{}", words(&output));
    }

    async fn push(&self, refspec: &str) -> Output {
        run(self.folder.path(), &["push", "--porcelain", "origin", refspec]).await
    }
}

#[tokio::test]
async fn a_push_moves_the_branch_and_the_pull_request_and_names_its_pusher() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let (pull, before) = stage.pull(&token).await;
    let clone = Clone::of(&stage, &token).await;
    run(clone.folder.path(), &["checkout", "--quiet", "work"]).await;
    clone.commit("new.txt", "new\n").await;
    let output = clone.push("HEAD:refs/heads/work").await;
    assert!(output.status.success(), "{}", words(&output));
    let seen = stage.sim.pull(REPO, pull).expect("it");
    assert_ne!(seen.head_sha, before);
    let reference = format!("refs/pull/{pull}/head");
    let fetched = run(clone.folder.path(), &["fetch", "--quiet", "origin", &reference, &before]).await;
    assert!(
        fetched.status.success(),
        "the pull request's ref and any commit are served: {}",
        words(&fetched)
    );
    let lease = format!("--force-with-lease=refs/heads/work:{before}");
    let output =
        run(clone.folder.path(), &["push", "--porcelain", &lease, "origin", "HEAD~1:refs/heads/work"]).await;
    assert!(!output.status.success(), "compare-and-set fails on a moved branch");
    let pushed = stage.sim.requests().into_iter().find(|request| request.path.ends_with("git-receive-pack"));
    assert_eq!(pushed.expect("a push").who, "pair[bot]");
}

#[tokio::test]
async fn a_public_repository_is_read_with_a_dead_token_and_a_private_one_is_not() {
    let stage = Stage::new().await;
    stage
        .sim
        .create_repository(&NewRepository::with_files("acme/secret", &[("a", "a")]).private())
        .expect("made");
    stage
        .sim
        .create_repository(&NewRepository::with_files("other/secret", &[("a", "a")]).private())
        .expect("made");
    let token = stage.token().await;
    let folder = tempfile::tempdir().expect("a folder");
    let list = async |token: &str, repository: &str| {
        run(folder.path(), &["ls-remote", &address(&stage, token, repository)]).await
    };
    assert!(list("", REPO).await.status.success());
    assert!(list("ghs_dead", REPO).await.status.success());
    assert!(list(&token, "acme/secret").await.status.success());
    assert!(!list("", "acme/secret").await.status.success());
    assert!(words(&list("ghs_dead", "acme/secret").await).contains("Authentication failed"));
    assert!(words(&list(&token, "other/secret").await).contains("not found"));
}

#[tokio::test]
async fn a_workflow_file_needs_the_workflows_permission() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let clone = Clone::of(&stage, &token).await;
    clone.commit(".github/workflows/evil.yml", "on: push\n").await;
    let output = clone.push("HEAD:refs/heads/evil").await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = "[remote rejected] (refusing to allow a GitHub App to create or update workflow \
                    `.github/workflows/evil.yml` without `workflows` permission)";
    assert!(said.contains(expected), "{said}{}", words(&output));
    assert_eq!(stage.sim.branch(REPO, "evil").expect("asked"), None);
    let person = stage.sim.personal_token("alice");
    run(clone.folder.path(), &["remote", "set-url", "origin", &address(&stage, &person, REPO)]).await;
    assert!(clone.push("HEAD:refs/heads/fine").await.status.success(), "a person may");
}

#[tokio::test]
async fn a_protected_branch_declines_a_direct_push_with_gh006() {
    let stage = Stage::new().await;
    let rules = Protection { require_pull_request: true, ..Protection::default() };
    stage.sim.protect(REPO, "main", rules).expect("protected");
    stage
        .sim
        .refuse_pushes(REPO, "refs/heads/frozen", "GH013", "Repository rule violations found")
        .expect("ruled");
    let token = stage.token().await;
    let clone = Clone::of(&stage, &token).await;
    clone.commit("x", "x").await;
    let output = clone.push("HEAD:refs/heads/main").await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), words(&output));
    assert!(said.contains("GH006: Protected branch update failed for refs/heads/main"), "{said}");
    assert!(said.contains("[remote rejected] (protected branch hook declined)"), "{said}");
    let output = clone.push("HEAD:refs/heads/frozen").await;
    assert!(words(&output).contains("GH013"), "{}", words(&output));
}

#[tokio::test]
async fn an_unsigned_push_is_declined_where_signatures_are_required() {
    let stage = Stage::new().await;
    stage.sim.require_signatures(REPO, true).expect("required");
    let token = stage.token().await;
    let clone = Clone::of(&stage, &token).await;
    clone.commit("x", "x").await;
    let output = clone.push("HEAD:refs/heads/unsigned").await;
    assert!(!output.status.success());
    assert!(words(&output).contains("Commits must have verified signatures."), "{}", words(&output));
}

#[tokio::test]
async fn a_push_needs_a_token_that_may_write() {
    let stage = Stage::new().await;
    let clone = Clone::of(&stage, "").await;
    clone.commit("x", "x").await;
    assert!(!clone.push("HEAD:refs/heads/x").await.status.success());
    let token = stage.sim.personal_token("stranger");
    run(clone.folder.path(), &["remote", "set-url", "origin", &address(&stage, &token, REPO)]).await;
    let output = clone.push("HEAD:refs/heads/x").await;
    assert!(words(&output).contains("Permission to acme/shop.git denied to stranger."), "{}", words(&output));
}

#[tokio::test]
async fn an_expired_token_cannot_push() {
    let stage = Stage::new().await;
    let token = stage.token().await;
    let clone = Clone::of(&stage, &token).await;
    clone.commit("x", "x").await;
    stage.sim.expire_installation_tokens();
    let output = clone.push("HEAD:refs/heads/x").await;
    assert!(words(&output).contains("Authentication failed"), "{}", words(&output));
}
