//! What runs may cost together, models that have no price, and what people are told of it.

use std::time::Duration;

use pairbot::config::Database;
use pairbot::demo::{REPOSITORY, StageSettings};
use pairbot::ports::Clock as _;
use pairbot::store::Owner;
use pairbot_protocol::budget::Limits;
use pairbot_protocol::ids::{Money, Tokens};
use rusqlite::Connection;

use super::world::{World, set_file, writes};

const DAY: Duration = Duration::from_hours(24);

impl World {
    /// Other runs have spent all but a cent of an owner's present period.
    fn nearly_used_up(&self, owner: Owner, limit: Limits) {
        let Database::Sqlite { path } = &self.stage.config.storage.database;
        let hand = Connection::open(path).unwrap();
        hand.busy_timeout(Duration::from_secs(30)).unwrap();
        let (scope, id) = match owner {
            Owner::Repository(id) => (0, id.0),
            Owner::Installation(id) => (1, id.0),
        };
        let spent = limit.money.unwrap().minus(Money::from_cents(1)).microdollars;
        hand.execute(
            "INSERT INTO shared_budget (scope, owner, starts_at, spent_microdollars) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET spent_microdollars = excluded.spent_microdollars",
            (scope, id, owner.period(self.clock.now()).starts_at.unix_ms, spent),
        )
        .unwrap();
    }

    /// The owners of the budgets that an issue's run will share.
    fn owners(&self) -> [Owner; 2] {
        let facts =
            self.mona().request("GET", &format!("/repos/{REPOSITORY}"), serde_json::Value::Null).unwrap();
        let repository = pairbot_protocol::ids::RepositoryId(facts["id"].as_u64().unwrap());
        let installation = pairbot_protocol::ids::InstallationId(self.stage.installation);
        [Owner::Repository(repository), Owner::Installation(installation)]
    }

