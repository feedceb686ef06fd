//! Tokens: the client is told what the ledger holds.

use pairbot_model_sim::{ModelSim, Provider, Reply, Script, SimConfig};
use serde_json::json;

use crate::client::{CLIENT, hear, opening, receive, request, send};

#[tokio::test]
async fn the_client_is_told_what_it_is_billed() {
    let sim = ModelSim::start(SimConfig::default()).await.unwrap();
    let mut told = 0;
    for provider in [Provider::Anthropic, Provider::OpenAi] {
        for streamed in [false, true] {
            let messages = json!([{ "role": "user", "content": opening("Unknown", "creator", 1) }]);
            let answer = send(&sim, provider, &request(provider, &messages, streamed)).await;
            let heard = hear(provider, streamed, &answer);
            let billed = sim.ledger().pop().unwrap().usage;
            assert_eq!(
                (heard.input_tokens, heard.cached_tokens, heard.output_tokens),
                (billed.input_total(), billed.cache_read_tokens, billed.output_tokens)
            );
            told += heard.input_tokens + heard.output_tokens;
        }
    }
    assert_eq!(sim.usage().input_total() + sim.usage().output_tokens, told);
    assert_eq!(sim.ledger().iter().map(|call| call.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn an_answer_never_passes_the_limit_of_its_request() {
    let sim = ModelSim::start(SimConfig::default()).await.unwrap();
    let content = "ü".repeat(4_000);
    sim.add_script(Script::for_title("T").creator([vec![Reply::write_file("a", &content).saying("Here.")]]));
    for (provider, key, stop) in [
        (Provider::Anthropic, "max_tokens", "max_tokens"),
        (Provider::OpenAi, "max_completion_tokens", "length"),
    ] {
        let mut body =
            request(provider, &json!([{ "role": "user", "content": opening("T", "creator", 1) }]), true);
        body[key] = json!(101);
        let heard = hear(provider, true, &send(&sim, provider, &body).await);
        assert_eq!(heard.stop, stop);
        assert!(heard.output_tokens <= 101 && heard.output_tokens > 99, "{heard:?}");
        assert!(serde_json::from_str::<serde_json::Value>(&heard.calls[0].arguments).is_err());
    }
}

#[tokio::test]
async fn a_prompt_beyond_the_window_is_refused_and_free() {
    let sim = ModelSim::start(SimConfig { context_tokens_max: 500, ..SimConfig::default() }).await.unwrap();
    let messages = json!([{ "role": "user", "content": "x".repeat(3_000) }]);
    let long = send(&sim, Provider::Anthropic, &request(Provider::Anthropic, &messages, true)).await;
    assert!(long.status == 400 && long.error().starts_with("prompt is too long: "), "{long:?}");
    let long = send(&sim, Provider::OpenAi, &request(Provider::OpenAi, &messages, true)).await;
    assert_eq!(long.json()["error"]["code"], "context_length_exceeded");
    assert_eq!(sim.usage(), pairbot_model_sim::Usage::default());
}

#[tokio::test]
async fn counting_says_what_the_call_would_read_and_is_free() {
    let sim = ModelSim::start(SimConfig::default()).await.unwrap();
    let mut body = request(Provider::Anthropic, &json!([{ "role": "user", "content": "How much?" }]), false);
    let heard = hear(Provider::Anthropic, false, &send(&sim, Provider::Anthropic, &body).await);
    body.as_object_mut().unwrap().remove("max_tokens");
    let url = format!("{}/v1/messages/count_tokens", sim.anthropic_base_url());
    let request = CLIENT.post(url).header("x-api-key", "key");
    let counted = receive(request.header("anthropic-version", "2023-06-01").json(&body)).await;
    assert_eq!(counted.json()["input_tokens"], heard.input_tokens);
    assert_eq!(sim.ledger().len(), 1);
}
