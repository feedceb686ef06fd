//! What goes wrong on demand.

use pairbot_model_sim::{Fault, ModelSim, Provider, Reply, Script, SimConfig, When};
use serde_json::{Value, json};

use crate::client::{Answer, hear, opening, request, send};

const BOTH: [Provider; 2] = [Provider::Anthropic, Provider::OpenAi];

async fn sim() -> ModelSim {
    let sim = ModelSim::start(SimConfig::default()).await.unwrap();
    let steps = vec![
        Reply::write_file("a.txt", &"a line of text\n".repeat(40)).saying("I write."),
        Reply::hand_in("Done", "Written.", []),
    ];
    sim.add_script(Script::for_title("T").creator([steps]));
    sim
}

fn first() -> Value {
    json!([{ "role": "user", "content": opening("T", "creator", 1) }])
}

async fn ask(sim: &ModelSim, provider: Provider, streamed: bool) -> Answer {
    send(sim, provider, &request(provider, &first(), streamed)).await
}

#[tokio::test]
async fn an_error_status_hits_the_named_call_and_costs_nothing() {
    for provider in BOTH {
        let sim = sim().await;
        sim.inject(When::next_call().creator().nth(2), Fault::rate_limited(7));
        sim.inject(When::next_call().reviewer("correctness"), Fault::status(500));
        sim.inject(When::next_call().round(1).turn(0).nth(3), Fault::status(529));
        assert_eq!(ask(&sim, provider, true).await.status, 200);
        let limited = ask(&sim, provider, true).await;
        assert_eq!((limited.status, limited.retry_after.as_deref()), (429, Some("7")));
        assert!(limited.json()["error"]["type"].is_string());
        assert_eq!(ask(&sim, provider, true).await.status, 529);
        assert_eq!(ask(&sim, provider, true).await.status, 200);
        assert_eq!(sim.faults_waiting(), 1);
        let billed: Vec<bool> = sim.ledger().iter().map(|call| call.usage.output_tokens > 0).collect();
        assert_eq!(billed, [true, false, false, true]);
    }
}

#[tokio::test]
async fn a_cut_leaves_half_a_tool_call() {
    for provider in BOTH {
        let sim = sim().await;
        sim.inject(When::next_call().times(2), Fault::Cut);
        let streamed = ask(&sim, provider, true).await;
        assert!(streamed.broken && streamed.status == 200);
        let text = String::from_utf8_lossy(&streamed.bytes).into_owned();
        assert!(!text.contains("message_stop") && !text.contains("[DONE]"));
        assert!(ask(&sim, provider, false).await.broken);
        assert!(!ask(&sim, provider, false).await.broken);
        assert!(sim.ledger().iter().all(|call| call.usage.output_tokens > 0));
    }
}

#[tokio::test]
async fn an_error_arrives_inside_a_good_stream() {
    let sim = sim().await;
    sim.inject(When::next_call().times(3), Fault::ErrorInStream);
    let answer = ask(&sim, Provider::Anthropic, true).await;
    assert_eq!((answer.status, answer.broken), (200, false));
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    assert!(text.contains("input_json_delta") && text.contains("event: error\n"));
    let last = answer.events().pop().unwrap();
    assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!("overloaded_error")));
    let answer = ask(&sim, Provider::OpenAi, true).await;
    assert_eq!(answer.events().pop().unwrap()["error"]["type"], "server_error");
    assert_eq!(ask(&sim, Provider::Anthropic, false).await.status, 529);
}

/// A hang has no end to wait for: it is shown by the answer to a later call that overtakes it.
#[tokio::test]
async fn a_hanging_call_holds_up_no_other() {
    for fault in [Fault::Hang, Fault::HangInStream] {
        let sim = sim().await;
        sim.inject(When::next_call(), fault.clone());
        let hanging = ask(&sim, Provider::Anthropic, true);
        tokio::pin!(hanging);
        loop {
            tokio::select! {
                biased;
                answer = &mut hanging => panic!("{} ended: {answer:?}", fault.name()),
                () = tokio::task::yield_now() => {}
            }
            if sim.ledger().len() == 1 {
                break;
            }
        }
        tokio::select! {
            answer = &mut hanging => panic!("{} ended: {answer:?}", fault.name()),
            answer = ask(&sim, Provider::Anthropic, true) => assert_eq!(answer.status, 200),
        }
    }
}

