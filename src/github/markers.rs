//! Hidden marks at the end of what we write, by which we find it again after an answer was lost.
//!
//! A mark proves nothing by itself, since anyone can paste it: it counts only in a text that our own account wrote.

use std::fmt;

/// The name of one thing we write, such as `status:42-7-1`. Equal names are the same thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marker(String);

/// A name that cannot stand in an HTML comment, or could be taken for another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a marker: 1 to 200 of `a-z`, `0-9`, `-`, `.`, `:` and `/`, without `--`")]
pub struct MarkerError(String);

impl Marker {
    /// A marker by its name.
    pub fn new(name: &str) -> Result<Self, MarkerError> {
        let fits = (1..=200).contains(&name.len())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b':' | b'/'))
            && !name.contains("--");
        if fits { Ok(Self(name.to_owned())) } else { Err(MarkerError(name.chars().take(80).collect())) }
    }

    /// The marker of the part at `index` of what this one marks.
    #[must_use]
    pub fn part(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// A text with the mark as its last line.
    pub fn sign(&self, text: &str) -> String {
        format!("{}\n\n{self}", text.trim_end())
    }

    /// Whether a text ends with this mark. Marks further up are part of somebody's words.
    pub fn signs(&self, text: &str) -> bool {
        text.trim_end().ends_with(&self.to_string())
    }

    /// How many bytes [`sign`](Self::sign) adds at most.
    pub fn bytes(&self) -> usize {
        self.to_string().len() + 2
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "<!-- pairbot:{} -->", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_at_the_end_only() {
        let marker = Marker::new("status:42-7-1").unwrap();
        assert!(marker.signs(&marker.sign("text")));
        assert!(marker.signs(&format!("{}\r\n", marker.sign("text"))));
        assert!(!marker.signs(&format!("> {marker}\n\nquoted")));
        assert!(!marker.signs(&marker.part(1).sign("text")));
        assert!(!Marker::new("status:42-7-1").unwrap().part(1).signs(&marker.part(11).sign("text")));
        assert_eq!(marker.sign("text").len() - "text".len(), marker.bytes());
    }

    #[test]
    fn a_name_cannot_end_the_comment() {
        for wrong in ["", "a-->", "a--b", "A", "a b", "ü"] {
            assert!(Marker::new(wrong).is_err(), "{wrong}");
        }
    }
}
