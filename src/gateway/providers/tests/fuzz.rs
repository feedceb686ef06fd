//! What models send, whole, in pieces and damaged.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Answer, Assembler, anthropic, openai};
use crate::gateway::message::{Arguments, Block, StopReason};
use crate::gateway::providers::failure::from_status;

/// Reads events until one is refused or the stream is done.
fn read<S: Assembler>(events: &[String]) -> Option<Answer> {
    let mut stream = S::default();
    for event in events {
        if stream.done() {
            break;
        }
        let _reported = stream.input_usage();
        stream.event(event).ok()?;
    }
    stream.finish().ok()
}

fn bounded(answer: &Answer, sent: usize) -> Result<(), TestCaseError> {
    prop_assert!(answer.blocks.len() <= 1_000);
    if let StopReason::Other(word) = &answer.stop {
        prop_assert!(word.chars().count() <= 40);
    }
    for block in &answer.blocks {
        match block {
            Block::Text { text } => prop_assert!(text.len() <= sent),
            Block::ToolUse { arguments: Arguments::Object(value), .. } => prop_assert!(value.is_object()),
            Block::ToolUse { arguments: Arguments::Malformed(text), .. } => prop_assert!(text.len() <= sent),
            Block::Opaque { .. } => {}
            Block::ToolResult { .. } => prop_assert!(false, "a model answers no tool"),
        }
    }
    Ok(())
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "text",
            "tool_use",
            "thinking",
            "end_turn",
            "tool_calls",
            "stop",
            "{\"a\":",
            "}"
        ])
        .prop_map(Value::from),
        prop::sample::select(vec![json!([]), json!({}), json!({"a": 1}), json!([null])]),
    ]
}

