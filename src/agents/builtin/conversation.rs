//! The loop: ask the model, do what it asks, until it hands in or something ends the task.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::meter::Meter;
use super::tools::Toolbox;
use super::transcript::{Resumed, TRANSCRIPT_VERSION, TranscriptError, TranscriptStore, Turn, TurnContent};
use super::window;
use crate::agents::checkpoint::{Checkpoint, CheckpointError};
use crate::agents::desk::Submission;
use crate::agents::outcome::{AgentFailure, Spent};
use crate::agents::prompts::Opening;
use crate::agents::task::AgentLimits;
use crate::agents::untrusted::line;
use crate::gateway::{
    Arguments, Block, CallError, Gateway, Message, ModelChoice, ModelRequest, ProviderError, Reply,
    StopReason,
};
use crate::ports::Clock;

/// The fewest bytes of ordinary text and code that a token stands for. A guess for the window only: where it is wrong
/// the provider says so and more is left out. What is paid never depends on it.
pub(super) const BYTES_PER_TOKEN: u64 = 3;
/// How often a model that calls no tool is reminded.
const REMINDERS_MAX: u32 = 2;
/// From how many turns left the model is told.
const TURNS_WARNED: u32 = 3;
/// How many tool calls of one answer are done.
const CALLS_PER_ANSWER_MAX: usize = 50;
/// In hundredths of the window: how full the conversation may get, and to what it is brought down then. The second
/// entry of each is for when the provider found the first too much, and so on.
const WINDOW_SHARES: [(u64, u64); 3] = [(80, 50), (50, 35), (30, 20)];

/// How a task ended and what it cost.
pub(super) struct Ended<P> {
    pub(super) result: Result<P, AgentFailure>,
    pub(super) spent: Spent,
}

/// One conversation: with which model, for whom, with what.
pub(super) struct Conversation<'a, S> {
    pub(super) gateway: &'a Gateway,
    pub(super) clock: &'a dyn Clock,
    pub(super) transcript: &'a dyn TranscriptStore,
    pub(super) files: Option<&'a dyn Checkpoint>,
    /// Cancelled when the server stops.
    pub(super) stop: &'a CancellationToken,
    pub(super) meter: Meter<'a>,
    pub(super) model: ModelChoice,
    pub(super) limits: AgentLimits,
    /// What its calls are for, as people read it in the account.
    pub(super) purpose: String,
    pub(super) stream: bool,
    pub(super) toolbox: Toolbox,
    pub(super) submission: S,
}

impl From<TranscriptError> for AgentFailure {
    fn from(error: TranscriptError) -> Self {
        match error {
            TranscriptError::LeaseLost => Self::LeaseLost,
            TranscriptError::Unavailable(why) => Self::Store(why),
        }
    }
}

impl From<CheckpointError> for AgentFailure {
    fn from(error: CheckpointError) -> Self {
        Self::Store(error.to_string())
    }
}

