//! One call: reserve, forward, pass the answer back, settle.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::api::Api;
use super::blot::Blotter;
use super::body::{self, Wish};
use super::events::Events;
use super::meter::Meter;
use super::record::CallOutcome;
use super::refusal::{Refusal, SHOULD_RETRY};
use super::{Shared, Traffic};
use crate::gateway::call::{CallError, Provider};
use crate::gateway::payment::{self, Bill, Need, Paid, Receipt};
use crate::gateway::prices::{ModelChoice, ModelFacts};
use crate::gateway::providers::{
    self, ANTHROPIC_VERSION, AttemptLimits, Charge, Exchange, ProviderError, Target, from_status, retry_after,
};
use crate::gateway::transport::AnswerBody;

/// A body longer than this is read aside, where it holds up nobody.
const LARGE_BYTES: usize = 1024 * 1024;
/// The window above which Anthropic asks for a header of its own, and for another price.
const WINDOW_TOKENS: u64 = 200_000;
const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// What an agent asked for.
pub(super) struct Asked {
    pub(super) api: Api,
    /// The model, where the path names it.
    pub(super) model: Option<String>,
    pub(super) body: Bytes,
    /// The room that the body takes.
    pub(super) room: OwnedSemaphorePermit,
    /// Whether the address asks for an event stream.
    pub(super) sse: bool,
    pub(super) headers: HeaderMap,
}

/// How the agent hears the answer. It may have gone away.
type Reply = oneshot::Sender<Response>;

/// A call that may be made.
struct Call<'a> {
    shared: &'a Shared,
    api: Api,
    wish: Wish,
    model: ModelChoice,
    /// Without a price where the task's budgets count tokens and nobody knows what the model costs.
    facts: Cow<'a, ModelFacts>,
    provider: &'a Provider,
}

/// Tells the HTTP server to break a connection, so that nobody takes half an answer for a whole one.
#[derive(Debug, thiserror::Error)]
#[error("the answer ended before it was whole")]
struct Broken;

/// How an exchange with the provider ended.
struct End {
    bill: Bill,
    /// The provider's status, where it is not 200.
    status: Option<u16>,
    /// Why there is no whole answer.
    reason: Option<String>,
    /// Whether the agent stayed for what there was to hear.
    heard: bool,
}

/// Makes a call, and returns once it is settled.
pub(super) async fn run(shared: &Shared, asked: Asked, mut reply: Reply) {
    let form = asked.api.form();
    let named = asked.model.clone();
    let api = asked.api;
    let refused = match prepare(shared, &asked).await {
        Err(refusal) => {
            let outcome = CallOutcome::NotSent { reason: refusal.to_string() };
            shared.record().add(api, named.as_deref().unwrap_or_default(), shared.now(), outcome);
            refusal
        }
        Ok(call) => {
            let waited = tokio::select! {
                biased;
                // Nobody waits for the answer any more, and nothing was spent.
                () = reply.closed() => return,
                waited = shared.gateway.admit(call.provider, shared.visit.deadline) => waited,
            };
            let paid = match waited {
                Ok(slot) if api == Api::CountTokens => return call.count(asked, reply, slot).await,
                Ok(slot) => call.pay(&mut reply).await.map(|paid| (slot, paid)),
                Err(error) => Err(error),
            };
            match paid {
                Ok((_, None)) => return,
                Ok((slot, Some(paid))) => return call.make(asked, reply, slot, paid).await,
                Err(error) => call.not_made(&error),
            }
        }
    };
    let _gone = reply.send(refused.response(form));
}

