//! Single values of a policy file: words, counts, amounts, spans of time, lists of words.

use pairbot_protocol::ids::{Money, Tokens};

use super::PolicyProblem;
use super::similar::nearest;
use super::yaml::{Entry, Node, Value, excerpt, join};

/// What a value may be, in words and as a range of milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) ms_min: u64,
    pub(super) ms_max: u64,
}

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// The entries of a mapping whose keys are known.
#[derive(Debug)]
pub(super) struct Section<'a> {
    path: String,
    entries: &'a [Entry],
}

impl<'a> Section<'a> {
    /// Reads a mapping. Unknown keys become problems; something else than a mapping is a problem and reads as empty.
    /// A key without a value is an empty mapping: people comment everything below it out.
    pub(super) fn of(
        node: &'a Node,
        path: &str,
        known: &[&'static str],
        problems: &mut Vec<PolicyProblem>,
    ) -> Self {
        let entries = mapping(node, path, known, problems);
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let problem = entry.place.problem(&join(path, &entry.key), unknown_key(&entry.key, known));
                problems.push(problem);
            }
        }
        Self { path: path.to_owned(), entries }
    }

    /// The value of a key with its full name.
    pub(super) fn get(&self, key: &str) -> Option<(&'a Node, String)> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some((&entry.value, join(&self.path, key)))
    }
}

/// The entries of a mapping whose keys are names that people choose.
pub(super) fn mapping<'a>(
    node: &'a Node,
    path: &str,
    known: &[&'static str],
    problems: &mut Vec<PolicyProblem>,
) -> &'a [Entry] {
    match &node.value {
        Value::Mapping(entries) => entries,
        Value::Scalar { .. } if is_nothing(node) => &[],
        Value::Scalar { .. } | Value::Sequence(_) => {
            let message = if known.is_empty() {
                "expected a mapping of names".to_owned()
            } else {
                format!("expected a mapping; allowed keys: {}", listed(known))
            };
            problems.push(node.place.problem(path, message));
            &[]
        }
    }
}

/// Whether a value is left empty (or `null`, or `~`).
pub(super) fn is_nothing(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, plain: true } => matches!(text.as_str(), "" | "~" | "null"),
        Value::Scalar { plain: false, .. } | Value::Sequence(_) | Value::Mapping(_) => false,
    }
}

