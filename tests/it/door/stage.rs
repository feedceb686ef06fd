//! A model server, a store with one run and its money, a gateway between them, and doors.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use pairbot::adapters::{ManualClock, SeededEntropy};
use pairbot::gateway::{
    AnswerBody, Api, BudgetAccount, Door, DoorError, Gateway, GatewaySettings, ModelChoice, ModelTransport,
    PriceTable, ProviderKind, ProviderSettings, SendError, Visit,
};
use pairbot::ports::Clock;
use pairbot::store::sqlite::SqliteStore;
use pairbot::store::{Budget, Lease, SharedLimits, Store};
use pairbot::workers::TaskAccount;
use pairbot_model_sim::{ModelSim, Script, SimConfig};
use pairbot_protocol::effect::{Effect, StoreChange};
use pairbot_protocol::ids::{Money, Tokens, Usage};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, watch};

use super::wire::{self, Answer};
use crate::conformance::fixtures::{at, claim_one, create, open_run, run_of};

/// The operator's key, which no agent may ever see.
pub(super) const KEY: &str = "sk-operator-0123456789abcdef";
pub(super) const DOLLAR: Money = Money::from_cents(100);
/// Every way to ask for an answer.
pub(super) const ALL: [(Api, bool); 8] = [
    (Api::Messages, false),
    (Api::Messages, true),
    (Api::Chat, false),
    (Api::Chat, true),
    (Api::Responses, false),
    (Api::Responses, true),
    (Api::Generate, false),
    (Api::StreamGenerate, true),
];

pub(super) struct Stage {
    pub(super) sim: Arc<ModelSim>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: ManualClock,
    pub(super) gateway: Arc<Gateway>,
    pub(super) way: Arc<Way>,
    lease: Lease,
    folder: tempfile::TempDir,
    doors: AtomicUsize,
}

/// The network, as far as it is let through.
#[derive(Debug)]
pub(super) struct Way {
    open: watch::Sender<bool>,
    arrived: AtomicUsize,
}

impl Way {
    pub(super) fn close(&self) {
        self.open.send_replace(false);
    }

    pub(super) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Returns once so many requests have come to where they are let through.
    pub(super) async fn arrived(&self, count: usize) {
        while self.arrived.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    }
}

#[derive(Debug)]
struct Network {
    way: Arc<Way>,
    client: OnceCell<reqwest::Client>,
}

#[async_trait]
impl ModelTransport for Network {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<AnswerBody>, SendError> {
        self.way.arrived.fetch_add(1, Ordering::SeqCst);
        self.way.open.subscribe().wait_for(|open| *open).await.unwrap();
        let client = self.client.get_or_init(async || pairbot::gateway::http_client().unwrap()).await;
        client.send(request).await
    }
}

impl Stage {
    pub(super) async fn with(limit: Money) -> Self {
        Self::with_budget(limit, None).await
    }

    pub(super) async fn with_budget(limit: Money, tokens: Option<Tokens>) -> Self {
        let sim = SimConfig { keys: Some([KEY.to_owned()].into()), ..SimConfig::default() };
        let sim = Arc::new(ModelSim::start(sim).await.unwrap());
        let bases = [sim.anthropic_base_url(), sim.openai_base_url(), sim.gemini_base_url()];
        Self::before(sim, bases, limit, tokens).await
    }

    /// A stage whose providers are at these addresses.
    pub(super) async fn before(
        sim: Arc<ModelSim>,
        bases: [String; 3],
        limit: Money,
        tokens: Option<Tokens>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("pairbot.db")).unwrap());
        open_run(&*store, 1, vec![Effect::Store(StoreChange::SetBudget { limit, tokens }), create(1)]).await;
        let lease = claim_one(&*store, 0).await.lease;
        let clock = ManualClock::at(at(0));
        let way = Arc::new(Way { open: watch::Sender::new(true), arrived: AtomicUsize::new(0) });
        let kinds = [ProviderKind::Anthropic, ProviderKind::OpenAi, ProviderKind::Gemini];
        let gateway = Gateway::new(
            Network { way: Arc::clone(&way), client: OnceCell::new() },
            Arc::new(clock.clone()),
            Arc::new(SeededEntropy::new(7)),
            PriceTable::shipped().unwrap(),
            GatewaySettings::default(),
            kinds.into_iter().zip(bases).map(|(kind, base_url)| ProviderSettings {
                kind,
                base_url,
                key: SecretString::from(KEY),
                calls_max: 8,
            }),
        );
        let doors = AtomicUsize::new(0);
        Self { sim, store, clock, gateway: Arc::new(gateway), way, lease, folder, doors }
    }

    /// A door for one more agent of the run.
    pub(super) async fn door(&self) -> Door {
        let number = self.doors.fetch_add(1, Ordering::SeqCst);
        let place = self.folder.path().join(number.to_string());
        std::fs::create_dir(&place).unwrap();
        self.door_in(&place).await
    }

    pub(super) async fn door_in(&self, place: &Path) -> Door {
        let model = |provider| ModelChoice { provider, model: "scripted".to_owned() };
        let kinds = [ProviderKind::Anthropic, ProviderKind::OpenAi, ProviderKind::Gemini];
        self.open_door(place, kinds.map(model).into()).await.unwrap()
    }

    pub(super) async fn open_door(&self, place: &Path, models: Vec<ModelChoice>) -> Result<Door, DoorError> {
        let visit = Visit {
            account: self.account(),
            models,
            output_tokens_max: 8_000,
            deadline: Some(self.clock.now().plus_ms(7_200_000)),
            purpose: "test".to_owned(),
        };
        self.gateway.open_door(place, visit).await
    }

    pub(super) fn account(&self) -> Arc<dyn BudgetAccount> {
        let (store, clock) = (Arc::clone(&self.store), Arc::new(self.clock.clone()));
        Arc::new(TaskAccount::new(store, clock, self.lease.clone(), SharedLimits::NONE))
    }

    pub(super) async fn budget(&self) -> Budget {
        self.store.budget(run_of(1)).await.unwrap()
    }

    /// What the provider's books say it all costs.
    pub(super) fn billed(&self) -> (Money, Usage) {
        let prices = PriceTable::shipped().unwrap();
        let scripted = ModelChoice { provider: ProviderKind::Anthropic, model: "scripted".to_owned() };
        let facts = prices.facts(&scripted).unwrap();
        self.sim.ledger().iter().fold((Money::ZERO, Usage::default()), |(cost, all), call| {
            let usage = Usage {
                input_tokens: call.usage.input_tokens,
                cache_read_tokens: call.usage.cache_read_tokens,
                cache_write_tokens: call.usage.cache_write_tokens,
                output_tokens: call.usage.output_tokens,
            };
            (cost.plus(facts.cost(usage)), all.plus(usage))
        })
    }

    /// How many calls the provider has seen.
    pub(super) fn asked(&self) -> usize {
        self.sim.ledger().len()
    }

    pub(super) fn script(&self, script: Script) {
        self.sim.add_script(script);
    }
}

