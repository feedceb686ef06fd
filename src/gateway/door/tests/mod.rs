//! Bodies as vendors' agents write them, and any others. Doors as a whole are tested in `tests/it/door`.

mod fuzz;

use serde_json::{Value, json};

use super::api::Api;
use super::body::{self, Wish};
use super::refusal::Refusal;
use crate::gateway::estimate;
use crate::gateway::prices::{CacheLife, ModelChoice, ModelFacts, PriceTable};

fn facts(api: Api) -> ModelFacts {
    let model = ModelChoice { provider: api.provider(), model: "scripted".to_owned() };
    PriceTable::shipped().unwrap().facts(&model).unwrap().clone()
}

fn read(api: Api, body: &Value) -> Result<Wish, Refusal> {
    body::read(api, (Some("scripted"), true), body.to_string().as_bytes())
}

fn limited(api: Api, body: &Value, output_tokens: u64) -> Value {
    let wish = read(api, body).unwrap();
    let bytes = body::rewrite(api, body.to_string().as_bytes(), &facts(api), &wish, output_tokens).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn the_limit_is_written_where_each_api_reads_it() {
    let messages = json!({"model":"m","max_tokens":9,"messages":[]});
    assert_eq!(limited(Api::Messages, &messages, 5), json!({"model":"m","max_tokens":5,"messages":[]}));
    let old = json!({"model":"m","max_tokens":9,"messages":[],"stream":true,"stream_options":{"x":1}});
    let options = json!({"x":1,"include_usage":true});
    let expected = json!({"model":"m","max_tokens":5,"messages":[],"stream":true,"stream_options":options});
    assert_eq!(limited(Api::Chat, &old, 5), expected);
    let none = json!({"model":"m","max_tokens":null,"messages":[]});
    assert_eq!(limited(Api::Chat, &none, 5)["max_completion_tokens"], 5);
    assert_eq!(limited(Api::Responses, &json!({"model":"m","input":"x"}), 5)["max_output_tokens"], 5);
    let snake = json!({"contents":[],"generation_config":{"max_output_tokens":9,"seed":1}});
    let expected = json!({"contents":[],"generation_config":{"max_output_tokens":5,"seed":1}});
    assert_eq!(limited(Api::Generate, &snake, 5), expected);
    assert_eq!(limited(Api::Generate, &json!({"contents":[]}), 5)["generationConfig"]["maxOutputTokens"], 5);
}

#[test]
fn thinking_is_lowered_with_the_answer_that_it_is_a_part_of() {
    let asked = json!({"model":"m","max_tokens":32_000,"messages":[],"thinking":{"type":"enabled","budget_tokens":31_999}});
    assert_eq!(limited(Api::Messages, &asked, 32_000), asked);
    let lowered = limited(Api::Messages, &asked, 8_000);
    assert_eq!(lowered["thinking"], json!({"type":"enabled","budget_tokens":6_976}));
    let wish = read(Api::Messages, &asked).unwrap();
    assert_eq!((wish.output_floor(32_000), wish.output_floor(100)), (2_048, 100));
}

#[test]
fn an_image_is_counted_by_number_and_not_by_its_bytes() {
    let data = "iVBORw0KGgo".repeat(100_000);
    let source = json!({"type":"base64","media_type":"image/png","data":data});
    let image = json!({"type":"image","source":source});
    let result = json!({"type":"tool_result","tool_use_id":"t","content":[image]});
    let address = format!("data:image/png;base64,{data}");
    let chat = json!({"type":"image_url","image_url":{"url":address}});
    for (api, body, images) in [
        (Api::Messages, json!({"model":"m","messages":[{"role":"user","content":[image, result]}]}), 10_000),
        (Api::Chat, json!({"model":"m","messages":[{"role":"user","content":[chat]}]}), 50_000),
        (
            Api::Responses,
            json!({"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":address}]}]}),
            50_000,
        ),
        (
            Api::Generate,
            json!({"contents":[{"parts":[{"inline_data":{"mime_type":"image/png","data":data}}]}]}),
            50_000,
        ),
    ] {
        let tokens = read(api, &body).unwrap().input_tokens;
        assert!((images..images + 2_000).contains(&tokens), "{api}: {tokens}");
    }
}

