//! The gateway against the real wire, on loopback.

pub(crate) mod ports;
pub(crate) mod server;

use std::sync::Arc;

use pairbot_protocol::budget::Measure;
use pairbot_protocol::ids::{Money, Tokens, Usage};
use secrecy::SecretString;
use serde_json::json;

use self::ports::{MemoryAccount, TestClock, TestEntropy};
use self::server::{ModelServer, Prepared, anthropic_events, anthropic_stream, error, sse, text, tool};
use super::*;
use crate::ports::Clock;

pub(crate) const KEY: &str = "sk-not-a-real-key";

pub(crate) fn gateway(server: &ModelServer, clock: &Arc<TestClock>) -> Gateway {
    gateway_with(server, clock, PriceTable::shipped().unwrap())
}

pub(crate) fn gateway_with(server: &ModelServer, clock: &Arc<TestClock>, prices: PriceTable) -> Gateway {
    let key = || SecretString::from(KEY);
    Gateway::new(
        http_client().unwrap(),
        Arc::clone(clock) as Arc<dyn Clock>,
        Arc::new(TestEntropy),
        prices,
        GatewaySettings::default(),
        [
            ProviderSettings {
                kind: ProviderKind::Anthropic,
                base_url: server.url.clone(),
                key: key(),
                calls_max: 8,
            },
            ProviderSettings {
                kind: ProviderKind::OpenAi,
                base_url: format!("{}/v1", server.url),
                key: key(),
                calls_max: 8,
            },
        ],
    )
}

fn request(provider: ProviderKind) -> ModelRequest {
    ModelRequest {
        model: ModelChoice { provider, model: "scripted".to_owned() },
        system: "You are the creator.".to_owned(),
        tools: vec![ToolSpec {
            name: "read_file",
            description: "reads".to_owned(),
            schema: json!({"type":"object"}),
        }],
        messages: vec![Message::user_text("Repository: o/r")],
        output_tokens_max: 8_000,
        stream: true,
        deadline: None,
        purpose: "test".to_owned(),
    }
}

struct Bench {
    server: ModelServer,
    clock: Arc<TestClock>,
    gateway: Gateway,
    account: MemoryAccount,
}

impl Bench {
    async fn with(answers: impl IntoIterator<Item = Prepared>) -> Self {
        let server = ModelServer::start(answers).await;
        let clock = Arc::new(TestClock::new());
        let gateway = gateway(&server, &clock);
        Self { server, clock, gateway, account: MemoryAccount::of(Money::from_cents(100)) }
    }

    async fn call(&self) -> Result<Reply, CallError> {
        self.gateway.call(&self.account, request(ProviderKind::Anthropic)).await
    }
}

fn good() -> Prepared {
    anthropic_stream(&[text("fine")], "end_turn")
}

#[tokio::test]
async fn a_streamed_answer_is_read_and_settled_as_reported() {
    let blocks = [text("I look."), tool("t1", "read_file", json!({"path":"a \u{1F600}"}))];
    let bench = Bench::with([anthropic_stream(&blocks, "tool_use")]).await;
    let reply = bench.call().await.unwrap();
    assert_eq!(reply.stop, StopReason::ToolUse);
    let arguments = Arguments::Object(json!({"path":"a \u{1F600}"}));
    assert_eq!(
        reply.blocks,
        vec![
            Block::Text { text: "I look.".into() },
            Block::ToolUse { id: "t1".into(), name: "read_file".into(), arguments },
        ]
    );
    let usage = Usage { input_tokens: 100, cache_read_tokens: 7, cache_write_tokens: 3, output_tokens: 20 };
    let ledger = bench.account.ledger();
    assert_eq!((ledger.settled[0].1, ledger.settled[0].2), (reply.cost, usage));
    assert_eq!(ledger.reserved(), Money::ZERO);

    let asked = &bench.server.asked()[0];
    assert_eq!(asked.path, "/v1/messages");
    assert_eq!(asked.headers["x-api-key"], KEY);
    assert_eq!(asked.headers["anthropic-version"], "2023-06-01");
    assert!(asked.headers["user-agent"].to_str().unwrap().starts_with("pairbot/"));
    for marked in ["/system/0", "/tools/0", "/messages/0/content/0"] {
        assert!(asked.body.pointer(marked).unwrap().get("cache_control").is_some(), "{marked}");
    }
}

