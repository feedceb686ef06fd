//! One call: reserve, forward, settle; and again where that helps.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pairbot_protocol::budget::{Amount, Exhausted, Quantity};
use pairbot_protocol::ids::{Timestamp, Usage};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::account::{AccountError, BudgetAccount, Lack, ReservationId};
use super::circuit::{Admission, Circuit, CircuitSettings};
use super::estimate;
use super::message::{ModelRequest, Reply};
use super::prices::{ModelFacts, PriceTable, UnknownModel};
use super::providers::{
    self, Answer, AttemptLimits, Charge, Failed, ProviderError, ProviderKind, ProviderSettings,
};
use super::retry::RetrySettings;
use super::transport::ModelTransport;
use crate::ports::{Clock, Entropy};

/// An answer shorter than this is of no use to an agent, so rather than clamp the output below it a call is refused.
const OUTPUT_TOKENS_FLOOR: u64 = 1_024;
/// How often a reservation is fitted again when other calls of the same account were faster.
const FITTINGS_MAX: u32 = 4;

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

struct Provider {
    settings: ProviderSettings,
    slots: Semaphore,
    circuit: Circuit,
}

/// The only way to a model. See the [module](super) for the promise it keeps.
pub struct Gateway {
    transport: Box<dyn ModelTransport>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    prices: PriceTable,
    settings: GatewaySettings,
    providers: BTreeMap<ProviderKind, Provider>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Gateway")
            .field("providers", &self.providers.keys())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A call that is paid for and ready to be sent.
struct Paid {
    body: Vec<u8>,
    reservation: ReservationId,
    reserved: Amount,
    /// The usage that the reservation covers.
    worst: Usage,
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
                let slots = Semaphore::new(provider.calls_max.clamp(1, Semaphore::MAX_PERMITS));
                let circuit = Circuit::new(settings.circuit);
                (provider.kind, Provider { settings: provider, slots, circuit })
            })
            .collect();
        Self { transport: Box::new(transport), clock, entropy, prices, settings, providers }
    }

    /// What is known of a model that has a price: its window, its longest answer, its price.
    pub fn facts(&self, model: &super::ModelChoice) -> Result<&ModelFacts, UnknownModel> {
        self.prices.facts(model)
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
        let facts = self.facts_for(account, &request.model).await?;
        let facts = facts.as_ref();
        let provider = self.providers.get(&kind).ok_or(CallError::NoProvider { provider: kind })?;
        let mut failures = 0;
        loop {
            let permit = self.admit(provider, &request).await?;
            let paid = self.pay(account, &request, facts).await?;
            let (body, until) = (paid.body.clone(), self.attempt_ends(request.deadline));
            let limits = AttemptLimits { until, silence_max: self.settings.silence_max };
            let clock = self.clock.as_ref();
            let outcome = providers::attempt(
                self.transport.as_ref(),
                clock,
                &provider.settings,
                body,
                request.stream,
                limits,
            )
            .await;
            drop(permit);
            let failed = match outcome {
                Ok(answer) => {
                    provider.circuit.answered();
                    return settle_answer(account, &request, facts, paid, answer).await;
                }
                Err(failed) => failed,
            };
            settle_failure(account, &request, facts, paid, &failed).await?;
            failures += 1;
            let pause = self.after_failure(provider, &request, failures, failed.error)?;
            self.wait(pause, request.deadline).await?;
        }
    }

    /// Waits until the provider may be called.
    async fn admit<'a>(
        &self,
        provider: &'a Provider,
        request: &ModelRequest,
    ) -> Result<SemaphorePermit<'a>, CallError> {
        let permit = match request.deadline {
            None => provider.slots.acquire().await,
            Some(deadline) => tokio::select! {
                biased;
                permit = provider.slots.acquire() => permit,
                () = self.clock.sleep_until(deadline) => return Err(CallError::DeadlinePassed),
            },
        };
        // The semaphore is never closed; if it were, nothing could be called any more.
        let permit = permit.map_err(|_| CallError::DeadlinePassed)?;
        loop {
            let now = self.clock.now();
            if request.deadline.is_some_and(|deadline| deadline <= now) {
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
                    self.wait(pause, request.deadline).await?;
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
    ) -> Result<Paid, CallError> {
        let kind = request.model.provider;
        let wanted = request.output_tokens_max.min(facts.output_tokens).max(1);
        let floor = OUTPUT_TOKENS_FLOOR.min(wanted);
        // A smaller limit never makes the body longer, so the estimate holds for the fitted body too.
        let input_tokens = estimate::input_tokens_max(&providers::body(kind, request, facts, wanted));
        let needed = facts.worst(input_tokens, floor);
        let mut room = account.remaining().await?;
        for _ in 0..FITTINGS_MAX {
            let paid_for = facts.output_tokens_within(room.money.amount, input_tokens);
            let counted = room.tokens_left().0.saturating_sub(input_tokens);
            let output_tokens = paid_for.min(counted).min(wanted);
            let reserved = facts.worst(input_tokens, output_tokens);
            if output_tokens < floor || room.lacks(reserved).is_some() {
                break;
            }
            match account.reserve(reserved, &request.purpose).await {
                Ok(reservation) => {
                    let body = providers::body(kind, request, facts, output_tokens);
                    let worst = Usage { input_tokens, output_tokens, ..Usage::default() };
                    return Ok(Paid { body, reservation, reserved, worst });
                }
                // Other calls were faster, in whichever budget: see what they left.
                Err(AccountError::Exhausted { .. }) => room = account.remaining().await?,
                Err(other @ (AccountError::LeaseLost | AccountError::Unavailable(_))) => {
                    return Err(other.into());
                }
            }
        }
        Err(room.lacks(needed).unwrap_or_else(|| room.lack_of_money(needed)).into())
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
        if !error.retryable() {
            provider.circuit.answered();
            return Err(error.into());
        }
        if matches!(error, ProviderError::Timeout) && request.deadline.is_some_and(|deadline| deadline <= now)
        {
            // Our own deadline says nothing about the provider.
            return Err(CallError::DeadlinePassed);
        }
        if !matches!(error, ProviderError::RateLimited { .. }) {
            provider.circuit.failed(now);
        }
        let retry = &self.settings.retry;
        let pause = match error.retry_after() {
            Some(after) => RetrySettings::asked(after, self.entropy.as_ref()),
            None => retry.pause(failures, self.entropy.as_ref()),
        };
        let until = now.plus_ms(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        if error.retry_after().is_some() {
            provider.circuit.asked_to_wait(until);
        }
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

    fn attempt_ends(&self, deadline: Option<Timestamp>) -> Timestamp {
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

async fn settle_answer(
    account: &dyn BudgetAccount,
    request: &ModelRequest,
    facts: &ModelFacts,
    paid: Paid,
    answer: Answer,
) -> Result<Reply, CallError> {
    let (usage, cost) = if let Some(usage) = answer.usage {
        (usage, facts.cost(usage))
    } else {
        tracing::warn!(model = %request.model, "a model's answer reports no usage; charged in full as reserved");
        (paid.worst, paid.reserved.money)
    };
    let tokens = usage.total();
    if cost > paid.reserved.money || tokens > paid.reserved.tokens {
        // The estimate is meant to be an upper bound; the account must still know the truth.
        let Amount { money, tokens: tokens_reserved } = paid.reserved;
        tracing::error!(model = %request.model, %cost, reserved = %money, %tokens, %tokens_reserved, "a call took more than was reserved");
    }
    account.settle(paid.reservation, cost, usage, &request.model.model).await?;
    Ok(Reply { blocks: answer.blocks, stop: answer.stop, usage, cost })
}

async fn settle_failure(
    account: &dyn BudgetAccount,
    request: &ModelRequest,
    facts: &ModelFacts,
    paid: Paid,
    failed: &Failed,
) -> Result<(), AccountError> {
    let (usage, cost) = match failed.charge {
        Charge::Nothing => return account.release(paid.reservation).await,
        Charge::Unknown { input: None } => (paid.worst, paid.reserved.money),
        // What was read is known; what was written before the cut is not, so it counts in full.
        Charge::Unknown { input: Some(input) } => {
            let usage = Usage { output_tokens: paid.worst.output_tokens, ..input };
            (usage, facts.cost(usage).min(paid.reserved.money))
        }
    };
    account.settle(paid.reservation, cost, usage, &request.model.model).await
}
