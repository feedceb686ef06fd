//! What OpenAI's Responses API takes and refuses.

use pairbot_model_sim::{Fault, ModelSim, Reply, Script, SimConfig, When};
use serde_json::{Value, json};

use crate::client::{Answer, CLIENT, opening, receive};

async fn sim() -> ModelSim {
    ModelSim::start(SimConfig::default()).await.unwrap()
}

async fn send(sim: &ModelSim, body: &Value) -> Answer {
    let url = format!("{}/responses", sim.openai_base_url());
    receive(CLIENT.post(url).bearer_auth("key").json(body)).await
}

fn request(input: &Value, streamed: bool) -> Value {
    json!({
        "model": "scripted",
        "instructions": "You are the creator",
        "input": input,
        "tools": [{ "type": "function", "name": "read_file", "parameters": { "type": "object" }, "strict": false }],
        "stream": streamed,
        "store": false,
    })
}

fn user(text: &str) -> Value {
    json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] })
}

fn call(id: &str) -> Value {
    json!({ "type": "function_call", "call_id": id, "name": "read_file", "arguments": "{\"path\":\"x\"}" })
}

fn output(id: &str) -> Value {
    json!({ "type": "function_call_output", "call_id": id, "output": "text" })
}

async fn refused(sim: &ModelSim, body: &Value, says: &str) {
    let answer = send(sim, body).await;
    assert!(matches!(answer.status, 400 | 404), "{body}");
    assert!(answer.error().contains(says), "{} lacks {says}", answer.error());
}

#[tokio::test]
async fn both_forms_of_an_answer_say_the_same() {
    let sim = sim().await;
    let said = "Süß: 日本語, so lang, dass es in mehr als ein Stück zerfällt. 日本語日本語";
    let reply = Reply::read_file("lib/ä.awk").saying(said);
    sim.add_script(Script::for_title("T").creator([vec![reply]]));
    let input = json!([user(&opening("T", "creator", 1))]);
    let whole = send(&sim, &request(&input, false)).await.json();
    let events = send(&sim, &request(&input, true)).await.events();
    for (position, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], position);
    }
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["response"]), (&json!("response.completed"), &whole));
    let joined = |kind: &str| -> String {
        let deltas = events.iter().filter(|event| event["type"] == kind);
        deltas.map(|event| event["delta"].as_str().unwrap()).collect()
    };
    assert_eq!(joined("response.output_text.delta"), said);
    assert_eq!(whole["output"][0]["content"][0]["text"], said);
    assert_eq!(
        joined("response.function_call_arguments.delta"),
        whole["output"][1]["arguments"].as_str().unwrap()
    );
    let billed = sim.ledger().pop().unwrap().usage;
    assert_eq!(whole["usage"]["input_tokens"], billed.input_total());
    assert_eq!(whole["usage"]["output_tokens"], billed.output_tokens);
}

#[tokio::test]
async fn an_answer_at_its_limit_is_incomplete_and_says_why() {
    let sim = sim().await;
    sim.inject(When::next_call(), Fault::VeryLong { bytes: 9_000 });
    let mut body = request(&json!("go"), true);
    body["max_output_tokens"] = json!(100);
    let last = send(&sim, &body).await.events().pop().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(last["response"]["usage"]["output_tokens"], 100);
}

#[tokio::test]
async fn a_history_with_open_calls_is_refused() {
    let sim = sim().await;
    let first = user("go");
    for (input, says) in [
        (json!([first, call("c1")]), "No tool output found for function call c1."),
        (json!([first, output("c1")]), "No tool call found for function call output with call_id c1."),
        (json!([first, call("c1"), output("c1"), output("c1")]), "No tool call found"),
        (json!([{ "type": "item_reference", "id": "msg_1" }]), "Item with id 'msg_1' not found."),
        (json!([]), "Missing required parameter: 'input'"),
        (json!([{ "type": "message", "role": "referee", "content": "x" }]), "Supported values"),
    ] {
        refused(&sim, &request(&input, true), says).await;
    }
    let good = json!([first, call("c1"), call("c2"), output("c2"), output("c1"), user("go on")]);
    assert_eq!(send(&sim, &request(&good, true)).await.status, 200);
}

#[tokio::test]
async fn a_misshapen_request_is_refused() {
    let sim = sim().await;
    let good = request(&json!("go"), false);
    for (key, value, says) in [
        ("messages", json!([]), "Unknown parameter: 'messages'."),
        ("model", Value::Null, "Missing required parameter: 'model'"),
        ("max_output_tokens", json!(8), "Expected a value >= 16, but got 8 instead."),
        ("tools", json!([{ "name": "x" }]), "tools[0].type"),
        ("tools", json!([{ "type": "function", "name": "a b" }]), "does not match pattern"),
    ] {
        let mut body = good.clone();
        body[key] = value;
        refused(&sim, &body, says).await;
    }
    assert_eq!(send(&sim, &good).await.status, 200);
}

#[tokio::test]
async fn an_error_arrives_inside_a_good_stream() {
    let sim = sim().await;
    sim.inject(When::next_call(), Fault::ErrorInStream);
    let events = send(&sim, &request(&json!("go"), true)).await.events();
    assert_eq!(events.last().unwrap()["type"], "error");
    assert!(events.iter().all(|event| event["type"] != "response.completed"));
}

#[tokio::test]
async fn a_tool_in_a_namespace_is_called_by_its_namespace_and_its_name() {
    let sim = sim().await;
    let reply = Reply::call("mcp__desk/hand_in", json!({ "title": "T" }));
    sim.add_script(Script::for_title("T").creator([vec![reply]]));
    let mut body = request(&json!([user(&opening("T", "creator", 1))]), false);
    let tool = json!({ "type": "function", "name": "hand_in", "parameters": { "type": "object" } });
    body["tools"] = json!([{ "type": "namespace", "name": "mcp__desk", "description": "", "tools": [tool] }]);
    let answer = send(&sim, &body).await.json();
    let called = &answer["output"][0];
    assert_eq!((&called["namespace"], &called["name"]), (&json!("mcp__desk"), &json!("hand_in")));
}
