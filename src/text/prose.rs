//! Markdown of models and people, kept readable and made harmless.
//!
//! The text is not patched but written anew: code blocks and code spans are recognised and fenced again, and
//! everything outside them is escaped so far that GitHub cannot read it otherwise than this module did. What is left
//! of Markdown is paragraphs, lists, quotes, emphasis and code. Headings become bold lines, so that no text can look
//! like a section of ours; tables, HTML and images become text.

use super::untrusted::{clipped, code, fenced, plain, visible};

/// The repository a text is posted in: links into it stay links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Its address on GitHub, without a slash at the end: `https://github.com/owner/name`.
    pub url: String,
}

/// How text within a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Emphasis works.
    Prose,
    /// Emphasis is text: it could reach into what stands beside it.
    Line,
}

/// Markdown of several paragraphs, of which at most `bytes_max` bytes are used.
pub fn prose(text: &str, bytes_max: usize, home: &Home) -> String {
    let text = visible(text);
    let (text, cut) = clipped(text.trim(), bytes_max);
    let mut out = String::with_capacity(text.len());
    let mut outside = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = Fence::open(line) else {
            outside.push_str(line);
            outside.push('\n');
            continue;
        };
        paragraphs(&mut out, &std::mem::take(&mut outside), home);
        let block: Vec<&str> = lines
            .by_ref()
            .take_while(|line| !fence.is_closed_by(line))
            .map(|line| fence.undent(line))
            .collect();
        // On an own line and with a blank one around: nothing before can swallow the fence.
        out.push('\n');
        out.push_str(&fenced(&block.join("\n"), &fence.language, bytes_max));
        out.push_str("\n\n");
    }
    paragraphs(&mut out, &outside, home);
    let mut out = out.trim().to_owned();
    if cut {
        out.push_str("\n\n(shortened)");
    }
    out
}

/// Markdown on one line, without emphasis, at most `chars_max` characters of the original.
pub fn line(text: &str, chars_max: usize) -> String {
    let home = Home { url: String::new() };
    let mut out = String::new();
    inline(&mut out, &plain(&without_comments(text), chars_max), &home, Form::Line);
    match out.chars().next() {
        // What begins a block for Markdown is text here.
        Some('#' | '>' | '-' | '+' | '=' | '/' | '~') => format!("\\{out}"),
        Some(c) if c.is_ascii_digit() => {
            let digits = out.bytes().take_while(u8::is_ascii_digit).count();
            match out.split_at_checked(digits) {
                Some((number, rest)) if rest.starts_with(['.', ')']) => format!("{number}\\{rest}"),
                Some(_) | None => out,
            }
        }
        Some(_) | None => out,
    }
}

/// [`line`] within a cell of a table.
pub fn cell(text: &str, chars_max: usize) -> String {
    // A cell ends at every `|` that has no backslash, code or not; [`line`] escapes those outside code.
    line(text, chars_max).replace("\\|", "|").replace('|', "\\|")
}

/// An open block of code.
struct Fence {
    mark: char,
    length: usize,
    indent: usize,
    language: String,
}

impl Fence {
    fn open(line: &str) -> Option<Self> {
        let trimmed = line.trim_start_matches([' ', '\t']);
        let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = trimmed.chars().take_while(|c| *c == mark).count();
        let info = trimmed.get(length..)?;
        if length < 3 || (mark == '`' && info.contains('`')) {
            return None;
        }
        let language: String = info
            .trim()
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '-' | '_'))
            .take(20)
            .collect();
        // GitHub draws, or offers to commit, what blocks of these languages hold.
        let drawn = ["suggestion", "mermaid", "math", "geojson", "topojson", "stl"];
        let drawn = drawn.iter().any(|name| language.eq_ignore_ascii_case(name));
        let language = if drawn { "text".to_owned() } else { language };
        Some(Self { mark, length, indent: line.len().saturating_sub(trimmed.len()), language })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let trimmed = line.trim();
        trimmed.chars().count() >= self.length && trimmed.chars().all(|c| c == self.mark)
    }

    fn undent<'a>(&self, line: &'a str) -> &'a str {
        let blanks = line.bytes().take(self.indent).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        line.get(blanks..).unwrap_or(line)
    }
}

fn paragraphs(out: &mut String, text: &str, home: &Home) {
    for line in without_comments(text).lines() {
        let trimmed = line.trim();
        if !trimmed.is_empty() && trimmed.chars().all(|c| "-=_*:".contains(c) || c.is_whitespace()) {
            // A rule, or what makes a heading or a table of the line above.
            out.push('\n');
            continue;
        }
        let start = out.len();
        if let Some(title) = heading(trimmed) {
            out.push_str("\n**");
            inline(out, title, home, Form::Line);
            out.push_str("**\n");
        } else {
            let indent = line.len().saturating_sub(line.trim_start().len());
            out.push_str(&line.get(..indent).unwrap_or_default().replace('\t', "    "));
            inline(out, trimmed, home, Form::Prose);
            if out.get(start..).is_some_and(|written| written.starts_with('/')) {
                // It could be a command.
                out.insert(start, '\\');
            }
        }
        out.push('\n');
    }
}

/// The text of a heading.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let marks = line.len().saturating_sub(rest.len());
    let title = rest.trim_matches(['#', ' ', '\t']);
    ((1..=6).contains(&marks) && rest.starts_with([' ', '\t']) && !title.is_empty()).then_some(title)
}