/// The opening of a conversation that a script knows.
pub(super) fn opening(title: &str) -> String {
    format!("Repository: octo/invoice\nIssue: #7\nTitle: {title}\nRound: 1\nRole: creator\n\nThe rest.\n")
}

/// Where a call goes.
pub(super) fn path(api: Api) -> &'static str {
    match api {
        Api::Messages => "/v1/messages?beta=true",
        Api::CountTokens => "/v1/messages/count_tokens",
        Api::Chat => "/v1/chat/completions",
        Api::Responses => "/v1/responses",
        Api::Generate => "/v1beta/models/scripted:generateContent",
        Api::StreamGenerate => "/v1beta/models/scripted:streamGenerateContent?alt=sse",
    }
}

/// A request as a vendor's agent writes it, with as much output as `output` if it says so.
pub(super) fn body(api: Api, streamed: bool, text: &str, output: Option<u64>) -> Value {
    let schema = json!({ "type": "object" });
    let (mut body, limit) = match api {
        Api::Messages | Api::CountTokens => {
            let tools = json!([{ "name": "read_file", "input_schema": schema }]);
            let body = json!({ "model": "scripted", "system": "You are the creator", "tools": tools,
                "messages": [{ "role": "user", "content": text }] });
            (body, "max_tokens")
        }
        Api::Chat => {
            let tools =
                json!([{ "type": "function", "function": { "name": "read_file", "parameters": schema } }]);
            let messages = json!([{ "role": "system", "content": "You are the creator" },
                { "role": "user", "content": text }]);
            (json!({ "model": "scripted", "tools": tools, "messages": messages }), "max_completion_tokens")
        }
        Api::Responses => {
            let tools = json!([{ "type": "function", "name": "read_file", "parameters": schema }]);
            let input = json!([{ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": text }] }]);
            let body = json!({ "model": "scripted", "instructions": "You are the creator", "tools": tools,
                "input": input, "store": false });
            (body, "max_output_tokens")
        }
        Api::Generate | Api::StreamGenerate => {
            let tools = json!([{ "functionDeclarations": [{ "name": "read_file", "parameters": schema }] }]);
            let mut body = json!({ "systemInstruction": { "parts": [{ "text": "You are the creator" }] }, "tools": tools,
                "contents": [{ "role": "user", "parts": [{ "text": text }] }] });
            if let Some(output) = output {
                body["generationConfig"] = json!({ "temperature": 0.5, "maxOutputTokens": output });
            }
            return body;
        }
    };
    if api == Api::Messages || output.is_some() {
        body[limit] = json!(output.unwrap_or(4_000));
    }
    if api == Api::CountTokens {
        body.as_object_mut().unwrap().remove(limit);
    } else if streamed {
        body["stream"] = json!(true);
    }
    body
}

/// The headers of a vendor's agent, with the key where it puts it.
fn headers(api: Api, key: &str) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    match api {
        Api::Messages | Api::CountTokens => {
            headers.push(("x-api-key", key.to_owned()));
            headers.push(("anthropic-version", "2023-06-01".to_owned()));
        }
        Api::Chat | Api::Responses => headers.push(("authorization", format!("Bearer {key}"))),
        Api::Generate | Api::StreamGenerate => headers.push(("x-goog-api-key", key.to_owned())),
    }
    headers
}

/// A request through a door, as bytes.
pub(super) fn bytes(api: Api, key: &str, body: &[u8]) -> Vec<u8> {
    let headers = headers(api, key);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    wire::request("POST", path(api), &headers, body)
}

/// Asks through a door. Whatever comes back, the operator's key is not in it.
pub(super) async fn ask(door: &Door, api: Api, body: &Value) -> Answer {
    ask_bytes(door, api, body.to_string().as_bytes()).await
}

pub(super) async fn ask_bytes(door: &Door, api: Api, body: &[u8]) -> Answer {
    let request = bytes(api, door.token().expose_secret(), body);
    let answer = wire::hear(wire::begin(door.socket(), &request).await).await;
    without_key(&answer);
    answer
}

pub(super) fn without_key(answer: &Answer) {
    assert!(!answer.text().contains(KEY) && !format!("{:?}", answer.headers).contains(KEY), "{answer:?}");
}

/// The error's words, in any of the forms.
pub(super) fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"].as_str().unwrap().to_owned()
}