/// What an agent's own tools were asked and answered may look like anything.
#[test]
fn the_arguments_of_tools_are_not_taken_for_content() {
    let odd = json!({"type":"image","source":{"type":"url"},"file_id":"x","ttl":"9h"});
    let call = json!({"type":"tool_use","id":"t","name":"n","input":odd});
    let messages = json!({"model":"m","messages":[{"role":"assistant","content":[call]}],"tools":[{"name":"n","input_schema":{"type":"object","properties":{"file_id":{}}}}]});
    assert_eq!(read(Api::Messages, &messages).unwrap().cache, CacheLife::Usual);
    let part = json!({"functionCall":{"name":"n","args":{"fileData":{}}}});
    let answer = json!({"functionResponse":{"name":"n","response":{"fileData":{}}}});
    assert!(read(Api::Generate, &json!({"contents":[{"parts":[part, answer]}]})).is_ok());
}

#[test]
fn what_is_kept_for_an_hour_is_noticed_wherever_it_stands() {
    let mark = json!({"type":"ephemeral","ttl":"1h"});
    let text = json!([{"type":"text","text":"x","cache_control":mark}]);
    for body in [
        json!({"model":"m","messages":[{"role":"user","content":text}]}),
        json!({"model":"m","messages":[],"system":text}),
        json!({"model":"m","messages":[],"tools":[{"name":"n","cache_control":mark}]}),
        json!({"model":"m","messages":[],"cache_control":mark}),
    ] {
        assert_eq!(read(Api::Messages, &body).unwrap().cache, CacheLife::Hour, "{body}");
    }
    let longer = json!({"model":"m","messages":[],"cache_control":{"type":"ephemeral","ttl":"24h"}});
    assert!(read(Api::Messages, &longer).is_err());
}

/// The requests of the agents that were measured.
#[test]
fn what_vendors_agents_send_is_let_through() {
    let claude = json!({"model":"m","max_tokens":32_000,"stream":true,"temperature":1,
        "system":[{"type":"text","text":"You are","cache_control":{"type":"ephemeral"}}],
        "metadata":{"user_id":"u"},"thinking":{"type":"adaptive"},"output_config":{"effort":"high"},
        "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},
        "tools":[{"name":"Bash","description":"d","input_schema":{"type":"object"}},{"type":"custom","name":"x","input_schema":{}}],
        "messages":[{"role":"user","content":[{"type":"text","text":"go"}]},
            {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"tool_use","id":"t","name":"Bash","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"ok"}]}]});
    let codex = json!({"model":"m","instructions":"i","stream":true,"store":false,"tool_choice":"auto",
        "parallel_tool_calls":false,"reasoning":{"effort":"medium","summary":"auto"},"include":["reasoning.encrypted_content"],
        "prompt_cache_key":"k","text":{"verbosity":"low"},"client_metadata":{"x":"y"},
        "tools":[{"type":"function","name":"shell","parameters":{}},{"type":"custom","name":"apply_patch","format":{}},{"type":"local_shell"},{"type":"namespace","name":"n","description":"d","tools":[{"type":"function","name":"f","parameters":{}}]}],
        "input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"go"}]},
            {"type":"reasoning","encrypted_content":"abc","summary":[]},
            {"type":"function_call","call_id":"c","name":"shell","arguments":"{}"},
            {"type":"function_call_output","call_id":"c","output":"ok"}]});
    let opencode = json!({"model":"m","max_tokens":8_000,"stream":true,"stream_options":{"include_usage":true},
        "tools":[{"type":"function","function":{"name":"edit","parameters":{}}}],"tool_choice":"auto","top_p":1,
        "messages":[{"role":"system","content":"s"},{"role":"user","content":"go"},
            {"role":"assistant","content":"","tool_calls":[{"id":"c","type":"function","function":{"name":"edit","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"c","content":"ok"}]});
    let gemini = json!({"contents":[{"role":"user","parts":[{"text":"go"}]},
            {"role":"model","parts":[{"thought":true,"text":"t","thoughtSignature":"s"},{"functionCall":{"name":"n","args":{}}}]},
            {"role":"user","parts":[{"functionResponse":{"name":"n","response":{"output":"ok"}}}]}],
        "systemInstruction":{"role":"user","parts":[{"text":"s"}]},"tools":[{"functionDeclarations":[{"name":"n"}]}],
        "toolConfig":{"functionCallingConfig":{"mode":"AUTO"}},
        "generationConfig":{"temperature":0,"topP":1,"topK":64,"thinkingConfig":{"includeThoughts":true,"thinkingBudget":8192}}});
    for (api, body) in [
        (Api::Messages, claude.clone()),
        (Api::CountTokens, claude),
        (Api::Responses, codex),
        (Api::Chat, opencode),
        (Api::StreamGenerate, gemini),
    ] {
        let wish = read(api, &body).unwrap();
        assert!(wish.input_tokens >= estimate::input_tokens_max(body.to_string().as_bytes()), "{api}");
    }
}
