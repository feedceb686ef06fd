//! What goes wrong, and when.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::conversation::{Conversation, Provider, Role};

/// Something that a provider does instead of a good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An error status with the provider's error body.
    Status {
        /// Such as 429, 500, 503 or 529.
        status: u16,
        /// The `retry-after` header: seconds, a date, or nonsense.
        retry_after: Option<String>,
    },
    /// Half an answer, then an overload error inside the 200 stream. Status 529 where the call does not stream.
    ErrorInStream,
    /// The connection breaks in the middle of a tool's arguments, or of the text where no tool is called.
    Cut,
    /// No answer at all, and the connection stays open.
    Hang,
    /// Half an answer, then silence on an open connection.
    HangInStream,
    /// The tool's arguments are not JSON.
    MalformedToolJson,
    /// The model refuses.
    Refusal,
    /// The answer ends at the limit on output, in the middle of a tool's arguments.
    MaxTokens,
    /// The turn is paused (Anthropic; a plain stop at `OpenAI`).
    PauseTurn,
    /// Status 200 and bytes that are neither JSON nor an event stream.
    Garbage,
    /// Text of so many bytes, up to the limit that the request sets.
    VeryLong {
        /// How many.
        bytes: usize,
    },
    /// Text of so many bytes, whatever limit the request sets, as some compatible servers do that do not know its field.
    BeyondLimit {
        /// How many.
        bytes: usize,
    },
}

impl Fault {
    /// An error status without `retry-after`.
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None }
    }

    /// Status 429 with a `retry-after` in seconds.
    pub fn rate_limited(seconds: u64) -> Self {
        Self::Status { status: 429, retry_after: Some(seconds.to_string()) }
    }

    /// A short name for the ledger.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::ErrorInStream => "error-in-stream",
            Self::Cut => "cut",
            Self::Hang => "hang",
            Self::HangInStream => "hang-in-stream",
            Self::MalformedToolJson => "malformed-tool-json",
            Self::Refusal => "refusal",
            Self::MaxTokens => "max-tokens",
            Self::PauseTurn => "pause-turn",
            Self::Garbage => "garbage",
            Self::VeryLong { .. } => "very-long",
            Self::BeyondLimit { .. } => "beyond-limit",
        }
    }
}

type Predicate = Arc<dyn Fn(&Conversation) -> bool + Send + Sync>;

/// Which calls a fault hits: those that fit everything said here, from the `nth` on, so many `times`.
#[derive(Clone)]
pub struct When {
    provider: Option<Provider>,
    role: Option<Role>,
    title: Option<String>,
    round: Option<u32>,
    turn: Option<u32>,
    predicate: Option<Predicate>,
    nth: u32,
    times: u32,
}

impl fmt::Debug for When {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("When")
            .field("provider", &self.provider)
            .field("role", &self.role)
            .field("title", &self.title)
            .field("round", &self.round)
            .field("turn", &self.turn)
            .field("predicate", &self.predicate.is_some())
            .field("nth", &self.nth)
            .field("times", &self.times)
            .finish()
    }
}

impl When {
    /// The next valid call, once.
    pub fn next_call() -> Self {
        Self {
            provider: None,
            role: None,
            title: None,
            round: None,
            turn: None,
            predicate: None,
            nth: 1,
            times: 1,
        }
    }

    /// Only calls by this protocol.
    #[must_use]
    pub fn provider(self, provider: Provider) -> Self {
        Self { provider: Some(provider), ..self }
    }

    /// Only the creator's calls.
    #[must_use]
    pub fn creator(self) -> Self {
        Self { role: Some(Role::Creator), ..self }
    }

    /// Only this reviewer's calls.
    #[must_use]
    pub fn reviewer(self, name: &str) -> Self {
        Self { role: Some(Role::Reviewer(name.to_owned())), ..self }
    }

    /// Only calls for the issue of this title.
    #[must_use]
    pub fn title(self, title: &str) -> Self {
        Self { title: Some(title.to_owned()), ..self }
    }

    /// Only calls of this round.
    #[must_use]
    pub fn round(self, round: u32) -> Self {
        Self { round: Some(round), ..self }
    }

    /// Only calls at this step of the script, from 0.
    #[must_use]
    pub fn turn(self, turn: u32) -> Self {
        Self { turn: Some(turn), ..self }
    }

    /// Only calls for which `predicate` holds.
    #[must_use]
    pub fn matching(self, predicate: impl Fn(&Conversation) -> bool + Send + Sync + 'static) -> Self {
        Self { predicate: Some(Arc::new(predicate)), ..self }
    }

    /// From the `nth` fitting call on, counted from 1.
    #[must_use]
    pub fn nth(self, nth: u32) -> Self {
        Self { nth: nth.max(1), ..self }
    }

    /// On so many calls.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    fn fits(&self, conversation: &Conversation) -> bool {
        let brief = conversation.brief.as_ref();
        let said = |wanted: bool, fits: bool| !wanted || fits;
        said(self.provider.is_some(), self.provider == Some(conversation.provider))
            && said(self.role.is_some(), self.role.as_ref() == brief.map(|brief| &brief.role))
            && said(self.title.is_some(), self.title.as_deref() == brief.map(|brief| brief.title.as_str()))
            && said(self.round.is_some(), self.round == brief.map(|brief| brief.round))
            && said(self.turn.is_some(), self.turn == Some(conversation.turn()))
            && self.predicate.as_ref().is_none_or(|holds| holds(conversation))
    }
}

#[derive(Debug)]
struct Rule {
    when: When,
    fault: Fault,
    seen: u32,
    hit: u32,
}

/// The rules that still wait for their call, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: VecDeque<Rule>,
}

impl Faults {
    pub(crate) fn add(&mut self, when: When, fault: Fault) {
        if when.times > 0 {
            self.rules.push_back(Rule { when, fault, seen: 0, hit: 0 });
        }
    }

    /// How many rules still wait.
    pub(crate) fn waiting(&self) -> usize {
        self.rules.len()
    }

    /// What goes wrong with this call. Every fitting rule counts it, the first that is due takes it.
    pub(crate) fn take(&mut self, conversation: &Conversation) -> Option<Fault> {
        let mut taken = None;
        for rule in &mut self.rules {
            if !rule.when.fits(conversation) {
                continue;
            }
            rule.seen = rule.seen.saturating_add(1);
            if taken.is_none() && rule.seen >= rule.when.nth {
                rule.hit = rule.hit.saturating_add(1);
                taken = Some(rule.fault.clone());
            }
        }
        self.rules.retain(|rule| rule.hit < rule.when.times);
        taken
    }
}
