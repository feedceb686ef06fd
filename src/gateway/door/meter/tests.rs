use pairbot_protocol::ids::Usage;
use serde_json::{Value, json};

use super::*;

fn told(api: Api, events: &[Value]) -> Meter {
    let mut meter = Meter::of(api);
    for event in events {
        meter.event(&event.to_string());
    }
    meter
}

fn usage(input_tokens: u64, cache_read_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, cache_read_tokens, output_tokens, cache_write_tokens: 0 }
}

#[test]
fn a_later_report_of_anthropics_replaces_an_earlier_one() {
    let start = json!({"type":"message_start","message":{"usage":{"input_tokens":9,"cache_read_input_tokens":5,
        "cache_creation_input_tokens":0,"output_tokens":1}}});
    let end = json!({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":42}});
    assert_eq!(
        told(Api::Messages, std::slice::from_ref(&start)).bill(true),
        Bill::Failed(Charge::Unknown { input: Some(usage(9, 5, 0)) })
    );
    let whole = Bill::Reported { usage: usage(9, 5, 42), hour_tokens: 0 };
    assert_eq!(told(Api::Messages, &[start.clone(), end.clone()]).bill(false), whole, "the report is final");
    let overloaded = json!({"type":"error","error":{"type":"overloaded_error","message":"x"}});
    let failed = told(Api::Messages, &[start, overloaded]);
    assert!(matches!(failed.bill(true), Bill::Failed(Charge::Unknown { input: Some(_) })));
    assert!(failed.error().is_some());
}

#[test]
fn what_is_kept_for_an_hour_is_told_apart() {
    let document = json!({"usage":{"input_tokens":1,"cache_creation_input_tokens":90,"output_tokens":2,
        "cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":60}}});
    let mut meter = Meter::of(Api::Messages);
    meter.document(document.to_string().as_bytes());
    let usage = Usage { input_tokens: 1, cache_write_tokens: 90, output_tokens: 2, cache_read_tokens: 0 };
    assert_eq!(meter.bill(true), Bill::Reported { usage, hour_tokens: 60 });
}

#[test]
fn a_report_of_chat_completions_is_final_only_after_the_end() {
    let chunk = |words: &str, written: u64| {
        json!({"choices":[{"delta":{"content":words}}],
        "usage":{"prompt_tokens":10,"completion_tokens":written,"prompt_tokens_details":{"cached_tokens":4}}})
    };
    let stop = json!({"choices":[{"delta":{},"finish_reason":"stop"}]});
    let last = json!({"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":4}}});
    let half = told(Api::Chat, &[chunk("a", 1), chunk("b", 2)]);
    assert_eq!(half.bill(true), Bill::Failed(Charge::Unknown { input: Some(usage(6, 4, 0)) }));
    assert!(half.outgrows(1) && !half.outgrows(2));
    let whole = Bill::Reported { usage: usage(6, 4, 7), hour_tokens: 0 };
    assert_eq!(told(Api::Chat, &[chunk("a", 1), stop, last]).bill(true), whole);
    let mut done = told(Api::Chat, &[chunk("a", 3)]);
    done.event("[DONE]");
    assert_eq!(done.bill(true), Bill::Reported { usage: usage(6, 4, 3), hour_tokens: 0 });
}

#[test]
fn reasoning_and_thoughts_are_output() {
    let response = json!({"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":20,
        "input_tokens_details":{"cached_tokens":8},"output_tokens":30,"output_tokens_details":{"reasoning_tokens":25}}}});
    let whole = Bill::Reported { usage: usage(12, 8, 30), hour_tokens: 0 };
    assert_eq!(told(Api::Responses, &[response]).bill(true), whole);
    let chunk = json!({"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":20,
        "cachedContentTokenCount":8,"candidatesTokenCount":5,"thoughtsTokenCount":25}});
    assert_eq!(told(Api::StreamGenerate, &[chunk]).bill(true), whole);
}

#[test]
fn a_response_that_failed_is_charged_as_it_reports_or_as_much_as_it_can_have_cost() {
    let failed = |usage: Value| {
        json!({"type":"response.failed","response":{"status":"failed","usage":usage,
        "error":{"code":"server_error","message":"x"}}})
    };
    let silent = told(Api::Responses, &[failed(Value::Null)]);
    assert_eq!(silent.bill(true), Bill::Failed(Charge::Unknown { input: None }));
    assert!(silent.error().is_some());
    let reported = told(Api::Responses, &[failed(json!({"input_tokens":3,"output_tokens":1}))]);
    assert_eq!(reported.bill(true), Bill::Reported { usage: usage(3, 0, 1), hour_tokens: 0 });
}

#[test]
fn a_whole_answer_without_a_report_is_charged_in_full() {
    for (api, body) in [(Api::Messages, "{}"), (Api::Chat, "{\"choices\":[]}"), (Api::Generate, "not json")] {
        let mut meter = Meter::of(api);
        meter.document(body.as_bytes());
        assert!(matches!(meter.bill(true), Bill::Unreported | Bill::Failed(Charge::Unknown { input: None })));
    }
}

/// Whatever a tokenizer does, long identifiers and indentation are no reason to cut an answer that keeps its limit.
#[test]
fn nothing_that_models_write_within_a_limit_counts_as_outgrown() {
    let code = "        assert_eq!(transport_layer_configuration.initialised_connections(), expected);\n";
    let rule = format!("{}\n", "=".repeat(78));
    for (text, tokens) in [(code, 18), (rule.as_str(), 3), ("indubitably misunderstanding ", 5)] {
        let mut meter = Meter::of(Api::Chat);
        for _ in 0..1_000 {
            meter.event(&json!({"choices":[{"delta":{"content":text}}]}).to_string());
        }
        assert!(!meter.outgrows(tokens * 1_000), "{text}");
        assert!(meter.outgrows(20), "{text}");
    }
}
