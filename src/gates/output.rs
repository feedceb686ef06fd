//! What a command printed: made fit to be shown, and read for places in files.

use std::collections::BTreeSet;

use pairbot_protocol::signal::Annotation;

use super::{ANNOTATIONS_MAX, ChangedFile, annotation};
use crate::text::untrusted;

/// How many characters of a line are looked at.
const LINE_CHARS_MAX: usize = 500;

/// The output as text: no escape sequences, no hidden characters, one kind of line end, and no line that a CI runner
/// would take for an instruction (`::set-output …`).
pub(super) fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let visible = untrusted::visible(&text);
    let mut clean = String::with_capacity(visible.len());
    for line in visible.lines() {
        clean.push_str(line.trim_start_matches(':'));
        clean.push('\n');
    }
    clean
}

/// The last lines of a text, at most `bytes_max` bytes, and whether anything was left out before them.
pub(super) fn tail(text: &str, bytes_max: usize) -> (&str, bool) {
    let text = text.trim_end();
    if text.len() <= bytes_max {
        return (text, false);
    }
    let start = (text.len() - bytes_max..text.len()).find(|index| text.is_char_boundary(*index));
    let cut = start.and_then(|start| text.get(start..)).unwrap_or_default();
    (cut.split_once('\n').map_or(cut, |(_, whole_lines)| whole_lines), true)
}

/// The places that the output names, at most fifty, in order and each once; only files that the change touches,
/// for a remark anywhere else is not about it. `root` is where the command ran.
pub(super) fn annotations(text: &str, root: &str, changed: &[ChangedFile]) -> Vec<Annotation> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut headline = String::new();
    for line in text.lines() {
        let line = untrusted::plain(line, LINE_CHARS_MAX);
        if line.starts_with("error") || line.starts_with("warning") {
            // rustc and its like say what is wrong first, and where in the next line.
            headline.clone_from(&line);
        }
        let Some(place) = place(&line) else { continue };
        let relative = place.path.strip_prefix(root).unwrap_or(place.path).trim_start_matches('/');
        let relative = relative.strip_prefix("./").unwrap_or(relative);
        if !changed.iter().any(|file| file.path == relative) {
            continue;
        }
        let message = match place.message {
            "" if headline.is_empty() => line.clone(),
            "" => headline.clone(),
            message => message.to_owned(),
        };
        if seen.insert((relative.to_owned(), place.line, message.clone())) {
            found.push(annotation(relative, place.line, message));
        }
        if found.len() == ANNOTATIONS_MAX {
            break;
        }
    }
    found
}

/// A place in a line of output.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    path: &'a str,
    line: u32,
    /// What is said of it; empty if the line only says where.
    message: &'a str,
}

fn place(line: &str) -> Option<Place<'_>> {
    python(line).or_else(|| colons(line)).or_else(|| parentheses(line))
}

/// `  File "path", line 3, in name`
fn python(line: &str) -> Option<Place<'_>> {
    let (path, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
    let (line, _) = number(rest)?;
    Some(Place { path, line, message: "" })
}

/// `path:3: message`, `path:3:7: message`, `--> path:3:7`, `at name (path:3:7)`, `path: line 3: message`
fn colons(line: &str) -> Option<Place<'_>> {
    for (index, _) in line.match_indices(':') {
        let (before, after) = (line.get(..index)?, line.get(index + 1..)?);
        let after = after.strip_prefix(" line ").unwrap_or(after);
        let Some((number, rest)) = number(after) else { continue };
        let path = before.rsplit([' ', '(', '"', '\'', '`', '\t']).next().unwrap_or_default();
        if path.is_empty() {
            continue;
        }
        return Some(Place { path, line: number, message: after_column(rest) });
    }
    None
}

/// `path(3,7): message`
fn parentheses(line: &str) -> Option<Place<'_>> {
    let (before, after) = line.split_once('(')?;
    let (number, rest) = number(after)?;
    let (column, message) = rest.split_once(')')?;
    let is_column = column.strip_prefix(',').is_none_or(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let path = before.rsplit(' ').next().unwrap_or_default();
    (is_column && !path.is_empty()).then(|| Place { path, line: number, message: lean(message) })
}

