//! What must hold at the end of every world, seen from outside: in the ledgers, on GitHub, and in the models' books.

use std::collections::{BTreeMap, BTreeSet};

use pairbot::gateway::{ModelChoice, PriceTable, ProviderKind};
use pairbot::ports::Clock as _;
use pairbot::store::{RunSummary, StoredRun};
use pairbot_github_sim::{CheckSeen, ReactionSeen};
use pairbot_model_sim::Provider;
use pairbot_protocol::apply;
use pairbot_protocol::budget::{Amount, Limits, Period};
use pairbot_protocol::checks::{self, CheckState};
use pairbot_protocol::event::Event;
use pairbot_protocol::ids::{Money, Timestamp, Usage};
use pairbot_protocol::invariants;
use pairbot_protocol::run::{Phase, Run};
use pairbot_protocol::signal::Verdict;

use super::world::{BEGINNING_MS, BOT, World};

/// One run with everything that is stored of it.
struct Life {
    summary: RunSummary,
    stored: StoredRun,
    events: Vec<Event>,
}

impl Life {
    fn run(&self) -> &Run {
        &self.stored.run
    }
}

/// Every promise that does not hold, with where.
pub(super) async fn broken(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    let lives = lives(world, &mut broken).await;
    nothing_is_lost(world, &lives, &mut broken).await;
    for life in &lives {
        money(world, life, &mut broken).await;
        dead_letters(world, life, &mut broken).await;
        shown_as_it_is(world, life, &lives, &mut broken);
        told_as_it_is(world, life, &mut broken);
    }
    shared_money(world, &mut broken).await;
    billed_is_paid(world, &lives, &mut broken).await;
    let heads = heads(world);
    for issue in 0..world.numbers.len() {
        once_each(world, issue, &heads, &mut broken);
        green_is_earned(world, issue, &heads, &lives, &mut broken);
    }
    broken
}

/// Reads every run, and holds its ledger against it.
async fn lives(world: &World, broken: &mut Vec<String>) -> Vec<Life> {
    let store = world.store();
    let mut lives = Vec::new();
    for summary in world.runs().await {
        let run = summary.run;
        let entries = match store.ledger(run).await {
            Ok(entries) => entries,
            Err(error) => {
                broken.push(format!("P1: the ledger of {run} cannot be trusted: {error}"));
                continue;
            }
        };
        let Some(stored) = store.run(run).await.unwrap() else { continue };
        let events: Vec<Event> = entries.into_iter().map(|entry| entry.event).collect();
        if apply::replay(&events).as_ref() != Some(&stored.run) {
            broken.push(format!("P1: the ledger of {run} does not fold to the run"));
        }
        if let Err(violation) = invariants::check(&stored.run) {
            broken.push(format!("{violation}"));
        }
        if stored.run.phase.is_work() {
            let paused = if stored.run.paused { ", paused" } else { "" };
            broken.push(format!("P4: {run} rests in {}{paused}", stored.run.phase_name()));
        }
        lives.push(Life { summary, stored, events });
    }
    lives
}

async fn nothing_is_lost(world: &World, lives: &[Life], broken: &mut Vec<String>) {
    let counts = world.store().counts().await.unwrap();
    let tasks = counts.tasks;
    if counts.pending + tasks.ready + tasks.running + tasks.waiting + tasks.delayed > 0 {
        broken.push(format!("P1: something is left over: {counts:?}"));
    }
    if counts.unreadable > 0 {
        broken.push(format!("P1: {} signals were set aside as unreadable", counts.unreadable));
    }
    for (issue, number) in world.numbers.iter().enumerate() {
        let has_run = lives.iter().any(|life| {
            life.summary.repository_name == world.repository(issue) && life.summary.run.issue.0 == *number
        });
        if !has_run {
            broken.push(format!("P1: {}#{number} was labelled and has no run", world.repository(issue)));
        }
    }
}