#[tokio::test]
async fn stops_have_the_providers_words() {
    let words = [
        (Fault::Refusal, "refusal", "stop"),
        (Fault::MaxTokens, "max_tokens", "length"),
        (Fault::PauseTurn, "pause_turn", "stop"),
        (Fault::MalformedToolJson, "tool_use", "tool_calls"),
        (Fault::VeryLong { bytes: 9_000 }, "end_turn", "stop"),
        (Fault::VeryLong { bytes: 90_000 }, "max_tokens", "length"),
    ];
    for (fault, anthropic, openai) in words {
        for (provider, word) in [(Provider::Anthropic, anthropic), (Provider::OpenAi, openai)] {
            for streamed in [true, false] {
                let sim = sim().await;
                sim.inject(When::next_call(), fault.clone());
                let heard = hear(provider, streamed, &ask(&sim, provider, streamed).await);
                assert_eq!(heard.stop, word, "{} {provider}", fault.name());
                if let (true, Some(call)) = (streamed, heard.calls.first()) {
                    assert!(serde_json::from_str::<Value>(&call.arguments).is_err(), "{call:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_is_a_message_of_its_own_at_openai() {
    let sim = sim().await;
    sim.inject(When::next_call().times(2), Fault::Refusal);
    let document = ask(&sim, Provider::OpenAi, false).await.json();
    assert!(document["choices"][0]["message"]["refusal"].is_string());
    assert!(document["choices"][0]["message"]["content"].is_null());
    let events = ask(&sim, Provider::OpenAi, true).await.events();
    assert!(events.iter().any(|event| event["choices"][0]["delta"]["refusal"].is_string()));
}

#[tokio::test]
async fn garbage_is_neither_json_nor_text() {
    let sim = sim().await;
    sim.inject(When::next_call(), Fault::Garbage);
    let answer = ask(&sim, Provider::Anthropic, true).await;
    assert_eq!((answer.status, answer.broken), (200, false));
    assert!(String::from_utf8(answer.bytes).is_err());
}

/// The client answers a broken-off call and asks on; the script must not skip the step that was never made.
#[tokio::test]
async fn an_interrupted_answer_is_no_step_of_the_script() {
    let sim = sim().await;
    sim.inject(When::next_call(), Fault::MaxTokens);
    let broken = hear(Provider::Anthropic, true, &ask(&sim, Provider::Anthropic, true).await);
    let kept = |blocks: Value| json!([first()[0], { "role": "assistant", "content": blocks }]);
    let call = json!({ "type": "tool_use", "id": broken.calls[0].id, "name": "write_file", "input": {} });
    let result =
        json!({ "type": "tool_result", "tool_use_id": broken.calls[0].id, "content": "Be shorter." });
    let text = json!({ "type": "text", "text": broken.text });
    let histories =
        [(kept(json!([call])), json!([result])), (kept(json!([text])), json!("Go on, and be shorter."))];
    for (mut messages, next) in histories {
        messages.as_array_mut().unwrap().push(json!({ "role": "user", "content": next }));
        let body = request(Provider::Anthropic, &messages, true);
        let heard = hear(Provider::Anthropic, true, &send(&sim, Provider::Anthropic, &body).await);
        assert_eq!(heard.calls[0].name, "write_file");
        assert!(serde_json::from_str::<Value>(&heard.calls[0].arguments).is_ok());
    }
    assert_eq!(sim.ledger().iter().map(|call| call.turn).collect::<Vec<_>>(), [0, 0, 0]);
}

#[tokio::test]
async fn a_paused_turn_goes_on_where_it_was() {
    let sim = sim().await;
    sim.inject(When::next_call(), Fault::PauseTurn);
    let paused = hear(Provider::Anthropic, true, &ask(&sim, Provider::Anthropic, true).await);
    let text = json!({ "type": "text", "text": paused.text });
    let resent = json!([first()[0], { "role": "assistant", "content": [text] }]);
    let body = request(Provider::Anthropic, &resent, true);
    let heard = hear(Provider::Anthropic, true, &send(&sim, Provider::Anthropic, &body).await);
    assert_eq!(heard.calls[0].name, "write_file");
    // The client joins both halves to one message.
    let call = json!({ "type": "tool_use", "id": heard.calls[0].id, "name": "write_file", "input": {} });
    let result = json!({ "type": "tool_result", "tool_use_id": heard.calls[0].id, "content": "ok" });
    let joined = json!([
        first()[0],
        { "role": "assistant", "content": [text, call] },
        { "role": "user", "content": [result] },
    ]);
    let body = request(Provider::Anthropic, &joined, true);
    let heard = hear(Provider::Anthropic, true, &send(&sim, Provider::Anthropic, &body).await);
    assert_eq!(heard.calls[0].name, "hand_in");
}
