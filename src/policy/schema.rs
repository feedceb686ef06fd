//! The keys of a policy file but the gates.

use std::collections::BTreeMap;

use pairbot_protocol::ids::{AgentName, Money, ReviewerName, Tokens};
use pairbot_protocol::policy::{AgentChoice, Policy, Provider, ReviewerPolicy};

use super::scalars::{Section, Span, count, duration_ms, listed, mapping, money, one_of, text, tokens};
use super::yaml::{Entry, Node, Place, Value, join};
use super::{PolicyProblem, defaults, gates};
use crate::agents::roster::BUILTIN;

/// The version of the schema that this program reads.
const VERSION: &str = "1";
/// More rounds than this have never helped; a person has.
const ROUNDS_MAX: u32 = 10;
/// Guards against a slip of the pen. An operator's own limits are lower and hold besides.
const RUN_BUDGET_MAX: Money = Money::from_cents(100_000);
/// See [`RUN_BUDGET_MAX`].
const DAY_BUDGET_MAX: Money = Money::from_cents(1_000_000);
/// See [`RUN_BUDGET_MAX`]: more than the dearest run has ever used, a thousand times.
const TOKENS_MAX: Tokens = Tokens(10_000_000_000);
/// From a minute to a day.
const RUN_SPAN: Span = Span { ms_min: 60 * 1000, ms_max: 24 * 60 * 60 * 1000 };
/// From a minute to four hours.
const TASK_SPAN: Span = Span { ms_min: 60 * 1000, ms_max: 4 * 60 * 60 * 1000 };
/// One reviewer is one opinion.
const REVIEWERS_MIN: usize = 2;
/// Each reads every head, and costs.
const REVIEWERS_MAX: usize = 6;
/// The focus goes into every prompt of its reviewer.
const FOCUS_BYTES_MAX: usize = 4096;
/// What is said about a name that is too long is said by the name's own reader.
const AGENT_BYTES_MAX: usize = 100;
/// Longer than any model's name.
const MODEL_BYTES_MAX: usize = 100;

const PROVIDERS: &[(&str, Provider)] = &[("anthropic", Provider::Anthropic), ("openai", Provider::Openai)];

/// Reads the whole file; what is wrong keeps its default and becomes a problem.
pub(super) fn policy(root: Option<&Node>, problems: &mut Vec<PolicyProblem>) -> Policy {
    let mut policy = defaults::default_policy();
    let Some(root) = root else { return policy };
    let known = ["version", "creator", "reviewers", "rounds", "budget", "time", "setup", "gates"];
    let top = Section::of(root, "", &known, problems);
    if let Some((node, path)) = top.get("version")
        && !matches!(&node.value, Value::Scalar { text, .. } if text == VERSION)
    {
        problems.push(node.place.problem(&path, format!("the only version there is, is `{VERSION}`")));
    }
    if let Some((node, path)) = top.get("creator") {
        policy.creator = creator(node, &path, problems);
    }
    if let Some((node, path)) = top.get("reviewers") {
        policy.reviewers = reviewers(node, &path, problems);
    }
    if let Some((node, path)) = top.get("rounds")
        && let Some(rounds) = count(node, &path, 1, ROUNDS_MAX, problems)
    {
        policy.rounds_max = rounds;
    }
    if let Some((node, path)) = top.get("budget") {
        budget(node, &path, &mut policy, problems);
    }
    if let Some((node, path)) = top.get("time") {
        time(node, &path, &mut policy, problems);
    }
    if let Some((node, path)) = top.get("setup") {
        policy.setup = gates::setup(node, &path, problems);
    }
    if let Some((node, path)) = top.get("gates") {
        policy.gates = gates::gates(node, &path, problems);
    }
    policy
}

fn budget(node: &Node, path: &str, policy: &mut Policy, problems: &mut Vec<PolicyProblem>) {
    let section = Section::of(node, path, &["run", "day", "tokens"], problems);
    if let Some((node, path)) = section.get("run")
        && let Some(budget) = money(node, &path, RUN_BUDGET_MAX, problems)
    {
        policy.run_budget = budget;
    }
    if let Some((node, path)) = section.get("day") {
        policy.day_budget.money = money(node, &path, DAY_BUDGET_MAX, problems);
    }
    if let Some((node, path)) = section.get("tokens") {
        let section = Section::of(node, &path, &["run", "day"], problems);
        if let Some((node, path)) = section.get("run") {
            policy.run_tokens = tokens(node, &path, TOKENS_MAX, problems);
        }
        if let Some((node, path)) = section.get("day") {
            policy.day_budget.tokens = tokens(node, &path, TOKENS_MAX, problems);
        }
    }
}