    async fn says(&self, issue: u64, text: &str) {
        self.mona().comment(REPOSITORY, issue, text).unwrap();
        self.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stopped_by_the_repositorys_day_goes_on_the_next_day_after_a_retry() {
    let world = World::with_policy("rounds: 1\n").await;
    let issue = world.issue_of(writes("Wait", &[("one.txt", "1\n")]));
    let [repository, _] = world.owners();
    world.nearly_used_up(repository, world.stage.config.budgets.repository_day);
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    assert_eq!(world.models().ledger().len(), 0);
    let status = world.status(issue);
    assert!(
        status.starts_with("### Pairbot: halted: this repository's budget for the day is used up"),
        "{status}"
    );
    assert!(status.contains("A new day begins on 2026-01-06 at 00:00 UTC"), "{status}");
    // More for this run is of no use, nor is asking again on the same day.
    world.says(issue, "/budget +5\n/retry").await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    // The new day closes no breaker; a person does (promise P4).
    world.leap(DAY).await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    world.says(issue, "/retry").await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /budget +5 :+1:
  mona: /retry :+1:
pull ready: Wait
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_is_used_up_says_when_the_next_begins_and_a_check_says_it_too() {
    let world = World::with_policy("rounds: 2\n").await;
    let issue = world.issue_of(writes("Wait longer", &[("one.txt", "1\n"), ("two.txt", "2\n")]));
    world.label(issue).await;
    let [_, installation] = world.owners();
    world.nearly_used_up(installation, world.stage.config.budgets.installation_month);
    world.says(issue, "/retry create").await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    let check = world.check(issue, "ready");
    assert_eq!(check.conclusion.as_deref(), Some("action_required"));
    assert!(check.title.unwrap().contains("this installation's budget for the month is used up"));
    assert!(check.summary.unwrap().contains("A new month begins on 2026-02-01 at 00:00 UTC"));
    world.leap(27 * DAY).await;
    world.says(issue, "/retry create").await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    let budgets = world.store().shared_budgets(world.clock.now()).await.unwrap();
    let month = budgets.iter().find(|budget| budget.owner == installation).unwrap();
    assert!(month.spent.money > Money::ZERO && month.spent.money < Money::from_cents(100), "{month:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_lowers_its_day_and_raises_nothing() {
    let world = World::with(|settings| {
        set_file(settings, ".github/pairbot.yml", "rounds: 1\nbudget: { run: 5, day: 0.01 }\n");
    })
    .await;
    let issue = world.issue_of(writes("Lower", &[("one.txt", "1\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    assert!(world.status(issue).contains("this repository's budget for the day"));

    let world = World::with(|settings: &mut StageSettings| {
        settings.budgets.repository_day.money = Some(Money::from_cents(1));
        set_file(settings, ".github/pairbot.yml", "rounds: 1\nbudget: { run: 5, day: 900 }\n");
    })
    .await;
    let issue = world.issue_of(writes("Raise", &[("one.txt", "1\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    assert_eq!(world.models().ledger().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_a_price_works_within_a_budget_in_tokens_and_not_without_one() {
    let house = "rounds: 1\ncreator: { provider: anthropic, model: house }\n";
    let world = World::with_policy(&format!("{house}budget: {{ tokens: {{ run: 400k }} }}\n")).await;
    let issue = world.issue_of(writes("Count", &[("one.txt", "1\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    let run = world.run(issue).await.id;
    let lines = world.store().spend_lines(run).await.unwrap();
    let creator = lines.iter().find(|line| line.agent == "creator").unwrap();
    assert_eq!((creator.model.as_deref(), creator.cost), (Some("house"), Money::ZERO));
    let budget = world.store().budget(run).await.unwrap();
    assert!(budget.spent_tokens > Tokens::ZERO && budget.spent_tokens <= Tokens(400_000), "{budget:?}");
    assert_eq!(budget.reserved_tokens, Tokens::ZERO);
    assert!(world.status(issue).contains(" of 400,000 tokens"), "{}", world.status(issue));

    let world = World::with_policy(house).await;
    let issue = world.issue_of(writes("Refuse", &[("one.txt", "1\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(agent-failed)");
    let status = world.status(issue);
    assert!(
        status.contains("no price is known for the model") && status.contains("budget in tokens"),
        "{status}"
    );
    assert_eq!(world.models().ledger().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_in_tokens_that_is_used_up_is_raised_by_its_own_command() {
    let world = World::with_policy("rounds: 1\nbudget: { tokens: { run: 3k } }\n").await;
    let issue = world.issue_of(writes("Count up", &[("one.txt", "1\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    assert!(world.status(issue).contains("`/budget +200k tokens`"), "{}", world.status(issue));
    world.says(issue, "/budget +500k tokens\n/retry").await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /budget +500k tokens :+1:
pull ready: Count up
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_model_cost_stands_on_the_pull_request() {
    let policy = "rounds: 2\ncreator: { provider: anthropic, model: claude-haiku-4-5 }\nreviewers:\n  \
                  correctness: { provider: openai, model: gpt-5 }\n  maintainability:\n";
    let world = World::with_policy(policy).await;
    let issue = world.issue("findings");
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "awaiting-human");
    let run = world.run(issue).await.id;
    let lines = world.store().spend_lines(run).await.unwrap();
    let parts: Vec<_> = lines
        .iter()
        .map(|line| (line.round.unwrap().0, line.agent.as_str(), line.model.as_deref().unwrap()))
        .collect();
    let each_round = |round| {
        [
            (round, "correctness", "gpt-5"),
            (round, "creator", "claude-haiku-4-5"),
            (round, "maintainability", "claude-sonnet-4-5"),
        ]
    };
    assert_eq!(parts, [each_round(1), each_round(2)].concat());
    let total = lines.iter().fold(Money::ZERO, |sum, line| sum.plus(line.cost));
    assert_eq!(total, world.store().budget(run).await.unwrap().spent);
    let body = world.pull(issue).body;
    for line in &lines {
        let (round, agent, model) = (line.round.unwrap(), &line.agent, line.model.as_deref().unwrap());
        let row = format!("| {round} | `{agent}` | `{model}` | {} |", line.calls);
        let row =
            body.lines().find(|found| found.starts_with(&row)).unwrap_or_else(|| panic!("{row} in {body}"));
        assert!(row.ends_with(&format!("| {} |", line.cost)), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_runs_did_cost_is_told_to_those_that_follow() {
    let world = World::with_policy("rounds: 1\nbudget: { run: 0.60 }\n").await;
    for number in 1..=3 {
        let path = format!("{number}.txt");
        let issue = world.issue_of(writes(&format!("Write {number}"), &[(path.as_str(), "1\n")]));
        world.label(issue).await;
        assert!(!world.status(issue).contains("Runs here cost"), "from {} runs", number - 1);
        world.merge(issue).await;
    }
    let [repository, _] = world.owners();
    world.nearly_used_up(repository, world.stage.config.budgets.repository_day);
    let issue = world.issue_of(writes("Write 4", &[("4.txt", "1\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    let status = world.status(issue);
    let told = status.lines().find(|line| line.starts_with("Runs here cost")).unwrap();
    assert!(told.contains("in the median, 9 of 10 at most $") && told.contains("last 3 runs"), "{told}");
}
