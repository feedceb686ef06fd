use pairbot_protocol::effect::Reaction;
use pairbot_protocol::ids::{IssueNumber, PullRequestNumber, TaskId};
use serde_json::{Value, json};

use super::script::{REPOSITORY, Reply, START, Stage, TestLicence, ok, status};
use crate::github::{GitHubError, Licence, Next, Outcome, ReactionPlace, Unconfirmed};
use crate::ports::Clock as _;

const ISSUE: IssueNumber = IssueNumber(3);
const PATH: &str = "GET /repos/octo/hello/issues/3";

fn issue(title: &str) -> Value {
    json!({ "number": 3, "title": title, "body": "b", "state": "open", "labels": [{ "name": "agent:pair" }, "old"],
            "user": { "id": 1, "login": "ann", "type": "User" }, "more": { "than": ["we", "need"] } })
}

#[tokio::test]
async fn every_request_says_who_asks_and_in_which_version() {
    let stage = Stage::new();
    stage.script.on(PATH, ok(&issue("t")));
    let read = stage.repository().issue(ISSUE).await.unwrap();
    assert_eq!(read.labels, ["agent:pair", "old"]);
    let seen = stage.script.seen().remove(0);
    assert!(seen.header("user-agent").starts_with("pairbot/"));
    assert_eq!(seen.header("x-github-api-version"), "2022-11-28");
    assert_eq!(seen.header("accept"), "application/vnd.github+json");
    assert_eq!(seen.headers.get_all("x-github-api-version").iter().count(), 1);
}

#[tokio::test]
async fn an_unchanged_answer_comes_from_memory() {
    let stage = Stage::new();
    stage.script.on(PATH, ok(&issue("first")).with("etag", "W/\"1\""));
    stage.script.on(PATH, Reply::Status(304, Vec::new(), String::new()));
    stage.script.on(PATH, ok(&issue("second")).with("etag", "W/\"2\""));
    let repository = stage.repository();
    for title in ["first", "first", "second"] {
        assert_eq!(repository.issue(ISSUE).await.unwrap().title, title);
    }
    let asked: Vec<_> =
        stage.script.seen().iter().map(|seen| seen.header("if-none-match").to_owned()).collect();
    assert_eq!(asked, ["", "W/\"1\"", "W/\"1\""]);
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page_from_the_same_server() {
    let stage = Stage::at("http://127.0.0.1:1/api/v3");
    let comments = |ids: std::ops::Range<u64>| {
        ok(&ids.map(|id| json!({ "id": id, "user": null, "body": "x" })).collect::<Vec<_>>().into())
    };
    let base = "GET /api/v3/repos/octo/hello/issues/3/comments?per_page=100";
    let next = "<https://api.github.com/repositories/9/issues/3/comments?per_page=100&page=2>; rel=\"next\"";
    stage
        .script
        .on("GET /api/v3/app", ok(&json!({ "id": 77, "slug": "pairbot" })))
        .on(&format!("GET /api/v3/repositories/{REPOSITORY}"), repository("octo", "hello"))
        .on(base, comments(0..100).with("link", next))
        .on(&format!("{base}&page=2"), comments(100..130));
    let list = stage.repository().issue_comments(ISSUE).await.unwrap();
    assert_eq!(list.len(), 130);
}

fn repository(owner: &str, name: &str) -> Reply {
    ok(&json!({ "id": REPOSITORY, "name": name, "owner": { "login": owner }, "default_branch": "main" }))
}

#[tokio::test]
async fn a_renamed_repository_is_followed_and_then_called_by_its_new_name() {
    let stage = Stage::new();
    let moved = format!("https://api.github.com/repositories/{REPOSITORY}/issues/3/reactions");
    stage
        .script
        .on(&format!("GET /repositories/{REPOSITORY}"), repository("octo", "old"))
        .on(&format!("GET /repositories/{REPOSITORY}"), repository("octo", "new"))
        .on("POST /repos/octo/old/issues/3/reactions", status(307, &json!({})).with("location", &moved))
        .on(&format!("POST /repositories/{REPOSITORY}/issues/3/reactions"), status(201, &json!({ "id": 1 })))
        .on("POST /repos/octo/new/issues/3/reactions", ok(&json!({ "id": 1 })));
    let repository = stage.repository();
    for _ in 0..2 {
        repository.react(&TestLicence, ReactionPlace::Issue(ISSUE), Reaction::Seen).await.unwrap();
    }
    let seen = stage.script.all("/reactions");
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.body == json!({ "content": "eyes" })), "the body goes along");
}

#[tokio::test]
async fn no_credentials_follow_a_redirect_to_another_host() {
    let stage = Stage::new();
    stage.script.on(PATH, status(301, &json!({})).with("location", "https://evil.example/x"));
    let error = stage.repository().issue(ISSUE).await.unwrap_err();
    assert_eq!(error.next(), Next::Retry);
    assert_eq!(stage.script.lines(), [PATH]);
}

#[tokio::test]
async fn a_transferred_issue_is_not_pursued_into_the_other_repository() {
    let stage = Stage::new();
    stage.script.on(PATH, status(301, &json!({})).with("location", "/repositories/1/issues/9"));
    let error = stage.repository().issue(ISSUE).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(stage.script.lines(), [PATH]);
}

#[tokio::test]
async fn redirects_do_not_go_round_for_ever() {
    let stage = Stage::new();
    stage.script.always(PATH, status(301, &json!({})).with("location", "/repos/octo/hello/issues/3"));
    assert!(stage.repository().issue(ISSUE).await.is_err());
    assert!(stage.script.lines().len() < 5);
}

