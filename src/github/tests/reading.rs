use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pairbot_protocol::ids::{CommentId, InstallationId, PullRequestNumber, UserId};
use pairbot_protocol::signal::Permission;
use serde_json::{Value, json};

use super::script::{INSTALLATION, REPOSITORY, Reply, SHA, Stage, ok, status};
use crate::github::{GitHubError, Next};

#[tokio::test]
async fn what_a_repository_is_comes_with_the_url_git_clones() {
    let facts = Stage::new().repository().facts().await.unwrap();
    assert_eq!(facts.id, REPOSITORY);
    assert_eq!(facts.full_name.to_string(), "octo/hello");
    assert_eq!(facts.clone_url, "https://github.com/octo/hello.git");
    assert!(facts.private);
}

#[tokio::test]
async fn a_stranger_has_no_permission_and_an_error_is_no_answer() {
    let stage = Stage::new();
    let path = |login: &str| format!("GET /repos/octo/hello/collaborators/{login}/permission");
    stage
        .script
        .on(&path("ann"), ok(&json!({ "permission": "write", "role_name": "maintain" })))
        .on(&path("eve"), status(404, &json!({ "message": "eve is not a user" })))
        .on(&path("bot%5Bbot%5D"), status(403, &json!({ "message": "Must have push access" })));
    let repository = stage.repository();
    assert_eq!(repository.permission_of("ann").await, Ok(Permission::Maintain));
    assert_eq!(repository.permission_of("eve").await, Ok(Permission::None));
    let error = repository.permission_of("bot[bot]").await.unwrap_err();
    assert!(matches!(error, GitHubError::PermissionMissing { .. }));
}

#[tokio::test]
async fn a_file_is_read_whole_or_not_at_all() {
    let stage = Stage::new();
    let path = "GET /repos/octo/hello/contents/.github/pairbot.yml?ref=main";
    let file = |content: &str, size: usize| json!({ "type": "file", "size": size, "encoding": "base64", "content": content });
    let packed = STANDARD.encode("rounds: 3\n");
    let (front, back) = packed.split_at(8);
    stage.script.on(path, ok(&file(&format!("{front}\n{back}\n"), 10)));
    let repository = stage.repository();
    let read = async || repository.read_file(".github/pairbot.yml", "main", 100).await;
    assert_eq!(read().await, Ok(Some(b"rounds: 3\n".to_vec())));
    stage.script.on(path, ok(&file("", 101)));
    assert!(matches!(read().await, Err(GitHubError::TooLarge { .. })));
    stage.script.on(path, ok(&json!([{ "type": "file" }])));
    assert_eq!(read().await, Ok(None), "a directory is no file");
    stage.script.on(path, status(404, &json!({ "message": "Not Found" })));
    assert_eq!(read().await, Ok(None));
    stage.script.on(path, ok(&file("%%%", 3)));
    assert!(matches!(read().await, Err(GitHubError::Malformed { .. })));
}

#[tokio::test]
async fn a_large_file_is_read_raw_within_its_limit() {
    let stage = Stage::new();
    let path = "GET /repos/octo/hello/contents/big?ref=main";
    let large = json!({ "type": "file", "size": 50, "encoding": "none", "content": "" });
    let raw = |bytes: usize| Reply::Status(200, Vec::new(), "x".repeat(bytes));
    stage.script.on(path, ok(&large)).on(path, raw(50)).on(path, ok(&large)).on(path, raw(61));
    let repository = stage.repository();
    assert_eq!(repository.read_file("big", "main", 60).await, Ok(Some(vec![b'x'; 50])));
    assert_eq!(stage.script.seen()[1].header("accept"), "application/vnd.github.raw+json");
    assert!(matches!(repository.read_file("big", "main", 60).await, Err(GitHubError::TooLarge { .. })));
}

#[tokio::test]
async fn a_path_with_dots_leads_nowhere() {
    let repository = Stage::new().repository();
    for path in ["../../../user", "a/../../b", "./a", "", "a//b"] {
        assert_eq!(repository.read_file(path, "main", 10).await, Ok(None), "{path}");
    }
}

#[tokio::test]
async fn a_branch_that_is_gone_has_no_head() {
    let stage = Stage::new();
    let path = "GET /repos/octo/hello/git/ref/heads/pairbot/issue-7";
    stage.script.on(path, ok(&json!({ "ref": "refs/heads/pairbot/issue-7", "object": { "sha": SHA } })));
    stage.script.on(path, status(404, &json!({ "message": "Not Found" })));
    stage.script.on(path, ok(&json!({ "object": { "sha": "short" } })));
    let repository = stage.repository();
    assert_eq!(repository.branch_head("pairbot/issue-7").await, Ok(Some(SHA.parse().unwrap())));
    assert_eq!(repository.branch_head("pairbot/issue-7").await, Ok(None));
    assert_eq!(repository.branch_head("pairbot/issue-7").await.unwrap_err().next(), Next::Retry);
}