async fn money(world: &World, life: &Life, broken: &mut Vec<String>) {
    let budget = world.store().budget(life.summary.run).await.unwrap();
    let passed = beyond(budget.spent(), budget.limits());
    if passed || budget.taken() != budget.spent() {
        broken.push(format!("P3: {}: {budget:?}", life.summary.run));
    }
}

/// Whether more was spent than is allowed.
fn beyond(spent: Amount, limits: Limits) -> bool {
    limits.money.is_some_and(|limit| spent.money > limit)
        || limits.tokens.is_some_and(|limit| spent.tokens > limit)
}

/// What runs share is within its limits on every day, and every sum is that of its reservations.
async fn shared_money(world: &World, broken: &mut Vec<String>) {
    let store = world.store();
    let (mut at, now) = (Timestamp::from_unix_ms(BEGINNING_MS), world.clock.now());
    loop {
        for budget in store.shared_budgets(at).await.unwrap() {
            if beyond(budget.spent, budget.limits) || budget.taken() != budget.spent {
                broken.push(format!("P3: {budget:?}"));
            }
        }
        if at >= now {
            break;
        }
        at = Period::day(at).ends_at.min(now);
    }
    let faults = store.audit(None).await.unwrap().faults;
    broken.extend(faults.iter().map(|fault| format!("P3: {fault}")));
}

/// What the models' owner has in its books is what the runs have spent, or less: who breaks a stream off pays in full.
async fn billed_is_paid(world: &World, lives: &[Life], broken: &mut Vec<String>) {
    let prices = PriceTable::shipped().unwrap();
    let mut billed: BTreeMap<(String, u64), Money> = BTreeMap::new();
    for call in world.models.ledger() {
        let Some(brief) = call.brief else { continue };
        let provider = match call.provider {
            Provider::Anthropic => ProviderKind::Anthropic,
            Provider::OpenAi => ProviderKind::OpenAi,
            Provider::Gemini => ProviderKind::Gemini,
        };
        let facts = prices.facts(&ModelChoice { provider, model: call.model }).unwrap();
        let cost = facts.cost(Usage {
            input_tokens: call.usage.input_tokens,
            cache_read_tokens: call.usage.cache_read_tokens,
            cache_write_tokens: call.usage.cache_write_tokens,
            output_tokens: call.usage.output_tokens,
        });
        let sum = billed.entry((brief.repository, brief.issue)).or_default();
        *sum = sum.plus(cost);
    }
    for ((repository, issue), billed) in billed {
        let mut spent = Money::default();
        for life in lives {
            if life.summary.repository_name == repository && life.summary.run.issue.0 == issue {
                spent = spent.plus(world.store().budget(life.summary.run).await.unwrap().spent);
            }
        }
        if billed > spent {
            broken.push(format!("P3: {repository}#{issue} was billed {billed} and has spent {spent}"));
        }
    }
}

/// Given up means told: each has a reason, and its run has halted since, or is over, or says what was not shown.
async fn dead_letters(world: &World, life: &Life, broken: &mut Vec<String>) {
    let told = life.run().is_over()
        || life.events.iter().any(|event| {
            matches!(
                event,
                Event::Halted { .. }
                    | Event::PublicationFailed { .. }
                    | Event::RequestSettled { granted: false, .. }
            )
        });
    for letter in world.store().tasks(life.summary.run).await.unwrap() {
        if letter.state != pairbot::store::TaskState::Dead {
            continue;
        }
        if letter.reason.is_none() || !told {
            broken.push(format!("P1: the dead letter {} of {} is unaccounted for", letter.task, letter.run));
        }
    }
}

