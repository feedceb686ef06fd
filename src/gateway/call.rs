//! One call: reserve, forward, settle; and again where that helps.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pairbot_protocol::budget::{Exhausted, Quantity};
use pairbot_protocol::ids::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::account::{AccountError, BudgetAccount, Lack};
use super::circuit::{Admission, Circuit, CircuitSettings};
use super::estimate;
use super::message::{ModelRequest, Reply};
use super::payment::{self, Bill, Need, OUTPUT_TOKENS_FLOOR, Paid};
use super::prices::{CacheLife, ModelFacts, PriceTable, UnknownModel};
use super::providers::{self, AttemptLimits, ProviderError, ProviderKind, ProviderSettings, Wire};
use super::retry::RetrySettings;
use super::transport::ModelTransport;
use crate::ports::{Clock, Entropy};

/// How the gateway behaves; the defaults are for real providers.
#[derive(Debug, Clone, Copy)]
pub struct GatewaySettings {
    /// When and how often failed calls are repeated.
    pub retry: RetrySettings,
    /// When a provider is left alone.
    pub circuit: CircuitSettings,
    /// How long one attempt may take.
    pub attempt_max: Duration,
    /// How long a streaming provider may be silent.
    pub silence_max: Duration,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            retry: RetrySettings::default(),
            circuit: CircuitSettings::default(),
            attempt_max: Duration::from_mins(10),
            silence_max: Duration::from_mins(2),
        }
    }
}

/// Why a call got no answer. Whatever was spent on the way is settled in the account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The model has no price, and no budget counts tokens.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// The server has no key for the provider.
    #[error("no key is configured for the provider {provider}; set its API key in the server's environment")]
    NoProvider {
        /// The provider.
        provider: ProviderKind,
    },
    /// Only agents of a vendor's speak the provider's protocol.
    #[error(
        "the builtin agent does not speak the protocol of {provider}; choose a model of anthropic or openai for it"
    )]
    NotSpoken {
        /// The provider.
        provider: ProviderKind,
    },
    /// The worst case of the call does not fit what is left of a budget.
    #[error("the call needs up to {needed} but only {remaining} of {exhausted} remain")]
    BudgetExhausted {
        /// Which budget, and when it opens again.
        exhausted: Exhausted,
        /// What is left of it.
        remaining: Quantity,
        /// What the shortest useful call could cost or use.
        needed: Quantity,
    },
    /// The task belongs to someone else now.
    #[error("the task's lease was lost before the call could be paid")]
    LeaseLost,
    /// The budget could not be asked, so nothing was sent.
    #[error("the budget account could not be reached: {0}")]
    Account(String),
    /// The provider asked to come back later than is worth waiting here.
    #[error("the provider asked to wait: {reason}")]
    Snooze {
        /// When to come back.
        until: Timestamp,
        /// What the provider said.
        reason: String,
    },
    /// The provider keeps failing.
    #[error("{provider} keeps failing: {reason}")]
    ProviderDown {
        /// The provider.
        provider: ProviderKind,
        /// Not before this moment is it asked again.
        until: Timestamp,
        /// The last failure.
        reason: String,
    },
    /// The request's own deadline came first.
    #[error("the task's time ran out before the model answered")]
    DeadlinePassed,
    /// The provider refused in a way that repeating does not change.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl From<AccountError> for CallError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Exhausted { exhausted, limit, spent, reserved } => {
                let remaining = limit.minus(spent).minus(reserved);
                Self::BudgetExhausted { exhausted, remaining, needed: remaining }
            }
            AccountError::LeaseLost => Self::LeaseLost,
            AccountError::Unavailable(why) => Self::Account(why),
        }
    }
}

impl From<Lack> for CallError {
    fn from(Lack { exhausted, remaining, needed }: Lack) -> Self {
        Self::BudgetExhausted { exhausted, remaining, needed }
    }
}

/// One provider, as all calls to it share it.
pub(super) struct Provider {
    pub(super) settings: ProviderSettings,
    slots: Arc<Semaphore>,
    pub(super) circuit: Circuit,
}

