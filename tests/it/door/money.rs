//! Promise P3: what does not fit is not sent, however many ask at once.

use std::time::Duration;

use futures_util::future::join_all;
use pairbot::gateway::{Api, CallOutcome, ModelChoice, ProviderKind};
use pairbot_model_sim::{Fault, Reply, Script, When};
use pairbot_protocol::ids::{Money, Tokens};
use serde_json::json;

use super::stage::{ALL, DOLLAR, Stage, ask, body, message, opening};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_agents_race_for_the_last_dollar_and_no_cent_more_is_spent() {
    let stage = Stage::with(DOLLAR).await;
    // Each answer is as long as it may be, so that whatever is let through is used up.
    stage.sim.inject(When::next_call().times(1_000), Fault::VeryLong { bytes: 1_000_000 });
    let doors: Vec<_> = join_all((0..50).map(|_| stage.door())).await;
    let races = doors.iter().zip(ALL.iter().cycle()).map(|(door, (api, streamed))| async {
        let mut passed = 0;
        for _ in 0..2 {
            let answer = ask(door, *api, &body(*api, *streamed, "go", Some(100_000))).await;
            match answer.status {
                200 => passed += 1,
                402 | 429 => door.refused().await,
                other => panic!("{other}: {answer:?}"),
            }
        }
        door.settled().await;
        passed
    });
    let passed: usize = join_all(races).await.into_iter().sum();
    let (billed, usage) = stage.billed();
    let budget = stage.budget().await;
    assert!(billed <= DOLLAR && budget.spent == billed, "{budget:?}, billed {billed}");
    assert_eq!((budget.usage, budget.reserved), (usage, Money::ZERO));
    assert_eq!(passed, stage.asked(), "who was refused was not sent");
    assert!(passed > 10 && passed < 100, "{passed} calls were let through");
    let spent = doors.iter().fold(Money::ZERO, |sum, door| sum.plus(door.spent().cost));
    assert_eq!(spent, billed);
    assert!(billed.plus(Money::from_cents(10)) > DOLLAR, "much was left: {billed}");
}

/// The statuses that end each vendor's agent at once, as measured.
#[tokio::test]
async fn a_call_that_does_not_fit_is_not_sent_and_ends_the_turn_in_the_apis_words() {
    let stage = Stage::with(Money::from_microdollars(3_000)).await;
    for (api, streamed) in ALL {
        let door = stage.door().await;
        let answer = ask(&door, api, &body(api, streamed, "go", None)).await;
        let error = &answer.json()["error"];
        match api {
            Api::Messages | Api::CountTokens => {
                assert_eq!((answer.status, error["type"].as_str()), (402, Some("billing_error")));
            }
            Api::Chat => {
                assert_eq!((answer.status, error["code"].as_str()), (402, Some("insufficient_quota")));
            }
            Api::Responses => {
                assert_eq!((answer.status, error["code"].as_str()), (429, Some("insufficient_quota")));
            }
            Api::Generate | Api::StreamGenerate => {
                assert_eq!((answer.status, error["code"].as_u64()), (402, Some(402)));
            }
        }
        assert_eq!(answer.headers["x-should-retry"], "false");
        assert!(message(&answer).contains("of the run's budget remain"), "{answer:?}");
        door.refused().await;
        let calls = door.calls();
        assert!(
            matches!(calls[..], [ref call] if matches!(call.outcome, CallOutcome::OverBudget { .. })),
            "{calls:?}"
        );
    }
    assert_eq!(stage.asked(), 0);
    let budget = stage.budget().await;
    assert_eq!((budget.spent, budget.reserved), (Money::ZERO, Money::ZERO));
}

#[tokio::test]
async fn output_is_limited_to_what_the_budget_pays() {
    let stage = Stage::with(Money::from_microdollars(15_000)).await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let kept = std::sync::Arc::clone(&seen);
    stage.script(Script::for_title("T").creator_with(move |conversation| {
        *kept.lock().unwrap() = conversation.output_tokens_max;
        Reply::say("fine")
    }));
    let door = stage.door().await;
    let answer = ask(&door, Api::Messages, &body(Api::Messages, true, &opening("T"), Some(8_000))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let limit = seen.lock().unwrap().unwrap();
    assert!((1_024..3_000).contains(&limit), "{limit}");
}

/// An agent that asks for a title beside its first turn must not be ended by its own reservation.
#[tokio::test]
async fn a_call_waits_for_what_its_neighbour_has_reserved_too_much() {
    let stage = Stage::with(Money::from_microdollars(30_000)).await;
    let door = stage.door().await;
    stage.way.close();
    let asked = body(Api::Messages, true, "go", Some(8_000));
    let (first, second, ()) =
        tokio::join!(ask(&door, Api::Messages, &asked), ask(&door, Api::Messages, &asked), async {
            stage.way.arrived(1).await;
            // The other does not fit beside it, and has time to find that out.
            for _ in 0..2_000 {
                tokio::task::yield_now().await;
            }
            assert_eq!(door.calls().len(), 1);
            stage.way.open();
        });
    assert_eq!((first.status, second.status), (200, 200), "{second:?}");
    door.settled().await;
    assert_eq!(door.spent().cost, stage.billed().0);
}

#[tokio::test]
async fn a_refused_agent_is_told_of_by_every_waiter() {
    let stage = Stage::with(Money::ZERO).await;
    let door = stage.door().await;
    let (one, other) = (door.refused(), door.refused());
    ask(&door, Api::Chat, &body(Api::Chat, false, "go", None)).await;
    tokio::join!(one, other);
    // It stays so.
    door.refused().await;
    assert_eq!(door.close(Duration::from_secs(1)).await.turned_away, 1);
}

#[tokio::test]
async fn a_model_without_a_price_is_let_through_where_tokens_are_counted_and_as_far() {
    let limit = Tokens(12_000);
    let stage = Stage::with_budget(DOLLAR, Some(limit)).await;
    let place = tempfile::tempdir().unwrap();
    let unknown = ModelChoice { provider: ProviderKind::Anthropic, model: "nobody-knows".to_owned() };
    let door = stage.open_door(place.path(), vec![unknown]).await.unwrap();
    stage.sim.inject(When::next_call().times(1_000), Fault::VeryLong { bytes: 8_000 });
    let mut asked = body(Api::Messages, true, "go", Some(4_000));
    asked["model"] = json!("nobody-knows");
    let mut passed = 0;
    while ask(&door, Api::Messages, &asked).await.status == 200 {
        passed += 1;
        assert!(passed < 20, "nothing limits it");
    }
    door.refused().await;
    let spent = door.spent();
    assert!(passed >= 2 && spent.usage.total() <= limit, "{passed} calls, {spent:?}");
    assert_eq!((spent.cost, spent.usage), (Money::ZERO, stage.billed().1), "of a price that nobody knows");
}
