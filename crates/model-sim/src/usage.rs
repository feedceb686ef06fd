//! Tokens, computed from bytes, so that the same request costs the same whenever and how often it is sent.

use crate::conversation::{Author, CacheMark, Conversation, Provider};

/// Bytes to a token.
const TOKEN_BYTES: u64 = 4;
/// A beginning shorter than this is not cached
/// (<https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>, "Cache limitations").
const CACHED_TOKENS_MIN: u64 = 1024;

/// Tokens of one call, as the server counts and bills them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read at the full price.
    pub input_tokens: u64,
    /// Tokens read from the prompt cache.
    pub cache_read_tokens: u64,
    /// Tokens written to the prompt cache.
    pub cache_write_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
}

impl Usage {
    /// The sum of two usages.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
        }
    }

    /// Everything read, from cache or not.
    pub fn input_total(self) -> u64 {
        self.input_tokens.saturating_add(self.cache_read_tokens).saturating_add(self.cache_write_tokens)
    }
}

pub(crate) fn bytes_of(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// Tokens of so many bytes, rounded up.
pub(crate) fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(TOKEN_BYTES)
}

/// The most bytes that so many tokens have.
pub(crate) fn bytes_max(tokens: u64) -> u64 {
    tokens.saturating_mul(TOKEN_BYTES)
}

/// What reading `conversation` costs; nothing is written yet.
///
/// The cache is modelled from the request alone: an earlier turn of this very conversation is in the cache as
/// far as the request marks it (`OpenAI` marks by itself), nothing else is. So a call repeated after a crash is
/// billed the same, and totals can be asserted to the token.
pub(crate) fn of_input(conversation: &Conversation) -> Usage {
    let total = tokens(through(conversation, conversation.messages.len()));
    let last_answer = conversation.messages.iter().rposition(|message| message.author == Author::Assistant);
    let (marked_bytes, seen_bytes) = match conversation.cache_mark {
        CacheMark::Nothing => (0, 0),
        CacheMark::Preamble => {
            (conversation.preamble_bytes, last_answer.map_or(0, |_| conversation.preamble_bytes))
        }
        CacheMark::Message(position) => (
            through(conversation, position.saturating_add(1)),
            last_answer.map_or(0, |answer| through(conversation, answer)),
        ),
    };
    let cached = |bytes: u64| {
        let whole = bytes / TOKEN_BYTES;
        if whole < CACHED_TOKENS_MIN { 0 } else { whole }
    };
    let marked = cached(marked_bytes);
    let read = cached(seen_bytes.min(marked_bytes));
    match conversation.provider {
        Provider::Anthropic => Usage {
            input_tokens: total.saturating_sub(marked),
            cache_read_tokens: read,
            cache_write_tokens: marked.saturating_sub(read),
            output_tokens: 0,
        },
        // Writing to the cache costs nothing here, and with the first hits come in steps of 128 tokens
        // (<https://platform.openai.com/docs/guides/prompt-caching>).
        Provider::OpenAi | Provider::Gemini => {
            let read = read / 128 * 128;
            let input_tokens = total.saturating_sub(read);
            Usage { input_tokens, cache_read_tokens: read, ..Usage::default() }
        }
    }
}

/// Bytes of tools, system text and the first `count` messages.
fn through(conversation: &Conversation, count: usize) -> u64 {
    let messages = conversation.messages.iter().take(count).map(|message| message.bytes);
    messages.fold(conversation.preamble_bytes, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Message;

    fn conversation(cache_mark: CacheMark, bytes: &[u64]) -> Conversation {
        let authors = [Author::User, Author::Assistant].into_iter().cycle();
        let messages = authors.zip(bytes).map(|(author, &bytes)| Message { bytes, ..Message::empty(author) });
        Conversation {
            provider: Provider::Anthropic,
            model: "scripted".to_owned(),
            system: String::new(),
            messages: messages.collect(),
            tools: Vec::new(),
            output_tokens_max: None,
            brief: None,
            preamble_bytes: 4_000,
            cache_mark,
        }
    }

    #[test]
    fn an_unmarked_request_is_read_at_the_full_price() {
        let usage = of_input(&conversation(CacheMark::Nothing, &[4_001, 400, 400]));
        assert_eq!(usage, Usage { input_tokens: 2_201, ..Usage::default() });
    }

    #[test]
    fn what_an_earlier_turn_marked_is_read_from_the_cache() {
        let first = of_input(&conversation(CacheMark::Message(0), &[4_000]));
        assert_eq!(first, Usage { cache_write_tokens: 2_000, ..Usage::default() });
        let second = of_input(&conversation(CacheMark::Message(2), &[4_000, 400, 400]));
        let expected = Usage { cache_read_tokens: 2_000, cache_write_tokens: 200, ..Usage::default() };
        assert_eq!(second, expected);
    }

    #[test]
    fn a_short_beginning_is_not_cached() {
        let usage = of_input(&conversation(CacheMark::Preamble, &[40]));
        assert_eq!(usage, Usage { input_tokens: 1_010, ..Usage::default() });
    }
}
