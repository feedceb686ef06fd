//! What Anthropic's API takes and refuses.

use pairbot_model_sim::{ModelSim, Provider, Reply, Script, SimConfig};
use serde_json::{Value, json};

use crate::client::{Answer, CLIENT, hear, opening, receive, request, send};

const A: Provider = Provider::Anthropic;

async fn sim() -> ModelSim {
    ModelSim::start(SimConfig::default()).await.unwrap()
}

fn user(content: &Value) -> Value {
    json!({ "role": "user", "content": content })
}

fn tool_use(id: &str) -> Value {
    json!({ "type": "tool_use", "id": id, "name": "read_file", "input": { "path": "x" } })
}

fn result(id: &str) -> Value {
    json!({ "type": "tool_result", "tool_use_id": id, "content": "text" })
}

fn assistant(blocks: &[Value]) -> Value {
    json!({ "role": "assistant", "content": blocks })
}

async fn refused(sim: &ModelSim, body: &Value, says: &str) {
    let answer = send(sim, A, body).await;
    assert_eq!(answer.status, 400, "{body}");
    assert_eq!(answer.json()["type"], "error");
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
    let messages = json!([user(&json!(opening("T", "creator", 1)))]);
    let whole = hear(A, false, &send(&sim, A, &request(A, &messages, false)).await);
    let streamed = hear(A, true, &send(&sim, A, &request(A, &messages, true)).await);
    assert_eq!(whole, streamed);
    assert_eq!((whole.text.as_str(), whole.stop.as_str()), (said, "tool_use"));
    let arguments: Vec<Value> =
        whole.calls.iter().map(|call| serde_json::from_str(&call.arguments).unwrap()).collect();
    assert_eq!(arguments, [json!({ "path": "lib/ä.awk" }), json!({ "command": "sh run-tests.sh # ü" })]);
    assert_ne!(whole.calls[0].id, whole.calls[1].id);
}