/// Reads what is asked for, and whether it is allowed.
async fn prepare<'a>(shared: &'a Shared, asked: &Asked) -> Result<Call<'a>, Refusal> {
    let (api, sse) = (asked.api, asked.sse);
    let wish = if asked.body.len() < LARGE_BYTES {
        body::read(api, (asked.model.as_deref(), sse), &asked.body)?
    } else {
        let (bytes, model) = (asked.body.clone(), asked.model.clone());
        let _turn = shared.large.acquire().await;
        let reading = tokio::task::spawn_blocking(move || body::read(api, (model.as_deref(), sse), &bytes));
        reading.await.map_err(|_| Refusal::invalid("the request body could not be read"))??
    };
    let model = ModelChoice { provider: api.provider(), model: wish.model.clone() };
    let undated = model.undated();
    if !shared.visit.models.iter().any(|allowed| *allowed == model || *allowed == undated) {
        let same = shared.visit.models.iter().filter(|allowed| allowed.provider == model.provider);
        let allowed = same.map(|allowed| allowed.model.as_str()).collect::<Vec<_>>().join(", ");
        let model = model.model.chars().filter(|c| !c.is_control()).take(100).collect();
        return Err(Refusal::Model { model, allowed });
    }
    let facts = shared.gateway.facts_for(shared.visit.account.as_ref(), &model).await;
    let facts = facts.map_err(|error| Refusal::of(&error, shared.now()))?;
    let provider = shared.gateway.providers.get(&model.provider).ok_or(Refusal::NotFound)?;
    Ok(Call { shared, api, wish, model, facts, provider })
}

