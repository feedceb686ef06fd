//! An answer as it goes on the wire: blocks with ids, cut at the limit on output, counted.

use crate::conversation::{Conversation, INTERRUPTED_ID, INTERRUPTED_TEXT};
use crate::reply::{Arguments, Reply, Stop};
use crate::usage::{bytes_max, bytes_of, tokens};

/// One part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Text(String),
    /// `json` is not JSON where a script wants it so or a limit cut it.
    Tool {
        id: String,
        name: String,
        json: String,
    },
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Names the answer; the same request gets the same.
    pub(crate) id: String,
    pub(crate) blocks: Vec<Block>,
    pub(crate) stop: Stop,
    pub(crate) output_tokens: u64,
}

impl Written {
    /// Gives `reply` its ids and cuts it at the limit of the request. An interrupted answer carries the marks by
    /// which a later request tells that it was no step of the script.
    pub(crate) fn new(conversation: &Conversation, reply: &Reply, interrupted: bool, limited: bool) -> Self {
        let limit = conversation.output_tokens_max.filter(|_| limited).map_or(u64::MAX, bytes_max);
        let whole = blocks(conversation, reply, interrupted);
        let (blocks, stop) = if weight(&whole) > limit {
            (cut(blocks(conversation, reply, true), limit), Stop::MaxTokens)
        } else {
            (whole, reply.stop)
        };
        let output_tokens = tokens(weight(&blocks)).max(1);
        Self { id: format!("{:016x}", fingerprint(conversation)), blocks, stop, output_tokens }
    }

    /// Whether it calls a tool.
    pub(crate) fn has_calls(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, Block::Tool { .. }))
    }
}

/// Cuts at `limit` bytes, keeping characters whole.
fn cut(blocks: Vec<Block>, limit: u64) -> Vec<Block> {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut kept = Vec::new();
    for block in blocks {
        let (head, body) = match block {
            Block::Text(text) => (None, text),
            Block::Tool { id, name, json } => (Some((id, name)), json),
        };
        left = left.saturating_sub(head.as_ref().map_or(0, |(_, name)| name.len()));
        if left == 0 {
            break;
        }
        let end = body.floor_char_boundary(left.min(body.len()));
        left = left.saturating_sub(body.len());
        let body = body.get(..end).unwrap_or_default().to_owned();
        kept.push(match head {
            None => Block::Text(body),
            Some((id, name)) => Block::Tool { id, name, json: body },
        });
    }
    kept
}

fn blocks(conversation: &Conversation, reply: &Reply, interrupted: bool) -> Vec<Block> {
    let text = if interrupted { format!("{INTERRUPTED_TEXT} {}", reply.text) } else { reply.text.clone() };
    let mut blocks = Vec::new();
    if !text.is_empty() {
        blocks.push(Block::Text(text));
    }
    let mark = if interrupted { INTERRUPTED_ID } else { "" };
    let fingerprint = fingerprint(conversation);
    for (position, call) in reply.calls.iter().enumerate() {
        let json = match &call.arguments {
            Arguments::Json(value) => value.to_string(),
            Arguments::Malformed(text) => text.clone(),
        };
        let id = format!("{mark}{fingerprint:016x}{position:02}");
        blocks.push(Block::Tool { id, name: call.name.clone(), json });
    }
    blocks
}

fn weight(blocks: &[Block]) -> u64 {
    let bytes = blocks.iter().map(|block| match block {
        Block::Text(text) => bytes_of(text),
        Block::Tool { name, json, .. } => bytes_of(name).saturating_add(bytes_of(json)),
    });
    bytes.fold(0, u64::saturating_add)
}

/// FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>) over all that is said: ids that differ from turn to turn
/// and come out the same when a turn is asked for again.
fn fingerprint(conversation: &Conversation) -> u64 {
    let texts = conversation.messages.iter().flat_map(|message| {
        let calls = message.calls.iter().map(|call| call.id.as_str());
        let results = message.results.iter().map(|result| result.text.as_str());
        std::iter::once(message.text.as_str()).chain(calls).chain(results)
    });
    let texts = std::iter::once(conversation.system.as_str()).chain(texts);
    // A byte that no text contains keeps the parts apart.
    let bytes = texts.flat_map(|text| text.bytes().chain(std::iter::once(0xff)));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Splits `text` into pieces of at most `bytes` bytes that are whole characters; one empty piece for no text.
pub(crate) fn pieces(text: &str, bytes: usize) -> Vec<&str> {
    let mut rest = text;
    let mut pieces = Vec::new();
    while rest.len() > bytes {
        let end = rest.floor_char_boundary(bytes);
        let Some((piece, tail)) = rest.split_at_checked(end).filter(|(piece, _)| !piece.is_empty()) else {
            break;
        };
        pieces.push(piece);
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_characters_and_lose_nothing() {
        let text = "süß €12, 日本語";
        let split = pieces(text, 4);
        assert!(split.iter().all(|piece| piece.len() <= 4 && !piece.is_empty()));
        assert_eq!(split.concat(), text);
        assert_eq!(pieces("", 4), [""]);
    }
}
