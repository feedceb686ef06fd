mod fuzz;

use pairbot_protocol::budget::Limits;
use pairbot_protocol::ids::{AgentName, GateName, Money, Tokens};
use pairbot_protocol::policy::{CiRule, GateKind, Provider, Setup};
use proptest::prelude::*;

use super::*;

const FULL: &str = r#"version: 1
creator: { agent: claude, provider: anthropic, model: claude-sonnet-4-5 }
reviewers:
  correctness: { focus: "Is it right?", agent: builtin, model: "gpt-5", provider: openai }
  security:
rounds: 4
budget: { run: 7.25, day: 30, tokens: { run: 2M, day: 500k } }
time: { run: 3h, task: 45m }
setup: { command: "npm ci", timeout: 5m }
gates:
  size: false
  paths: { protected: [ "infra/**" ], also: [ "schema.sql" ] }
  ci: { mode: required, required: [ "build", "lint / rust" ], timeout: 90m }
  tests: { command: "sh run-tests.sh", timeout: 2m }
"#;

fn gate(name: &str) -> GateName {
    name.parse().unwrap()
}

fn problems(file: &str) -> Vec<String> {
    read(file.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(file: &str, expected: &str) {
    let problems = problems(file);
    assert!(problems.iter().any(|problem| problem.contains(expected)), "{file:?}\n{problems:#?}");
}

#[test]
fn an_empty_file_is_the_default_policy() {
    for file in
        ["", "# nothing yet\n", "---\n", "version: 1\n", "\u{feff}version: 1\n", "gates:\nbudget: ~\n"]
    {
        assert_eq!(read(file.as_bytes()), Ok(default_policy()), "{file:?}");
    }
    let defaults = default_policy();
    assert_eq!((defaults.reviewers.len(), defaults.gates.len()), (2, 3));
}

#[test]
fn every_key_sets_what_it_says() {
    let policy = read(FULL.as_bytes()).unwrap();
    assert_eq!(policy.creator.provider, Some(Provider::Anthropic));
    assert_eq!(policy.creator.model.as_deref(), Some("claude-sonnet-4-5"));
    assert_eq!(policy.creator.agent.as_ref().map(AgentName::as_str), Some("claude"));
    let reviewers: Vec<_> = policy.reviewers.iter().collect();
    assert_eq!(reviewers[0].1.agent.agent, None, "the builtin agent is what is meant by default, too");
    assert_eq!(reviewers[0].1.focus, "Is it right?");
    assert_eq!(reviewers[0].1.agent.provider, Some(Provider::Openai));
    assert!(reviewers[1].1.focus.contains("attack"), "a known name brings its focus");
    assert_eq!((policy.rounds_max, policy.run_budget), (4, Money::from_cents(725)));
    assert_eq!(policy.run_tokens, Some(Tokens(2_000_000)));
    let day = Limits { money: Some(Money::from_cents(3_000)), tokens: Some(Tokens(500_000)) };
    assert_eq!(policy.day_budget, day);
    assert_eq!((policy.run_ms_max, policy.task_ms_max), (3 * 3_600_000, 45 * 60_000));
    assert_eq!(policy.setup, Some(Setup { run: "npm ci".to_owned(), timeout_ms: 300_000 }));
    assert_eq!(policy.gates.len(), 3);
    let protected = [".github/**", "infra/**", "schema.sql"].map(str::to_owned).to_vec();
    assert_eq!(policy.gates[&gate("paths")], GateKind::Paths { protected });
    let names = ["build", "lint / rust"].map(str::to_owned).to_vec();
    let rule = CiRule::Required { names };
    assert_eq!(policy.gates[&gate("ci")], GateKind::Ci { rule, timeout_ms: 90 * 60_000 });
    let run = "sh run-tests.sh".to_owned();
    assert_eq!(policy.gates[&gate("tests")], GateKind::Command { run, timeout_ms: 120_000 });
}

#[test]
fn every_problem_is_told_at_once_in_the_order_of_the_file() {
    let found = problems(
        "version: 2\ncreator: { provider: antropic }\nreviewer: {}\nrounds: many\nbudget: { run: -1 }\n\
         time: { run: 90 }\ngates:\n  size: { files: 0, line: 3 }\n  ready: { command: x }\n",
    );
    assert_eq!(
        found,
        [
            "1:10: version: the only version there is, is `1`",
            "2:22: creator.provider: `antropic` is unknown; did you mean `anthropic`? Expected one of \
             `anthropic`, `openai`",
            "3:1: reviewer: unknown key; did you mean `reviewers`? Allowed here: `version`, `creator`, \
             `reviewers`, `rounds`, `budget`, `time`, `setup`, `gates`",
            "4:9: rounds: `many` is not a whole number from 1 to 10",
            "5:16: budget.run: `-1` is not an amount in US dollars above 0 and up to $1000.00, such as `5` or \
             `0.50`",
            "6:14: time.run: `90` is not a time with its unit `s`, `m` or `h`, from 1m to 24h",
            "8:18: gates.size.files: `0` is not a whole number from 1 to 3000",
            "8:21: gates.size.line: unknown key; did you mean `lines`? Allowed here: `files`, `lines`",
            "9:3: gates.ready: the names `review`, `ready` belong to every run; choose another",
        ]
    );
}

#[test]
fn the_form_of_the_file_is_held_to_what_a_policy_needs() {
    refused("rounds: 2\nrounds: 3\n", "2:1: rounds: this key stands in line 1 already");
    refused("a: &x 1\nb: *x\n", "anchors");
    refused("a: &x 1\nb: *x\n", "aliases");
    refused("rounds: !!int 3\n", "tags");
    refused("--- \nrounds: 3\n---\nrounds: 3\n", "3:1: a second YAML document");
    refused("setup: {}\n", "1:8: setup: needs `command`");
    refused("setup: npm ci\n", "expected a mapping");
    refused("rounds: [\n", "this is not YAML");
    refused("- a\n- b\n", "1:1: expected a mapping; allowed keys");
    refused("? [a]\n: b\n", "a key is a word");
    refused(&format!("{}{}", "[".repeat(40), "]".repeat(40)), "nested more than 16 levels deep");
    refused(&format!("rounds: {}b{}", "{a: ".repeat(40), "}".repeat(40)), "nested more than 16 levels deep");
    refused(&"#".repeat(BYTES_MAX + 1), "64 KiB");
    let latin: &[u8] = b"rounds: 3\ncreator: { model: \xe9 }\n";
    assert_eq!(read(latin).unwrap_err()[0].line, 2);
}

#[test]
fn a_bomb_of_aliases_is_refused_where_it_begins() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (one, next) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        bomb.push_str(
            &[
                &next.to_string(),
                ": &",
                &next.to_string(),
                " [",
                &vec![format!("*{one}"); 7].join(", "),
                "]\n",
            ]
            .concat(),
        );
    }
    let problems = read(bomb.as_bytes()).unwrap_err();
    assert!(problems.len() <= PROBLEMS_MAX);
    assert_eq!(problems[0].line, 1);
}

