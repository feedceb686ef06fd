//! What Gemini's API takes and refuses.

use pairbot_model_sim::{Fault, ModelSim, Reply, Script, SimConfig, When};
use serde_json::{Value, json};

use crate::client::{Answer, CLIENT, opening, receive};

async fn sim() -> ModelSim {
    ModelSim::start(SimConfig::default()).await.unwrap()
}

async fn send(sim: &ModelSim, verb: &str, body: &Value) -> Answer {
    let url = format!("{}/v1beta/models/scripted:{verb}", sim.gemini_base_url());
    receive(CLIENT.post(url).header("x-goog-api-key", "key").json(body)).await
}

fn request(contents: &Value) -> Value {
    json!({
        "systemInstruction": { "parts": [{ "text": "You are the creator" }] },
        "contents": contents,
        "tools": [{ "functionDeclarations": [{ "name": "read_file", "parameters": { "type": "OBJECT" } }] }],
        "generationConfig": { "maxOutputTokens": 8192 },
    })
}

fn user(part: &Value) -> Value {
    json!({ "role": "user", "parts": [part] })
}

fn call(name: &str) -> Value {
    json!({ "role": "model", "parts": [{ "functionCall": { "name": name, "args": { "path": "x" } } }] })
}

fn response(name: &str) -> Value {
    user(&json!({ "functionResponse": { "name": name, "response": { "output": "text" } } }))
}

#[tokio::test]
async fn all_forms_of_an_answer_say_the_same() {
    let sim = sim().await;
    let said = "Süß: 日本語, so lang, dass es in mehr als ein Stück zerfällt. 日本語日本語";
    sim.add_script(Script::for_title("T").creator([vec![Reply::read_file("lib/ä.awk").saying(said)]]));
    let body = request(&json!([user(&json!({ "text": opening("T", "creator", 1) }))]));
    let whole = send(&sim, "generateContent", &body).await.json();
    let streamed = send(&sim, "streamGenerateContent?alt=sse", &body).await;
    let text = String::from_utf8(streamed.bytes.clone()).unwrap();
    assert!(text.ends_with("\r\n\r\n"));
    let listed = send(&sim, "streamGenerateContent", &body).await.json();
    for chunks in [streamed.events(), listed.as_array().unwrap().clone()] {
        let parts =
            chunks.iter().flat_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array().unwrap());
        let texts: String = parts.clone().filter_map(|part| part["text"].as_str()).collect();
        assert_eq!(texts, said);
        assert!(parts.clone().any(|part| part["functionCall"]["args"]["path"] == "lib/ä.awk"));
        let last = chunks.last().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
        assert_eq!(last["usageMetadata"], whole["usageMetadata"]);
    }
    let (billed, told) = (sim.ledger().pop().unwrap().usage, &whole["usageMetadata"]);
    assert_eq!(told["promptTokenCount"], billed.input_total());
    let output =
        told["candidatesTokenCount"].as_u64().unwrap() + told["thoughtsTokenCount"].as_u64().unwrap();
    assert_eq!(output, billed.output_tokens);
}

#[tokio::test]
async fn a_misshapen_request_is_refused() {
    let sim = sim().await;
    let first = user(&json!({ "text": "go" }));
    let mut unknown = request(&json!([first]));
    unknown["messages"] = json!([]);
    let mut limit = request(&json!([first]));
    limit["generationConfig"]["maxOutputTokens"] = json!(0);
    for (body, says) in [
        (unknown, "Unknown name \"messages\""),
        (limit, "must be positive"),
        (request(&json!([])), "contents is not specified"),
        (request(&json!([{ "role": "referee", "parts": [{ "text": "x" }] }])), "valid role"),
        (request(&json!([{ "role": "user", "parts": [] }])), "must not be empty"),
        (request(&json!([first, response("read_file")])), "immediately after a function call turn"),
        (request(&json!([first, call("read_file")])), "equal to the number of function call parts"),
    ] {
        let answer = send(&sim, "generateContent", &body).await;
        assert_eq!((answer.status, &answer.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
        assert!(answer.error().contains(says), "{} lacks {says}", answer.error());
    }
    let good = json!([first, call("read_file"), response("read_file")]);
    assert_eq!(send(&sim, "generateContent", &request(&good)).await.status, 200);
    assert_eq!(send(&sim, "countTokens", &request(&good)).await.status, 404);
}

#[tokio::test]
async fn an_error_arrives_inside_a_good_stream() {
    let sim = sim().await;
    sim.inject(When::next_call(), Fault::ErrorInStream);
    let body = request(&json!([user(&json!({ "text": "go" }))]));
    let events = send(&sim, "streamGenerateContent?alt=sse", &body).await.events();
    assert_eq!(events.last().unwrap()["error"]["status"], "UNAVAILABLE");
}