#[tokio::test]
async fn a_whole_answer_is_read_from_both_providers() {
    let anthropic = json!({"content":[text("hello"), tool("t","read_file",json!({"path":"a"}))],
        "stop_reason":"tool_use","usage":{"input_tokens":10,"output_tokens":2}});
    let openai = json!({"choices":[{"message":{"content":"hello","tool_calls":[{"id":"t","type":"function",
        "function":{"name":"read_file","arguments":"{\"path\":\"a\"}"}}]},"finish_reason":"tool_calls"}],
        "usage":{"prompt_tokens":10,"completion_tokens":2}});
    for (provider, body) in [(ProviderKind::Anthropic, anthropic), (ProviderKind::OpenAi, openai)] {
        let bench = Bench::with([Prepared::Whole(200, vec![], body.to_string().into_bytes())]).await;
        let asked = ModelRequest { stream: false, ..request(provider) };
        let reply = bench.gateway.call(&bench.account, asked).await.unwrap();
        assert_eq!(reply.stop, StopReason::ToolUse, "{provider}");
        let arguments = Arguments::Object(json!({"path":"a"}));
        let call = Block::ToolUse { id: "t".into(), name: "read_file".into(), arguments };
        assert_eq!(reply.blocks, vec![Block::Text { text: "hello".into() }, call], "{provider}");
        assert_eq!(reply.usage, Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() });
    }
}

#[tokio::test]
async fn openai_is_asked_to_report_usage_and_paid_for_reasoning_models_too() {
    let events = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n\
                  data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    let bench = Bench::with([Prepared::Whole(200, vec![], events.as_bytes().to_vec())]).await;
    let reply = bench.gateway.call(&bench.account, request(ProviderKind::OpenAi)).await.unwrap();
    assert_eq!(reply.stop, StopReason::EndTurn);
    let asked = &bench.server.asked()[0];
    assert_eq!(asked.path, "/v1/chat/completions");
    assert_eq!(asked.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(asked.body["stream_options"]["include_usage"], true);
    assert_eq!(asked.body["max_completion_tokens"], 8_000);
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_and_costs_nothing() {
    let bench = Bench::with([error(429, vec![("retry-after", "7")]), good()]).await;
    let before = bench.clock.now();
    bench.call().await.unwrap();
    assert!(bench.clock.now().ms_since(before) >= 7_000);
    let ledger = bench.account.ledger();
    assert_eq!((ledger.released, ledger.settled.len()), (1, 1));
}

#[tokio::test]
async fn a_long_retry_after_puts_the_task_aside_and_holds_for_the_next_call() {
    let bench = Bench::with([error(429, vec![("retry-after", "300")])]).await;
    let now = bench.clock.now();
    for _ in 0..2 {
        let snoozed = bench.call().await.unwrap_err();
        assert!(
            matches!(snoozed, CallError::Snooze { until, .. } if until >= now.plus_ms(300_000)),
            "{snoozed}"
        );
    }
    assert_eq!(bench.server.asked().len(), 1);
    assert_eq!(bench.account.ledger().reserved(), Money::ZERO);
}

#[tokio::test]
async fn an_error_inside_a_stream_is_repeated_and_counts_what_was_read() {
    let mut events = anthropic_events(&[text("half")], "end_turn", 100, 20);
    events.truncate(4);
    events.push(json!({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}));
    let bench = Bench::with([Prepared::Whole(200, vec![], sse(&events)), good()]).await;
    bench.call().await.unwrap();
    let ledger = bench.account.ledger();
    let (reserved, actual, usage) = ledger.settled[0];
    assert_eq!((usage.input_tokens, usage.output_tokens), (100, 8_000));
    assert!(actual < reserved && actual > ledger.settled[1].1);
}

#[tokio::test]
async fn a_stream_cut_before_any_usage_is_charged_as_reserved() {
    let whole =
        sse(&anthropic_events(&[tool("t", "read_file", json!({"path":"a"}))], "tool_use", 1, 1)[2..4]);
    for broken in [Prepared::Broken(whole.clone()), Prepared::Whole(200, vec![], whole)] {
        let bench = Bench::with([broken, good()]).await;
        bench.call().await.unwrap();
        let (reserved, actual, _) = bench.account.ledger().settled[0];
        assert_eq!(actual, reserved);
        assert_eq!(bench.server.asked().len(), 2);
    }
}

#[tokio::test]
async fn garbage_is_a_cut_answer_however_it_looks() {
    for garbage in ["\u{0}\u{1}\u{2}", "data: {\n\n", "data: []\n\n", "<html></html>"] {
        let garbled = Prepared::Whole(200, vec![], garbage.as_bytes().to_vec());
        let bench =
            Bench::with([garbled, Prepared::Whole(200, vec![], vec![0xff, 0xfe, b'\n']), good()]).await;
        bench.call().await.unwrap();
        assert_eq!(bench.account.ledger().settled.len(), 3, "{garbage}");
    }
}

#[tokio::test]
async fn arguments_that_are_no_json_object_arrive_as_malformed() {
    for raw in ["{\"path\": \"a", "[1]", "nonsense"] {
        let bench = Bench::with([anthropic_stream(&[tool("t", "read_file", raw)], "tool_use")]).await;
        let reply = bench.call().await.unwrap();
        let arguments = Arguments::Malformed(raw.to_owned());
        assert_eq!(
            reply.blocks,
            vec![Block::ToolUse { id: "t".into(), name: "read_file".into(), arguments }]
        );
    }
}

#[tokio::test]
async fn output_is_clamped_to_what_the_budget_pays() {
    let bench = Bench::with([good()]).await;
    // About 2,000 tokens of input at $1 and 2,000 of output at $5 a million.
    let account = MemoryAccount::of(Money::from_microdollars(12_500));
    bench.gateway.call(&account, request(ProviderKind::Anthropic)).await.unwrap();
    let output = bench.server.asked()[0].body["max_tokens"].as_u64().unwrap();
    assert!((1_024..8_000).contains(&output), "{output}");
    assert!(account.ledger().settled[0].0 <= Money::from_microdollars(12_500));
}

#[tokio::test]
async fn nothing_is_sent_when_not_even_a_short_answer_fits() {
    let bench = Bench::with([good()]).await;
    let account = MemoryAccount::of(Money::from_microdollars(5_000));
    let refused = bench.gateway.call(&account, request(ProviderKind::Anthropic)).await.unwrap_err();
    assert!(matches!(refused, CallError::BudgetExhausted { .. }), "{refused}");
    assert!(bench.server.asked().is_empty());
}

#[tokio::test]
async fn racing_calls_never_spend_more_than_the_limit() {
    let bench = Bench::with((0..40).map(|_| good())).await;
    let limit = Money::from_microdollars(60_000);
    let account = MemoryAccount::of(limit);
    let calls = (0..40).map(|_| bench.gateway.call(&account, request(ProviderKind::Anthropic)));
    let answers = futures_util::future::join_all(calls).await;
    let ledger = account.ledger();
    assert!(ledger.spent() <= limit && ledger.open.is_empty());
    assert!(answers.iter().any(Result::is_ok));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), bench.server.asked().len());
}

