//! One call from its bytes to its answer: who asks, is it valid, what goes wrong, what is said, what it costs.

use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Uri, header};
use serde_json::{Value, json};

use crate::body::{Ending, answer, garbage};
use crate::conversation::{Conversation, Provider};
use crate::faults::Fault;
use crate::ledger::CallRecord;
use crate::refusal::Refusal;
use crate::reply::{Arguments, Call, Reply, Stop};
use crate::request::Request;
use crate::script;
use crate::server::{State, hold};
use crate::usage::{Usage, of_input};
use crate::written::Written;
use crate::{anthropic, gemini, openai, responses};

type Received = Result<Bytes, BytesRejection>;

pub(crate) async fn messages(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Received,
) -> Response {
    let key = anthropic::read::key(&headers);
    let read = |body: &[u8]| anthropic::read::messages(&headers, body);
    exchange(&state, Provider::Anthropic, key, body, read).await
}

pub(crate) async fn chat_completions(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Received,
) -> Response {
    let key = openai::read::key(&headers);
    exchange(&state, Provider::OpenAi, key, body, openai::read::chat_completions).await
}

pub(crate) async fn responses(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Received,
) -> Response {
    let key = openai::read::key(&headers);
    exchange(&state, Provider::OpenAi, key, body, responses::read::responses).await
}

/// The path names model, verb and form: `{model}:streamGenerateContent?alt=sse`.
pub(crate) async fn generate(
    Shared(state): Shared<Arc<State>>,
    Path(call): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Received,
) -> Response {
    let events = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let (model, streamed) = match call.split_once(':') {
        Some((model, "generateContent")) => (model, None),
        Some((model, "streamGenerateContent")) => (model, Some(events)),
        Some(_) | None => {
            let refusal = Refusal::new(404, format!("Invalid URL ({})", uri.path()));
            return refusal.response(Provider::Gemini);
        }
    };
    let key = gemini::read::key(&headers);
    let read = |body: &[u8]| gemini::read::generate(model, streamed, body);
    exchange(&state, Provider::Gemini, key, body, read).await
}

/// Counting is free and leaves no trace in the ledger.
pub(crate) async fn count_tokens(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Received,
) -> Response {
    let counted = allowed(&state, Provider::Anthropic, anthropic::read::key(&headers).as_deref())
        .and_then(|()| whole(body))
        .and_then(|body| anthropic::read::count_tokens(&headers, &body))
        .and_then(|conversation| exists(&state, &conversation).map(|()| of_input(&conversation)));
    match counted {
        Ok(usage) => axum::Json(json!({ "input_tokens": usage.input_total() })).into_response(),
        Err(refusal) => refusal.response(Provider::Anthropic),
    }
}

/// Both providers list their models here, each in its own words; the key's header tells who asks.
pub(crate) async fn models(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let (provider, key) = match anthropic::read::key(&headers) {
        Some(key) => (Provider::Anthropic, Some(key)),
        None => (Provider::OpenAi, openai::read::key(&headers)),
    };
    if let Err(refusal) = allowed(&state, provider, key.as_deref()) {
        return refusal.response(provider);
    }
    let names = state.models.clone().unwrap_or_else(|| vec!["scripted".to_owned()]);
    let list = match provider {
        Provider::Anthropic => {
            let created = "2026-01-01T00:00:00Z";
            let model =
                |id: &String| json!({ "type": "model", "id": id, "display_name": id, "created_at": created });
            let data: Vec<Value> = names.iter().map(model).collect();
            json!({ "data": data, "has_more": false, "first_id": names.first(), "last_id": names.last() })
        }
        Provider::OpenAi | Provider::Gemini => {
            let model =
                |id: &String| json!({ "id": id, "object": "model", "created": 0, "owned_by": "scripted" });
            let data: Vec<Value> = names.iter().map(model).collect();
            json!({ "object": "list", "data": data })
        }
    };
    axum::Json(list).into_response()
}