#[tokio::test]
async fn a_read_is_repeated_a_few_times_with_growing_pauses() {
    let stage = Stage::new();
    stage.script.on(PATH, status(502, &json!({ "message": "Server Error" }))).on(PATH, Reply::Broken);
    stage.script.on(PATH, ok(&issue("t")));
    assert!(stage.repository().issue(ISSUE).await.is_ok());
    let waited = stage.clock.now().ms_since(START);
    assert!((375..=1200).contains(&waited), "{waited} ms");
    stage.script.always(PATH, status(503, &json!({})));
    let error = stage.repository().issue(ISSUE).await.unwrap_err();
    assert_eq!(error.next(), Next::Retry);
    assert_eq!(stage.script.lines().len(), 6);
}

#[tokio::test]
async fn a_write_without_an_answer_is_not_repeated_blindly() {
    for reply in [Reply::Broken, Reply::Silence, status(502, &json!({})), status(504, &json!({}))] {
        let stage = Stage::new();
        stage.script.on("POST /repos/octo/hello/issues/3/reactions", reply.clone());
        let result =
            stage.repository().react(&TestLicence, ReactionPlace::Issue(ISSUE), Reaction::Accepted).await;
        let error = result.unwrap_err();
        assert!(
            matches!(error, GitHubError::Unavailable { outcome: Outcome::Unknown, .. }),
            "{reply:?}: {error}"
        );
        assert_eq!(error.next(), Next::LookThenRetry);
        assert_eq!(stage.script.seen().len(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn a_write_that_never_left_is_repeated() {
    let stage = Stage::new();
    let line = "POST /repos/octo/hello/issues/3/reactions";
    stage.script.on(line, Reply::Refused).on(line, ok(&json!({})));
    let place = ReactionPlace::Issue(ISSUE);
    assert!(stage.repository().react(&TestLicence, place, Reaction::Refused).await.is_ok());
}

#[tokio::test]
async fn a_write_whose_answer_cannot_be_read_may_have_happened() {
    let stage = Stage::new();
    stage.script.on("PATCH /repos/octo/hello/pulls/3", ok(&json!({ "id": "what" })));
    let result = stage.repository().update_pull_request(&TestLicence, PullRequestNumber(3), "t", "b").await;
    let error = result.unwrap_err();
    assert!(matches!(error, GitHubError::Malformed { .. }), "{error}");
    assert_eq!(error.next(), Next::LookThenRetry);
}

#[tokio::test]
async fn refusals_keep_their_meaning() {
    let cases = [
        (403, "Resource not accessible by integration", Next::GiveUp),
        (404, "Not Found", Next::GiveUp),
        (409, "Conflict", Next::LookThenRetry),
        (410, "Gone", Next::GiveUp),
        (422, "Validation Failed", Next::GiveUp),
        (451, "Unavailable For Legal Reasons", Next::GiveUp),
    ];
    for (code, message, next) in cases {
        let stage = Stage::new();
        let reply = status(code, &json!({ "message": message }))
            .with("x-accepted-github-permissions", "issues=write");
        stage.script.on("POST /repos/octo/hello/issues/3/reactions", reply);
        let place = ReactionPlace::Issue(ISSUE);
        let error = stage.repository().react(&TestLicence, place, Reaction::Seen).await.unwrap_err();
        assert_eq!(error.next(), next, "{error}");
        if code == 403 {
            assert!(error.to_string().contains("grant the App issues=write"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_enterprise_server_is_asked_below_its_own_paths() {
    let stage = Stage::at("http://127.0.0.1:1234/api/v3");
    stage
        .script
        .on(&format!("GET /api/v3/repositories/{REPOSITORY}"), repository("octo", "hello"))
        .on("GET /api/v3/repos/octo/hello/issues/3", ok(&issue("t")))
        .on("POST /api/graphql", ok(&json!({ "data": {} })));
    let repository = stage.repository();
    repository.issue(ISSUE).await.unwrap();
    repository.set_draft(&TestLicence, "PR_1", false).await.unwrap();
    assert_eq!(stage.script.all("/access_tokens")[0].line.split('/').nth(2), Some("v3"));
}

/// The licence of a task that another attempt carries out by now, or of which nobody knows.
struct NoLicence(Unconfirmed);

impl Licence for NoLicence {
    fn task(&self) -> TaskId {
        TaskId(1)
    }

    async fn confirm(&self) -> Result<(), Unconfirmed> {
        Err(self.0.clone())
    }
}

#[tokio::test]
async fn nothing_is_written_for_a_task_whose_lease_does_not_hold() {
    for why in [Unconfirmed::Lost, Unconfirmed::Unknown("the disk is full".to_owned())] {
        let stage = Stage::new();
        let (task, client) = (NoLicence(why.clone()), stage.repository());
        let by_rest = client.react(&task, ReactionPlace::Issue(ISSUE), Reaction::Seen).await.map(drop);
        let by_graphql = client.set_draft(&task, "PR_1", false).await;
        for refused in [by_rest, by_graphql] {
            assert!(
                matches!(&refused, Err(GitHubError::Unlicensed { why: said, .. }) if *said == why),
                "{refused:?}"
            );
        }
        assert!(stage.script.all("/reactions").is_empty() && stage.script.all("/graphql").is_empty());
    }
}
