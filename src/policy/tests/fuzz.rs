//! Policy files with the right words in the wrong places.

use proptest::prelude::*;

use crate::policy::{PROBLEMS_MAX, read};

const WORDS: &[&str] = &[
    "version",
    "creator",
    "reviewers",
    "rounds",
    "budget",
    "time",
    "gates",
    "provider",
    "model",
    "focus",
    "run",
    "task",
    "size",
    "paths",
    "ci",
    "mode",
    "required",
    "observed",
    "timeout",
    "command",
    "protected",
    "also",
    "files",
    "lines",
    "review",
    "ready",
    "correctness",
    "tests",
];
const VALUES: &[&str] = &[
    "1",
    "0",
    "-1",
    "4",
    "7.25",
    "1e99",
    "999999999999999999999",
    "3h",
    "45m",
    "0s",
    "99999999h",
    "true",
    "false",
    "null",
    "~",
    "\"\"",
    "anthropic",
    "openai",
    "observed",
    "[]",
    "{}",
    "[ \"a/**\" ]",
    "[ \"[\" ]",
    "{ focus: x }",
    "{ command: \"sh t.sh\", timeout: 2m }",
    "{ required: [ build ] }",
    "!!binary x",
    "&a b",
    "*a",
    "|\n  text",
    "\"\\u202e\"",
];

fn line() -> impl Strategy<Value = String> {
    let word = prop::sample::select(WORDS);
    let value = prop_oneof![
        4 => prop::sample::select(VALUES).prop_map(str::to_owned),
        1 => Just(String::new()),
        1 => "\\PC{0,12}",
    ];
    (0_usize..4, word, value)
        .prop_map(|(depth, word, value)| format!("{}{word}: {value}\n", "  ".repeat(depth)))
}

fn judged(text: &str) -> Result<(), TestCaseError> {
    match read(text.as_bytes()) {
        Ok(policy) => {
            prop_assert_eq!(policy.unfit(), None, "what is accepted can be followed");
            prop_assert!(policy.rounds_max >= 1 && policy.run_ms_max > 0 && policy.task_ms_max > 0);
        }
        Err(problems) => {
            prop_assert!((1..=PROBLEMS_MAX).contains(&problems.len()));
            for problem in problems {
                prop_assert!(problem.line >= 1 && problem.column >= 1 && !problem.message.is_empty());
                prop_assert!(problem.to_string().len() < 2_000, "{problem}");
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn known_words_in_any_order_are_a_policy_or_problems(lines in prop::collection::vec(line(), 0..14)) {
        judged(&format!("version: 1\n{}", lines.concat()))?;
    }

    #[test]
    fn any_text_is_a_policy_or_problems(text in "([a-z]{1,9}: |[\\n ]{1,3}|[-\\[\\]{}&*!|>'\"%@`#?:,~]|\\PC){0,80}") {
        judged(&text)?;
    }

    #[test]
    fn depth_and_references_are_refused(depth in 0_usize..4_000, open in prop::sample::select(vec!["[", "{a: ", "- ", "a:\n ", "&a [*a, "])) {
        judged(&open.repeat(depth))?;
    }
}