#[tokio::test]
async fn a_lost_lease_stops_the_call_before_it_is_sent() {
    let bench = Bench::with([good()]).await;
    bench.account.lose_lease();
    assert_eq!(bench.call().await.unwrap_err(), CallError::LeaseLost);
    assert!(bench.server.asked().is_empty());
}

#[tokio::test]
async fn a_provider_that_keeps_failing_is_left_alone() {
    let bench = Bench::with((0..8).map(|_| error(500, vec![]))).await;
    let first = bench.call().await.unwrap_err();
    assert!(matches!(first, CallError::ProviderDown { .. }), "{first}");
    assert_eq!(bench.server.asked().len(), 5, "one call gives up after its attempts");
    bench.call().await.unwrap_err();
    assert_eq!(bench.server.asked().len(), 8, "the circuit opens in the middle of the second");
    bench.server.push(good());
    bench.call().await.unwrap_err();
    assert_eq!(bench.server.asked().len(), 8, "nothing is sent while it is open");
    bench.clock.advance(61_000);
    bench.call().await.unwrap();
    assert_eq!(bench.account.ledger().released, 8);
}

#[tokio::test]
async fn a_silent_provider_times_out_and_is_charged_as_reserved() {
    let bench = Bench::with([Prepared::Hang, good()]).await;
    let (answer, ()) = tokio::join!(bench.call(), async {
        bench.server.asked_times(1).await;
        bench.clock.advance(130_000);
    });
    answer.unwrap();
    let (reserved, actual, _) = bench.account.ledger().settled[0];
    assert_eq!(actual, reserved);
}

#[tokio::test]
async fn the_tasks_deadline_ends_a_call_and_settles_it() {
    let bench = Bench::with([Prepared::Hang]).await;
    let deadline = Some(bench.clock.now().plus_ms(100_000));
    let asked = ModelRequest { deadline, ..request(ProviderKind::Anthropic) };
    let (answer, ()) = tokio::join!(bench.gateway.call(&bench.account, asked), async {
        bench.server.asked_times(1).await;
        bench.clock.advance(110_000);
    });
    assert_eq!(answer.unwrap_err(), CallError::DeadlinePassed);
    assert_eq!(bench.account.ledger().reserved(), Money::ZERO);
}