/// Comments, reviews, pull requests, check runs and reactions of ours appear once.
fn once_each(world: &World, issue: usize, heads: &Heads, broken: &mut Vec<String>) {
    let (github, repository, number) = (world.github(), world.repository(issue), world.numbers[issue]);
    let branch = world.branch(issue);
    let pulls = github.pulls(repository).unwrap();
    let pulls: Vec<_> = pulls.into_iter().filter(|pull| pull.head_branch == branch).collect();
    if pulls.iter().filter(|pull| pull.open).count() > 1 {
        broken.push(format!("P1: {repository}#{number} has several open pull requests"));
    }
    let mut marks: BTreeMap<String, u32> = BTreeMap::new();
    let mut mark = |body: &str| {
        let last = body.trim_end().lines().last().unwrap_or_default();
        if last.starts_with("<!-- pairbot:") {
            *marks.entry(format!("{repository}#{number} {last}")).or_default() += 1;
        }
    };
    let mut reactions = github.issue_reactions(repository, number).unwrap();
    let mut doubled = twice(&mut reactions);
    for conversation in std::iter::once(number).chain(pulls.iter().map(|pull| pull.number)) {
        for comment in github.comments(repository, conversation).unwrap() {
            doubled |= twice(&mut github.comment_reactions(repository, comment.id).unwrap());
            if comment.author == BOT {
                mark(&comment.body);
            }
        }
    }
    for pull in &pulls {
        for review in github.reviews(repository, pull.number).unwrap() {
            if review.author == BOT {
                mark(&review.body);
            }
        }
    }
    if doubled {
        broken.push(format!("P1: {repository}#{number} has a reaction twice"));
    }
    let twice = marks.into_iter().filter(|(_, count)| *count > 1);
    broken.extend(twice.map(|(what, count)| format!("P1: {what} was written {count} times")));
    for head in heads_of(heads, world, issue) {
        let mut checks = ours(world, issue, head);
        checks.sort_by_key(|check| (check.name.clone(), check.external_id.clone(), check.id));
        for pair in checks.windows(2) {
            let [earlier, later] = pair else { continue };
            let same = (&earlier.name, &earlier.external_id) == (&later.name, &later.external_id);
            // Annotations cannot be taken away: a gate that is examined again begins with none, so where it had some, a
            // check run takes the place of the last.
            if same && earlier.annotations.is_empty() {
                broken.push(format!("P1: {repository} {head} has the check run `{}` twice", later.name));
            }
        }
    }
}

fn twice(reactions: &mut [ReactionSeen]) -> bool {
    let key = |reaction: &ReactionSeen| (reaction.author.clone(), reaction.content.clone());
    reactions.sort_by_key(key);
    reactions.windows(2).any(|pair| key(&pair[0]) == key(&pair[1]))
}

/// Every head that pull requests were told to have, by repository and branch.
type Heads = BTreeMap<(String, String), BTreeSet<String>>;

fn heads(world: &World) -> Heads {
    let mut heads = Heads::new();
    for delivery in world.github().deliveries() {
        let payload = &delivery.payload;
        let (repository, head) = (&payload["repository"]["full_name"], &payload["pull_request"]["head"]);
        if let (Some(repository), Some(branch), Some(sha)) =
            (repository.as_str(), head["ref"].as_str(), head["sha"].as_str())
        {
            heads.entry((repository.to_owned(), branch.to_owned())).or_default().insert(sha.to_owned());
        }
    }
    heads
}

fn heads_of<'a>(heads: &'a Heads, world: &World, issue: usize) -> impl Iterator<Item = &'a str> {
    let key = (world.repository(issue).to_owned(), world.branch(issue));
    heads.get(&key).into_iter().flatten().map(String::as_str)
}

fn ours(world: &World, issue: usize, head: &str) -> Vec<CheckSeen> {
    let checks = world.github().check_runs(world.repository(issue), head).unwrap_or_default();
    checks.into_iter().filter(|check| check.app == "pairbot").collect()
}

/// No check is green on a head for which the ledger has no verdict.
fn green_is_earned(world: &World, issue: usize, heads: &Heads, lives: &[Life], broken: &mut Vec<String>) {
    let own = |life: &&Life| {
        life.summary.repository_name == world.repository(issue)
            && life.summary.run.issue.0 == world.numbers[issue]
    };
    let own: Vec<&Life> = lives.iter().filter(own).collect();
    for head in heads_of(heads, world, issue) {
        for check in ours(world, issue, head) {
            if check.conclusion.as_deref() != Some("success") {
                continue;
            }
            let gate = check.name.trim_start_matches("pairbot / ").to_owned();
            if !own.iter().any(|life| earned(life, &gate, head)) {
                broken.push(format!("P5: `{}` is green on {head} without a verdict", check.name));
            }
        }
    }
}