impl Call<'_> {
    /// Sets the worst case aside. Where it does not fit, but calls of this door are under way that will cost less than
    /// is reserved for them, it waits for those. Answers nothing where the agent went away meanwhile.
    async fn pay(&self, reply: &mut Reply) -> Result<Option<Paid>, CallError> {
        let (shared, visit) = (self.shared, &self.shared.visit);
        let most = visit.output_tokens_max.min(self.facts.output_tokens);
        let wanted = self.wish.output_tokens.map_or(most, |asked| asked.min(most));
        let need = Need {
            facts: &self.facts,
            input_tokens: self.wish.input_tokens,
            cache: self.wish.cache,
            output_wanted: wanted,
            output_floor: self.wish.output_floor(wanted),
        };
        let mut traffic = shared.traffic.subscribe();
        loop {
            let before = *traffic.borrow_and_update();
            let refused = match payment::set_aside(visit.account.as_ref(), &need, &visit.purpose).await {
                Ok(paid) if reply.is_closed() => {
                    visit.account.release(paid.reservation).await?;
                    return Ok(None);
                }
                Ok(paid) => return Ok(Some(paid)),
                Err(error @ CallError::BudgetExhausted { .. }) => error,
                Err(error) => return Err(error),
            };
            let now = *traffic.borrow();
            if now.ended != before.ended {
                continue;
            }
            if now.under_way == 0 {
                return Err(refused);
            }
            let deadline = async {
                match visit.deadline {
                    Some(deadline) => shared.gateway.clock.sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = reply.closed() => return Ok(None),
                _ = traffic.changed() => {}
                () = deadline => return Err(CallError::DeadlinePassed),
            }
        }
    }

    /// Notes a call that is not made, and says so in the agent's words.
    fn not_made(&self, error: &CallError) -> Refusal {
        let reason = error.to_string();
        let exhausted =
            if let CallError::BudgetExhausted { exhausted, .. } = error { Some(*exhausted) } else { None };
        let outcome = match exhausted {
            Some(exhausted) => CallOutcome::OverBudget { exhausted, reason },
            None => CallOutcome::NotSent { reason },
        };
        let now = self.shared.now();
        self.shared.record().add(self.api, &self.model.model, now, outcome);
        if exhausted.is_some() {
            tracing::info!(model = %self.model, purpose = self.shared.visit.purpose, %error, "an agent's call was not let through");
            self.shared.refused.cancel();
        }
        Refusal::of(error, now)
    }

    /// Makes a call that is paid for.
    async fn make(self, asked: Asked, reply: Reply, slot: OwnedSemaphorePermit, paid: Paid) {
        let shared = self.shared;
        let number = shared.record().add(self.api, &self.model.model, shared.now(), CallOutcome::UnderWay);
        shared.traffic.send_modify(|traffic| traffic.under_way += 1);
        let end = self.exchange(asked, reply, paid).await;
        drop(slot);
        let account = shared.visit.account.as_ref();
        let settled = payment::settle(account, &self.model, &self.facts, paid, end.bill).await;
        let outcome = match settled {
            Ok(receipt) => outcome(&end, receipt),
            Err(error) => {
                tracing::error!(model = %self.model, %error, "what a call did cost could not be written down");
                CallOutcome::Unsettled { reason: error.to_string() }
            }
        };
        shared.record().end(number, shared.now(), outcome, end.heard);
        shared.traffic.send_modify(|traffic| {
            *traffic = Traffic { under_way: traffic.under_way.saturating_sub(1), ended: traffic.ended + 1 };
        });
    }

    /// Sends the request, and passes on what comes back.
    async fn exchange(&self, asked: Asked, reply: Reply, paid: Paid) -> End {
        let form = self.api.form();
        let Asked { body, room, headers, .. } = asked;
        let output_tokens = paid.worst.output_tokens;
        let limited = body::rewrite(self.api, &body, &self.facts, &self.wish, output_tokens);
        drop(body);
        let limited = match limited {
            Ok(limited) => Bytes::from(limited),
            Err(refusal) => {
                let reason = refusal.to_string();
                let heard = reply.send(refusal.response(form)).is_ok();
                return End {
                    bill: Bill::Failed(Charge::Nothing),
                    status: None,
                    reason: Some(reason),
                    heard,
                };
            }
        };
        let exchange = self.with_provider();
        let sent = match self.target(&headers) {
            Ok(target) => exchange.send(target, limited, self.wish.streamed).await,
            Err(failed) => Err(failed),
        };
        drop(room);
        match sent {
            Err(failed) => {
                self.note(&failed.error);
                let reason = self.redacted(&failed.error.to_string());
                let refusal = if failed.error == ProviderError::Timeout {
                    Refusal::Timeout
                } else {
                    Refusal::Down { seconds: None, reason: reason.clone() }
                };
                let heard = reply.send(refusal.response(form)).is_ok();
                let reason = Some(reason);
                End { bill: Bill::Failed(failed.charge), status: None, reason, heard }
            }
            Ok(response) if response.status() == StatusCode::OK => {
                self.pass(&exchange, response, reply, output_tokens).await
            }
            Ok(response) => {
                let (status, error, heard) = self.refused(&exchange, response, reply).await;
                let bill = Bill::Failed(Charge::Nothing);
                End { bill, status: Some(status), reason: Some(error.to_string()), heard }
            }
        }
    }

    /// Passes an answer on while it comes, to its end even if the agent has gone: only the end says what it cost.
    async fn pass(
        &self,
        exchange: &Exchange<'_>,
        response: http::Response<AnswerBody>,
        reply: Reply,
        output_tokens: u64,
    ) -> End {
        let (pieces, mut heard) = mpsc::unbounded_channel::<Result<Bytes, Broken>>();
        let told = Body::from_stream(futures_util::stream::poll_fn(move |context| heard.poll_recv(context)));
        let mut response_head = Response::new(told);
        *response_head.headers_mut() = passed_on(response.headers());
        let is_stream = is_event_stream(response.headers());
        let mut heard = reply.send(response_head).is_ok();

        let (mut meter, mut blotter) = (Meter::of(self.api), Blotter::of(&self.provider.settings.key));
        let (mut events, mut document) = (Events::default(), Vec::new());
        let mut body = std::pin::pin!(providers::pieces(response));
        let failure = loop {
            let patience = if is_stream { exchange.silence_ends() } else { exchange.limits.until };
            match exchange.by(patience, body.next()).await {
                None => break Some(ProviderError::Timeout),
                Some(None) => break None,
                Some(Some(Err(message))) => break Some(ProviderError::Cut { message }),
                Some(Some(Ok(piece))) => {
                    if is_stream {
                        events.take(&piece, |data| meter.event(data));
                    } else {
                        document.extend_from_slice(&piece);
                    }
                    let passed = blotter.pass(piece);
                    if !passed.is_empty() {
                        heard &= pieces.send(Ok(passed)).is_ok();
                    }
                    if meter.outgrows(output_tokens) {
                        let _gone = pieces.send(Err(Broken));
                        tracing::error!(model = %self.model, output_tokens, "an answer was cut that outgrew its limit");
                        let reason =
                            format!("the answer outgrew its limit of {output_tokens} tokens and was cut");
                        return End { bill: meter.outgrown(), status: None, reason: Some(reason), heard };
                    }
                }
            }
        };
        if is_stream {
            events.end(|data| meter.event(data));
        } else {
            meter.document(&document);
        }
        let rest = blotter.rest();
        // An agent that leaves before the connection's end, but after the last word, has heard everything.
        heard &= rest.is_empty() || pieces.send(Ok(rest)).is_ok();
        if failure.is_some() {
            let _gone = pieces.send(Err(Broken));
        }
        let bill = meter.bill(failure.is_none());
        let failure = failure.or_else(|| meter.error().cloned());
        match &failure {
            Some(error) => self.note(error),
            None => self.provider.circuit.answered(),
        }
        let reason = failure.map(|error| self.redacted(&error.to_string()));
        End { bill, status: None, reason, heard }
    }

    /// Passes on that the provider refused, in its own words, and tells whether the agent was there to hear them.
    async fn refused(
        &self,
        exchange: &Exchange<'_>,
        response: http::Response<AnswerBody>,
        reply: Reply,
    ) -> (u16, ProviderError, bool) {
        let status = response.status();
        let mut headers = passed_on(response.headers());
        let asked_to_wait = retry_after(response.headers(), self.shared.now());
        let words = exchange.read_error(response).await;
        let error = from_status(status.as_u16(), asked_to_wait, &words);
        self.note(&error);
        let told = if status.is_client_error() || status.is_server_error() {
            headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            let mut told = Response::new(Body::from(words));
            *told.status_mut() = status;
            *told.headers_mut() = headers;
            told
        } else {
            Refusal::Down { seconds: None, reason: error.to_string() }.response(self.api.form())
        };
        let heard = reply.send(told).is_ok();
        (status.as_u16(), error, heard)
    }

    /// Counts tokens, which the provider does for nothing.
    async fn count(self, asked: Asked, reply: Reply, slot: OwnedSemaphorePermit) {
        let exchange = self.with_provider();
        let sent = match self.target(&asked.headers) {
            Ok(target) => exchange.send(target, asked.body, false).await,
            Err(failed) => Err(failed),
        };
        match sent {
            Ok(response) if response.status() == StatusCode::OK => {
                let headers = passed_on(response.headers());
                let mut told = Response::new(Body::from(exchange.read_error(response).await));
                *told.headers_mut() = headers;
                let _gone = reply.send(told);
            }
            Ok(response) => {
                self.refused(&exchange, response, reply).await;
            }
            Err(failed) => {
                self.note(&failed.error);
                let refusal = Refusal::Down { seconds: None, reason: failed.error.to_string() };
                let _gone = reply.send(refusal.response(self.api.form()));
            }
        }
        drop(slot);
    }

    fn with_provider(&self) -> Exchange<'_> {
        let gateway = &self.shared.gateway;
        let until = gateway.attempt_ends(self.shared.visit.deadline);
        Exchange {
            transport: gateway.transport.as_ref(),
            clock: gateway.clock.as_ref(),
            limits: AttemptLimits { until, silence_max: gateway.settings.silence_max },
            key: &self.provider.settings.key,
        }
    }

    fn target(&self, asked: &HeaderMap) -> Result<Target, providers::Failed> {
        let model = &self.model.model;
        let path = match self.api {
            Api::Messages => "/v1/messages".to_owned(),
            Api::CountTokens => "/v1/messages/count_tokens".to_owned(),
            Api::Chat => "/chat/completions".to_owned(),
            Api::Responses => "/responses".to_owned(),
            Api::Generate => format!("/v1beta/models/{model}:generateContent"),
            Api::StreamGenerate if self.wish.streamed => {
                format!("/v1beta/models/{model}:streamGenerateContent?alt=sse")
            }
            Api::StreamGenerate => format!("/v1beta/models/{model}:streamGenerateContent"),
        };
        let mut target = providers::target(&self.provider.settings, &path)?;
        for name in [header::ACCEPT, ANTHROPIC_VERSION] {
            if let Some(value) = asked.get(&name) {
                target.headers.insert(name, value.clone());
            }
        }
        if let Some(betas) = betas(asked, self.facts.context_tokens) {
            target.headers.insert(ANTHROPIC_BETA, betas);
        }
        Ok(target)
    }

    /// Keeps for all callers what a failure says of the provider. Our own deadline says nothing of it.
    fn note(&self, error: &ProviderError) {
        let late = self.shared.visit.deadline.is_some_and(|deadline| deadline <= self.shared.now());
        if late && matches!(error, ProviderError::Timeout) {
            return;
        }
        tracing::warn!(model = %self.model, error = self.redacted(&error.to_string()), "an agent's model call failed");
        self.shared.gateway.note(self.provider, error);
    }

    fn redacted(&self, text: &str) -> String {
        let mut blotter = Blotter::of(&self.provider.settings.key);
        let mut bytes = blotter.pass(Bytes::copy_from_slice(text.as_bytes())).to_vec();
        bytes.extend_from_slice(&blotter.rest());
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn outcome(end: &End, receipt: Receipt) -> CallOutcome {
    let Receipt { usage, cost } = receipt;
    let reason = end.reason.clone().unwrap_or_else(|| "the answer does not say what it used".to_owned());
    match (end.bill, end.status) {
        (Bill::Reported { .. }, _) => CallOutcome::Answered { usage, cost },
        (Bill::Failed(Charge::Nothing), Some(status)) => CallOutcome::Rejected { status, reason },
        (Bill::Failed(Charge::Nothing), None) => CallOutcome::NotSent { reason },
        (Bill::Unreported | Bill::Failed(Charge::Unknown { .. }) | Bill::Outgrown { .. }, _) => {
            CallOutcome::Estimated { usage, cost, reason }
        }
    }
}

/// The provider's headers that an agent may see. The others tell of the operator's account.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let names = [
        header::CONTENT_TYPE,
        header::CACHE_CONTROL,
        header::RETRY_AFTER,
        SHOULD_RETRY,
        HeaderName::from_static("request-id"),
        HeaderName::from_static("x-request-id"),
    ];
    names.into_iter().filter_map(|name| headers.get(&name).map(|value| (name, value.clone()))).collect()
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

/// Anthropic's experiments that the agent asks for, without those that have another price.
fn betas(asked: &HeaderMap, context_tokens: u64) -> Option<HeaderValue> {
    let asked = asked.get_all(ANTHROPIC_BETA).iter().filter_map(|value| value.to_str().ok());
    let priced = |beta: &&str| {
        let long = beta.starts_with("context-1m") && context_tokens <= WINDOW_TOKENS;
        !beta.is_empty() && !long && !beta.starts_with("fast-mode")
    };
    let kept: Vec<&str> = asked.flat_map(|list| list.split(',')).map(str::trim).filter(priced).collect();
    if kept.is_empty() { None } else { HeaderValue::from_str(&kept.join(",")).ok() }
}
