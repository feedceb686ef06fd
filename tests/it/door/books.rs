//! What a door counts is what the provider counts, and what the agent hears is what the provider said.

use pairbot::gateway::{Api, CallOutcome};
use pairbot_model_sim::{Reply, Script};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::stage::{ALL, DOLLAR, KEY, Stage, ask, body, bytes, opening, path};
use super::wire;

#[tokio::test]
async fn a_door_counts_what_the_provider_counts_to_the_token() {
    let stage = Stage::with(DOLLAR).await;
    let said = "Süß: 日本語, und zwar so lang, dass es in mehr als ein Stück zerfällt. ".repeat(30);
    let reply = Reply::read_file("lib/ä.awk").saying(said);
    stage.script(Script::for_title("T").creator([vec![reply]]));
    let door = stage.door().await;
    for (api, streamed) in ALL {
        let answer = ask(&door, api, &body(api, streamed, &opening("T"), None)).await;
        assert!(answer.status == 200 && answer.whole, "{api}: {answer:?}");
        door.settled().await;
        let call = door.calls().pop().unwrap();
        let CallOutcome::Answered { usage, .. } = call.outcome else { panic!("{api}: {call:?}") };
        let billed = stage.sim.ledger().pop().unwrap().usage;
        assert_eq!(usage.output_tokens, billed.output_tokens, "{api} {streamed}");
        assert_eq!(usage.input_total(), billed.input_total(), "{api} {streamed}");
    }
    let (cost, usage) = stage.billed();
    let (budget, spent) = (stage.budget().await, door.spent());
    assert_eq!((budget.spent, budget.usage, budget.calls), (cost, usage, 8));
    assert_eq!((spent.cost, spent.usage, spent.calls, spent.under_way), (cost, usage, 8, 0));
    assert_eq!(budget.reserved.microdollars, 0);
}

/// A second turn reads the first from the provider's cache, and each API tells so in its own way.
#[tokio::test]
async fn what_is_read_from_and_written_to_a_cache_is_counted_as_such() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let long = "A long beginning. ".repeat(600);
    let marked = json!([{ "type": "text", "text": long, "cache_control": { "type": "ephemeral" } }]);
    let mut messages = body(Api::Messages, true, "first", None);
    messages["messages"] = json!([{ "role": "user", "content": marked }]);
    ask(&door, Api::Messages, &messages).await;
    let more =
        [json!({ "role": "assistant", "content": "yes" }), json!({ "role": "user", "content": marked })];
    messages["messages"].as_array_mut().unwrap().extend(more);
    ask(&door, Api::Messages, &messages).await;
    let mut chat = body(Api::Chat, true, &long, None);
    let more =
        [json!({ "role": "assistant", "content": "yes" }), json!({ "role": "user", "content": "and?" })];
    chat["messages"].as_array_mut().unwrap().extend(more);
    ask(&door, Api::Chat, &chat).await;
    let mut responses = body(Api::Responses, true, &long, None);
    let more =
        [json!({ "role": "assistant", "content": "yes" }), json!({ "role": "user", "content": "and?" })];
    responses["input"].as_array_mut().unwrap().extend(more);
    ask(&door, Api::Responses, &responses).await;
    let mut gemini = body(Api::StreamGenerate, true, &long, None);
    let turn = |role: &str| json!({ "role": role, "parts": [{ "text": "yes" }] });
    gemini["contents"].as_array_mut().unwrap().extend([turn("model"), turn("user")]);
    ask(&door, Api::StreamGenerate, &gemini).await;
    door.settled().await;
    let (cost, usage) = stage.billed();
    assert!(usage.cache_write_tokens > 2_000 && usage.cache_read_tokens > 8_000, "{usage:?}");
    assert_eq!((door.spent().cost, door.spent().usage), (cost, usage));
}

#[tokio::test]
async fn an_answer_passes_byte_for_byte() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let client = pairbot::gateway::http_client().unwrap();
    for (api, streamed) in ALL {
        let mut asked = body(api, streamed, "go", Some(4_000));
        let answer = ask(&door, api, &asked).await;
        if (api, streamed) == (Api::Chat, true) {
            // What the door adds, so that the stream tells its cost.
            asked["stream_options"] = json!({ "include_usage": true });
        }
        let url = format!("{}{}", stage.sim.anthropic_base_url(), path(api));
        let straight =
            client.post(url).header("x-api-key", KEY).bearer_auth(KEY).header("x-goog-api-key", KEY);
        let straight = straight.header("anthropic-version", "2023-06-01").json(&asked).send().await.unwrap();
        let kind = straight.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(answer.headers["content-type"], kind);
        assert_eq!(answer.text(), straight.text().await.unwrap(), "{api} {streamed}");
    }
}

#[tokio::test]
async fn a_list_of_chunks_that_is_no_event_stream_is_counted_too() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let asked = body(Api::StreamGenerate, true, "go", None).to_string();
    let request = bytes(Api::StreamGenerate, door.token().expose_secret(), asked.as_bytes());
    let request = String::from_utf8(request).unwrap().replacen("?alt=sse", "", 1);
    let answer = wire::hear(wire::begin(door.socket(), request.as_bytes()).await).await;
    assert!(answer.json().as_array().unwrap().len() > 1);
    door.settled().await;
    assert_eq!((door.spent().cost, door.spent().usage), stage.billed());
}

#[tokio::test]
async fn counting_tokens_costs_nothing() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let counted = ask(&door, Api::CountTokens, &body(Api::CountTokens, false, "go", None)).await;
    assert_eq!(counted.status, 200, "{counted:?}");
    ask(&door, Api::Messages, &body(Api::Messages, false, "go", None)).await;
    door.settled().await;
    assert_eq!(counted.json()["input_tokens"], stage.sim.ledger()[0].usage.input_total());
    assert_eq!(door.spent().calls, 1);
}

/// All that a request says and does not have to be limited arrives as it was written.
#[tokio::test]
async fn only_the_limit_of_a_request_is_changed() {
    let stage = Stage::with(DOLLAR).await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = std::sync::Arc::clone(&seen);
    stage.script(Script::for_title("T").creator_with(move |conversation| {
        kept.lock().unwrap().push((conversation.output_tokens_max, conversation.system.clone()));
        Reply::say("fine")
    }));
    let door = stage.door().await;
    for (api, streamed) in ALL {
        for (wish, granted) in [(Some(900), 900), (Some(100_000), 8_000), (None, 8_000)] {
            let wish = if api == Api::Messages { wish.or(Some(8_000)) } else { wish };
            let answer = ask(&door, api, &body(api, streamed, &opening("T"), wish)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let (limit, system) = seen.lock().unwrap().pop().unwrap();
            assert_eq!((limit, system.as_str()), (Some(granted), "You are the creator"), "{api} {streamed}");
        }
    }
}

#[tokio::test]
async fn the_models_that_are_allowed_are_listed_in_the_words_of_who_asks() {
    let stage = Stage::with(DOLLAR).await;
    let door = stage.door().await;
    let token = door.token().expose_secret();
    for header in ["x-api-key", "authorization"] {
        let key = if header == "authorization" { format!("bearer {token}") } else { token.to_owned() };
        let request = wire::request("GET", "/v1/models", &[(header, key.as_str())], b"");
        let list: Value = wire::hear(wire::begin(door.socket(), &request).await).await.json();
        assert_eq!(list["data"][0]["id"], "scripted", "{list}");
        assert_eq!(list.get("object").is_some(), header == "authorization");
    }
}
