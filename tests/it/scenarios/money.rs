//! What a run may cost, to the microdollar.

use pairbot::demo::REPOSITORY;
use pairbot::store::Budget;
use pairbot_model_sim::{Reply, Script};
use pairbot_protocol::ids::Money;

use super::world::{World, writes};

impl World {
    /// The account of an issue's run.
    async fn account(&self, issue: u64) -> Budget {
        let run = self.run(issue).await.id;
        self.store().budget(run).await.unwrap()
    }

    /// Nothing was spent beyond the limit, nothing stays reserved, and the models billed what the store knows.
    async fn account_is_square(&self, issue: u64) {
        let account = self.account(issue).await;
        assert!(account.spent <= account.limit, "{account:?}");
        assert_eq!(account.reserved, Money::ZERO);
        let billed = self.models().usage();
        assert_eq!(account.usage.input_tokens, billed.input_tokens);
        assert_eq!(account.usage.cache_read_tokens, billed.cache_read_tokens);
        assert_eq!(account.usage.cache_write_tokens, billed.cache_write_tokens);
        assert_eq!(account.usage.output_tokens, billed.output_tokens);
        assert_eq!(account.spent, self.run(issue).await.spent.cost, "the ledger knows another sum");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_models_bill_is_what_the_store_and_the_ledger_know() {
    let world = World::start().await;
    let issue = world.issue("findings");
    world.label(issue).await;
    world.account_is_square(issue).await;
    assert_eq!(world.account(issue).await.calls, world.models().ledger().len() as u64);
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c2` waits for you
pull ready: Give a volume discount
  pairbot[bot] COMMENTED on c1: Review by `correctness`
    lib/price.awk:6 outdated resolved
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
    lib/price.awk:7 outdated resolved
  pairbot[bot] COMMENTED on c2: Review by `correctness`
  pairbot[bot] COMMENTED on c2: Review by `maintainability`
  c1 paths=success ready=failure review=failure size=success tests=success
  c2 paths=success ready=success review=success size=success tests=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_too_small_for_the_first_call_pays_nothing_and_a_person_raises_it() {
    let world = World::with_policy("rounds: 1\nbudget: { run: 0.01 }\n").await;
    let issue = world.issue_of(writes("Afford", &[("one.txt", "1\n")]));
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    assert_eq!(world.models().ledger().len(), 0);
    world.mona().comment(REPOSITORY, issue, "/budget +5\n/retry").unwrap();
    world.quiet().await;
    world.account_is_square(issue).await;
    assert_eq!(world.account(issue).await.limit.to_string(), "$5.01");
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /budget +5 :+1:
pull ready: Afford
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reviewers_side_by_side_never_pass_the_budget_and_the_work_stays_on_the_branch() {
    // Enough for the creator, not for all of six reviewers that read one file after the other.
    let names = ["a", "b", "c", "d", "e", "f"];
    let reviewers: String = names.map(|name| format!("  {name}: {{ focus: Read. }}\n")).concat();
    let world =
        World::with_policy(&format!("rounds: 1\nbudget: {{ run: 0.12 }}\nreviewers:\n{reviewers}")).await;
    let script =
        writes("Share", &[("one.txt", "1\n")]).other_reviewers_with(|_| Reply::read_file("README.md"));
    let issue = world.issue_of(script);
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    let account = world.account(issue).await;
    assert!(account.spent <= account.limit && account.spent > Money::from_cents(1), "{account:?}");
    assert_eq!(account.reserved, Money::ZERO);
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: halted: the budget is used up
pull draft: Share
  c1 ready=action_required review=action_required
";
    assert_eq!(world.picture_without(issue, &["paths", "size"]), seen);
    world.nothing_else_happened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_that_runs_out_of_money_in_the_middle_goes_on_once_it_has_more() {
    let world = World::with_policy("rounds: 1\nbudget: { run: 0.05 }\n").await;
    let reading = (0..6).map(|_| Reply::read_file("README.md"));
    let done = [Reply::write_file("one.txt", "1\n"), Reply::hand_in("Read much", "As asked.", [])];
    let script = Script::for_title("Read much").creator([reading.chain(done).collect::<Vec<_>>()]);
    let issue = world.issue_of(script);
    world.label(issue).await;
    assert_eq!(world.phase(issue).await, "halted(budget-exhausted)");
    world.account_is_square(issue).await;
    assert!(!world.models().ledger().is_empty());
    world.mona().comment(REPOSITORY, issue, "/budget +5").unwrap();
    world.mona().comment(REPOSITORY, issue, "/retry").unwrap();
    world.quiet().await;
    world.account_is_square(issue).await;
    let seen = "\
issue open [agent:pair] :eyes:
  pairbot[bot]: ### Pairbot: ready: `c1` waits for you
  mona: /budget +5 :+1:
  mona: /retry :+1:
pull ready: Read much
  pairbot[bot] COMMENTED on c1: Review by `correctness`
  pairbot[bot] COMMENTED on c1: Review by `maintainability`
  c1 paths=success ready=success review=success size=success
";
    assert_eq!(world.picture(issue), seen);
    world.nothing_else_happened().await;
}
