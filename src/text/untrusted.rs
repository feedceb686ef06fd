//! Text of models, people and programs, made fit to be posted under our name.
//!
//! Whoever writes such text may want to notify people, link to other repositories, hide something, load an image
//! from elsewhere, forge one of our markers, or make a bot run a command. What comes out of this module can do none
//! of these, and still reads as it was meant. Mentions and references become code, for that is the only form GitHub
//! neither links nor notifies: a backslash or an entity before `@` is resolved before mentions are looked for.

use pairbot_protocol::command;

/// Everything a reader would not see is taken out: escape sequences of terminals, control characters but line ends
/// and tabs, and characters without a shape (zero-width, bidirectional, tags, variation selectors).
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            // The same introducers as one character (ECMA-48, 8-bit controls).
            '\u{9b}' => skip_control(&mut chars),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            c if is_hidden(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// On one line, without hidden characters and markers, at most `chars_max` characters: for places that know no
/// Markdown.
pub fn plain(text: &str, chars_max: usize) -> String {
    // What is cut off need not be read; room is left for hidden characters before the cut.
    let (text, _) = clipped(text, chars_max.saturating_mul(16));
    let one_line = visible(text).split_whitespace().collect::<Vec<_>>().join(" ");
    shortened(&one_line.replace("<!--", "<! --"), chars_max)
}

/// As code within a line.
pub fn code(text: &str, chars_max: usize) -> String {
    let text = plain(text, chars_max);
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(&text).saturating_add(1));
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// As code within a cell of a table.
pub fn cell_code(text: &str, chars_max: usize) -> String {
    code(text, chars_max).replace('|', "\\|")
}

/// As a block of code, with a fence longer than any in it. A line that would be a command is moved by a blank, since
/// who looks for commands may not agree with us on where a block ends.
pub fn fenced(text: &str, language: &str, bytes_max: usize) -> String {
    let text = visible(text);
    let (text, cut) = clipped(text.trim_end_matches('\n'), bytes_max);
    let mut body = String::with_capacity(text.len());
    for line in text.replace("<!--", "<! --").lines() {
        if !command::parse(line).is_empty() {
            body.push(' ');
        }
        body.push_str(line);
        body.push('\n');
    }
    let fence = "`".repeat(longest_run(&body).saturating_add(1).max(3));
    let note = if cut { "\n\n(shortened)" } else { "" };
    format!("{fence}{language}\n{body}{fence}{note}")
}

/// The beginning of a text, cut between two characters, and whether anything was cut.
pub fn clipped(text: &str, bytes_max: usize) -> (&str, bool) {
    if text.len() <= bytes_max {
        return (text, false);
    }
    let end = (0..=bytes_max).rev().find(|index| text.is_char_boundary(*index)).unwrap_or_default();
    (text.get(..end).unwrap_or_default(), true)
}

/// Whether a text can be posted as it is, without a character changed: what a suggested change needs.
pub fn is_harmless_code(text: &str) -> bool {
    visible(text) == text
        && !text.contains("<!--")
        && text.lines().all(|line| command::parse(line).is_empty())
}

/// A text of ours without anything that would be taken for a marker or a command.
pub(super) fn without_force(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.replace("<!--", "<! --").split_inclusive('\n') {
        if !command::parse(line).is_empty() {
            out.push('\\');
        }
        out.push_str(line);
    }
    out
}

/// The longest run of backticks.
pub(super) fn longest_run(text: &str) -> usize {
    let mut longest = 0_usize;
    let mut run = 0_usize;
    for c in text.chars() {
        run = if c == '`' { run.saturating_add(1) } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// At most `chars_max` characters, with a mark where something was cut.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().nth(chars_max).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

fn is_hidden(c: char) -> bool {
    let control = c.is_control() && !matches!(c, '\n' | '\t');
    control
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// After an escape character: drops the sequence it begins (ECMA-48).
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control(chars);
        }
        // Strings to the terminal (titles, links) end with BEL or ESC \.
        Some(']' | 'P' | '^' | '_' | 'X') => {
            chars.next();
            while let Some(c) = chars.peek() {
                match c {
                    '\n' => return,
                    '\u{7}' => {
                        chars.next();
                        return;
                    }
                    '\u{1b}' => {
                        chars.next();
                        chars.next_if_eq(&'\\');
                        return;
                    }
                    _ => {
                        chars.next();
                    }
                }
            }
        }
        Some('(' | ')' | '#') => {
            chars.next();
            chars.next();
        }
        Some(_) | None => {
            chars.next_if(|c| ('\u{30}'..='\u{7e}').contains(c));
        }
    }
}

/// Parameters and the letter that ends a control sequence.
fn skip_control(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
    chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
}
