//! Answers that do not come to a good end, and agents that do not wait for it. What is paid is never less than the
//! provider bills.

use std::time::Duration;

use pairbot::gateway::{Api, CallOutcome, DoorCall};
use pairbot_model_sim::{Fault, When};
use pairbot_protocol::ids::Money;
use secrecy::ExposeSecret as _;
use tokio::io::AsyncReadExt as _;

use super::stage::{ALL, DOLLAR, Stage, ask, body, bytes};
use super::wire;

async fn last(door: &pairbot::gateway::Door) -> DoorCall {
    door.settled().await;
    door.calls().pop().unwrap()
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_charged_as_much_as_it_can_have_cost() {
    for (api, streamed) in ALL {
        let stage = Stage::with(DOLLAR).await;
        stage.sim.inject(When::next_call(), Fault::Cut);
        let door = stage.door().await;
        let answer = ask(&door, api, &body(api, streamed, "go", None)).await;
        assert!(answer.status == 200 && !answer.whole, "the agent must not take half for all: {answer:?}");
        let call = last(&door).await;
        let CallOutcome::Estimated { usage, cost, .. } = call.outcome else { panic!("{call:?}") };
        let (billed, used) = stage.billed();
        assert!(cost >= billed && usage.output_tokens >= used.output_tokens, "{api}: {cost} of {billed}");
        assert_eq!((stage.budget().await.spent, stage.budget().await.reserved), (cost, Money::ZERO));
        if streamed && matches!(api, Api::Messages | Api::StreamGenerate) {
            // These tell what they read before they write.
            assert_eq!(usage.input_total(), used.input_total(), "{api}");
        }
    }
}

#[tokio::test]
async fn an_error_inside_a_good_answer_is_settled_honestly() {
    for (api, streamed) in ALL.into_iter().filter(|(_, streamed)| *streamed) {
        let stage = Stage::with(DOLLAR).await;
        stage.sim.inject(When::next_call(), Fault::ErrorInStream);
        let door = stage.door().await;
        let answer = ask(&door, api, &body(api, streamed, "go", None)).await;
        assert!(answer.whole && answer.text().contains("Overloaded"), "{answer:?}");
        let call = last(&door).await;
        assert!(matches!(call.outcome, CallOutcome::Estimated { .. }), "{call:?}");
        assert!(door.spent().cost >= stage.billed().0, "{api}");
    }
}

#[tokio::test]
async fn garbage_passes_as_it_is_and_is_charged_in_full() {
    let stage = Stage::with(DOLLAR).await;
    stage.sim.inject(When::next_call(), Fault::Garbage);
    let door = stage.door().await;
    let answer = ask(&door, Api::Messages, &body(Api::Messages, true, "go", None)).await;
    assert_eq!(answer.body.len(), 1_000);
    let call = last(&door).await;
    let CallOutcome::Estimated { usage, .. } = call.outcome else { panic!("{call:?}") };
    assert_eq!(usage.output_tokens, 4_000);
}

/// The agent is gone, but the provider writes on, and only the end of the answer says what it cost.
#[tokio::test]
async fn an_agent_that_goes_away_pays_exactly_what_its_answer_did_cost() {
    for (api, streamed) in ALL {
        let stage = Stage::with(DOLLAR).await;
        stage.sim.inject(When::next_call(), Fault::VeryLong { bytes: 30_000 });
        let door = stage.door().await;
        let asked = body(api, streamed, "go", Some(8_000)).to_string();
        let request = bytes(api, door.token().expose_secret(), asked.as_bytes());
        let mut stream = wire::begin(door.socket(), &request).await;
        stream.read_exact(&mut [0; 40]).await.unwrap();
        drop(stream);
        let call = last(&door).await;
        assert!(matches!(call.outcome, CallOutcome::Answered { .. }), "{api}: {call:?}");
        assert_eq!((door.spent().cost, door.spent().usage), stage.billed(), "{api}");
    }
}

#[tokio::test]
async fn an_agent_that_goes_away_before_the_answer_begins_pays_for_it() {
    let stage = Stage::with(DOLLAR).await;
    stage.way.close();
    let door = stage.door().await;
    let mut idle = Vec::new();
    for _ in 0..63 {
        idle.push(wire::begin(door.socket(), b"").await);
    }
    let asked = body(Api::Chat, false, "go", None).to_string();
    let stream =
        wire::begin(door.socket(), &bytes(Api::Chat, door.token().expose_secret(), asked.as_bytes())).await;
    stage.way.arrived(1).await;
    drop(stream);
    // All seats were taken: who sits down now has the seat of the one that went away.
    let next = wire::begin(door.socket(), &wire::request("GET", "/nowhere", &[], b"")).await;
    assert_eq!(wire::hear(next).await.status, 401);
    stage.way.open();
    let call = last(&door).await;
    assert!(!call.heard, "{call:?}");
    assert_eq!((door.spent().cost, door.spent().usage), stage.billed());
    assert_eq!(stage.asked(), 1);
}

#[tokio::test]
async fn an_agent_that_hears_its_answer_and_ends_before_it_is_settled_has_waited_for_it() {
    for (api, streamed) in ALL {
        let stage = Stage::with(DOLLAR).await;
        let door = stage.door().await;
        let answer = ask(&door, api, &body(api, streamed, "go", None)).await;
        assert!(answer.whole);
        door.close(Duration::from_secs(10)).await;
        let call = door.calls().pop().unwrap();
        assert!(call.heard && matches!(call.outcome, CallOutcome::Answered { .. }), "{api}: {call:?}");
    }
}

#[tokio::test]
async fn an_answer_that_outgrows_its_limit_is_cut() {
    for (api, streamed) in ALL.into_iter().filter(|(_, streamed)| *streamed) {
        let stage = Stage::with(DOLLAR).await;
        stage.sim.inject(When::next_call(), Fault::BeyondLimit { bytes: 600_000 });
        let door = stage.door().await;
        let answer = ask(&door, api, &body(api, streamed, "go", Some(2_000))).await;
        assert!(!answer.whole, "{api}");
        let text = answer.text().matches("All work").count() * 22;
        assert!(text < 60_000, "{api}: {text} bytes came through");
        let call = last(&door).await;
        let CallOutcome::Estimated { usage, reason, .. } = call.outcome else { panic!("{call:?}") };
        assert!(reason.contains("outgrew"), "{reason}");
        // The account knows what came, even beyond what was reserved.
        assert!(usage.output_tokens >= text as u64 / 4, "{api}: {usage:?} for {text} bytes");
    }
}

/// An answer may be as long as it is paid for, to the last token.
#[tokio::test]
async fn an_answer_up_to_its_limit_is_not_cut() {
    for (api, streamed) in ALL {
        let stage = Stage::with(DOLLAR).await;
        stage.sim.inject(When::next_call(), Fault::VeryLong { bytes: 600_000 });
        let door = stage.door().await;
        let answer = ask(&door, api, &body(api, streamed, "go", Some(2_000))).await;
        assert!(answer.whole, "{api}");
        last(&door).await;
        assert_eq!(door.spent().usage.output_tokens, 2_000);
    }
}

#[tokio::test]
async fn a_door_that_is_dropped_leaves_what_is_under_way_reserved() {
    let stage = Stage::with(DOLLAR).await;
    stage.sim.inject(When::next_call(), Fault::HangInStream);
    let door = stage.door().await;
    let asked = body(Api::Messages, true, "go", None).to_string();
    let request = bytes(Api::Messages, door.token().expose_secret(), asked.as_bytes());
    let mut stream = wire::begin(door.socket(), &request).await;
    stream.read_exact(&mut [0; 40]).await.unwrap();
    assert_eq!(door.spent().under_way, 1);
    let socket = door.socket().to_owned();
    drop(door);
    let _end = stream.read_to_end(&mut Vec::new()).await;
    assert!(!socket.exists());
    let budget = stage.budget().await;
    assert!(budget.reserved > Money::ZERO && budget.spent == Money::ZERO, "{budget:?}");
}
