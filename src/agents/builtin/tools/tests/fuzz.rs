//! What models hand to tools.

use std::path::{Component, Path};

use pairbot_protocol::finding::Severity;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Tree, fs};
use crate::agents::builtin::tools::ANSWER_BYTES_MAX;
use crate::agents::desk::{HandInDesk, ReviewDesk, Submission};
use crate::agents::task::OpenFinding;

const NAMES: &[&str] = &["alpha-1-1", "alpha-1-2"];

fn open() -> Vec<OpenFinding> {
    let open = |name: &&str| OpenFinding {
        id: name.parse().unwrap(),
        severity: Severity::Blocking,
        path: None,
        line: None,
        title: "wrong".to_owned(),
        body: String::new(),
        answer: None,
    };
    NAMES.iter().map(open).collect()
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,20}",
        "(\\.{0,3}|/|[a-z]|\\.git|\u{200b}|\u{202e}|\\n){0,8}",
        prop::sample::select(vec![
            "a/b",
            "../outside/secret",
            "dir/secret",
            "alpha-1-1",
            "alpha-1-2",
            "beta-1-1",
            "fixed",
            "rebutted",
            "open",
            "blocking",
            "nit",
            ".*",
            "(",
            "secret"
        ])
        .prop_map(str::to_owned),
        (1_usize..30_000).prop_map(|length| "\u{e4}".repeat(length)),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => any_text().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u32>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => prop::sample::select(vec![json!(null), json!(true), json!([]), json!({}), json!([[]])]),
    ]
}

fn object(fields: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(prop::sample::select(fields), any_value(), 0..=fields.len())
        .prop_map(|map| json!(map))
}

fn list(fields: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![9 => prop::collection::vec(object(fields), 0..4).prop_map(Value::from), 1 => any_value()]
}

proptest! {
    #[test]
    fn any_hand_in_is_taken_or_refused_with_a_reason(
        title in any_value(), summary in any_value(), answers in list(&["finding", "answer", "reason"]), refused_before in any::<bool>(),
    ) {
        let arguments = json!({"title": title, "summary": summary, "answers": answers});
        match HandInDesk::new(open()).accept(arguments, refused_before) {
            Ok(hand_in) => {
                prop_assert!(!hand_in.title.is_empty() && hand_in.title.len() <= 210 && !hand_in.title.contains('\n'));
                prop_assert!(hand_in.summary.len() <= 20_100 && hand_in.answers.len() <= NAMES.len());
                prop_assert!(hand_in.answers.iter().all(|answer| NAMES.contains(&answer.finding.as_str())));
            }
            Err(reason) => prop_assert!(!reason.is_empty()),
        }
    }

    #[test]
    fn any_review_is_taken_or_refused_with_a_reason(
        summary in any_value(), findings in list(&["severity", "path", "line", "title", "body", "suggestion"]),
        verified in list(&["finding", "state", "reason"]), refused_before in any::<bool>(),
    ) {
        let arguments = json!({"summary": summary, "findings": findings, "verified": verified});
        match ReviewDesk::new(open()).accept(arguments, refused_before) {
            Ok(review) => {
                prop_assert!(!review.summary.trim().is_empty() && review.summary.len() <= 20_100);
                prop_assert!(review.verified.iter().all(|said| NAMES.contains(&said.finding.as_str())));
                for finding in review.findings {
                    prop_assert!(!finding.title.is_empty() && finding.title.len() <= 210 && finding.body.len() <= 8_100);
                    prop_assert!(finding.line != Some(0) && (finding.line.is_none() || finding.path.is_some()));
                    let inside = |path: &str| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
                    prop_assert!(finding.path.is_none_or(|path| inside(&path)));
                }
            }
            Err(reason) => prop_assert!(!reason.is_empty()),
        }
    }

    #[test]
    fn a_review_as_the_schema_wants_it_is_taken(title in "[a-z]{1,20}", line in 1_u32..9_999, fixed in any::<bool>()) {
        let state = if fixed { "fixed" } else { "open" };
        let verified: Vec<Value> = NAMES.iter().map(|name| json!({"finding": name, "state": state, "reason": "looked"})).collect();
        let arguments = json!({"summary": "read", "verified": verified,
            "findings": [{"severity": "major", "path": "a/b", "line": line, "title": title, "body": "because", "suggestion": null}]});
        let review = ReviewDesk::new(open()).accept(arguments, false).unwrap();
        prop_assert_eq!((&review.findings[0].title, review.findings[0].line), (&title, Some(line)));
        prop_assert!(review.verified.iter().all(|said| said.fixed == fixed) && review.verified.len() == NAMES.len());
    }
}

proptest! {
    // Each case has a directory of its own.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(4), ..ProptestConfig::default() })]

    #[test]
    fn any_call_of_a_tool_is_answered_within_bounds_and_stays_inside(
        calls in prop::collection::vec((
            prop::sample::select(vec!["list_files", "search", "read_file", "edit_file", "write_file", "delete_file", "rm -rf"]),
            object(&["path", "pattern", "content", "old", "new", "from_line", "lines", "depth"]),
        ), 1..6),
    ) {
        let tree = Tree::of(&[("a/b", "secret\nx\n"), (".git/config", "secret")]);
        std::os::unix::fs::symlink(&tree.outside, tree.root.join("dir")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (name, arguments) in calls {
            let said = runtime.block_on(tree.run(name, arguments));
            let length = said.as_ref().map_or_else(String::len, String::len);
            prop_assert!(length <= ANSWER_BYTES_MAX + 200, "{} bytes", length);
            prop_assert_eq!(fs::read_to_string(tree.outside.join("secret")).unwrap(), "the secret");
            prop_assert_eq!(fs::read_to_string(tree.root.join(".git/config")).unwrap(), "secret");
            prop_assert_eq!(fs::read_dir(&tree.outside).unwrap().count(), 1);
        }
    }
}