fn time(node: &Node, path: &str, policy: &mut Policy, problems: &mut Vec<PolicyProblem>) {
    let section = Section::of(node, path, &["run", "task"], problems);
    let mut place = node.place;
    if let Some((node, path)) = section.get("run")
        && let Some(ms) = duration_ms(node, &path, RUN_SPAN, problems)
    {
        policy.run_ms_max = ms;
        place = node.place;
        if section.get("task").is_none() {
            // A short run shortens its tasks: nobody who asked for less time means a task to outlive the run.
            policy.task_ms_max = policy.task_ms_max.min(ms);
        }
    }
    if let Some((node, path)) = section.get("task")
        && let Some(ms) = duration_ms(node, &path, TASK_SPAN, problems)
    {
        policy.task_ms_max = ms;
        place = node.place;
    }
    if policy.task_ms_max > policy.run_ms_max {
        let message =
            "`task` is longer than `run`; a task cannot outlive its run, so give it at most as long";
        problems.push(place.problem(path, message));
    }
}

fn creator(node: &Node, path: &str, problems: &mut Vec<PolicyProblem>) -> AgentChoice {
    let section = Section::of(node, path, &["agent", "provider", "model"], problems);
    agent(&section, problems)
}

fn agent(section: &Section<'_>, problems: &mut Vec<PolicyProblem>) -> AgentChoice {
    let mut choice = AgentChoice::default();
    if let Some((node, path)) = section.get("agent") {
        let name = text(node, &path, AGENT_BYTES_MAX, problems);
        match name.as_deref().map(str::parse::<AgentName>) {
            // The builtin agent is what is meant where nothing is said, too.
            Some(Ok(name)) => choice.agent = Some(name).filter(|name| name.as_str() != BUILTIN),
            Some(Err(error)) => problems.push(node.place.problem(&path, error.to_string())),
            None => {}
        }
    }
    if let Some((node, path)) = section.get("provider") {
        choice.provider = one_of(node, &path, PROVIDERS, problems);
    }
    if let Some((node, path)) = section.get("model") {
        choice.model = text(node, &path, MODEL_BYTES_MAX, problems);
        let odd = |c: char| !(c.is_ascii_alphanumeric() || "-_.:/@".contains(c));
        if choice.model.as_deref().is_some_and(|model| model.contains(odd)) {
            let message = "a model's name has only letters, digits and `-_.:/@`, as its provider writes it";
            problems.push(node.place.problem(&path, message));
        }
    }
    choice
}

fn reviewers(
    node: &Node,
    path: &str,
    problems: &mut Vec<PolicyProblem>,
) -> BTreeMap<ReviewerName, ReviewerPolicy> {
    let entries = mapping(node, path, &[], problems);
    let problems_before = problems.len();
    let reviewers: BTreeMap<_, _> =
        entries.iter().filter_map(|entry| reviewer(entry, path, problems)).collect();
    if problems.len() == problems_before && !(REVIEWERS_MIN..=REVIEWERS_MAX).contains(&entries.len()) {
        let message = format!(
            "names {}; expected {REVIEWERS_MIN} to {REVIEWERS_MAX} reviewers. The list replaces the default one: \
             name all of them, or leave `reviewers` out",
            entries.len()
        );
        problems.push(node.place.problem(path, message));
    }
    reviewers
}

fn reviewer(
    entry: &Entry,
    path: &str,
    problems: &mut Vec<PolicyProblem>,
) -> Option<(ReviewerName, ReviewerPolicy)> {
    let path = join(path, &entry.key);
    let section = Section::of(&entry.value, &path, &["agent", "focus", "provider", "model"], problems);
    let agent = agent(&section, problems);
    let focus = match section.get("focus") {
        Some((node, path)) => text(node, &path, FOCUS_BYTES_MAX, problems),
        None => focus_by_name(&entry.key, &path, entry.place, problems),
    };
    let name = match entry.key.parse::<ReviewerName>() {
        Ok(name) => name,
        Err(error) => {
            problems.push(entry.place.problem(&path, error.to_string()));
            return None;
        }
    };
    Some((name, ReviewerPolicy { focus: focus?, agent }))
}

fn focus_by_name(name: &str, path: &str, place: Place, problems: &mut Vec<PolicyProblem>) -> Option<String> {
    let focus = defaults::focus(name);
    if focus.is_none() {
        let message = format!(
            "needs `focus`: what this reviewer looks for. Only {} have one by their name",
            listed(&defaults::focus_names())
        );
        problems.push(place.problem(path, message));
    }
    focus.map(str::to_owned)
}
