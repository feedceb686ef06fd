//! A small client of both protocols that hides nothing.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use pairbot_model_sim::{ModelSim, Provider};
use serde_json::{Value, json};

/// What came back, as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) bytes: Vec<u8>,
    /// Whether the connection broke before the end.
    pub(crate) broken: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// The error's text, in either provider's form.
    pub(crate) fn error(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    /// The `data` lines of the event stream.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = String::from_utf8(self.bytes.clone()).unwrap();
        let data =
            text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

/// A tool call as the client understood it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Called {
    pub(crate) id: String,
    pub(crate) name: String,
    /// As text: it may be no JSON.
    pub(crate) arguments: String,
}

/// An answer put together from its pieces.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    pub(crate) text: String,
    pub(crate) calls: Vec<Called>,
    pub(crate) stop: String,
    pub(crate) input_tokens: u64,
    pub(crate) cached_tokens: u64,
    pub(crate) output_tokens: u64,
}

/// Made once, because loading the system's certificates takes long; without a pool, because a pooled connection would
/// end with the runtime of the test that opened it.
pub(crate) static CLIENT: LazyLock<reqwest::Client> =
    LazyLock::new(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap());

pub(crate) async fn send(sim: &ModelSim, provider: Provider, body: &Value) -> Answer {
    let request = match provider {
        Provider::Anthropic => CLIENT
            .post(format!("{}/v1/messages", sim.anthropic_base_url()))
            .header("x-api-key", "key")
            .header("anthropic-version", "2023-06-01"),
        Provider::OpenAi => {
            CLIENT.post(format!("{}/chat/completions", sim.openai_base_url())).bearer_auth("key")
        }
        Provider::Gemini => panic!("its tests have a client of their own"),
    };
    receive(request.json(body)).await
}

pub(crate) async fn receive(request: reqwest::RequestBuilder) -> Answer {
    let mut response = request.send().await.unwrap();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let (mut bytes, mut broken) = (Vec::new(), false);
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(_) => {
                broken = true;
                break;
            }
        }
    }
    Answer { status: response.status().as_u16(), retry_after, bytes, broken }
}

/// A request with one tool of every name.
pub(crate) fn request(provider: Provider, messages: &Value, streamed: bool) -> Value {
    let tools = ["read_file", "edit_file", "write_file", "run_command", "hand_in", "submit_review"];
    match provider {
        Provider::Anthropic => {
            let tool = |name: &&str| json!({ "name": name, "input_schema": { "type": "object" } });
            json!({
                "model": "scripted",
                "max_tokens": 8192,
                "system": "You are the creator",
                "tools": tools.iter().map(tool).collect::<Vec<_>>(),
                "messages": messages,
                "stream": streamed,
            })
        }
        Provider::OpenAi => {
            let tool = |name: &&str| {
                let function = json!({ "name": name, "parameters": { "type": "object" } });
                json!({ "type": "function", "function": function })
            };
            let mut all = vec![json!({ "role": "system", "content": "You are the creator" })];
            all.extend(messages.as_array().unwrap().iter().cloned());
            let mut body = json!({
                "model": "scripted",
                "max_completion_tokens": 8192,
                "tools": tools.iter().map(tool).collect::<Vec<_>>(),
                "messages": all,
                "stream": streamed,
            });
            if streamed {
                body["stream_options"] = json!({ "include_usage": true });
            }
            body
        }
        Provider::Gemini => panic!("its tests have a client of their own"),
    }
}

/// The lines with which a conversation opens.
pub(crate) fn opening(title: &str, role: &str, round: u32) -> String {
    format!(
        "Repository: octo/invoice\nIssue: #7\nTitle: {title}\nRound: {round}\nRole: {role}\n\nThe rest.\n"
    )
}