/// The number at the start of a text, and what follows. Lines are counted from 1.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    digits.parse().ok().filter(|number| *number > 0).map(|number| (number, rest))
}

fn after_column(rest: &str) -> &str {
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    match number(rest) {
        Some((_, message)) => lean(message),
        None => lean(rest),
    }
}

fn lean(message: &str) -> &str {
    message.trim_start_matches([':', ')', ' ', '-', ',']).trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changed(path: &str) -> ChangedFile {
        ChangedFile { path: path.to_owned(), old_path: None, additions: 1, deletions: 0, binary: false }
    }

    #[test]
    fn places_are_read_as_common_tools_write_them() {
        for (line, message) in [
            ("src/a.rs:3: boom", "boom"),
            ("src/a.rs:3:7: error: boom", "error: boom"),
            ("  --> src/a.rs:3:7", "  --> src/a.rs:3:7"),
            ("    at run (src/a.rs:3:7)", "at run (src/a.rs:3:7)"),
            ("/tmp/tree/src/a.rs:3:7: boom", "boom"),
            ("./src/a.rs:3 - boom", "boom"),
            ("src/a.rs(3,7): error TS1: boom", "error TS1: boom"),
            ("  File \"src/a.rs\", line 3, in run", "File \"src/a.rs\", line 3, in run"),
            ("src/a.rs: line 3: boom: not found", "boom: not found"),
        ] {
            let found = annotations(line, "/tmp/tree", &[changed("src/a.rs")]);
            assert_eq!(found, vec![annotation("src/a.rs", 3, message.trim().to_owned())], "{line}");
        }
    }

    #[test]
    fn a_headline_belongs_to_the_place_below_it() {
        let text = "error[E0308]: mismatched types\n  --> src/a.rs:3:7\n";
        let found = annotations(text, "/tree", &[changed("src/a.rs")]);
        assert_eq!(found, vec![annotation("src/a.rs", 3, "error[E0308]: mismatched types".to_owned())]);
    }

    #[test]
    fn places_outside_the_change_repeated_or_beyond_the_limit_are_left_out() {
        let mut text =
            "other.rs:1: x\n/etc/passwd:1: x\nsrc/a.rs:0: x\nsrc/a.rs:3: x\nsrc/a.rs:3: x\n".to_owned();
        let files = [changed("src/a.rs")];
        assert_eq!(annotations(&text, "/tree", &files).len(), 1);
        text.push_str(&(1..200).map(|line| format!("src/a.rs:{line}: y\n")).collect::<Vec<_>>().concat());
        assert_eq!(annotations(&text, "/tree", &files).len(), ANNOTATIONS_MAX);
    }

    #[test]
    fn escape_sequences_hidden_characters_and_runner_commands_are_gone() {
        let text = clean(b"\x1b[31mred\x1b[0m\r\n::set-env name=A::b\nx\xe2\x80\xaey\rz\x00\xff");
        assert_eq!(text, "red\nset-env name=A::b\nxy\nz\u{fffd}\n");
    }

    #[test]
    fn the_tail_begins_at_a_line_and_says_if_something_is_missing() {
        assert_eq!(tail("a\nb\n", 100), ("a\nb", false));
        assert_eq!(tail("aaaa\nbbbb\ncc\n", 9), ("bbbb\ncc", true));
        assert!(tail("äöüäöü", 3).1);
    }

    proptest! {
        #[test]
        fn any_output_is_read_without_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            line in "[a/.:(),0-9 \"\\PC]{0,80}",
            limit in 0_usize..50,
        ) {
            let text = clean(&bytes);
            tail(&text, limit);
            annotations(&text, "/tree", &[changed("a")]);
            annotations(&line, "", &[changed("a")]);
        }
    }
}