/// HTML comments are invisible on GitHub, and carry our markers. One that does not end stays, as text.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        let Some((_, behind)) = after.split_once("-->") else { break };
        out.push_str(before);
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn inline(out: &mut String, text: &str, home: &Home, form: Form) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = match c {
            '`' => code_span(out, rest),
            '\\' => escaped(out, after),
            '[' => match link(rest) {
                Some((link, behind)) => {
                    push_link(out, &link, home);
                    behind
                }
                None => push(out, "\\[", after),
            },
            '!' => match link(after) {
                Some((image, behind)) => {
                    out.push_str("(image: ");
                    inline(out, image.text, home, Form::Line);
                    out.push(')');
                    behind
                }
                None => push(out, "!", after),
            },
            ']' => push(out, "\\]", after),
            '|' => push(out, "\\|", after),
            '<' => push(out, "&lt;", after),
            '*' | '~' | '$' if form == Form::Line => {
                out.push('\\');
                out.push(c);
                after
            }
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
                push_word(out, word, home, form);
                behind
            }
            c => {
                out.push(c);
                after
            }
        };
    }
}

fn push<'a>(out: &mut String, text: &str, after: &'a str) -> &'a str {
    out.push_str(text);
    after
}

/// A run of backticks and what it encloses, if it closes in this line.
fn code_span<'a>(out: &mut String, rest: &'a str) -> &'a str {
    let length = rest.bytes().take_while(|byte| *byte == b'`').count();
    let inside = rest.get(length..).unwrap_or_default();
    let mut from = 0_usize;
    while let Some(start) = inside.get(from..).and_then(|rest| rest.find('`')).map(|at| at + from) {
        let run = inside.get(start..).unwrap_or_default().bytes().take_while(|byte| *byte == b'`').count();
        if run == length {
            let content = inside.get(..start).unwrap_or_default();
            push_code(out, content.strip_prefix(' ').and_then(|c| c.strip_suffix(' ')).unwrap_or(content));
            return inside.get(start + run..).unwrap_or_default();
        }
        from = start + run;
    }
    out.push_str(&"\\`".repeat(length));
    inside
}

/// What follows a backslash: an escape that is kept, or a backslash that is text.
fn escaped<'a>(out: &mut String, after: &'a str) -> &'a str {
    match after.chars().next() {
        Some(
            c @ ('*' | '_' | '~' | '-' | '+' | '.' | '!' | '(' | ')' | '>' | '|' | '`' | '[' | ']' | '\\'),
        ) => {
            out.push('\\');
            out.push(c);
            after.get(1..).unwrap_or_default()
        }
        // What follows is escaped, or becomes code, in its own right.
        Some('@' | '#' | '<' | '&') => after,
        Some(_) | None => push(out, "\\\\", after),
    }
}

fn push_code(out: &mut String, text: &str) {
    if out.ends_with('`') {
        // Two runs of backticks side by side would be one.
        out.push(' ');
    }
    out.push_str(&code(text, usize::MAX));
}

/// `[text](target)`, without brackets in the text or blanks in the target.
struct Link<'a> {
    text: &'a str,
    target: &'a str,
}

fn link(rest: &str) -> Option<(Link<'_>, &str)> {
    let (text, after) = rest.strip_prefix('[')?.split_once(']')?;
    let (target, behind) = after.strip_prefix('(')?.split_once(')')?;
    let text_fits = !text.contains(['[', '`', '\\']);
    let target_fits =
        !target.is_empty() && !target.contains(|c: char| c.is_whitespace() || "(<`\\".contains(c));
    (text_fits && target_fits).then_some((Link { text, target }, behind))
}

fn push_link(out: &mut String, link: &Link<'_>, home: &Home) {
    if is_home(link.target, home) && !link.text.trim().is_empty() {
        out.push('[');
        inline(out, link.text, home, Form::Line);
        out.push_str("](");
        out.push_str(link.target);
        out.push(')');
        return;
    }
    if link.text != link.target && !link.text.trim().is_empty() {
        inline(out, link.text, home, Form::Line);
        out.push_str(" (");
        push_code(out, link.target);
        out.push(')');
    } else {
        push_code(out, link.target);
    }
}

/// Whether an address is of a file or commit of this repository. Issues and pull requests are not: a link to one
/// leaves a trace there.
fn is_home(address: &str, home: &Home) -> bool {
    let inside = address
        .strip_prefix(&home.url)
        .filter(|_| !home.url.is_empty())
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|rest| rest.split_once('/'));
    let Some((kind, rest)) = inside else { return false };
    let tame = |c: char| c.is_ascii_alphanumeric() || "/._-#".contains(c);
    matches!(kind, "blob" | "tree" | "commit") && rest.chars().all(tame) && !rest.contains("..")
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "_-./:@#=?%&+".contains(c)
}

fn push_word(out: &mut String, word: &str, home: &Home, form: Form) {
    if !is_live(word) {
        for c in word.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '_' if form == Form::Line => out.push_str("\\_"),
                c => out.push(c),
            }
        }
        return;
    }
    let body = word.trim_end_matches(['.', ':', '?', '-']);
    let tail = word.get(body.len()..).unwrap_or_default();
    if is_home(body, home) && form == Form::Prose && !out.ends_with(|c: char| c.is_alphanumeric()) {
        out.push_str(body);
    } else {
        push_code(out, body);
    }
    out.push_str(tail);
}

/// Whether GitHub would make something of a word: a mention, a reference, a link.
fn is_live(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let follows = |mark: char, wanted: fn(char) -> bool| {
        lower
            .match_indices(mark)
            .any(|(at, _)| lower.get(at + 1..).is_some_and(|rest| rest.starts_with(wanted)))
    };
    follows('@', char::is_alphanumeric)
        || follows('#', |c| c.is_ascii_digit())
        || lower.contains("gh-")
        || lower.contains("://")
        || lower.contains("www.")
        || lower.contains("mailto:")
        || lower.contains("xmpp:")
}

#[cfg(test)]
pub(super) mod tests;
