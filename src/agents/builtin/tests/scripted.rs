//! The demo's stories against the scripted model server: the whole way of a task, and every fault on it.

use std::convert::Infallible;

use pairbot_model_sim::{Fault, ModelSim, SimConfig, When, demo_repository, story};
use pairbot_protocol::ids::Usage;
use secrecy::SecretString;

use super::*;
use crate::adapters::SystemSpawner;
use crate::gateway::tests::ports::TestEntropy;
use crate::gateway::{GatewaySettings, ProviderSettings, http_client};
use crate::sandbox::Uncaged;

struct Stage {
    sim: ModelSim,
    clock: Arc<TestClock>,
    account: Arc<MemoryAccount>,
    payer: Arc<dyn BudgetAccount>,
    agent: BuiltinAgent,
    all: tempfile::TempDir,
}

impl Stage {
    async fn new(streaming: bool) -> Self {
        Self::with(streaming, Arc::new(Uncaged::accepted(Arc::new(SystemSpawner)))).await
    }

    async fn with(streaming: bool, sandbox: Arc<dyn Sandbox>) -> Self {
        let sim = ModelSim::start(SimConfig::default()).await.unwrap();
        let clock = Arc::new(TestClock::new());
        let provider = |kind, base_url| ProviderSettings {
            kind,
            base_url,
            key: SecretString::from("sk-test"),
            calls_max: 4,
        };
        let gateway = Gateway::new(
            http_client().unwrap(),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(TestEntropy),
            PriceTable::shipped().unwrap(),
            GatewaySettings::default(),
            [
                provider(ProviderKind::Anthropic, sim.anthropic_base_url()),
                provider(ProviderKind::OpenAi, sim.openai_base_url()),
            ],
        );
        let agent = BuiltinAgent::new(Arc::new(gateway), Arc::clone(&clock) as Arc<dyn Clock>, sandbox);
        let agent = if streaming { agent } else { agent.without_streaming() };
        let all = tempfile::tempdir().unwrap();
        fs::create_dir(all.path().join("scratch")).unwrap();
        for (path, content) in demo_repository() {
            let file = all.path().join("root").join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        let account = Arc::new(MemoryAccount::of(Money::from_cents(1_000)));
        let payer = Arc::clone(&account) as Arc<dyn BudgetAccount>;
        Self { sim, clock, account, payer, agent, all }
    }

    fn task(&self, provider: ProviderKind) -> CreateTask {
        let told = story("findings").unwrap();
        CreateTask {
            repository: "octo/invoice".to_owned(),
            issue: IssueNumber(7),
            title: told.issue_title.to_owned(),
            body: told.issue_body.to_owned(),
            round: Round::FIRST,
            guidance: Some("Names, not numbers.".to_owned()),
            set_up: None,
            open_findings: Vec::new(),
            gate_reports: Vec::new(),
            feedback: Vec::new(),
            root: self.all.path().join("root"),
            scratch: self.all.path().join("scratch"),
            model: model(provider, "scripted"),
            limits: AgentLimits {
                turns_max: 30,
                deadline: self.clock.now().plus_ms(7_200_000),
                output_tokens_max: 4_000,
                command_timeout: Duration::from_mins(1),
            },
        }
    }

    async fn create(&self, task: CreateTask) -> CreateOutcome {
        let transcript = MemoryTranscript::default();
        self.agent
            .create(
                task,
                TaskPorts {
                    account: &self.payer,
                    transcript: &transcript,
                    files: None,
                    repository: &NoRepository,
                    gates: None,
                    stop: &CancellationToken::new(),
                },
            )
            .await
    }

    async fn review(&self, reviewer: &str, provider: ProviderKind, before: &str) -> ReviewOutcome {
        let task = self.task(provider);
        let task = ReviewTask {
            repository: task.repository,
            issue: task.issue,
            title: task.title,
            body: task.body,
            round: task.round,
            guidance: None,
            reviewer: reviewer.parse().unwrap(),
            focus: prompts::default_focus(reviewer).to_owned(),
            diff: whole_file_diff("lib/price.awk", before, &self.price()),
            delta: None,
            to_verify: Vec::new(),
            root: task.root,
            scratch: task.scratch,
            model: task.model,
            limits: task.limits,
        };
        let transcript = MemoryTranscript::default();
        self.agent
            .review(
                task,
                TaskPorts {
                    account: &self.payer,
                    transcript: &transcript,
                    files: None,
                    repository: &NoRepository,
                    gates: None,
                    stop: &CancellationToken::new(),
                },
            )
            .await
    }

    /// Moves the time on once a call hangs. All of it runs in one thread over loopback, so when nobody began to wait for
    /// anything new in thousands of steps, nothing more will come.
    async fn let_hanging_calls_time_out(&self) -> Infallible {
        const STEPS: u32 = 5_000;
        let (mut waits, mut steps) = (0, 0);
        loop {
            steps = if self.clock.waits() == waits { steps + 1 } else { 0 };
            waits = self.clock.waits();
            if steps > STEPS {
                let last = self.sim.ledger().pop().and_then(|call| call.fault);
                if last.is_some_and(|fault| fault.starts_with("hang")) {
                    self.clock.advance(130_000);
                }
                steps = 0;
            }
            tokio::task::yield_now().await;
        }
    }

    fn price(&self) -> String {
        fs::read_to_string(self.all.path().join("root/lib/price.awk")).unwrap()
    }

    /// What the server billed, in our words.
    fn billed(&self) -> Usage {
        let usage = self.sim.usage();
        Usage {
            input_tokens: usage.input_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            output_tokens: usage.output_tokens,
        }
    }

    /// Nothing but what a fault made the server refuse.
    fn nothing_was_refused(&self) {
        let refused: Vec<_> = self
            .sim
            .ledger()
            .into_iter()
            .filter(|call| call.fault.is_none())
            .filter_map(|call| call.refusal)
            .collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
}

fn whole_file_diff(path: &str, before: &str, after: &str) -> String {
    let (old, new) = (before.lines().count(), after.lines().count());
    let mut diff = format!("--- a/{path}\n+++ b/{path}\n@@ -1,{old} +1,{new} @@\n");
    for (sign, text) in [('-', before), ('+', after)] {
        for line in text.lines() {
            diff.extend([sign.to_string().as_str(), line, "\n"]);
        }
    }
    diff
}

#[tokio::test]
async fn the_story_is_played_alike_over_both_providers_streaming_and_not() {
    for provider in [ProviderKind::Anthropic, ProviderKind::OpenAi] {
        for streaming in [true, false] {
            let stage = Stage::new(streaming).await;
            let before = stage.price();
            let created = stage.create(stage.task(provider)).await;
            let product = created.result.unwrap();
            assert_eq!(product.title, "Give a volume discount", "{provider} {streaming}");
            assert!(stage.price().contains("if (quantity > 10)"));

            let reviewed = stage.review("correctness", provider, &before).await;
            let review = reviewed.result.unwrap();
            let found = &review.findings[0];
            assert_eq!((found.severity, found.path.as_deref()), (Severity::Blocking, Some("lib/price.awk")));
            let line = usize::try_from(found.line.unwrap()).unwrap();
            assert_eq!(stage.price().lines().nth(line - 1), Some("    if (quantity > 10)"));

            let open = OpenFinding {
                id: "correctness-1-1".parse().unwrap(),
                severity: found.severity,
                path: found.path.clone(),
                line: found.line,
                title: found.title.clone(),
                body: found.body.clone(),
                answer: None,
            };
            let mended = CreateTask { round: Round(2), open_findings: vec![open], ..stage.task(provider) };
            let second = stage.create(mended).await;
            assert_eq!(second.result.unwrap().answers[0].claim, Claim::Fixed);
            assert!(stage.price().contains("if (quantity >= VOLUME_QUANTITY)"));

            stage.nothing_was_refused();
            let counted = created.usage.plus(reviewed.usage).plus(second.usage);
            assert_eq!(counted, stage.billed(), "counted to the token: {provider} {streaming}");
            let ledger = stage.account.ledger();
            assert_eq!(ledger.spent(), created.cost.plus(reviewed.cost).plus(second.cost));
            assert_eq!(ledger.reserved(), Money::ZERO);
        }
    }
}

#[tokio::test]
async fn no_fault_of_the_provider_changes_the_product_or_hides_a_cost() {
    let faults = [
        Fault::rate_limited(5),
        Fault::status(500),
        Fault::status(529),
        Fault::ErrorInStream,
        Fault::Cut,
        Fault::MalformedToolJson,
        Fault::MaxTokens,
        Fault::PauseTurn,
        Fault::Garbage,
        Fault::VeryLong { bytes: 300_000 },
        Fault::Hang,
        Fault::HangInStream,
    ];
    for provider in [ProviderKind::Anthropic, ProviderKind::OpenAi] {
        for fault in &faults {
            for turn in [0, 2] {
                // Commands change nothing here and cost the most time.
                let stage = Stage::with(true, no_sandbox()).await;
                stage.sim.inject(When::next_call().turn(turn), fault.clone());
                let created = tokio::select! {
                    created = stage.create(stage.task(provider)) => created,
                    never = stage.let_hanging_calls_time_out() => match never {},
                };
                let name = format!("{provider} {} at turn {turn}", fault.name());
                assert_eq!(stage.sim.faults_waiting(), 0, "{name}");
                assert!(created.result.is_ok(), "{name}: {:?}", created.result);
                assert!(stage.price().contains("if (quantity > 10)"), "{name}");
                let (ledger, billed) = (stage.account.ledger(), stage.billed());
                assert_eq!((ledger.spent(), ledger.reserved()), (created.cost, Money::ZERO), "{name}");
                assert!(created.usage.input_total() >= billed.input_total(), "{name}");
                assert!(created.usage.output_tokens >= billed.output_tokens, "{name}");
                stage.nothing_was_refused();
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_of_the_scripted_model_is_its_own_failure() {
    let stage = Stage::new(true).await;
    stage.sim.inject(When::next_call().turn(1), Fault::Refusal);
    let created = stage.create(stage.task(ProviderKind::Anthropic)).await;
    assert!(matches!(created.result, Err(AgentFailure::Refused(_))), "{:?}", created.result);
    assert_eq!(created.usage, stage.billed());
}