pub(crate) async fn not_found(headers: HeaderMap, uri: Uri) -> Response {
    let provider =
        if headers.contains_key(header::AUTHORIZATION) { Provider::OpenAi } else { Provider::Anthropic };
    Refusal::new(404, format!("Invalid URL ({})", uri.path())).response(provider)
}

fn allowed(state: &State, provider: Provider, key: Option<&str>) -> Result<(), Refusal> {
    let known = key.is_some_and(|key| state.keys.as_ref().is_none_or(|keys| keys.contains(key)));
    if known {
        return Ok(());
    }
    Err(match (provider, key) {
        (Provider::Anthropic, None) => Refusal::new(401, "x-api-key header is required"),
        (Provider::Anthropic, Some(_)) => Refusal::new(401, "invalid x-api-key"),
        (Provider::Gemini, None) => Refusal::new(403, "Method doesn't allow unregistered callers."),
        (Provider::Gemini, Some(_)) => Refusal::invalid("API key not valid. Please pass a valid API key."),
        (Provider::OpenAi, None) => Refusal::new(401, "You didn't provide an API key."),
        (Provider::OpenAi, Some(_)) => {
            Refusal::new(401, "Incorrect API key provided.").code("invalid_api_key")
        }
    })
}

fn whole(body: Received) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| match rejection.status().as_u16() {
        413 => Refusal::new(413, "Request exceeds the maximum size"),
        _ => Refusal::invalid(rejection.body_text()),
    })
}

fn exists(state: &State, conversation: &Conversation) -> Result<(), Refusal> {
    let model = &conversation.model;
    if state.models.as_ref().is_none_or(|models| models.contains(model)) {
        return Ok(());
    }
    Err(match conversation.provider {
        Provider::Anthropic => Refusal::new(404, format!("model: {model}")),
        Provider::Gemini => Refusal::new(404, format!("models/{model} is not found for API version v1beta.")),
        Provider::OpenAi => {
            Refusal::new(404, format!("The model `{model}` does not exist or you do not have access to it."))
                .code("model_not_found")
        }
    })
}

fn fits(state: &State, conversation: &Conversation) -> Result<Usage, Refusal> {
    let usage = of_input(conversation);
    let (tokens, maximum) = (usage.input_total(), state.context_tokens_max);
    if tokens <= maximum {
        return Ok(usage);
    }
    Err(match conversation.provider {
        Provider::Anthropic => {
            Refusal::invalid(format!("prompt is too long: {tokens} tokens > {maximum} maximum"))
        }
        Provider::Gemini => Refusal::invalid(format!(
            "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({maximum})."
        )),
        Provider::OpenAi => Refusal::invalid(format!(
            "This model's maximum context length is {maximum} tokens. However, your messages resulted in {tokens} \
             tokens. Please reduce the length of the messages."
        ))
        .code("context_length_exceeded"),
    })
}

async fn exchange(
    state: &State,
    provider: Provider,
    key: Option<String>,
    body: Received,
    read: impl Fn(&[u8]) -> Result<Request, Refusal>,
) -> Response {
    let mut record = CallRecord {
        number: 0,
        provider,
        key: key.clone().unwrap_or_default(),
        model: String::new(),
        brief: None,
        turn: 0,
        streamed: false,
        status: 200,
        usage: Usage::default(),
        fault: None,
        refusal: None,
    };
    let request =
        allowed(state, provider, key.as_deref()).and_then(|()| whole(body)).and_then(|body| read(&body));
    let request = match request {
        Ok(request) => request,
        Err(refusal) => return refuse(state, record, &refusal),
    };
    let conversation = &request.conversation;
    record.model.clone_from(&conversation.model);
    record.brief.clone_from(&conversation.brief);
    record.turn = conversation.turn();
    record.streamed = request.streamed;
    let input = match exists(state, conversation).and_then(|()| fits(state, conversation)) {
        Ok(input) => input,
        Err(refusal) => return refuse(state, record, &refusal),
    };
    let fault = hold(&state.faults).take(conversation);
    record.fault = fault.as_ref().map(Fault::name);
    let scripts = hold(&state.scripts).clone();
    let scripted = script::answer(&scripts, conversation);
    match plan(fault, scripted, request.streamed) {
        Plan::Refuse(refusal) => refuse(state, record, &refusal),
        Plan::Hang => {
            hold(&state.ledger).add(CallRecord { status: 0, ..record });
            std::future::pending().await
        }
        Plan::Garbage => {
            hold(&state.ledger).add(record);
            garbage()
        }
        Plan::Answer { reply, interrupted, ending, limited } => {
            let written = Written::new(conversation, &reply, interrupted, limited);
            record.usage = Usage { output_tokens: written.output_tokens, ..input };
            let usage = record.usage;
            hold(&state.ledger).add(record);
            answer(&request, &written, usage, ending)
        }
    }
}