fn anthropic_event() -> impl Strategy<Value = Value> {
    (any_scalar(), any_scalar(), 0_u64..3, prop::sample::select(vec!["text_delta", "input_json_delta", "thinking_delta", "signature_delta", "x"])).prop_flat_map(|(one, other, index, delta)| {
        prop::sample::select(vec![
            json!({"type": "message_start", "message": {"usage": {"input_tokens": one, "output_tokens": other}}}),
            json!({"type": "message_start", "message": {"usage": {"input_tokens": index, "cache_read_input_tokens": u64::MAX}}}),
            json!({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": one}}),
            json!({"type": "content_block_start", "index": index, "content_block": {"type": "tool_use", "id": one, "name": other, "input": {}}}),
            json!({"type": "content_block_start", "index": index, "content_block": {"type": one, "input": other, "thinking": one}}),
            json!({"type": "content_block_start", "index": one, "content_block": other}),
            json!({"type": "content_block_delta", "index": index, "delta": {"type": delta, "text": one, "partial_json": other, "thinking": one, "signature": other}}),
            json!({"type": "content_block_delta", "index": index, "delta": {"type": delta, "text": "a", "partial_json": "{", "thinking": "b", "signature": "c"}}),
            json!({"type": "message_delta", "delta": {"stop_reason": one}, "usage": {"output_tokens": other}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": index}}),
            json!({"type": "error", "error": {"type": one, "message": other}}),
            json!({"type": "error"}),
            json!({"type": "ping"}),
            json!({"type": "message_stop"}),
            one.clone(),
        ])
    })
}

fn openai_event() -> impl Strategy<Value = Value> {
    (any_scalar(), any_scalar(), 0_u64..3).prop_flat_map(|(one, other, index)| {
        prop::sample::select(vec![
            json!({"choices": [{"delta": {"content": one, "refusal": other}}]}),
            json!({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}),
            json!({"choices": [{"delta": {"tool_calls": [{"index": index, "id": one, "function": {"name": other, "arguments": one}}]}}]}),
            json!({"choices": [{"delta": {"tool_calls": [{"index": index, "id": "c", "function": {"name": "n", "arguments": "{"}}]}}]}),
            json!({"choices": [{"delta": {"tool_calls": one}, "finish_reason": other}]}),
            json!({"choices": [{"message": {"content": "whole", "tool_calls": []}, "finish_reason": "length"}]}),
            json!({"choices": one, "usage": other}),
            json!({"choices": [], "usage": {"prompt_tokens": index, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": u64::MAX}}}),
            json!({"choices": [], "usage": {"prompt_tokens": one, "completion_tokens": other}}),
            json!({"error": {"message": one, "code": other}}),
            one.clone(),
        ])
    })
}

fn events(event: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<String>> {
    let broken = "([\\[\\]{}:,\"0-9a-z]|\\PC){0,30}";
    let one = prop_oneof![9 => event.prop_map(|event| event.to_string()), 1 => broken, 1 => Just("[DONE]".to_owned())];
    prop::collection::vec(one, 0..14)
}

proptest! {
    #[test]
    fn any_anthropic_stream_is_an_answer_or_cut(events in events(anthropic_event())) {
        if let Some(answer) = read::<anthropic::Stream>(&events) {
            bounded(&answer, events.concat().len())?;
        }
    }

    #[test]
    fn any_openai_stream_is_an_answer_or_cut(events in events(openai_event())) {
        if let Some(answer) = read::<openai::Stream>(&events) {
            bounded(&answer, events.concat().len())?;
        }
    }

    #[test]
    fn any_whole_answer_is_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200), content in prop::collection::vec(any_scalar(), 0..4), one in any_scalar(), other in any_scalar(),
    ) {
        let message = json!({"content": [{"type": one, "text": other, "input": one}, {"type": "tool_use", "id": one, "name": other, "input": one}],
            "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 2}});
        let listed = json!({"content": content, "stop_reason": one, "usage": other});
        let choice = json!({"choices": [{"message": {"content": one, "tool_calls": [{"id": other, "function": {"name": "n", "arguments": one}}]}, "finish_reason": "stop"}]});
        for body in [bytes, message.to_string().into_bytes(), listed.to_string().into_bytes(), choice.to_string().into_bytes()] {
            for answer in [anthropic::whole(&body), openai::whole(&body)].into_iter().flatten() {
                bounded(&answer, body.len())?;
            }
        }
    }

    #[test]
    fn however_an_answer_is_cut_into_pieces_it_is_the_same(text in "\\PC{0,40}", key in "[a-z]{1,5}", value in "\\PC{0,20}", sizes in prop::collection::vec(1_usize..6, 1..8)) {
        let arguments = json!({ key: value });
        let pieces = |whole: &str| -> Vec<String> {
            let (mut rest, mut cut): (Vec<char>, Vec<String>) = (whole.chars().collect(), Vec::new());
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                cut.push(rest.drain(..rest.len().min(*size)).collect());
            }
            cut
        };
        let written = arguments.to_string();
        let said = (!text.is_empty()).then(|| Block::Text { text: text.clone() });
        let called = Block::ToolUse { id: "c".to_owned(), name: "n".to_owned(), arguments: Arguments::Object(arguments) };
        let expected: Vec<Block> = said.into_iter().chain([called]).collect();

        let mut events = vec![
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "c", "name": "n", "input": {}}}),
        ];
        events.extend(pieces(&text).iter().map(|piece| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})));
        events.extend(pieces(&written).iter().map(|piece| json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}})));
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}));
        let events: Vec<String> = events.iter().map(Value::to_string).collect();
        prop_assert_eq!(&read::<anthropic::Stream>(&events).unwrap().blocks, &expected);

        let mut events = vec![json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "n"}}]}}]})];
        events.extend(pieces(&text).iter().map(|piece| json!({"choices": [{"delta": {"content": piece}}]})));
        events.extend(pieces(&written).iter().map(|piece| json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}]})));
        events.push(json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}));
        let events: Vec<String> = events.iter().map(Value::to_string).collect();
        prop_assert_eq!(&read::<openai::Stream>(&events).unwrap().blocks, &expected);
    }

    #[test]
    fn arguments_are_an_object_or_kept_as_they_came(text in "([\\[\\]{}:,\"0-9a-z ]|\\PC){0,40}") {
        match Arguments::from_text(&text) {
            Arguments::Object(value) => prop_assert!(value.is_object()),
            Arguments::Malformed(kept) => prop_assert_eq!(kept, text),
        }
    }

    #[test]
    fn any_refusal_says_something(status in 300_u16..600, body in "([\\[\\]{}:,\"0-9a-z ]|\\PC){0,60}", one in any_scalar(), other in any_scalar()) {
        let object = json!({"error": {"message": one, "code": other, "type": one}}).to_string();
        for body in [body, object, "x".repeat(100_000)] {
            let said = from_status(status, None, &body).to_string();
            prop_assert!(!said.is_empty() && said.len() <= 4_000, "{} bytes", said.len());
        }
    }
}
