use pairbot_protocol::effect::Reaction;
use pairbot_protocol::ids::{InstallationId, IssueNumber};
use serde_json::json;

use super::script::{REPOSITORY, START, Stage, TestLicence, ok, status};
use crate::github::{GitHubError, Next, ReactionPlace, RepositoryClient};
use crate::ports::Clock as _;

const ISSUE: IssueNumber = IssueNumber(3);
const READ: &str = "GET /repos/octo/hello/issues/3";
const WRITE: &str = "POST /repos/octo/hello/issues/3/reactions";

fn stage() -> Stage {
    let stage = Stage::new();
    let issue = json!({ "number": 3, "title": "t", "body": null, "state": "open", "user": null });
    stage.script.always(READ, ok(&issue)).always(WRITE, ok(&json!({})));
    stage
}

async fn write(repository: &RepositoryClient) -> Result<(), GitHubError> {
    repository.react(&TestLicence, ReactionPlace::Issue(ISSUE), Reaction::Seen).await
}

fn until(error: &GitHubError) -> u64 {
    match error.next() {
        Next::Snooze(until) => until.ms_since(START),
        next @ (Next::Retry | Next::LookThenRetry | Next::GiveUp) => panic!("{error}: {next:?}"),
    }
}

#[tokio::test]
async fn eighty_writes_a_minute_are_sent_and_then_the_caller_is_sent_away() {
    let stage = stage();
    let repository = stage.repository();
    for number in 0..80 {
        write(&repository).await.unwrap_or_else(|error| panic!("write {number}: {error}"));
    }
    let error = write(&repository).await.unwrap_err();
    assert_eq!(until(&error), 61_000);
    assert_eq!(stage.script.all("/reactions").len(), 80, "the 81st was not sent");
    assert!(repository.issue(ISSUE).await.is_ok(), "reading goes on");
    let other = stage.github.repository(InstallationId(2), REPOSITORY);
    assert!(write(&other).await.is_ok(), "another installation has a budget of its own");
    stage.clock.advance_ms(61_000);
    assert!(write(&repository).await.is_ok());
}

#[tokio::test]
async fn a_short_wait_is_waited_for() {
    let stage = stage();
    let repository = stage.repository();
    for _ in 0..80 {
        write(&repository).await.unwrap();
    }
    stage.clock.advance_ms(59_500);
    assert!(write(&repository).await.is_ok());
    assert_eq!(stage.clock.now().ms_since(START), 61_000);
}

#[tokio::test]
async fn five_hundred_writes_an_hour_are_sent() {
    let stage = stage();
    let repository = stage.repository();
    for number in 0..500 {
        if number % 80 == 0 {
            stage.clock.advance_ms(61_000);
        }
        write(&repository).await.unwrap_or_else(|error| panic!("write {number}: {error}"));
    }
    stage.clock.advance_ms(61_000);
    assert_eq!(until(&write(&repository).await.unwrap_err()), 61_000 + 3_601_000);
}

#[tokio::test]
async fn nine_hundred_points_a_minute_are_spent() {
    let stage = stage();
    let repository = stage.repository();
    write(&repository).await.unwrap();
    // 5 for the write, 1 for the repository's name; minting is the App's own.
    for number in 0..894 {
        repository.issue(ISSUE).await.unwrap_or_else(|error| panic!("read {number}: {error}"));
    }
    assert_eq!(until(&repository.issue(ISSUE).await.unwrap_err()), 61_000);
}

#[tokio::test]
async fn a_secondary_limit_is_waited_out_by_the_whole_installation() {
    let stage = stage();
    let repository = stage.repository();
    let limited = status(403, &json!({ "message": "You have exceeded a secondary rate limit" }));
    stage.script.on(WRITE, limited.clone().with("retry-after", "30"));
    assert_eq!(until(&write(&repository).await.unwrap_err()), 30_000);
    let sent = stage.script.lines().len();
    assert_eq!(until(&repository.issue(ISSUE).await.unwrap_err()), 30_000);
    assert_eq!(stage.script.lines().len(), sent, "nothing is sent meanwhile");
    let other = stage.github.repository(InstallationId(2), REPOSITORY);
    assert!(other.issue(ISSUE).await.is_ok());
    stage.clock.advance_ms(30_000);
    stage.script.on(WRITE, limited.with("retry-after", "30"));
    assert_eq!(until(&write(&repository).await.unwrap_err()), 90_000, "the second time twice as long");
    stage.clock.advance_ms(60_000);
    assert!(write(&repository).await.is_ok());
}

#[tokio::test]
async fn the_hourly_budget_is_known_before_it_is_used_up() {
    let stage = stage();
    let repository = stage.repository();
    repository.issue(ISSUE).await.unwrap();
    let reset = START.unix_ms / 1000 + 600;
    let issue = json!({ "number": 3, "title": "t", "body": null, "state": "open", "user": null });
    let last = ok(&issue).with("x-ratelimit-remaining", "0").with("x-ratelimit-reset", &reset.to_string());
    stage.script.on(READ, last);
    repository.issue(ISSUE).await.unwrap();
    let sent = stage.script.lines().len();
    assert_eq!(until(&repository.issue(ISSUE).await.unwrap_err()), 600_000);
    assert_eq!(stage.script.lines().len(), sent);
    stage.clock.advance_ms(600_000);
    assert!(repository.issue(ISSUE).await.is_ok());
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_lock_us_out() {
    let stage = stage();
    let repository = stage.repository();
    stage.clock.advance_ms(24 * 3_600_000);
    for _ in 0..80 {
        write(&repository).await.unwrap();
    }
    assert!(write(&repository).await.is_err());
    stage.clock.set_back_ms(24 * 3_600_000);
    assert!(write(&repository).await.is_ok());
}

#[tokio::test]
async fn a_missing_permission_is_not_taken_for_a_limit() {
    let stage = stage();
    stage.script.on(WRITE, status(403, &json!({ "message": "Resource not accessible by integration" })));
    let repository = stage.repository();
    assert_eq!(write(&repository).await.unwrap_err().next(), Next::GiveUp);
    assert!(write(&repository).await.is_ok());
}
