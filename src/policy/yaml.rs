//! YAML as a tree that knows where everything stands in the file, so that every problem can name its place.
//!
//! Built from parser events rather than through serde, which stops at the first problem and loses places in enums.
//! Only what a policy needs is taken: anchors, aliases, tags and a second document are refused where they stand, and
//! so no small file can become a large tree.

use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle};

use super::PolicyProblem;

/// How deep a file may nest. The schema needs four levels.
const DEPTH_MAX: usize = 16;

/// Where something begins, both from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug)]
pub(super) enum Value {
    /// Text, a number or nothing; `plain` if it is written without quotes, for only then `false` is not a word.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    /// In the order of the file, each key once.
    Mapping(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Node,
}

/// A file as it was read.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Its value; none if it is empty or could not be read to its end.
    pub(super) root: Option<Node>,
    /// What is wrong with its form.
    pub(super) problems: Vec<PolicyProblem>,
}

impl Place {
    fn of(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col().saturating_add(1) }
    }

    /// A problem of `key` at this place.
    pub(super) fn problem(self, key: &str, message: impl Into<String>) -> PolicyProblem {
        PolicyProblem { line: self.line, column: self.column, key: key.to_owned(), message: message.into() }
    }
}

/// A collection that is still open.
#[derive(Debug)]
enum Frame {
    Sequence { place: Place, items: Vec<Node> },
    Mapping { place: Place, entries: Vec<Entry>, key: Key },
}

/// What an open mapping waits for.
#[derive(Debug)]
enum Key {
    /// A key.
    Wanted,
    /// The value of this key.
    Found(String, Place),
    /// The value of a key that was refused; it is read and dropped.
    Refused,
}

/// Reads a file. Never fails: what is wrong is among the problems.
pub(super) fn parse(text: &str) -> Document {
    let options = serde_saphyr::granit_parser::options! { emit_comments: false };
    let mut builder = Builder::default();
    for step in Parser::new_from_str_with_options(text, options) {
        match step {
            Ok((event, span)) => {
                if !builder.take(event, Place::of(span.start)) {
                    return Document { root: None, ..builder.document };
                }
            }
            Err(error) => {
                let message = format!("this is not YAML: {}", error.info().trim());
                let problem = Place::of(*error.marker()).problem(&builder.key(), message);
                builder.document.problems.push(problem);
                return Document { root: None, ..builder.document };
            }
        }
    }
    builder.document
}

#[derive(Debug, Default)]
struct Builder {
    open: Vec<Frame>,
    documents: usize,
    document: Document,
}

impl Builder {
    /// Takes one event; false ends the reading.
    fn take(&mut self, event: Event<'_>, place: Place) -> bool {
        match event {
            Event::DocumentStart(..) => {
                self.documents = self.documents.saturating_add(1);
                if self.documents > 1 {
                    self.refuse(place, "a second YAML document begins here; a policy is one document");
                    return false;
                }
            }
            Event::Alias(_) => {
                self.refuse(place, "aliases (`*name`) are not supported; write the value out");
                self.put(Node { place, value: nothing() });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(place, anchor, tag.is_some());
                let plain = style == ScalarStyle::Plain;
                self.put(Node { place, value: Value::Scalar { text: text.into_owned(), plain } });
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(place, anchor, tag.is_some());
                return self.enter(Frame::Sequence { place, items: Vec::new() }, place);
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(place, anchor, tag.is_some());
                return self.enter(Frame::Mapping { place, entries: Vec::new(), key: Key::Wanted }, place);
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Frame::Sequence { place, items }) => {
                    self.put(Node { place, value: Value::Sequence(items) });
                }
                Some(Frame::Mapping { place, entries, .. }) => {
                    self.put(Node { place, value: Value::Mapping(entries) });
                }
                None => return false,
            },
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Comment(..) => {}
            // The parser's type is open to additions.
            _ => {
                self.refuse(place, "this form of YAML is not supported");
                return false;
            }
        }
        true
    }

    fn enter(&mut self, frame: Frame, place: Place) -> bool {
        if self.open.len() >= DEPTH_MAX {
            self.refuse(place, format!("nested more than {DEPTH_MAX} levels deep"));
            return false;
        }
        self.open.push(frame);
        true
    }

    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.document.root = Some(node),
            Some(Frame::Sequence { items, .. }) => items.push(node),
            Some(Frame::Mapping { entries, key, .. }) => match std::mem::replace(key, Key::Wanted) {
                Key::Wanted => self.put_key(node),
                Key::Found(key, place) => entries.push(Entry { key, place, value: node }),
                Key::Refused => {}
            },
        }
    }

    fn put_key(&mut self, node: Node) {
        let place = node.place;
        let found = match node.value {
            Value::Scalar { text, .. } => text,
            Value::Sequence(_) | Value::Mapping(_) => {
                self.refuse(place, "a key is a word, not a list or a mapping");
                self.set_key(Key::Refused);
                return;
            }
        };
        let earlier = match self.open.last() {
            Some(Frame::Mapping { entries, .. }) => entries.iter().find(|entry| entry.key == found),
            Some(Frame::Sequence { .. }) | None => None,
        };
        match earlier.map(|entry| entry.place.line) {
            Some(line) => {
                let key = join(&self.key(), &found);
                let message = format!("this key stands in line {line} already; give it once");
                self.document.problems.push(place.problem(&key, message));
                self.set_key(Key::Refused);
            }
            None => self.set_key(Key::Found(found, place)),
        }
    }

    fn set_key(&mut self, wanted: Key) {
        if let Some(Frame::Mapping { key, .. }) = self.open.last_mut() {
            *key = wanted;
        }
    }

    fn refuse_properties(&mut self, place: Place, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.refuse(place, "anchors (`&name`) are not supported; write the value out");
        }
        if tagged {
            self.refuse(place, "tags (`!name`) are not supported; leave it out");
        }
    }

    fn refuse(&mut self, place: Place, message: impl Into<String>) {
        let problem = place.problem(&self.key(), message);
        self.document.problems.push(problem);
    }

    /// The key whose value is being read.
    fn key(&self) -> String {
        let mut path = String::new();
        for frame in &self.open {
            match frame {
                Frame::Mapping { key: Key::Found(key, _), .. } => path = join(&path, key),
                Frame::Mapping { key: Key::Wanted | Key::Refused, .. } | Frame::Sequence { .. } => {}
            }
        }
        path
    }
}

/// A key below another.
pub(super) fn join(parent: &str, key: &str) -> String {
    let key = excerpt(key);
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// What was written, short enough to be quoted in a message and on one line.
pub(super) fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut short: String =
        text.chars().take(CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// What stands for a value that was refused: treated as left out, so that it is not complained about twice.
fn nothing() -> Value {
    Value::Scalar { text: String::new(), plain: true }
}