fn earned(life: &Life, gate: &str, head: &str) -> bool {
    let events = &life.events;
    match gate {
        checks::READY => {
            events.iter().any(|event| matches!(event, Event::BecameReady { head: at } if at.as_str() == head))
        }
        checks::REVIEW => {
            let Some(policy) = &life.run().policy else { return false };
            policy.reviewers.keys().all(|name| {
                events.iter().any(|event| {
                    matches!(event, Event::ReviewRecorded { reviewer, head: at, .. }
                        if reviewer == name && at.as_str() == head)
                })
            })
        }
        _ => events.iter().any(|event| {
            matches!(event, Event::GateRecorded { gate: name, head: at, report }
                if name.as_str() == gate && at.as_str() == head && report.verdict == Verdict::Green)
        }),
    }
}

/// Each run has one status comment, and it says where the run is.
fn told_as_it_is(world: &World, life: &Life, broken: &mut Vec<String>) {
    let (run, repository) = (life.run(), &life.summary.repository_name);
    if life.events.iter().any(|event| matches!(event, Event::PublicationFailed { .. })) {
        return;
    }
    let mark = format!("<!-- pairbot:{}:status -->", run.id);
    let comments = world.github().comments(repository, run.id.issue.0).unwrap();
    let ours = |body: &str| body.trim_end().ends_with(&mark);
    let Some(status) = comments.iter().find(|comment| comment.author == BOT && ours(&comment.body)) else {
        broken.push(format!("P1: {} has no status comment", run.id));
        return;
    };
    let says = match &run.phase {
        Phase::AwaitingHuman(_) => "ready:",
        Phase::Halted { .. } => "halted:",
        Phase::Refused { .. } => "not started",
        Phase::Merged { .. } => "merged at",
        Phase::Closed { .. } => "ended without a merge",
        Phase::Queued { .. } | Phase::Creating { .. } | Phase::Opening { .. } | Phase::Validating(_) => "",
    };
    if !status.body.starts_with(&format!("### Pairbot: {says}")) {
        let first = status.body.lines().next().unwrap_or_default();
        broken.push(format!("P1: the status of {} says `{first}`, it is {}", run.id, run.phase_name()));
    }
}

/// At rest, what GitHub shows of the newest run's head is what the run says.
fn shown_as_it_is(world: &World, life: &Life, lives: &[Life], broken: &mut Vec<String>) {
    let run = life.run();
    let is_newest = !lives.iter().any(|other| {
        let (this, other) = (life.summary.run, other.summary.run);
        (other.repository, other.issue) == (this.repository, this.issue) && other.ordinal > this.ordinal
    });
    let failed = life.events.iter().any(|event| matches!(event, Event::PublicationFailed { .. }));
    let (Some(head), true, false) = (&run.head, is_newest, failed) else { return };
    let repository = &life.summary.repository_name;
    for gate in checks::names(run) {
        let name = format!("pairbot / {gate}");
        let seen = world.github().check(repository, head.as_str(), &name).ok().flatten();
        let Some(seen) = seen else { continue };
        let says = checks::view(run, &gate, head).state;
        let shows = seen.conclusion.as_deref();
        let fits = match says {
            CheckState::InProgress => shows.is_none(),
            CheckState::Success => shows == Some("success"),
            CheckState::Failure => shows == Some("failure"),
            CheckState::ActionRequired => shows == Some("action_required"),
            // A verdict outlives the question; only what never came to one is taken back.
            CheckState::Withdrawn => shows.is_some(),
        };
        if !fits {
            broken.push(format!("P5: {}: `{name}` shows {shows:?}, the run says {says:?}", run.id));
        }
    }
}
