//! Commit messages. They know no Markdown, so what must have no effect is reworded: GitHub notifies who is mentioned
//! in a pushed commit, closes issues that a message on the default branch names, and CI services skip commits whose
//! message says so, which would be a silent pass.

use pairbot_protocol::run::Run;

use super::untrusted::{clipped, plain, visible};

/// Git's own custom for the first line is 50 to 72.
const SUBJECT_CHARS_MAX: usize = 72;
/// How much of the summary goes into a message.
const BODY_BYTES_MAX: usize = 4000;
/// Where lines are broken.
const LINE_CHARS_MAX: usize = 72;

/// The message of a commit that the creator handed in. The same input gives the same message, so that a repeated
/// task makes the same commit. Who commits adds the co-authors.
pub fn commit_message(run: &Run, title: &str, summary: &str) -> String {
    let mut first = subject(title, SUBJECT_CHARS_MAX);
    if first.is_empty() {
        first = format!("Work on issue {}", run.id.issue);
    }
    let text = paragraphs(summary);
    let trailers = format!("Issue: #{}\nPairbot-Run: {}", run.id.issue, run.id);
    let parts: Vec<&str> =
        [first.as_str(), &text, &trailers].into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n") + "\n"
}

/// A first line, or the title of a pull request, which a squash merge makes one.
pub(super) fn subject(text: &str, chars_max: usize) -> String {
    let line = plain(&harmless(&plain(text, usize::MAX)), chars_max);
    line.trim_start_matches(['/', '#', ' ']).to_owned()
}

fn paragraphs(text: &str) -> String {
    let text = visible(text);
    let (text, _) = clipped(text.trim(), BODY_BYTES_MAX);
    let lines: Vec<String> = text.lines().map(|line| wrapped(&not_a_trailer(&harmless(line)))).collect();
    lines.join("\n").trim().to_owned()
}

/// Takes the force out of mentions, references, links and instructions to CI services.
fn harmless(line: &str) -> String {
    let line = line.replace("://", ":// ").replace("***NO_CI***", "NO_CI").replace("<!--", "<! --");
    let mut out = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            // `[skip ci]`, `[ci skip]`, `[no ci]`, `[skip actions]` and what other services know.
            '[' => out.push('('),
            ']' => out.push(')'),
            '@' if rest.peek().is_some_and(|next| next.is_alphanumeric()) => out.push_str("@ "),
            '#' if rest.peek().is_some_and(char::is_ascii_digit) => out.push_str("no. "),
            '-' if out.to_ascii_lowercase().ends_with("gh")
                && rest.peek().is_some_and(char::is_ascii_digit) =>
            {
                out.push(' ');
            }
            c => out.push(c),
        }
    }
    out
}

/// A line such as `Signed-off-by: …` or `skip-checks: true` would count as said by us.
fn not_a_trailer(line: &str) -> String {
    match line.split_once(':') {
        Some((key, rest))
            if key.contains('-') && key.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '-') =>
        {
            format!("{} -{rest}", key.trim())
        }
        Some(_) | None => line.to_owned(),
    }
}

fn wrapped(line: &str) -> String {
    let indent: String = line.chars().take_while(|c| *c == ' ').take(8).collect();
    let mut lines: Vec<String> = Vec::new();
    let mut current = indent.clone();
    for word in line.split_whitespace() {
        let fits = current.chars().count() + 1 + word.chars().count() <= LINE_CHARS_MAX;
        if current.trim().is_empty() {
            current.push_str(word);
        } else if fits {
            current.push(' ');
            current.push_str(word);
        } else {
            lines.push(std::mem::replace(&mut current, format!("{indent}{word}")));
        }
    }
    lines.push(current.trim_end().to_owned());
    lines.join("\n")
}
