use pairbot_protocol::command;
use proptest::prelude::*;

use super::super::untrusted::{cell_code, is_harmless_code};
use super::*;

fn home() -> Home {
    Home { url: "https://github.com/octo/demo".to_owned() }
}

fn posted(text: &str) -> String {
    prose(text, 10_000, &home())
}

/// What GitHub would look at for mentions and references: everything that is neither in a block of code nor in a code
/// span. Written after `CommonMark`, independently of the code under test: spans may reach over lines.
pub(in crate::text) fn live_text(markdown: &str) -> String {
    let mut paragraphs = String::new();
    let mut fence = String::new();
    for line in markdown.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        if fence.is_empty() && ticks.len() >= 3 && !line[ticks.len()..].contains('`') {
            fence = ticks;
        } else if !fence.is_empty() {
            if ticks.len() >= fence.len() && line[ticks.len()..].trim().is_empty() {
                fence.clear();
            }
        } else {
            paragraphs.push_str(line);
            paragraphs.push('\n');
        }
    }
    let chars: Vec<char> = paragraphs.chars().collect();
    let run_at = |at: usize| chars[at..].iter().take_while(|c| **c == '`').count();
    let mut live = String::new();
    let mut at = 0;
    while at < chars.len() {
        if chars[at] == '\\' && chars.get(at + 1).is_some_and(char::is_ascii_punctuation) {
            live.push(chars[at + 1]);
            at += 2;
        } else if chars[at] == '`' {
            let length = run_at(at);
            let mut close = at + length;
            while close < chars.len() && !(chars[close] == '`' && run_at(close) == length) {
                close += run_at(close).max(1);
            }
            at = if close < chars.len() { close + length } else { at + length };
            live.push(' ');
        } else {
            live.push(chars[at]);
            at += 1;
        }
    }
    live
}

/// Panics unless nothing in the text has an effect on GitHub.
fn assert_dead(markdown: &str) {
    assert!(!markdown.contains("<!--"), "a marker: {markdown:?}");
    assert_eq!(command::parse(markdown), vec![], "a command: {markdown:?}");
    let live = live_text(markdown).replace("https://github.com/octo/demo/blob/", "");
    for mark in ["@", "#"] {
        for (at, _) in live.match_indices(mark) {
            let next = live[at + 1..].chars().next();
            let alive = next.is_some_and(if mark == "@" {
                char::is_alphanumeric
            } else {
                |c: char| c.is_ascii_digit()
            });
            assert!(!alive, "{mark} is live in {markdown:?} as {live:?}");
        }
    }
    assert!(!live.contains("://") && !live.contains('<'), "a link or HTML: {markdown:?} as {live:?}");
}

#[test]
fn mentions_references_and_links_become_code() {
    for (text, expected) in [
        ("ask @octocat, please", "ask `@octocat`, please"),
        ("(@octo/team)", "(`@octo/team`)"),
        ("**@octocat**", "**`@octocat`**"),
        ("\\@octocat", "`@octocat`"),
        ("&#64;octocat", "`&#64`;octocat"),
        ("R&D", "R&amp;D"),
        ("Fixes #12.", "Fixes `#12`."),
        ("see other/repo#12", "see `other/repo#12`"),
        ("GH-7", "`GH-7`"),
        ("see https://evil.example/x?y=1.", "see `https://evil.example/x?y=1`."),
        ("[here](https://evil.example)", "here (`https://evil.example`)"),
        ("![alt](https://evil.example/a.png)", "(image: alt)"),
        ("write to a@b.example", "write to `a@b.example`"),
        ("www.evil.example", "`www.evil.example`"),
        ("a `code @octocat` b", "a `code @octocat` b"),
        ("`a``@octocat`", "```a``@octocat```"),
        ("an odd ` tick @octocat", "an odd \\` tick `@octocat`"),
    ] {
        assert_eq!(posted(text), expected, "{text}");
    }
}

#[test]
fn files_of_the_same_repository_stay_links_and_its_issues_do_not() {
    let file = "https://github.com/octo/demo/blob/main/src/a.rs#L3-L5";
    assert_eq!(posted(&format!("see {file}.")), format!("see {file}."));
    assert_eq!(posted(&format!("[a.rs]({file})")), format!("[a.rs]({file})"));
    for elsewhere in [
        "https://github.com/octo/demo/issues/7",
        "https://github.com/octo/demo2/blob/main/a",
        "https://github.com/octo/demo/blob/../../../evil/x",
        "https://github.com.evil.example/octo/demo/blob/a",
    ] {
        assert_eq!(posted(elsewhere), format!("`{elsewhere}`"));
    }
}