#[tokio::test]
async fn a_refused_key_is_not_tried_again_and_never_quoted() {
    let body = json!({"error":{"type":"authentication_error","message":format!("invalid x-api-key: {KEY}")}});
    let bench = Bench::with([Prepared::Whole(401, vec![], body.to_string().into_bytes())]).await;
    let refused = bench.call().await.unwrap_err();
    assert!(matches!(refused, CallError::Provider(ProviderError::Refused { .. })), "{refused}");
    assert!(!format!("{refused} {refused:?} {:?}", bench.gateway).contains(KEY));
    assert_eq!(bench.server.asked().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_key() {
    let bench = Bench::with([error(307, vec![("location", "/elsewhere")]), good()]).await;
    let refused = bench.call().await.unwrap_err();
    assert!(matches!(refused, CallError::Provider(ProviderError::BadRequest { .. })), "{refused}");
    assert_eq!(bench.server.asked().len(), 1);
}

#[tokio::test]
async fn an_unreachable_provider_costs_nothing() {
    let mut bench = Bench::with([]).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    bench.server.url = format!("http://{free}");
    let lost =
        gateway(&bench.server, &bench.clock).call(&bench.account, request(ProviderKind::Anthropic)).await;
    assert!(matches!(lost, Err(CallError::ProviderDown { .. })), "{lost:?}");
    assert_eq!(bench.account.ledger().spent(), Money::ZERO);
}

#[tokio::test]
async fn an_abandoned_call_stays_reserved() {
    let bench = Bench::with([Prepared::Hang]).await;
    tokio::select! {
        _ = bench.call() => panic!("the server hangs"),
        () = bench.server.asked_times(1) => {}
    }
    assert!(bench.account.ledger().reserved() > Money::ZERO);
}

#[tokio::test]
async fn a_request_is_never_counted_higher_by_the_server_than_was_reserved() {
    let bench = Bench::with([good()]).await;
    let mut asked = request(ProviderKind::Anthropic);
    asked.messages = vec![Message::user_text(format!("{}{}", " ".repeat(50_000), "a".repeat(50_000)))];
    bench.gateway.call(&bench.account, asked).await.unwrap();
    let reserved = bench.account.ledger().settled[0].0;
    let facts_cost = (bench.server.asked()[0].bytes as u64).div_ceil(3) + 8_000 * 5;
    assert!(reserved >= Money::from_microdollars(facts_cost));
}

#[tokio::test]
async fn a_provider_without_key_and_a_model_without_price_are_refused() {
    let clock = Arc::new(TestClock::new());
    let prices = PriceTable::shipped().unwrap();
    let settings = GatewaySettings::default();
    let gateway = Gateway::new(http_client().unwrap(), clock, Arc::new(TestEntropy), prices, settings, []);
    let account = MemoryAccount::of(Money::from_cents(100));
    let refused = gateway.call(&account, request(ProviderKind::OpenAi)).await.unwrap_err();
    assert_eq!(refused, CallError::NoProvider { provider: ProviderKind::OpenAi });
    let mut asked = request(ProviderKind::OpenAi);
    asked.model.model = "nobody-knows".to_owned();
    assert!(matches!(gateway.call(&account, asked).await, Err(CallError::UnknownModel(_))));
}

fn unpriced() -> ModelRequest {
    let mut asked = request(ProviderKind::Anthropic);
    asked.model.model = "nobody-knows".to_owned();
    asked
}

#[tokio::test]
async fn a_model_without_price_is_called_where_tokens_are_limited_and_never_beyond() {
    let bench = Bench::with((0..40).map(|_| good())).await;
    let limit = Tokens(9_000);
    let account = MemoryAccount::of_tokens(Money::ZERO, limit);
    let answers =
        futures_util::future::join_all((0..40).map(|_| bench.gateway.call(&account, unpriced()))).await;
    let ledger = account.ledger();
    let used = ledger.settled.iter().fold(Tokens::ZERO, |sum, (_, _, usage)| sum.plus(usage.total()));
    assert!(used <= limit && ledger.spent() == Money::ZERO, "{used}");
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(done > 0 && done == bench.server.asked().len());
    let refused = answers.into_iter().find_map(Result::err).unwrap();
    let CallError::BudgetExhausted { exhausted, .. } = &refused else { panic!("{refused}") };
    assert_eq!(exhausted.measure(), Measure::Tokens);
    assert!(refused.to_string().contains("tokens of the run's budget remain"), "{refused}");
}

#[tokio::test]
async fn output_is_clamped_to_what_the_budget_counts() {
    let bench = Bench::with([good()]).await;
    let account = MemoryAccount::of_tokens(Money::from_cents(100), Tokens(4_000));
    bench.gateway.call(&account, request(ProviderKind::Anthropic)).await.unwrap();
    let output = bench.server.asked()[0].body["max_tokens"].as_u64().unwrap();
    assert!((1_024..4_000).contains(&output), "{output}");
}