fn refuse(state: &State, record: CallRecord, refusal: &Refusal) -> Response {
    let provider = record.provider;
    tracing::debug!(%provider, status = refusal.status, reason = refusal.message, "model call refused");
    let reason = Some(refusal.message.clone());
    hold(&state.ledger).add(CallRecord { status: refusal.status, refusal: reason, ..record });
    refusal.response(provider)
}

/// What is done with a valid call.
enum Plan {
    Refuse(Refusal),
    Hang,
    Garbage,
    Answer { reply: Reply, interrupted: bool, ending: Ending, limited: bool },
}

fn plan(fault: Option<Fault>, scripted: Reply, streamed: bool) -> Plan {
    let answer = |reply, interrupted, ending| Plan::Answer { reply, interrupted, ending, limited: true };
    let play = |bytes: usize| Reply::say("All work and no play. ".repeat(bytes.div_ceil(22)));
    match fault {
        None => answer(scripted, false, Ending::Whole),
        Some(Fault::Status { status, retry_after }) => {
            let message = match status {
                429 => "This request would exceed your rate limit.",
                503 | 529 => "Overloaded",
                _ => "Internal server error",
            };
            let refusal = Refusal { retry_after, ..Refusal::new(status, message) };
            Plan::Refuse(if status == 429 { refusal.code("rate_limit_exceeded") } else { refusal })
        }
        Some(Fault::ErrorInStream) if streamed => answer(scripted, true, Ending::Error),
        Some(Fault::ErrorInStream) => Plan::Refuse(Refusal::new(529, "Overloaded")),
        Some(Fault::Cut) => answer(scripted, true, Ending::Cut),
        Some(Fault::Hang) => Plan::Hang,
        Some(Fault::HangInStream) => answer(scripted, true, Ending::Silence),
        Some(Fault::MalformedToolJson) => answer(malformed(scripted), true, Ending::Whole),
        Some(Fault::Refusal) => answer(Reply::refuse("I cannot help with this."), true, Ending::Whole),
        Some(Fault::MaxTokens) => {
            let reply = Reply { stop: Stop::MaxTokens, ..malformed(scripted) };
            answer(reply, true, Ending::Whole)
        }
        Some(Fault::PauseTurn) => {
            let reply = Reply { stop: Stop::PauseTurn, ..Reply::say("Still thinking.") };
            answer(reply, true, Ending::Whole)
        }
        Some(Fault::Garbage) => Plan::Garbage,
        Some(Fault::VeryLong { bytes }) => answer(play(bytes), true, Ending::Whole),
        Some(Fault::BeyondLimit { bytes }) => {
            Plan::Answer { reply: play(bytes), interrupted: true, ending: Ending::Whole, limited: false }
        }
    }
}

/// Breaks off the arguments of the last call in their middle, which leaves no JSON.
fn malformed(reply: Reply) -> Reply {
    let mut calls = reply.calls;
    if let Some(Call { arguments, .. }) = calls.last_mut()
        && let Arguments::Json(value) = arguments
    {
        let text = value.to_string();
        let middle = text.floor_char_boundary(text.len().div_ceil(2).min(text.len().saturating_sub(1)));
        *arguments = Arguments::Malformed(text.get(..middle).unwrap_or_default().to_owned());
    }
    Reply { calls, ..reply }
}
