//! Keeps a conversation inside a model's window by leaving out what is oldest and largest.
//!
//! Only what blocks contain is replaced, never a block that a pair needs: a tool call without its result, or a result
//! without its call, would be refused by the provider.

use serde_json::Value;

use crate::gateway::{Arguments, Block, Message, Role};

/// Contents below this are not worth leaving out.
const ELIDABLE_BYTES_MIN: usize = 400;
/// The newest messages, which the model is working with.
const FRESH_MESSAGES: usize = 4;

/// About how many bytes a conversation has on the wire.
pub(super) fn size(messages: &[Message]) -> usize {
    messages.iter().flat_map(|message| &message.blocks).map(block_size).sum()
}

fn block_size(block: &Block) -> usize {
    // What names and punctuation of the wire format take.
    const FRAME: usize = 60;
    FRAME
        + match block {
            Block::Text { text } => text.len(),
            Block::ToolUse { name, arguments, .. } => name.len() + arguments_size(arguments),
            Block::ToolResult { content, .. } => content.len(),
            Block::Opaque { value } => value.to_string().len(),
        }
}

fn arguments_size(arguments: &Arguments) -> usize {
    match arguments {
        Arguments::Object(value) => value.to_string().len(),
        Arguments::Malformed(text) => text.len(),
    }
}

/// If the conversation is larger than `bytes_max`, leaves out contents until it is at most `bytes_goal` or nothing is
/// left to leave out. The goal lies well below the limit, so that the cached prefix changes rarely. The first message,
/// which is the task, stays whole.
pub(super) fn fit(messages: &mut [Message], bytes_max: usize, bytes_goal: usize) {
    let mut bytes = size(messages);
    if bytes <= bytes_max {
        return;
    }
    let total = messages.len();
    let old = 1..total.saturating_sub(FRESH_MESSAGES).max(1);
    let all = 1..total.max(1);
    let last_answer = messages.iter().rposition(|message| message.role == Role::Assistant);
    for (range, pass) in
        [(old.clone(), elide_result as fn(&mut Block)), (old, elide_arguments), (all, elide_result)]
    {
        for message in messages.get_mut(range).unwrap_or_default() {
            for block in &mut message.blocks {
                if bytes <= bytes_goal {
                    break;
                }
                let before = block_size(block);
                pass(block);
                bytes = bytes.saturating_sub(before.saturating_sub(block_size(block)));
            }
        }
    }
    // Signed thinking belongs to the exact conversation it was written in; only that of the answer being worked on is
    // asked for back.
    for (index, message) in messages.iter_mut().enumerate() {
        let others = message.blocks.iter().any(|block| !matches!(block, Block::Opaque { .. }));
        if others && Some(index) != last_answer {
            message.blocks.retain(|block| !matches!(block, Block::Opaque { .. }));
        }
    }
}

fn elide_result(block: &mut Block) {
    if let Block::ToolResult { content, .. } = block
        && content.len() > ELIDABLE_BYTES_MIN
    {
        *content = format!(
            "[left out to keep the conversation short: {} bytes of an earlier result; call the tool again if you need it]",
            content.len()
        );
    }
}

fn elide_arguments(block: &mut Block) {
    let Block::ToolUse { arguments, .. } = block else { return };
    let left_out = |bytes: usize| format!("[left out to keep the conversation short: {bytes} bytes]");
    match arguments {
        Arguments::Object(Value::Object(fields)) => {
            for value in fields.values_mut() {
                let bytes = value.as_str().map_or_else(|| value.to_string().len(), str::len);
                if bytes > ELIDABLE_BYTES_MIN {
                    *value = Value::String(left_out(bytes));
                }
            }
        }
        Arguments::Malformed(text) if text.len() > ELIDABLE_BYTES_MIN => *text = left_out(text.len()),
        Arguments::Object(_) | Arguments::Malformed(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn conversation(sizes: &[(usize, usize)]) -> Vec<Message> {
        let mut messages = vec![Message::user_text("task".repeat(300))];
        for (turn, (argument, result)) in sizes.iter().enumerate() {
            let id = format!("t{turn}");
            let arguments = Arguments::Object(json!({ "path": "a", "content": "x".repeat(*argument) }));
            let thinking = Block::Opaque { value: json!({"type":"thinking","thinking":"t","signature":"s"}) };
            let call = Block::ToolUse { id: id.clone(), name: "write_file".into(), arguments };
            messages.push(Message { role: Role::Assistant, blocks: vec![thinking, call] });
            let content = "y".repeat(*result);
            let result = Block::ToolResult { tool_use_id: id, content, is_error: false };
            messages.push(Message { role: Role::User, blocks: vec![result] });
        }
        messages
    }

    /// Calls and results by message, as a provider checks them.
    fn pairs_hold(messages: &[Message]) -> bool {
        messages.windows(2).all(|pair| {
            let calls: Vec<&String> = pair[0]
                .blocks
                .iter()
                .filter_map(|block| if let Block::ToolUse { id, .. } = block { Some(id) } else { None })
                .collect();
            let results: Vec<&String> = pair[1]
                .blocks
                .iter()
                .filter_map(|block| {
                    if let Block::ToolResult { tool_use_id, .. } = block { Some(tool_use_id) } else { None }
                })
                .collect();
            pair[1].role == Role::Assistant || calls == results
        })
    }

    proptest! {
        #[test]
        fn pairs_survive_and_the_task_stays_whole(
            sizes in proptest::collection::vec((0_usize..4_000, 0_usize..9_000), 0..12),
            bytes_max in 0_usize..40_000,
        ) {
            let whole = conversation(&sizes);
            let mut messages = whole.clone();
            fit(&mut messages, bytes_max, bytes_max / 2);
            prop_assert!(pairs_hold(&messages));
            prop_assert_eq!(&messages[0], &whole[0]);
            prop_assert_eq!(messages.len(), whole.len());
            prop_assert!(messages.iter().all(|message| !message.blocks.is_empty()));
            if size(&whole) <= bytes_max {
                prop_assert_eq!(&messages, &whole);
            } else {
                prop_assert!(size(&messages) <= size(&whole));
            }
        }
    }

    #[test]
    fn the_oldest_results_go_first_and_the_newest_stay() {
        let mut messages = conversation(&[(10, 5_000); 8]);
        fit(&mut messages, 40_000, 30_000);
        let lengths: Vec<bool> = messages
            .iter()
            .flat_map(|message| &message.blocks)
            .filter_map(|block| {
                if let Block::ToolResult { content, .. } = block {
                    Some(content.len() >= 5_000)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(lengths, [false, false, false, true, true, true, true, true]);
    }

    #[test]
    fn only_the_last_answers_thinking_is_kept_once_something_was_left_out() {
        let mut messages = conversation(&[(10, 5_000); 4]);
        fit(&mut messages, 1_000, 500);
        let thinking = messages
            .iter()
            .map(|message| message.blocks.iter().any(|block| matches!(block, Block::Opaque { .. })));
        assert_eq!(thinking.filter(|has| *has).count(), 1);
    }
}
