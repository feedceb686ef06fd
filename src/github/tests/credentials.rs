use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use pairbot_protocol::ids::{InstallationId, IssueNumber};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::script::{INSTALLATION, KEY, REPOSITORY, START, Stage, ok, status};
use crate::github::{AppCredentials, CredentialsError, GitAccess, GitHubError, Next, Outcome};

fn credentials(key: &str) -> Result<AppCredentials, CredentialsError> {
    let stage = Stage::new();
    AppCredentials::new(
        "77",
        &SecretString::from(key),
        Arc::<super::script::JumpingClock>::clone(&stage.clock),
    )
}

const ISSUE: IssueNumber = IssueNumber(3);

fn issue() -> serde_json::Value {
    json!({ "number": 3, "title": "t", "body": null, "state": "open", "user": null })
}

#[test]
fn a_proof_stays_within_githubs_bounds() {
    let proof = credentials(&KEY).unwrap().proof().unwrap();
    let payload = proof.expose_secret().split('.').nth(1).unwrap().to_owned();
    let claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let now = START.unix_ms / 1000;
    assert_eq!(claims, json!({ "iat": now - 60, "exp": now + 540, "iss": "77" }));
}

#[test]
fn a_key_is_taken_with_escaped_line_breaks_and_in_base64() {
    assert!(credentials(&KEY.replace('\n', "\\n")).is_ok());
    assert!(credentials(&format!("\"{}\"", KEY.trim().replace('\n', "\\n"))).is_ok());
    assert!(credentials(&STANDARD.encode(&*KEY)).is_ok());
    let pkcs8 = pairbot_github_sim::AppKey::generate().unwrap().private_pem;
    assert!(credentials(&pkcs8).is_ok());
}

#[test]
fn a_wrong_key_is_refused_in_words_that_do_not_show_it() {
    let header = "-----BEGIN RSA PRIVATE KEY-----";
    let one_line = KEY.replace('\n', " ");
    for wrong in ["", "hello!", &STANDARD.encode("hello"), &one_line, &format!("{header}\nMIIB\n{header}")] {
        let error = credentials(wrong).unwrap_err().to_string();
        assert!(error.starts_with("the private key is "), "{error}");
        assert!(!error.contains("MII") && !error.contains("hello"), "{error}");
    }
    assert!(matches!(credentials("x"), Err(CredentialsError::NotPem { .. })));
}

#[test]
fn nothing_secret_is_shown_for_debugging() {
    let stage = Stage::new();
    let shown = format!("{:?}", stage.github);
    assert!(!shown.contains("PRIVATE KEY") && !shown.contains("MII"), "{shown}");
}

#[tokio::test]
async fn a_token_is_minted_once_for_all_who_need_it_at_the_same_time() {
    let stage = Stage::new();
    stage.script.always("GET /repos/octo/hello/issues/3", ok(&issue()));
    let repository = stage.repository();
    repository.full_name().await.unwrap();
    stage.clock.advance_ms(3_600_000);
    repository.full_name().await.unwrap();
    let minted = stage.script.all("/access_tokens").len();
    assert_eq!(minted, 2, "one before the hour, one after");
    stage.clock.advance_ms(3_600_000);
    let all = join_all((0..20).map(|_| repository.issue(ISSUE))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(stage.script.all("/access_tokens").len(), minted + 1);
}

#[tokio::test]
async fn a_token_is_renewed_five_minutes_before_it_ends() {
    let stage = Stage::new();
    stage.script.always("GET /repos/octo/hello/issues/3", ok(&issue()));
    let repository = stage.repository();
    repository.issue(ISSUE).await.unwrap();
    stage.clock.advance_ms(54 * 60_000);
    repository.issue(ISSUE).await.unwrap();
    assert_eq!(stage.script.all("/access_tokens").len(), 1);
    stage.clock.advance_ms(60_000);
    repository.issue(ISSUE).await.unwrap();
    assert_eq!(stage.script.all("/access_tokens").len(), 2);
}

#[tokio::test]
async fn a_token_refused_before_its_time_is_replaced_and_the_request_repeated() {
    let stage = Stage::new();
    stage.script.on("GET /repos/octo/hello/issues/3", status(401, &json!({ "message": "Bad credentials" })));
    stage.script.on("GET /repos/octo/hello/issues/3", ok(&issue()));
    assert!(stage.repository().issue(ISSUE).await.is_ok());
    let tokens: Vec<_> =
        stage.script.seen().iter().map(|seen| seen.header("authorization").to_owned()).collect();
    assert_eq!(tokens, ["Bearer ghs_1_token0", "Bearer ghs_1_token1"]);
}

#[tokio::test]
async fn a_second_refusal_is_an_error() {
    let stage = Stage::new();
    stage
        .script
        .always("GET /repos/octo/hello/issues/3", status(401, &json!({ "message": "Bad credentials" })));
    let error = stage.repository().issue(ISSUE).await.unwrap_err();
    assert!(matches!(error, GitHubError::Unauthorized { .. }), "{error}");
    assert_eq!(stage.script.seen().len(), 2);
}

#[tokio::test]
async fn a_token_for_git_is_good_for_one_repository_only() {
    let stage = Stage::new();
    let repository = stage.repository();
    let token = repository.git_token(GitAccess::Push).await.unwrap();
    let again = repository.git_token(GitAccess::Push).await.unwrap();
    assert_eq!(token.expose_secret(), again.expose_secret());
    let asked = stage.script.all("/access_tokens");
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].body,
        json!({ "repository_ids": [REPOSITORY], "permissions": { "contents": "write" } })
    );
    repository.refuse_git_token(GitAccess::Push, &token).await;
    let fresh = repository.git_token(GitAccess::Push).await.unwrap();
    assert_ne!(token.expose_secret(), fresh.expose_secret());
    repository.git_token(GitAccess::Fetch).await.unwrap();
    assert_eq!(stage.script.all("/access_tokens")[2].body["permissions"], json!({ "contents": "read" }));
}

#[tokio::test]
async fn an_app_that_is_not_installed_there_is_told_apart_from_a_wrong_key() {
    let stage = Stage::new();
    let path = format!("POST /app/installations/{INSTALLATION}/access_tokens");
    stage.script.on(&path, status(404, &json!({ "message": "Not Found" })));
    let error = stage.repository().issue(ISSUE).await.unwrap_err();
    assert!(matches!(error, GitHubError::NotFound { .. }), "{error}");
    stage.script.on(&path, status(401, &json!({ "message": "A JSON web token could not be decoded" })));
    let error = stage.repository().issue(ISSUE).await.unwrap_err();
    assert!(matches!(error, GitHubError::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn an_unreadable_token_is_not_quoted() {
    let stage = Stage::new();
    let other = stage.github.repository(InstallationId(2), REPOSITORY);
    let body = json!({ "token": 42, "secret": "ghs_secret", "expires_at": "2026" });
    stage.script.on("POST /app/installations/2/access_tokens", status(201, &body));
    let error = other.issue(ISSUE).await.unwrap_err();
    assert!(!error.to_string().contains("42"), "{error}");
    assert_eq!(error.next(), Next::Retry);
    assert!(matches!(error, GitHubError::Malformed { outcome: Outcome::NotApplied, .. }));
}