/// `true` or `false`, if that is what stands there.
pub(super) fn switch(node: &Node) -> Option<bool> {
    match &node.value {
        Value::Scalar { text, plain: true } => text.parse().ok(),
        Value::Scalar { plain: false, .. } | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

/// A non-empty text of at most `bytes_max` bytes without control characters other than line ends and tabs.
pub(super) fn text(
    node: &Node,
    path: &str,
    bytes_max: usize,
    problems: &mut Vec<PolicyProblem>,
) -> Option<String> {
    let wanted = format!("a text of 1 to {bytes_max} bytes");
    let found = scalar(node, path, &wanted, problems)?;
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let complaint = if found.trim().is_empty() {
        format!("is empty; expected {wanted}")
    } else if found.len() > bytes_max {
        format!("has {} bytes; expected {wanted}", found.len())
    } else if found.contains(control) {
        "holds control characters; only line ends and tabs are allowed".to_owned()
    } else {
        return Some(found.to_owned());
    };
    problems.push(node.place.problem(path, complaint));
    None
}

/// A whole number from `min` to `max`.
pub(super) fn count(
    node: &Node,
    path: &str,
    min: u32,
    max: u32,
    problems: &mut Vec<PolicyProblem>,
) -> Option<u32> {
    let wanted = format!("a whole number from {min} to {max}");
    let found = scalar(node, path, &wanted, problems)?;
    let number = found.parse::<u32>().ok().filter(|number| (min..=max).contains(number));
    or_complain(number, node, path, found, &wanted, problems)
}

/// An amount in dollars, above nothing and at most `max`.
pub(super) fn money(node: &Node, path: &str, max: Money, problems: &mut Vec<PolicyProblem>) -> Option<Money> {
    let wanted = format!("an amount in US dollars above 0 and up to {max}, such as `5` or `0.50`");
    let found = scalar(node, path, &wanted, problems)?;
    let amount = found.parse::<Money>().ok().filter(|amount| *amount > Money::ZERO && *amount <= max);
    or_complain(amount, node, path, found, &wanted, problems)
}

/// A number of tokens, above none and at most `max`.
pub(super) fn tokens(
    node: &Node,
    path: &str,
    max: Tokens,
    problems: &mut Vec<PolicyProblem>,
) -> Option<Tokens> {
    let wanted = format!("a number of tokens above 0 and up to {max}, such as `500000`, `500k` or `2M`");
    let found = scalar(node, path, &wanted, problems)?;
    let number = found.parse::<Tokens>().ok().filter(|number| *number > Tokens::ZERO && *number <= max);
    or_complain(number, node, path, found, &wanted, problems)
}

/// A span of time with its unit: `90s`, `30m`, `2h`. In milliseconds.
pub(super) fn duration_ms(
    node: &Node,
    path: &str,
    span: Span,
    problems: &mut Vec<PolicyProblem>,
) -> Option<u64> {
    let wanted = format!(
        "a time with its unit `s`, `m` or `h`, from {} to {}",
        written(span.ms_min),
        written(span.ms_max)
    );
    let found = scalar(node, path, &wanted, problems)?;
    let ms = parse_duration(found).filter(|ms| (span.ms_min..=span.ms_max).contains(ms));
    or_complain(ms, node, path, found, &wanted, problems)
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(
    node: &Node,
    path: &str,
    allowed: &[(&'static str, T)],
    problems: &mut Vec<PolicyProblem>,
) -> Option<T> {
    let words: Vec<&'static str> = allowed.iter().map(|(word, _)| *word).collect();
    let wanted = format!("one of {}", listed(&words));
    let found = scalar(node, path, &wanted, problems)?;
    let hit = allowed.iter().find(|(word, _)| *word == found).map(|(_, value)| *value);
    if hit.is_none()
        && let Some(word) = nearest(found, words)
    {
        let message = format!("`{}` is unknown; did you mean `{word}`? Expected {wanted}", excerpt(found));
        problems.push(node.place.problem(path, message));
        return None;
    }
    or_complain(hit, node, path, found, &wanted, problems)
}

/// A list of texts, each with where it stands. A single text is not taken for a list of one.
pub(super) fn list<'a>(
    node: &'a Node,
    path: &str,
    items_max: usize,
    problems: &mut Vec<PolicyProblem>,
) -> Option<Vec<(&'a Node, String)>> {
    match &node.value {
        Value::Sequence(items) if items.len() <= items_max => {
            Some(items.iter().enumerate().map(|(index, item)| (item, format!("{path}[{index}]"))).collect())
        }
        Value::Sequence(items) => {
            let message = format!("has {} entries; at most {items_max} are allowed", items.len());
            problems.push(node.place.problem(path, message));
            None
        }
        Value::Scalar { .. } | Value::Mapping(_) => {
            problems.push(node.place.problem(path, "expected a list, such as `[ \"one\", \"two\" ]`"));
            None
        }
    }
}

/// A span of time as a policy file writes it, in the largest unit that fits.
pub fn written(ms: u64) -> String {
    if ms.is_multiple_of(HOUR_MS) {
        format!("{}h", ms / HOUR_MS)
    } else if ms.is_multiple_of(MINUTE_MS) {
        format!("{}m", ms / MINUTE_MS)
    } else {
        format!("{}s", ms / SECOND_MS)
    }
}

/// Words in code quotes with commas between.
pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// What is said of a key that nobody knows.
pub(super) fn unknown_key(found: &str, known: &[&'static str]) -> String {
    match nearest(found, known.iter().copied()) {
        Some(word) => format!("unknown key; did you mean `{word}`? Allowed here: {}", listed(known)),
        None => format!("unknown key; allowed here: {}", listed(known)),
    }
}

fn parse_duration(text: &str) -> Option<u64> {
    let unit_ms = match text.chars().next_back()? {
        's' => SECOND_MS,
        'm' => MINUTE_MS,
        'h' => HOUR_MS,
        _ => return None,
    };
    let digits = text.get(..text.len().checked_sub(1)?)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit_ms)
}

fn scalar<'a>(
    node: &'a Node,
    path: &str,
    wanted: &str,
    problems: &mut Vec<PolicyProblem>,
) -> Option<&'a str> {
    let complaint = match &node.value {
        Value::Scalar { .. } if is_nothing(node) => {
            format!("has no value; expected {wanted}, or leave the key out")
        }
        Value::Scalar { text, .. } => return Some(text),
        Value::Sequence(_) => format!("is a list; expected {wanted}"),
        Value::Mapping(_) => format!("is a mapping; expected {wanted}"),
    };
    problems.push(node.place.problem(path, complaint));
    None
}

fn or_complain<T>(
    value: Option<T>,
    node: &Node,
    path: &str,
    found: &str,
    wanted: &str,
    problems: &mut Vec<PolicyProblem>,
) -> Option<T> {
    if value.is_none() {
        problems.push(node.place.problem(path, format!("`{}` is not {wanted}", excerpt(found))));
    }
    value
}
