//! What OpenAI's API takes and refuses.

use pairbot_model_sim::{ModelSim, Provider, Reply, Script, SimConfig};
use serde_json::{Value, json};

use crate::client::{CLIENT, hear, opening, receive, request, send};

const O: Provider = Provider::OpenAi;

async fn sim() -> ModelSim {
    ModelSim::start(SimConfig::default()).await.unwrap()
}

fn user(content: &str) -> Value {
    json!({ "role": "user", "content": content })
}

fn call(id: &str) -> Value {
    let function = json!({ "name": "read_file", "arguments": "{\"path\":\"x\"}" });
    json!({ "id": id, "type": "function", "function": function })
}

fn assistant(calls: &[Value]) -> Value {
    json!({ "role": "assistant", "content": null, "tool_calls": calls })
}

fn result(id: &str) -> Value {
    json!({ "role": "tool", "tool_call_id": id, "content": "text" })
}

async fn refused(sim: &ModelSim, body: &Value, says: &str) {
    let answer = send(sim, O, body).await;
    assert_eq!(answer.status, 400, "{body}");
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    assert!(answer.error().contains(says), "{} lacks {says}", answer.error());
}

#[tokio::test]
async fn both_forms_of_an_answer_say_the_same() {
    let sim = sim().await;
    let said =
        "Süß: 日本語, und zwar so lang, dass es in mehr als ein Stück zerfällt. 日本語日本語日本語日本語";
    let reply = Reply::read_file("lib/ä.awk").saying(said).and(Reply::run_command("sh run-tests.sh # ü"));
    sim.add_script(Script::for_title("T").creator([vec![reply]]));
    let messages = json!([user(&opening("T", "creator", 1))]);
    let whole = hear(O, false, &send(&sim, O, &request(O, &messages, false)).await);
    let streamed = hear(O, true, &send(&sim, O, &request(O, &messages, true)).await);
    assert_eq!(whole, streamed);
    assert_eq!((whole.text.as_str(), whole.stop.as_str(), whole.calls.len()), (said, "tool_calls", 2));
    let arguments: Value = serde_json::from_str(&whole.calls[1].arguments).unwrap();
    assert_eq!(arguments, json!({ "command": "sh run-tests.sh # ü" }));
}

#[tokio::test]
async fn a_stream_ends_with_usage_only_where_it_was_asked_for() {
    let sim = sim().await;
    let mut body = request(O, &json!([user("go")]), true);
    let with = send(&sim, O, &body).await;
    assert!(with.bytes.ends_with(b"data: [DONE]\n\n"));
    let last = with.events().pop().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert!(last["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
    body["stream_options"] = Value::Null;
    let without = send(&sim, O, &body).await;
    assert!(without.bytes.ends_with(b"data: [DONE]\n\n"));
    assert!(
        without.events().iter().all(|event| event.get("usage").is_none() && event["choices"][0].is_object())
    );
}

#[tokio::test]
async fn a_history_with_open_calls_is_refused() {
    let sim = sim().await;
    let first = user("go");
    let open = "did not have response messages: c1";
    let histories = [
        (json!([first, assistant(&[call("c1")])]), open),
        (json!([first, assistant(&[call("c1")]), user("and?")]), open),
        (json!([first, assistant(&[call("c1"), call("c2")]), result("c2"), user("so?")]), open),
        (json!([first, result("c1")]), "must be a response to a preceeding message"),
        (json!([first, assistant(&[call("c1")]), result("c1"), result("c1")]), "must be a response"),
        (json!([first, assistant(&[])]), "empty array"),
        (json!([first, { "role": "assistant", "content": null }]), "got null"),
        (json!([{ "role": "referee", "content": "x" }]), "Supported values"),
        (json!([{ "role": "user", "content": 7 }]), "Invalid type"),
    ];
    for (messages, says) in histories {
        refused(&sim, &request(O, &messages, true), says).await;
    }
    let good =
        json!([first, assistant(&[call("c1"), call("c2")]), result("c2"), result("c1"), user("go on")]);
    assert_eq!(send(&sim, O, &request(O, &good, true)).await.status, 200);
}

#[tokio::test]
async fn a_misshapen_request_is_refused() {
    let sim = sim().await;
    let good = request(O, &json!([user("go")]), false);
    let changes = [
        ("model", Value::Null, "must provide a model"),
        ("messages", Value::Null, "Missing required parameter: 'messages'"),
        ("messages", json!([]), "empty array"),
        ("system", json!("be kind"), "Unrecognized request argument supplied: system"),
        ("stream_options", json!({ "include_usage": true }), "only allowed when 'stream' is enabled"),
        ("max_completion_tokens", json!(0), "minimum value"),
        ("max_tokens", json!(5), "at the same time"),
        ("tools", json!([{ "type": "function", "function": { "name": "a b" } }]), "does not match pattern"),
        ("tools", json!([{ "name": "flat" }]), "tools[0].function"),
    ];
    for (key, value, says) in changes {
        let mut body = good.clone();
        body[key] = value;
        refused(&sim, &body, says).await;
    }
    let mut reasoning = good.clone();
    reasoning["model"] = json!("gpt-5");
    assert_eq!(send(&sim, O, &reasoning).await.status, 200);
    reasoning.as_object_mut().unwrap().remove("max_completion_tokens");
    reasoning["max_tokens"] = json!(5);
    refused(&sim, &reasoning, "Use 'max_completion_tokens' instead").await;
}

#[tokio::test]
async fn a_key_is_asked_for() {
    let sim = ModelSim::start(SimConfig { keys: Some(["right".to_owned()].into()), ..SimConfig::default() });
    let sim = sim.await.unwrap();
    let url = format!("{}/chat/completions", sim.openai_base_url());
    let body = request(O, &json!([user("go")]), false);
    let client = &CLIENT;
    assert_eq!(receive(client.post(&url).json(&body)).await.status, 401);
    let wrong = receive(client.post(&url).bearer_auth("wrong").json(&body)).await;
    assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (401, &json!("invalid_api_key")));
    assert_eq!(receive(client.post(&url).bearer_auth("right").json(&body)).await.status, 200);
}
