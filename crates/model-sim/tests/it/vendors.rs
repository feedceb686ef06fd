//! What the real clients of vendors' agents send, as it was recorded from them, cut to what is unusual in it. Without
//! such an agent at hand this keeps what was learned of it: each of these conversations is understood, and the script
//! goes on at its next step.

use pairbot_model_sim::{Conversation, ModelSim, Provider, Reply, Script, SimConfig};
use serde_json::{Value, json};

use crate::client::{CLIENT, Called, hear, opening, receive, send};

/// Writes a file with whatever tool runs commands, and hands in with whatever tool does that.
fn step(conversation: &Conversation) -> Reply {
    let tool = |ends: &[&str]| {
        let mut tools = conversation.tools.iter();
        tools.find(|tool| ends.iter().any(|end| tool.ends_with(end))).cloned().unwrap()
    };
    match conversation.turn() {
        0 => Reply::call(&tool(&["bash", "shell", "shell_command"]), json!({ "command": "true" })),
        1 => Reply::call(&tool(&["hand_in"]), json!({ "title": "T" })),
        _ => Reply::say("It is done."),
    }
}

async fn sim() -> ModelSim {
    let scripts = vec![Script::for_title("Say hello").creator_with(step)];
    ModelSim::start(SimConfig { scripts, ..SimConfig::default() }).await.unwrap()
}

fn prompt() -> String {
    opening("Say hello", "creator", 1)
}

async fn anthropic(sim: &ModelSim, messages: &Value, tools: &[&str]) -> (String, Vec<Called>) {
    let tools: Vec<Value> =
        tools.iter().map(|name| json!({ "name": name, "input_schema": { "type": "object" } })).collect();
    let mut body = json!({ "model": "m", "max_tokens": 64_000, "stream": true, "messages": messages });
    if !tools.is_empty() {
        body["tools"] = json!(tools);
    }
    let heard = hear(Provider::Anthropic, true, &send(sim, Provider::Anthropic, &body).await);
    (heard.text, heard.calls)
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } })
}

fn user(blocks: &[Value]) -> Value {
    json!({ "role": "user", "content": blocks })
}

fn called(name: &str, id: &str) -> Value {
    let block = json!({ "type": "tool_use", "id": id, "name": name, "input": { "command": "true" } });
    json!({ "role": "assistant", "content": [block] })
}

fn result(id: &str) -> Value {
    json!({ "type": "tool_result", "tool_use_id": id, "content": "(no output)" })
}

/// Before anything else it asks for a title, without tools, in a message that holds the prompt.
#[tokio::test]
async fn opencode_hears_a_title_where_it_offers_no_tools_and_the_script_where_it_does() {
    let sim = sim().await;
    let title = json!([user(&[text("Generate a title for this conversation:\n"), text(&prompt())])]);
    assert_eq!(anthropic(&sim, &title, &[]).await, ("Say hello".to_owned(), vec![]));
    let tools = ["bash", "edit", "pairbot_get_task", "pairbot_hand_in", "read"];
    let first = user(&[text(&prompt())]);
    let (_, calls) = anthropic(&sim, &json!([first]), &tools).await;
    assert_eq!(calls[0].name, "bash");
    let next = json!([first, called("bash", "t1"), user(&[result("t1")])]);
    let (_, calls) = anthropic(&sim, &next, &tools).await;
    assert_eq!(calls[0].name, "pairbot_hand_in");
}

/// Given as an argument the whole prompt stands in quotes, which is why the preset gives it on standard input.
#[tokio::test]
async fn a_prompt_in_quotes_is_no_brief() {
    let sim = sim().await;
    let quoted = format!("\"{}\"", prompt());
    let (said, calls) = anthropic(&sim, &json!([user(&[text(&quoted)])]), &["bash"]).await;
    assert!(said.contains("begin with a brief") && calls.is_empty(), "{said}");
}

/// It says the time and its notes in a message of its own: behind a tool's result there are two of the user's in a row.
#[tokio::test]
async fn goose_speaks_twice_in_a_row() {
    let sim = sim().await;
    let tools = ["analyze", "shell", "pairbot__get_task", "pairbot__hand_in"];
    let note = text("<info-msg>\nIt is currently 2026-11-28 03:00:00\n</info-msg>");
    let (_, calls) = anthropic(&sim, &json!([user(&[note.clone(), text(&prompt())])]), &tools).await;
    assert_eq!(calls[0].name, "shell");
    let first = user(&[text(&prompt())]);
    let next =
        json!([first, called("shell", "t1"), user(&[result("t1")]), user(std::slice::from_ref(&note))]);
    let (_, calls) = anthropic(&sim, &next, &tools).await;
    assert_eq!(calls[0].name, "pairbot__hand_in");
    let next = json!([
        first,
        called("shell", "t1"),
        user(&[result("t1")]),
        user(&[note]),
        called("pairbot__hand_in", "t2"),
        user(&[result("t2")]),
    ]);
    assert_eq!(anthropic(&sim, &next, &tools).await, ("It is done.".to_owned(), vec![]));
}

/// It opens with a part about itself, gives back the signature of a thought with each call, and wraps what tools answer.
#[tokio::test]
async fn gemini_tells_of_itself_first_and_gives_back_signatures() {
    let sim = sim().await;
    let context = "<session_context>\nThis is the Gemini CLI. We are setting up the context for our chat.\n</session_context>";
    let first = json!({ "role": "user", "parts": [{ "text": context }, { "text": prompt() }] });
    let call = |name: &str, id: &str| {
        let call = json!({ "id": id, "name": name, "args": { "command": "true" } });
        let part = json!({ "functionCall": call, "thoughtSignature": "skip_thought_signature_validator" });
        json!({ "role": "model", "parts": [part] })
    };
    let answer = |name: &str, id: &str| {
        let output = "<untrusted_context>\nOutput: (empty)\n</untrusted_context>";
        let response = json!({ "id": id, "name": name, "response": { "output": output } });
        json!({ "role": "user", "parts": [{ "functionResponse": response }] })
    };
    let (shell, hand_in) = ("run_shell_command", "mcp_pairbot_hand_in");
    let begun = [first, call(shell, "c1"), answer(shell, "c1"), call(hand_in, "c2"), answer(hand_in, "c2")];
    for (told, expected) in [(1, shell), (3, hand_in), (5, "")] {
        let declared = ["update_topic", "run_shell_command", "mcp_pairbot_get_task", "mcp_pairbot_hand_in"]
            .map(|name| json!({ "name": name, "parametersJsonSchema": { "type": "object" } }));
        let thinking = json!({ "includeThoughts": true, "thinkingBudget": 8192 });
        let body = json!({
            "contents": begun[..told],
            "systemInstruction": { "role": "user", "parts": [{ "text": "You are Gemini CLI." }] },
            "tools": [{ "functionDeclarations": declared }],
            "generationConfig": { "temperature": 1, "topP": 0.95, "topK": 64, "thinkingConfig": thinking },
        });
        let url = format!("{}/v1beta/models/m:streamGenerateContent?alt=sse", sim.gemini_base_url());
        let answer = receive(CLIENT.post(url).header("x-goog-api-key", "key").json(&body)).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        let events = answer.events();
        let parts =
            events.iter().flat_map(|event| event["candidates"][0]["content"]["parts"].as_array().unwrap());
        let names: String = parts.filter_map(|part| part["functionCall"]["name"].as_str()).collect();
        assert_eq!(names, expected);
    }
}