impl<S: Submission> Conversation<'_, S> {
    /// Holds the conversation to its end, from where an earlier life left it.
    pub(super) async fn run(self, opening: Opening) -> Ended<S::Product> {
        let mut state = match self.begin(opening).await {
            Ok(state) => state,
            Err(failure) => return Ended { result: Err(failure), spent: Spent::default() },
        };
        let result = self.go_on(&mut state).await;
        Ended { result, spent: state.spent.plus(self.meter.take()) }
    }

    async fn begin(&self, opening: Opening) -> Result<Resumed, AgentFailure> {
        let kept = self.transcript.load().await?;
        let had_any = !kept.is_empty();
        if let Some(resumed) = Resumed::from_turns(kept) {
            if let (Some(files), Some(name), Some(_)) = (self.files, &resumed.files, &resumed.pending) {
                // The last answer may have been acted on in part; it is acted on again, as if for the first time.
                files.go_back(name).await?;
            }
            return Ok(resumed);
        }
        if had_any {
            tracing::warn!(
                purpose = self.purpose,
                "the kept transcript cannot be resumed; the task begins anew"
            );
        }
        let mut state = Resumed::default();
        let Opening { system, text } = opening;
        let files = self.files_now().await?;
        let content =
            TurnContent::Opening { system: system.clone(), text: text.clone(), files: files.clone() };
        self.keep(&state, content).await?;
        state.open(system, text, files);
        Ok(state)
    }

    async fn go_on(&self, state: &mut Resumed) -> Result<S::Product, AgentFailure> {
        loop {
            // Between two turns nothing is under way that would have to be paid or done again.
            if self.stop.is_cancelled() {
                return Err(AgentFailure::Stopped);
            }
            if let Some((blocks, stop)) = state.pending.take()
                && let Some(product) = self.answer(state, &blocks, &stop).await?
            {
                return Ok(product);
            }
            let limits = &self.limits;
            if self.clock.now() >= limits.deadline {
                return Err(AgentFailure::TimedOut);
            }
            if state.answers >= limits.turns_max {
                return Err(AgentFailure::TurnsExhausted(limits.turns_max));
            }
            let Reply { blocks, stop, .. } = self.ask(state).await?;
            let spent = self.meter.take();
            let content = TurnContent::Model { blocks: blocks.clone(), stop: stop.clone(), spent };
            let kept = self.keep(state, content).await;
            // Counted even if it could not be kept: it was spent.
            state.model(blocks, stop, spent);
            kept?;
        }
    }

    /// One call, with as much of the conversation as the model's window takes.
    async fn ask(&self, state: &mut Resumed) -> Result<Reply, AgentFailure> {
        let facts = self.gateway.sizes(&self.model);
        let mut tools = self.toolbox.specs();
        tools.push(self.submission.spec());
        let output = self.limits.output_tokens_max.min(facts.output_tokens);
        let input = facts.context_tokens.saturating_sub(output).saturating_mul(BYTES_PER_TOKEN);
        let mut too_long = String::new();
        for (share_max, share_goal) in WINDOW_SHARES {
            let share = |percent: u64| usize::try_from(input / 100 * percent).unwrap_or(usize::MAX);
            window::fit(&mut state.messages, share(share_max), share(share_goal));
            let request = ModelRequest {
                model: self.model.clone(),
                system: state.system.clone(),
                tools: tools.clone(),
                messages: state.messages.clone(),
                output_tokens_max: self.limits.output_tokens_max,
                stream: self.stream,
                deadline: Some(self.limits.deadline),
                purpose: self.purpose.clone(),
            };
            match self.gateway.call(&self.meter, request).await {
                Ok(reply) => return Ok(reply),
                Err(CallError::Provider(ProviderError::TooLong { message })) => too_long = message,
                Err(other) => return Err(other.into()),
            }
        }
        Err(AgentFailure::ContextExhausted(too_long))
    }

    /// Does what the model asked for and keeps what we say to it; or takes the product.
    async fn answer(
        &self,
        state: &mut Resumed,
        blocks: &[Block],
        stop: &StopReason,
    ) -> Result<Option<S::Product>, AgentFailure> {
        let calls: Vec<(&str, &str, &Arguments)> = blocks
            .iter()
            .filter_map(|block| match block {
                Block::ToolUse { id, name, arguments } => Some((id.as_str(), name.as_str(), arguments)),
                Block::Text { .. } | Block::ToolResult { .. } | Block::Opaque { .. } => None,
            })
            .collect();
        if *stop == StopReason::Refusal {
            return Err(AgentFailure::Refused(said(blocks)));
        }
        let mut ours = Vec::new();
        if calls.is_empty() {
            if *stop == StopReason::PauseTurn {
                return Ok(None);
            }
            if state.idle > REMINDERS_MAX {
                return Err(AgentFailure::NeverHandedIn(said(blocks)));
            }
            ours.push(Block::Text { text: self.reminder(stop) });
        }
        // The last call of an answer that ran into the output limit may be cut, even where it is still JSON.
        let cut = matches!(stop, StopReason::MaxTokens | StopReason::WindowExceeded);
        for (position, (id, name, arguments)) in calls.iter().enumerate() {
            let done = if cut && position + 1 == calls.len() {
                Err("the call was cut at the output limit and not done; do it again in smaller steps"
                    .to_owned())
            } else if position >= CALLS_PER_ANSWER_MAX {
                Err(format!("not done: at most {CALLS_PER_ANSWER_MAX} calls are done at once; ask again"))
            } else if *name == self.submission.spec().name {
                match self.submit(state, arguments) {
                    Ok(product) => return Ok(Some(product)),
                    Err(wrong) => Err(wrong),
                }
            } else {
                self.use_tool(name, arguments).await
            };
            let is_error = done.is_err();
            let content = done.unwrap_or_else(|wrong| wrong);
            // An empty result is refused by some servers.
            let content = if content.is_empty() { "(nothing)".to_owned() } else { content };
            ours.push(Block::ToolResult { tool_use_id: (*id).to_owned(), content, is_error });
        }
        if let Some(warning) = self.turns_warning(state) {
            ours.push(Block::Text { text: warning });
        }
        let wrote = calls.iter().any(|(_, name, _)| Toolbox::may_write(name));
        let files = if wrote { self.files_now().await? } else { state.files.clone() };
        self.keep(state, TurnContent::Ours { blocks: ours.clone(), files: files.clone() }).await?;
        state.ours(ours, files);
        Ok(None)
    }

    /// The name of the files as they are, for who comes after a crash.
    async fn files_now(&self) -> Result<Option<String>, AgentFailure> {
        match self.files {
            Some(files) => Ok(Some(files.keep().await?)),
            None => Ok(None),
        }
    }

    async fn use_tool(&self, name: &str, arguments: &Arguments) -> Result<String, String> {
        let left = self.limits.deadline.ms_since(self.clock.now());
        if left == 0 {
            return Err("the task's time is over".to_owned());
        }
        match arguments {
            Arguments::Object(value) => {
                self.toolbox.run(name, value.clone(), Duration::from_millis(left)).await
            }
            Arguments::Malformed(text) => Err(malformed(text)),
        }
    }

    fn submit(&self, state: &Resumed, arguments: &Arguments) -> Result<S::Product, String> {
        match arguments {
            Arguments::Object(value) => self
                .submission
                .accept(value.clone(), was_refused(&state.messages, self.submission.spec().name)),
            Arguments::Malformed(text) => Err(malformed(text)),
        }
    }

    fn reminder(&self, stop: &StopReason) -> String {
        let tool = self.submission.spec().name;
        match stop {
            StopReason::MaxTokens | StopReason::WindowExceeded => {
                format!(
                    "Your answer was cut at the output limit. Go on with a tool call, in smaller steps; `{tool}` ends the task."
                )
            }
            StopReason::EndTurn
            | StopReason::ToolUse
            | StopReason::Refusal
            | StopReason::PauseTurn
            | StopReason::Other(_) => {
                format!(
                    "You called no tool. Only tool calls count: go on, or call `{tool}` if the task is done."
                )
            }
        }
    }

    fn turns_warning(&self, state: &Resumed) -> Option<String> {
        let left = self.limits.turns_max.saturating_sub(state.answers);
        (1..=TURNS_WARNED).contains(&left).then(|| {
            let tool = self.submission.spec().name;
            format!("You have {left} answers left for this task. Finish and call `{tool}`.")
        })
    }

    async fn keep(&self, state: &Resumed, content: TurnContent) -> Result<(), AgentFailure> {
        let turn = Turn { version: TRANSCRIPT_VERSION, position: state.next_position, content };
        Ok(self.transcript.append(&turn).await?)
    }
}