/// The only way to a model. See the [module](super) for the promise it keeps.
pub struct Gateway {
    pub(super) transport: Box<dyn ModelTransport>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) prices: PriceTable,
    pub(super) settings: GatewaySettings,
    pub(super) providers: BTreeMap<ProviderKind, Provider>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Gateway")
            .field("providers", &self.providers.keys())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway to the providers given. Over the network, `transport` should come from [`super::http_client`].
    pub fn new(
        transport: impl ModelTransport + 'static,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        prices: PriceTable,
        settings: GatewaySettings,
        providers: impl IntoIterator<Item = ProviderSettings>,
    ) -> Self {
        let providers = providers
            .into_iter()
            .map(|provider| {
                let slots = Arc::new(Semaphore::new(provider.calls_max.clamp(1, Semaphore::MAX_PERMITS)));
                let circuit = Circuit::new(settings.circuit);
                (provider.kind, Provider { settings: provider, slots, circuit })
            })
            .collect();
        Self { transport: Box::new(transport), clock, entropy, prices, settings, providers }
    }

    /// How much a model can hold and write, priced or not.
    pub fn sizes(&self, model: &super::ModelChoice) -> ModelFacts {
        self.prices.without_price(model)
    }

    /// What is known of a model that is to be called. One without a price is counted in tokens alone, where a budget
    /// limits those; where none does, nothing would limit it.
    pub(super) async fn facts_for(
        &self,
        account: &dyn BudgetAccount,
        model: &super::ModelChoice,
    ) -> Result<Cow<'_, ModelFacts>, CallError> {
        match self.prices.facts(model) {
            Ok(facts) => Ok(Cow::Borrowed(facts)),
            Err(unknown) => match account.remaining().await?.tokens {
                Some(_) => Ok(Cow::Owned(self.prices.without_price(model))),
                None => Err(unknown.into()),
            },
        }
    }

    /// Whether a provider is configured.
    pub fn has_provider(&self, kind: ProviderKind) -> bool {
        self.providers.contains_key(&kind)
    }

    /// Makes one call, attempts repeated where that helps; each attempt is reserved and settled by itself.
    ///
    /// If the returned future is dropped midway, the attempt under way stays reserved in the account, because it may
    /// have been charged: see [`BudgetAccount`].
    pub async fn call(&self, account: &dyn BudgetAccount, request: ModelRequest) -> Result<Reply, CallError> {
        let kind = request.model.provider;
        let wire = kind.wire().ok_or(CallError::NotSpoken { provider: kind })?;
        let facts = self.facts_for(account, &request.model).await?;
        let facts = facts.as_ref();
        let provider = self.providers.get(&kind).ok_or(CallError::NoProvider { provider: kind })?;
        let mut failures = 0;
        loop {
            let permit = self.admit(provider, request.deadline).await?;
            let paid = self.pay(account, &request, facts, wire).await?;
            let body = providers::body(wire, &request, facts, paid.worst.output_tokens);
            let until = self.attempt_ends(request.deadline);
            let limits = AttemptLimits { until, silence_max: self.settings.silence_max };
            let attempt = providers::attempt(
                self.transport.as_ref(),
                self.clock.as_ref(),
                &provider.settings,
                wire,
                body,
                request.stream,
                limits,
            );
            let outcome = attempt.await;
            drop(permit);
            let bill = match &outcome {
                Ok(answer) => {
                    provider.circuit.answered();
                    let reported = |usage| Bill::Reported { usage, hour_tokens: 0 };
                    answer.usage.map_or(Bill::Unreported, reported)
                }
                Err(failed) => Bill::Failed(failed.charge),
            };
            let receipt = payment::settle(account, &request.model, facts, paid, bill).await?;
            let failed = match outcome {
                Ok(answer) => {
                    let (usage, cost) = (receipt.usage, receipt.cost);
                    return Ok(Reply { blocks: answer.blocks, stop: answer.stop, usage, cost });
                }
                Err(failed) => failed,
            };
            failures += 1;
            let pause = self.after_failure(provider, &request, failures, failed.error)?;
            self.wait(pause, request.deadline).await?;
        }
    }

    /// Waits until the provider may be called.
    pub(super) async fn admit(
        &self,
        provider: &Provider,
        deadline: Option<Timestamp>,
    ) -> Result<OwnedSemaphorePermit, CallError> {
        let slot = Arc::clone(&provider.slots).acquire_owned();
        let permit = match deadline {
            None => slot.await,
            Some(deadline) => tokio::select! {
                biased;
                permit = slot => permit,
                () = self.clock.sleep_until(deadline) => return Err(CallError::DeadlinePassed),
            },
        };
        // The semaphore is never closed; if it were, nothing could be called any more.
        let permit = permit.map_err(|_| CallError::DeadlinePassed)?;
        loop {
            let now = self.clock.now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(CallError::DeadlinePassed);
            }
            match provider.circuit.admit(now) {
                Admission::Open => return Ok(permit),
                Admission::Down(until) => {
                    let reason = "it failed too often in a row".to_owned();
                    return Err(CallError::ProviderDown { provider: provider.settings.kind, until, reason });
                }
                Admission::Wait(until) => {
                    let pause = Duration::from_millis(until.ms_since(now));
                    if pause > self.settings.retry.retry_after_max {
                        let reason = "an earlier call was told to come back later".to_owned();
                        return Err(CallError::Snooze { until, reason });
                    }
                    self.wait(pause, deadline).await?;
                }
            }
        }
    }

    /// Reserves the worst case, with as much output as fits.
    async fn pay(
        &self,
        account: &dyn BudgetAccount,
        request: &ModelRequest,
        facts: &ModelFacts,
        wire: Wire,
    ) -> Result<Paid, CallError> {
        let wanted = request.output_tokens_max.min(facts.output_tokens).max(1);
        let need = Need {
            facts,
            // A smaller limit never makes the body longer, so the estimate holds for the fitted body too.
            input_tokens: estimate::input_tokens_max(&providers::body(wire, request, facts, wanted)),
            cache: CacheLife::Usual,
            output_wanted: wanted,
            output_floor: OUTPUT_TOKENS_FLOOR.min(wanted),
        };
        payment::set_aside(account, &need, &request.purpose).await
    }

    /// Decides what follows a failed attempt: the pause before the next one, or the error that ends the call.
    fn after_failure(
        &self,
        provider: &Provider,
        request: &ModelRequest,
        failures: u32,
        error: ProviderError,
    ) -> Result<Duration, CallError> {
        let now = self.clock.now();
        if matches!(error, ProviderError::Timeout) && request.deadline.is_some_and(|deadline| deadline <= now)
        {
            // Our own deadline says nothing about the provider.
            return Err(CallError::DeadlinePassed);
        }
        let asked_until = self.note(provider, &error);
        if !error.retryable() {
            return Err(error.into());
        }
        let retry = &self.settings.retry;
        let pause = match asked_until {
            Some(until) => Duration::from_millis(until.ms_since(now)),
            None => retry.pause(failures, self.entropy.as_ref()),
        };
        let until = now.plus_ms(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        tracing::warn!(model = %request.model, failures, pause_ms = pause.as_millis(), %error, "model call failed");
        if error.retry_after().is_some_and(|after| after > retry.retry_after_max) {
            return Err(CallError::Snooze { until, reason: error.to_string() });
        }
        if failures >= retry.attempts_max {
            let reason = error.to_string();
            return Err(CallError::ProviderDown { provider: provider.settings.kind, until, reason });
        }
        Ok(pause)
    }

    /// Keeps for all callers what a failure says of the provider's health. Answers until when the provider asked to be
    /// left alone, if it did.
    pub(super) fn note(&self, provider: &Provider, error: &ProviderError) -> Option<Timestamp> {
        let now = self.clock.now();
        if !error.retryable() {
            provider.circuit.answered();
            return None;
        }
        if !matches!(error, ProviderError::RateLimited { .. }) {
            provider.circuit.failed(now);
        }
        let pause = RetrySettings::asked(error.retry_after()?, self.entropy.as_ref());
        let until = now.plus_ms(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        provider.circuit.asked_to_wait(until);
        Some(until)
    }

    pub(super) fn attempt_ends(&self, deadline: Option<Timestamp>) -> Timestamp {
        let ms = u64::try_from(self.settings.attempt_max.as_millis()).unwrap_or(u64::MAX);
        let own = self.clock.now().plus_ms(ms);
        deadline.map_or(own, |deadline| deadline.min(own))
    }

    async fn wait(&self, pause: Duration, deadline: Option<Timestamp>) -> Result<(), CallError> {
        let until = self.clock.now().plus_ms(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        if deadline.is_some_and(|deadline| deadline <= until) {
            return Err(CallError::DeadlinePassed);
        }
        self.clock.sleep_until(until).await;
        Ok(())
    }
}