#[tokio::test]
async fn a_stream_has_the_documented_events_in_order() {
    let sim = sim().await;
    sim.add_script(Script::for_title("T").creator([vec![Reply::read_file("a").saying("Hm.")]]));
    let messages = json!([user(&json!(opening("T", "creator", 1)))]);
    let answer = send(&sim, A, &request(A, &messages, true)).await;
    let text = String::from_utf8(answer.bytes).unwrap();
    let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn a_history_with_open_calls_is_refused() {
    let sim = sim().await;
    let first = user(&json!("go"));
    let histories = [
        (json!([first, assistant(&[tool_use("t1")])]), "without `tool_result` blocks immediately after: t1"),
        (
            json!([first, assistant(&[tool_use("t1")]), user(&json!("and?"))]),
            "without `tool_result` blocks immediately after: t1",
        ),
        (
            json!([first, assistant(&[tool_use("t1"), tool_use("t2")]), user(&json!([result("t2")]))]),
            "immediately after: t1",
        ),
        (json!([user(&json!([result("t1")]))]), "unexpected `tool_use_id`"),
        (
            json!([
                first,
                assistant(&[tool_use("t1")]),
                user(&json!([result("t1")])),
                assistant(&[json!({ "type": "text", "text": "ok" })]),
                user(&json!([result("t1")])),
            ]),
            "unexpected `tool_use_id`",
        ),
        (
            json!([first, assistant(&[tool_use("t1"), tool_use("t1")]), user(&json!([result("t1")]))]),
            "must be unique",
        ),
        (
            json!([
                first,
                assistant(&[tool_use("t1")]),
                user(&json!([{ "type": "text", "text": "x" }, result("t1")])),
            ]),
            "must come first",
        ),
    ];
    for (messages, says) in histories {
        refused(&sim, &request(A, &messages, true), says).await;
    }
    let good = json!([first, assistant(&[tool_use("t1")]), user(&json!([result("t1")]))]);
    assert_eq!(send(&sim, A, &request(A, &good, true)).await.status, 200);
    let mut without_tools = request(A, &good, true);
    without_tools.as_object_mut().unwrap().remove("tools");
    refused(&sim, &without_tools, "must define tools").await;
}

#[tokio::test]
async fn a_misshapen_conversation_is_refused() {
    let sim = sim().await;
    let first = user(&json!("go"));
    let histories = [
        (json!([]), "at least one message"),
        (
            json!([assistant(&[json!({ "type": "text", "text": "hi" })])]),
            "first message must use the \"user\"",
        ),
        (json!([{ "role": "system", "content": "be kind" }]), "top-level `system`"),
        (json!([user(&json!(""))]), "non-empty content"),
        (json!([user(&json!([{ "type": "text", "text": "" }]))]), "must be non-empty"),
        (json!([user(&json!([tool_use("t1")]))]), "does not match any of the expected tags"),
        (
            json!([first, assistant(&[json!({ "type": "tool_use", "id": "t", "name": "n", "input": "x" })])]),
            "valid dictionary",
        ),
        (
            json!([
                first,
                assistant(&[json!({ "type": "tool_use", "id": "a b", "name": "n", "input": {} })])
            ]),
            "should match pattern",
        ),
    ];
    for (messages, says) in histories {
        refused(&sim, &request(A, &messages, false), says).await;
    }
}

#[tokio::test]
async fn a_misshapen_request_is_refused() {
    let sim = sim().await;
    let good = request(A, &json!([user(&json!("go"))]), false);
    let changes = [
        ("max_tokens", Value::Null, "max_tokens: Input should be greater"),
        ("max_tokens", json!(0), "max_tokens: Input should be greater"),
        ("model", json!(7), "model: "),
        ("stream_options", json!({}), "stream_options: Extra inputs are not permitted"),
        ("tools", json!([{ "name": "a b", "input_schema": { "type": "object" } }]), "tools.0.custom.name"),
        ("tools", json!([{ "name": "a" }]), "input_schema"),
        ("stream", json!("yes"), "stream: "),
        ("system", json!(7), "system: "),
        ("messages", json!("go"), "messages: "),
    ];
    for (key, value, says) in changes {
        let mut body = good.clone();
        body[key] = value;
        refused(&sim, &body, says).await;
    }
    for key in ["max_tokens", "model", "messages"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(key);
        refused(&sim, &body, &format!("{key}: Field required")).await;
    }
    refused(&sim, &json!([1]), "not a JSON object").await;
}

#[tokio::test]
async fn at_most_four_blocks_are_marked_for_the_cache() {
    let sim = sim().await;
    let block = json!({ "type": "text", "text": "x", "cache_control": { "type": "ephemeral" } });
    let four = json!([user(&json!([block, block, block, block]))]);
    assert_eq!(send(&sim, A, &request(A, &four, false)).await.status, 200);
    let mut five = request(A, &json!([user(&json!([block, block, block, block]))]), false);
    five["system"] = json!([block]);
    refused(&sim, &five, "Found 5").await;
    let wrong =
        json!([user(&json!([{ "type": "text", "text": "x", "cache_control": { "type": "forever" } }]))]);
    refused(&sim, &request(A, &wrong, false), "'ephemeral'").await;
}

async fn bare(sim: &ModelSim, headers: &[(&'static str, &str)], body: &str) -> Answer {
    let url = format!("{}/v1/messages", sim.anthropic_base_url());
    let mut request = CLIENT.post(url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    receive(request).await
}

#[tokio::test]
async fn key_and_version_are_asked_for() {
    let config = SimConfig {
        keys: Some(["right".to_owned()].into()),
        models: Some(vec!["scripted".to_owned()]),
        ..SimConfig::default()
    };
    let sim = ModelSim::start(config).await.unwrap();
    let version = ("anthropic-version", "2023-06-01");
    let body = request(A, &json!([user(&json!("go"))]), false).to_string();
    let nobody = bare(&sim, &[version], &body).await;
    assert_eq!((nobody.status, nobody.json()["error"]["type"].as_str()), (401, Some("authentication_error")));
    assert_eq!(bare(&sim, &[("x-api-key", "wrong"), version], &body).await.status, 401);
    assert_eq!(bare(&sim, &[("x-api-key", "right"), version], &body).await.status, 200);
    let old = bare(&sim, &[("x-api-key", "right")], &body).await;
    assert!(old.status == 400 && old.error().contains("anthropic-version"));
    let unknown = body.replace("\"scripted\"", "\"claude-0\"");
    let unknown = bare(&sim, &[("x-api-key", "right"), version], &unknown).await;
    assert_eq!((unknown.status, unknown.json()["error"]["type"].as_str()), (404, Some("not_found_error")));
    assert_eq!(bare(&sim, &[("x-api-key", "right"), version], "{\"model\": \u{0}").await.status, 400);
    let statuses: Vec<u16> = sim.ledger().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [401, 401, 200, 400, 404, 400]);
    assert_eq!(sim.ledger()[2].key, "right");
}

#[tokio::test]
async fn models_are_listed_in_the_words_of_who_asks() {
    let sim = sim().await;
    let url = format!("{}/v1/models", sim.anthropic_base_url());
    let client = &CLIENT;
    let anthropic = receive(client.get(&url).header("x-api-key", "key")).await.json();
    assert_eq!((&anthropic["data"][0]["type"], &anthropic["has_more"]), (&json!("model"), &json!(false)));
    let openai = receive(client.get(&url).bearer_auth("key")).await.json();
    assert_eq!((&openai["object"], &openai["data"][0]["object"]), (&json!("list"), &json!("model")));
    assert_eq!(receive(client.get(&url)).await.status, 401);
    assert_eq!(receive(client.get(format!("{url}/none/such"))).await.status, 404);
}

/// An experiment that vendors' agents ask for by a header.
#[tokio::test]
async fn system_text_between_messages_is_taken_from_who_tries_it() {
    let sim = sim().await;
    let said = json!({ "role": "system", "content": "The agents are: none." });
    let messages =
        json!([user(&json!("go")), said, assistant(&[tool_use("t1")]), user(&json!([result("t1")]))]);
    let body = request(A, &messages, false);
    refused(&sim, &body, "top-level `system`").await;
    let url = format!("{}/v1/messages", sim.anthropic_base_url());
    let trying = CLIENT.post(url).header("x-api-key", "key").header("anthropic-version", "2023-06-01");
    let trying = trying.header("anthropic-beta", "effort-2025-11-24, mid-conversation-system-2026-04-07");
    assert_eq!(receive(trying.json(&body)).await.status, 200);
}