fn malformed(text: &str) -> String {
    format!(
        "the arguments are not a JSON object, so the call was not done; send them again. They began with: {}",
        line(text, 200)
    )
}

/// Whether the model was sent back with its hand-in before. Calls and results are matched inside each pair of messages,
/// because not every server gives ids that are unique in the whole conversation.
fn was_refused(messages: &[Message], tool: &str) -> bool {
    messages.windows(2).any(|pair| {
        let [call, result] = pair else { return false };
        call.blocks.iter().any(|block| match block {
            Block::ToolUse { id, name, .. } => {
                name == tool && result.blocks.iter().any(|said| is_refusal(said, id))
            }
            Block::Text { .. } | Block::ToolResult { .. } | Block::Opaque { .. } => false,
        })
    })
}

fn is_refusal(block: &Block, id: &str) -> bool {
    matches!(block, Block::ToolResult { tool_use_id, is_error: true, .. } if tool_use_id == id)
}

/// The model's own words, for a person.
fn said(blocks: &[Block]) -> String {
    let texts: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text { text } => Some(text.as_str()),
            Block::ToolUse { .. } | Block::ToolResult { .. } | Block::Opaque { .. } => None,
        })
        .collect();
    let shown = line(&texts.join(" "), 500);
    if shown.is_empty() { "(nothing)".to_owned() } else { shown }
}