#[test]
fn html_comments_headings_tables_and_rules_lose_their_force() {
    assert_eq!(posted("a <!-- hidden\nlines --> b <b>c</b>"), "a  b &lt;b>c&lt;/b>");
    assert_eq!(posted("<!-- pairbot:status"), "&lt;!-- pairbot:status");
    assert_eq!(posted("## Gates"), "**Gates**");
    assert_eq!(posted("Title\n---\ntext"), "Title\n\ntext");
    assert_eq!(posted("a | b\n---|---\n`c | @d`"), "a \\| b\n---\\|---\n`c | @d`");
    assert_eq!(
        posted("[^1]: note\n[ref]: https://evil.example"),
        "\\[^1\\]: note\n\\[ref\\]: `https://evil.example`"
    );
}

#[test]
fn commands_are_not_at_the_start_of_a_line() {
    assert_eq!(posted("/stop"), "\\/stop");
    assert_eq!(posted("text\n/retry now"), "text\n\\/retry now");
    assert_eq!(posted("```\n/stop\n```"), "```\n /stop\n```");
    assert_eq!(line("/stop", 100), "\\/stop");
    assert_eq!(cell("/stop | `a|b`", 100), "\\/stop \\| `a\\|b`");
}

#[test]
fn code_keeps_its_text_and_gets_a_fence_longer_than_any_in_it() {
    assert_eq!(posted("~~~rust\n```\n@a #1\n~~~\nb"), "````rust\n```\n@a #1\n````\n\nb");
    assert_eq!(posted("- item\n  ```js\n  @a\n  ```"), "- item\n\n```js\n@a\n```");
    assert_eq!(posted("```suggestion\nrm -rf\n```"), "```text\nrm -rf\n```");
    assert_eq!(posted("```\nnever closed @a"), "```\nnever closed @a\n```");
    assert_eq!(posted("    ```\n@octocat\n    ```"), "```\n@octocat\n```");
    assert_eq!(cell_code("a|b`c", 20), "``a\\|b`c``");
}

#[test]
fn what_a_reader_would_not_see_is_taken_out() {
    assert_eq!(posted("a\u{202e}b\u{200b}@\u{200d}octocat\u{e0041}"), "`ab@octocat`");
    assert_eq!(
        posted("\u{1b}]8;;https://evil.example\u{1b}\\text\u{1b}]8;;\u{1b}\\ \u{1b}[1;31mred\u{1b}[0m"),
        "text red"
    );
}

#[test]
fn a_line_cannot_reach_out_of_its_line() {
    assert_eq!(line("**bold** _and_ `code`\n# more", 100), "\\*\\*bold\\*\\* \\_and\\_ `code` # more");
    assert_eq!(line("# not a heading", 100), "\\# not a heading");
    assert_eq!(line("1. not a list", 100), "1\\. not a list");
    assert_eq!(line("äöüäöü", 4), "äöü…");
}

#[test]
fn long_text_is_cut_between_characters_and_says_so() {
    assert_eq!(prose("äöü", 3, &home()), "ä\n\n(shortened)");
    let flood = prose(&"`".repeat(100_000), 5_000, &home());
    assert!(flood.len() < 20_000);
}

#[test]
fn a_suggestion_is_posted_only_if_it_can_be_posted_unchanged() {
    assert!(is_harmless_code("    return a @ b  # 1\n"));
    for text in ["/stop", "<!-- pairbot:status -->", "a\u{202e}b", "a\rb"] {
        assert!(!is_harmless_code(text), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_posted_has_an_effect(
        text in "(@octocat|#12|a/b#3|GH-4|https://e\\.x/y|<!--|-->|/stop|/retry|`{1,4}|~~~|\\n|\\n\\n| {1,5}|\\\\|\\||\\[|\\]|\\(|\\)|!|<|>|&#64;|\\*\\*|_|- |# |---|:-:|[a-c]|\\u{200b}|\\u{1b}\\[1m|\\PC){0,40}",
    ) {
        let out = posted(&text);
        assert_dead(&out);
        for out in [line(&text, 80), cell(&text, 80), code(&text, 80)] {
            assert_dead(&out);
            prop_assert!(!out.contains('\n'));
        }
        let block = fenced(&text, "text", 400);
        prop_assert_eq!(command::parse(&block), vec![]);
        prop_assert!(!block.contains("<!--"));
    }

    #[test]
    fn a_cell_stays_one_cell(text in "(`{1,3}|\\||\\\\|a|@b| ){0,20}") {
        // A cell of a table ends at the first `|` without a backslash before it (GFM, "Tables").
        for out in [cell(&text, 80), cell_code(&text, 80)] {
            let mut before = ' ';
            for c in out.chars() {
                prop_assert!(c != '|' || before == '\\', "{out}");
                before = c;
            }
        }
    }
}