#[test]
fn reviewers_are_two_to_six_and_each_has_a_focus() {
    refused("reviewers: { correctness: {} }\n", "names 1; expected 2 to 6");
    refused("reviewers: {}\n", "names 0; expected 2 to 6");
    refused("reviewers: { a: { focus: x }, performance: {} }\n", "reviewers.performance: needs `focus`");
    refused("reviewers: { A: { focus: x }, b: { focus: y } }\n", "`A` is not a reviewer's name");
    refused("reviewers: { a: { focus: \"\" }, b: { focus: y } }\n", "reviewers.a.focus: is empty");
    let many = (0..7).map(|index| format!("  r{index}: {{ focus: x }}\n")).collect::<Vec<_>>().concat();
    refused(&format!("reviewers:\n{many}"), "names 7");
}

#[test]
fn the_rules_of_the_repository_are_always_protected() {
    let protected = |file: &str| match &read(file.as_bytes()).unwrap().gates[&gate("paths")] {
        GateKind::Paths { protected } => protected.clone(),
        other @ (GateKind::Size { .. } | GateKind::Command { .. } | GateKind::Ci { .. }) => {
            panic!("{other:?}")
        }
    };
    assert_eq!(protected("gates: { paths: { protected: [] } }"), [".github/**"]);
    assert_eq!(protected("gates: { paths: { protected: [ \"a\" ] } }"), [".github/**", "a"]);
    let extended = protected("gates: { paths: { also: [ \"a\" ] } }");
    assert_eq!(extended.len(), protected_by_default().len() + 1);
    refused("gates: { paths: false }", "cannot be switched off");
    refused("gates: { paths: { also: [ \"/a\" ] } }", "gates.paths.also[0]: globs start at the root");
    refused("gates: { paths: { also: [ \"[\" ] } }", "is not a glob");
    refused("gates: { paths: { protected: \"a\" } }", "expected a list");
}

