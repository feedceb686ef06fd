//! The provider's limits and troubles: passed on, and kept for all.

use std::time::Duration;

use futures_util::FutureExt as _;
use pairbot::gateway::{Api, CallOutcome};
use pairbot::ports::Clock as _;
use pairbot_model_sim::{Fault, When};
use pairbot_protocol::ids::Money;

use super::stage::{DOLLAR, Stage, ask, body, message};

#[tokio::test]
async fn a_refusal_of_the_provider_is_passed_on_and_costs_nothing() {
    for (api, status) in [
        (Api::Messages, 400),
        (Api::Messages, 404),
        (Api::Messages, 500),
        (Api::Messages, 529),
        (Api::Chat, 401),
        (Api::Chat, 503),
        (Api::Responses, 429),
        (Api::StreamGenerate, 403),
    ] {
        let stage = Stage::with(DOLLAR).await;
        stage.sim.inject(When::next_call(), Fault::status(status));
        let door = stage.door().await;
        let answer = ask(&door, api, &body(api, true, "go", None)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!message(&answer).is_empty());
        door.settled().await;
        let call = door.calls().pop().unwrap();
        assert!(
            matches!(call.outcome, CallOutcome::Rejected { status: told, .. } if told == status),
            "{call:?}"
        );
        let budget = stage.budget().await;
        assert_eq!((budget.spent, budget.reserved, budget.calls), (Money::ZERO, Money::ZERO, 0));
    }
}

#[tokio::test]
async fn who_is_asked_to_wait_long_is_told_so_at_every_door_until_then() {
    let stage = Stage::with(DOLLAR).await;
    stage.sim.inject(When::next_call(), Fault::rate_limited(300));
    let (one, other) = (stage.door().await, stage.door().await);
    let asked = body(Api::Messages, true, "go", None);
    let limited = ask(&one, Api::Messages, &asked).await;
    assert_eq!((limited.status, limited.headers["retry-after"].as_str()), (429, "300"));
    let told = ask(&other, Api::Messages, &asked).await;
    let seconds: u64 = told.headers["retry-after"].parse().unwrap();
    assert!(told.status == 429 && (300..=330).contains(&seconds), "{told:?}");
    assert_eq!(told.json()["error"]["type"], "rate_limit_error");
    assert_eq!(stage.asked(), 1);
    // Another provider asked for nothing.
    assert_eq!(ask(&other, Api::Chat, &body(Api::Chat, true, "go", None)).await.status, 200);
    stage.clock.advance(Duration::from_secs(seconds));
    assert_eq!(ask(&other, Api::Messages, &asked).await.status, 200);
}

#[tokio::test]
async fn a_short_pause_is_waited_out_by_the_next_call_of_any_door() {
    let stage = Stage::with(DOLLAR).await;
    stage.sim.inject(When::next_call(), Fault::rate_limited(7));
    let (one, other) = (stage.door().await, stage.door().await);
    let asked = body(Api::Messages, true, "go", None);
    assert_eq!(ask(&one, Api::Messages, &asked).await.status, 429);
    let begun = stage.clock.now();
    let mut waiting = Box::pin(ask(&other, Api::Messages, &asked));
    let answer = loop {
        if let Some(answer) = (&mut waiting).now_or_never() {
            break answer;
        }
        // The pause, and not the long patience with the client.
        if stage.clock.next_moment().is_some_and(|next| next.ms_since(begun) < 60_000) {
            stage.clock.advance_to_next();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(answer.status, 200);
    assert!(stage.clock.now().ms_since(begun) >= 7_000);
}

#[tokio::test]
async fn a_provider_that_keeps_failing_is_left_alone_by_all_doors() {
    let stage = Stage::with(DOLLAR).await;
    stage.sim.inject(When::next_call().times(8), Fault::status(500));
    let asked = body(Api::Responses, true, "go", None);
    for _ in 0..8 {
        assert_eq!(ask(&stage.door().await, Api::Responses, &asked).await.status, 500);
    }
    let down = ask(&stage.door().await, Api::Responses, &asked).await;
    assert_eq!((down.status, down.json()["error"]["type"].as_str()), (503, Some("server_error")));
    assert!(down.headers.contains_key("retry-after"));
    assert_eq!(stage.asked(), 8);
    stage.clock.advance(Duration::from_secs(61));
    assert_eq!(ask(&stage.door().await, Api::Responses, &asked).await.status, 200);
}

#[tokio::test]
async fn a_provider_that_falls_silent_is_not_waited_for_and_is_paid() {
    for (api, streamed, fault) in [
        (Api::Messages, true, Fault::HangInStream),
        (Api::Chat, true, Fault::Hang),
        (Api::Responses, false, Fault::Hang),
    ] {
        let stage = Stage::with(DOLLAR).await;
        stage.sim.inject(When::next_call(), fault.clone());
        let door = stage.door().await;
        let asked = body(api, streamed, "go", None);
        let (answer, ()) = tokio::join!(ask(&door, api, &asked), async {
            while stage.asked() == 0 || stage.clock.next_moment().is_none() {
                tokio::task::yield_now().await;
            }
            while door.spent().under_way > 0 {
                stage.clock.advance(Duration::from_secs(30));
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
            }
        });
        if fault == Fault::Hang {
            assert_eq!(answer.status, 504, "{answer:?}");
        } else {
            assert!(!answer.whole);
        }
        let call = door.calls().pop().unwrap();
        assert!(matches!(call.outcome, CallOutcome::Estimated { .. }), "{call:?}");
        assert!(door.spent().cost >= stage.billed().0);
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_costs_nothing() {
    let stage = Stage::with(DOLLAR).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = [(); 3].map(|()| format!("http://{free}"));
    let stage = Stage::before(stage.sim, nowhere, DOLLAR, None).await;
    let door = stage.door().await;
    let answer = ask(&door, Api::Messages, &body(Api::Messages, true, "go", None)).await;
    assert_eq!((answer.status, answer.json()["error"]["type"].as_str()), (503, Some("overloaded_error")));
    door.settled().await;
    let budget = stage.budget().await;
    assert_eq!((budget.spent, budget.reserved), (Money::ZERO, Money::ZERO));
}
