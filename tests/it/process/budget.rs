//! `pairbot budget` on the real binary.

use pairbot::adapters::SystemClock;
use pairbot::demo::Stage;
use pairbot::ports::Clock as _;
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{SharedLimits, Store as _};
use pairbot_protocol::budget::{Amount, Limits};
use pairbot_protocol::ids::{Money, Tokens, Usage};
use serde_json::{Value, json};

use super::server::{Ended, changed, database, ended, pairbot, settings, stage};
use crate::conformance::fixtures::{claim_one, create, limit, open_run, run_of};

async fn budget(stage: &Stage, arguments: &[&str]) -> Ended {
    ended(pairbot(&[&["budget"], arguments].concat(), &settings(stage))).await
}

fn told(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

/// A run that has spent three dollars and has two more set aside for a call under way.
async fn spending(stage: &Stage) {
    let store = SqliteStore::open(database(stage)).unwrap();
    open_run(&store, 1, vec![limit(1_000), create(1)]).await;
    let lease = claim_one(&store, 0).await.lease;
    let amount = |cents, tokens| Amount { money: Money::from_cents(cents), tokens: Tokens(tokens) };
    let day = Limits { money: Some(Money::from_cents(2_000)), tokens: Some(Tokens(50_000)) };
    let limits = SharedLimits { repository_day: day, installation_month: Limits::NONE };
    let now = SystemClock.now();
    let call = store.reserve(&lease, amount(400, 9_000), &limits, "creator, round 1", now).await.unwrap();
    let usage = Usage { input_tokens: 6_000, output_tokens: 1_000, ..Usage::default() };
    store.settle(call, Money::from_cents(300), usage, "claude-sonnet-4-5").await.unwrap();
    store.reserve(&lease, amount(200, 8_000), &limits, "creator, round 1", now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_spend_together_is_told_with_its_limits_and_what_is_under_way() {
    let stage = stage().await;
    spending(&stage).await;
    let overview = told(&budget(&stage, &["--json"]).await);
    let repository = &overview["repositories"][0];
    assert_eq!((&repository["id"], &repository["name"]), (&json!(10_000_000_000_u64), &json!("octo/demo")));
    let sums = [&repository["spent_usd"], &repository["reserved_usd"], &repository["limit_usd"]];
    assert_eq!(sums, [&json!(3.0), &json!(2.0), &json!(20.0)]);
    let tokens = [&repository["spent_tokens"], &repository["reserved_tokens"], &repository["limit_tokens"]];
    assert_eq!(tokens, [&json!(7_000), &json!(8_000), &json!(50_000)]);
    let installation = &overview["installations"][0];
    assert_eq!((&installation["id"], &installation["limit_usd"]), (&json!(77), &Value::Null));
    let reservations = overview["reservations"].as_array().unwrap();
    assert_eq!(reservations.len(), 1);
    assert_eq!((&reservations[0]["usd"], &reservations[0]["run"]), (&json!(2.0), &json!("10000000000-1-1")));
    assert_eq!(overview["settings"]["repository_day"]["usd"], json!(50.0));

    let words = budget(&stage, &[]).await;
    assert_eq!(words.code, Some(0), "{words:?}");
    for part in ["octo/demo", "$3.00 of $20.00", "7,000 of 50,000", "creator, round 1", "$50.00 a repository"]
    {
        assert!(words.stdout.contains(part), "{part}: {}", words.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bill_of_one_run_names_round_agent_and_model() {
    let stage = stage().await;
    spending(&stage).await;
    let run = run_of(1).to_string();
    let bill = told(&budget(&stage, &[&run, "--json"]).await);
    assert_eq!((&bill["spent_usd"], &bill["limit_usd"]), (&json!(3.0), &json!(10.0)));
    let line = &bill["lines"][0];
    assert_eq!((&line["round"], &line["agent"]), (&json!(1), &json!("creator")));
    assert_eq!((&line["model"], &line["input_tokens"]), (&json!("claude-sonnet-4-5"), &json!(6_000)));
    assert_eq!(bill["reservations"].as_array().unwrap().len(), 1);
    let words = budget(&stage, &[&run]).await;
    assert!(words.stdout.contains("octo/demo#1: $3.00 of $10.00 spent, 7,000 tokens used"), "{words:?}");
    let unknown = budget(&stage, &["1-2-3"]).await;
    assert!(unknown.code == Some(1) && unknown.stderr.contains("there is no run 1-2-3"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_limit_is_told_before_anything_is() {
    let stage = stage().await;
    spending(&stage).await;
    let wrong = changed(&stage, "PAIRBOT_REPOSITORY_DAY_USD", "plenty");
    let refused = ended(pairbot(&["budget"], &wrong)).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("PAIRBOT_REPOSITORY_DAY_USD"), "{refused:?}");
    assert!(refused.stderr.contains("nor `none` for no limit"), "{refused:?}");
}