#[test]
fn a_gate_is_built_in_or_a_command() {
    assert!(!read(b"gates: { ci: false }").unwrap().gates.contains_key(&gate("ci")));
    assert_eq!(read(b"gates: { ci: true, size: }").unwrap(), default_policy());
    refused("gates: { szie: { files: 3 } }", "did you mean `size`?");
    refused("gates: { tests: \"cargo test\" }", "needs a command: `{ command:");
    refused("gates: { tests: false }", "only `size`, `paths`, `ci` can be switched");
    refused("gates: { tests: { command: \"\" } }", "gates.tests.command: is empty");
    refused("gates: { tests: { command: x, timeout: 2h } }", "from 1s to 1h");
    refused("gates: { ci: { mode: required } }", "needs `required`");
    refused("gates: { ci: { required: [] } }", "names nothing");
    refused("gates: { ci: { mode: observed, required: [ a ] } }", "has no effect");
    let many = (0..10).map(|index| format!("  g{index}: {{ command: x }}\n")).collect::<Vec<_>>().concat();
    refused(&format!("gates:\n{many}"), "makes 13 gates");
}

#[test]
fn a_budget_is_an_amount_or_a_number_of_tokens_above_nothing() {
    refused(
        "budget: { day: 0 }",
        "budget.day: `0` is not an amount in US dollars above 0 and up to $10000.00",
    );
    refused("budget: { tokens: { run: 0 } }", "budget.tokens.run: `0` is not a number of tokens above 0");
    refused("budget: { tokens: { day: 1.5M } }", "budget.tokens.day: `1.5M` is not a number of tokens");
    refused("budget: { tokens: 5M }", "budget.tokens: expected a mapping");
    refused("budget: { month: 5 }", "budget.month: unknown key; allowed here: `run`, `day`, `tokens`");
}

#[test]
fn a_task_cannot_outlive_its_run() {
    refused("time: { run: 10m, task: 20m }", "`task` is longer than `run`");
    let policy = read(b"time: { run: 10m }").unwrap();
    assert_eq!(policy.task_ms_max, policy.run_ms_max, "a short run shortens the default task");
}

#[test]
fn a_flood_of_problems_is_cut_and_says_so() {
    let file = (0..500).map(|index| format!("key{index}: 1\n")).collect::<Vec<_>>().concat();
    let problems = read(file.as_bytes()).unwrap_err();
    assert_eq!(problems.len(), PROBLEMS_MAX);
    assert_eq!(problems.last().unwrap().message, "and 451 more problems");
}

/// The blocks of YAML in the page that describes the file.
fn examples() -> Vec<&'static str> {
    include_str!("../../docs/policy.md")
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

#[test]
fn every_documented_example_is_valid() {
    let examples = examples();
    assert!(examples.len() >= 8, "{}", examples.len());
    for example in examples {
        if let Err(problems) = read(example.as_bytes()) {
            panic!("{example}\n{problems:#?}");
        }
    }
}

#[test]
fn the_documented_defaults_are_the_real_ones() {
    let written_out = examples()[0];
    for key in ["version", "creator", "reviewers", "rounds", "budget", "time", "size", "paths", "ci"] {
        assert!(written_out.contains(&format!("{key}:")), "{key} is not written out");
    }
    assert_eq!(read(written_out.as_bytes()).unwrap(), default_policy());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_text_is_read_without_harm(text in "([a-z]{1,9}: |[\\n ]{1,3}|[-\\[\\]{}&*!|>'\"%@`#?:,~]|\\PC){0,60}") {
        let _ = read(text.as_bytes());
    }

    #[test]
    fn a_changed_file_is_read_without_harm_and_its_problems_have_places(
        at in 0..FULL.len(), drop in 0_usize..12, put in "[a-z0-9 :{}\\[\\]&*!\\n\"'#-]{0,6}",
    ) {
        let end = (at + drop).min(FULL.len());
        let changed = format!("{}{put}{}", &FULL[..at], &FULL[end..]);
        if let Err(problems) = read(changed.as_bytes()) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.line >= 1 && problem.line <= changed.lines().count() + 1, "{problem}");
                prop_assert!(problem.column >= 1 && !problem.message.is_empty());
            }
        }
    }
}