/// Understands a whole answer.
pub(crate) fn hear(provider: Provider, streamed: bool, answer: &Answer) -> Heard {
    assert_eq!((answer.status, answer.broken), (200, false), "{answer:?}");
    match (provider, streamed) {
        (Provider::Anthropic, false) => anthropic_document(&answer.json()),
        (Provider::Anthropic, true) => anthropic_stream(&answer.events()),
        (Provider::OpenAi, false) => openai_document(&answer.json()),
        (Provider::OpenAi, true) => openai_stream(&answer.events()),
        (Provider::Gemini, _) => panic!("its tests have a client of their own"),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn anthropic_usage(heard: &mut Heard, usage: &Value) {
    heard.cached_tokens = usage["cache_read_input_tokens"].as_u64().unwrap();
    let written = usage["cache_creation_input_tokens"].as_u64().unwrap();
    heard.input_tokens = usage["input_tokens"].as_u64().unwrap() + heard.cached_tokens + written;
    heard.output_tokens = usage["output_tokens"].as_u64().unwrap();
}

fn nothing() -> Heard {
    Heard {
        text: String::new(),
        calls: Vec::new(),
        stop: String::new(),
        input_tokens: 0,
        cached_tokens: 0,
        output_tokens: 0,
    }
}

fn anthropic_document(document: &Value) -> Heard {
    let mut heard = Heard { stop: text_of(&document["stop_reason"]), ..nothing() };
    for block in document["content"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "text" => heard.text.push_str(block["text"].as_str().unwrap()),
            "tool_use" => heard.calls.push(Called {
                id: text_of(&block["id"]),
                name: text_of(&block["name"]),
                arguments: block["input"].to_string(),
            }),
            other => panic!("unknown block {other}"),
        }
    }
    anthropic_usage(&mut heard, &document["usage"]);
    heard
}

fn anthropic_stream(events: &[Value]) -> Heard {
    let mut heard = nothing();
    let mut calls = BTreeMap::new();
    for event in events {
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap() {
            "message_start" => anthropic_usage(&mut heard, &event["message"]["usage"]),
            "content_block_start" if event["content_block"]["type"] == "tool_use" => {
                let block = &event["content_block"];
                let called = Called {
                    id: text_of(&block["id"]),
                    name: text_of(&block["name"]),
                    arguments: String::new(),
                };
                calls.insert(index, called);
            }
            "content_block_delta" => match event["delta"]["type"].as_str().unwrap() {
                "text_delta" => heard.text.push_str(event["delta"]["text"].as_str().unwrap()),
                "input_json_delta" => {
                    let called = calls.get_mut(&index).unwrap();
                    called.arguments.push_str(event["delta"]["partial_json"].as_str().unwrap());
                }
                other => panic!("unknown delta {other}"),
            },
            "message_delta" => {
                heard.stop = text_of(&event["delta"]["stop_reason"]);
                heard.output_tokens = event["usage"]["output_tokens"].as_u64().unwrap();
            }
            "ping" | "content_block_start" | "content_block_stop" | "message_stop" => {}
            other => panic!("unknown event {other}"),
        }
    }
    assert_eq!(events.last().unwrap()["type"], "message_stop");
    heard.calls = calls.into_values().collect();
    heard
}

fn openai_usage(heard: &mut Heard, usage: &Value) {
    heard.input_tokens = usage["prompt_tokens"].as_u64().unwrap();
    heard.cached_tokens = usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
    heard.output_tokens = usage["completion_tokens"].as_u64().unwrap();
}

fn openai_document(document: &Value) -> Heard {
    let choice = &document["choices"][0];
    let mut heard = Heard {
        text: text_of(&choice["message"]["content"]),
        stop: text_of(&choice["finish_reason"]),
        ..nothing()
    };
    for call in choice["message"]["tool_calls"].as_array().into_iter().flatten() {
        heard.calls.push(Called {
            id: text_of(&call["id"]),
            name: text_of(&call["function"]["name"]),
            arguments: text_of(&call["function"]["arguments"]),
        });
    }
    openai_usage(&mut heard, &document["usage"]);
    heard
}

fn openai_stream(events: &[Value]) -> Heard {
    let mut heard = nothing();
    for event in events {
        let Some(choice) = event["choices"].get(0) else {
            openai_usage(&mut heard, &event["usage"]);
            continue;
        };
        assert!(event["usage"].is_null());
        let delta = &choice["delta"];
        heard.text.push_str(&text_of(&delta["content"]));
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if index == heard.calls.len() {
                let name = text_of(&call["function"]["name"]);
                heard.calls.push(Called { id: text_of(&call["id"]), name, arguments: String::new() });
            }
            heard.calls[index].arguments.push_str(&text_of(&call["function"]["arguments"]));
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            reason.clone_into(&mut heard.stop);
        }
    }
    heard
}