pub(super) fn pull_request(number: u64, state: &str, repository: u64) -> Value {
    json!({
        "number": number, "node_id": format!("PR_{number}"), "state": state, "draft": true, "title": "t",
        "body": null, "user": null, "merged_at": null, "mergeable": null,
        "head": { "sha": SHA, "ref": "pairbot/issue-7", "repo": { "id": repository } },
        "base": { "sha": SHA, "ref": "main", "repo": { "id": REPOSITORY } },
    })
}

#[tokio::test]
async fn the_open_pull_request_of_a_branch_is_found_before_a_newer_closed_one() {
    let stage = Stage::new();
    let path = "GET /repos/octo/hello/pulls?head=octo:pairbot/issue-7&state=all&sort=created&direction=desc&per_page=100";
    let fork = pull_request(9, "open", 1);
    let own = [pull_request(8, "closed", REPOSITORY.0), pull_request(6, "open", REPOSITORY.0)];
    stage.script.on(path, ok(&json!([fork, own[0], own[1], pull_request(4, "closed", REPOSITORY.0)])));
    stage.script.on(path, ok(&json!([own[0], pull_request(4, "closed", REPOSITORY.0)])));
    stage.script.on(path, ok(&json!([fork])));
    let repository = stage.repository();
    let numbers = async || {
        let found = repository.find_pull_request("pairbot/issue-7").await.unwrap();
        found.map(|found| found.number.0)
    };
    assert_eq!(numbers().await, Some(6));
    assert_eq!(numbers().await, Some(8));
    assert_eq!(numbers().await, None, "a branch of a fork is not ours");
}

#[tokio::test]
async fn threads_are_read_page_by_page_with_ids_of_any_size() {
    let stage = Stage::new();
    let thread = |number: u64, comment: Value| {
        json!({ "id": format!("T{number}"), "isResolved": number == 2,
                "comments": { "nodes": [{ "fullDatabaseId": comment, "body": "text" }] } })
    };
    let page = |nodes: Vec<Value>, next: Option<&str>| {
        ok(&json!({ "data": { "repository": { "pullRequest": { "reviewThreads": {
            "nodes": nodes, "pageInfo": { "hasNextPage": next.is_some(), "endCursor": next } } } } } }))
    };
    let first = vec![thread(1, json!("9007199254740993")), thread(2, json!(7))];
    stage.script.on("POST /graphql", page(first, Some("c")));
    stage.script.on("POST /graphql", page(vec![thread(3, Value::Null)], None));
    let threads = stage.repository().review_threads(PullRequestNumber(5)).await.unwrap();
    let comments: Vec<_> = threads.iter().map(|thread| thread.comment).collect();
    assert_eq!(comments, [Some(CommentId(9_007_199_254_740_993)), Some(CommentId(7)), None]);
    assert_eq!(threads.iter().map(|thread| thread.resolved).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(stage.script.all("/graphql")[1].body["variables"]["after"], "c");
}

#[tokio::test]
async fn graphql_refusals_are_errors_though_their_status_is_200() {
    let cases = [
        ("NOT_FOUND", Next::GiveUp),
        ("FORBIDDEN", Next::GiveUp),
        ("SERVICE_UNAVAILABLE", Next::Retry),
        ("undefinedField", Next::GiveUp),
    ];
    for (kind, next) in cases {
        let stage = Stage::new();
        let body = json!({ "data": null, "errors": [{ "type": kind, "message": "no" }] });
        stage.script.always("POST /graphql", ok(&body));
        let error = stage.repository().review_threads(PullRequestNumber(5)).await.unwrap_err();
        assert_eq!(error.next(), next, "{error}");
    }
    let stage = Stage::new();
    stage.script.on("POST /graphql", ok(&json!({ "errors": [{ "type": "RATE_LIMITED", "message": "x" }] })));
    let error = stage.repository().review_threads(PullRequestNumber(5)).await.unwrap_err();
    assert!(matches!(error.next(), Next::Snooze(_)));
}

#[tokio::test]
async fn the_app_knows_who_it_is_and_where_it_is_installed() {
    let stage = Stage::new();
    let identity = stage.github.app_identity().await.unwrap();
    assert_eq!((identity.app_id.0, identity.bot_login.as_str()), (77, "pairbot[bot]"));
    assert!(identity.is("Pairbot[BOT]") && !identity.is("pairbot"));
    stage.script.on("GET /users/pairbot%5Bbot%5D", ok(&json!({ "id": 4242 })));
    for _ in 0..2 {
        assert_eq!(stage.github.bot_user_id(INSTALLATION).await, Ok(UserId(4242)));
    }
    assert_eq!(stage.github.app_grants().await.unwrap().events, ["issues"]);
    let installations = json!([
        { "id": 1, "account": { "login": "octo" }, "suspended_at": null, "permissions": { "checks": "write" },
          "events": [] },
        { "id": 2, "account": { "slug": "big-co" }, "suspended_at": "2026-01-01T00:00:00Z", "permissions": {},
          "events": [] },
    ]);
    stage.script.on("GET /app/installations?per_page=100", ok(&installations));
    let installations = stage.github.installations().await.unwrap();
    let short: Vec<_> = installations.iter().map(|i| (i.id, i.account.as_str(), i.suspended)).collect();
    assert_eq!(short, [(InstallationId(1), "octo", false), (InstallationId(2), "big-co", true)]);
}
