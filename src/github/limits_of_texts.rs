//! How long texts may be on GitHub, and how they are cut. A text that is too long is refused as a whole.
//!
//! GitHub counts characters; we count bytes, which are never fewer.

use std::borrow::Cow;

/// Bodies of comments, reviews, issues and pull requests.
pub const BODY_BYTES_MAX: usize = 65_536;
/// Title of an issue or a pull request.
pub const TITLE_BYTES_MAX: usize = 256;
/// Summary and text of a check run, each.
pub const CHECK_TEXT_BYTES_MAX: usize = 65_535;
/// Title of a check run. GitHub names no limit; its page shows one line.
pub const CHECK_TITLE_BYTES_MAX: usize = 255;
/// Message of an annotation (64 KB).
pub const ANNOTATION_BYTES_MAX: usize = 64_000;
/// Label and identifier of a check run's button.
pub const ACTION_LABEL_BYTES_MAX: usize = 20;
/// Description of a check run's button.
pub const ACTION_DESCRIPTION_BYTES_MAX: usize = 40;

/// What the reader is told at the end of a cut text.
const NOTE: &str = "\n\n_(cut here: GitHub takes no more)_";
/// Closes a code block that the cut left open, so that the note is read as text.
const FENCE: &str = "\n```";

/// A Markdown text of at most `bytes_max` bytes. What is cut is cut between characters, and the reader is told.
pub fn cut_text(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let room = bytes_max.saturating_sub(NOTE.len() + FENCE.len());
    let kept = head_of(text, room);
    if kept.is_empty() {
        return Cow::Borrowed(head_of(text, bytes_max));
    }
    let open = kept.lines().filter(|line| line.trim_start().starts_with("```")).count() % 2 == 1;
    Cow::Owned(format!("{kept}{}{NOTE}", if open { FENCE } else { "" }))
}

/// The first line that says something, of at most `bytes_max` bytes, with an ellipsis where it was cut.
pub fn cut_line(text: &str, bytes_max: usize) -> Cow<'_, str> {
    let line = text.trim().lines().next().unwrap_or_default();
    if line.len() <= bytes_max {
        return Cow::Borrowed(line);
    }
    Cow::Owned(format!("{}…", head_of(line, bytes_max.saturating_sub("…".len())).trim_end()))
}

/// The longest start of `text` that ends between two characters and has at most `bytes_max` bytes.
fn head_of(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_text_stays_as_it_is() {
        assert!(matches!(cut_text("short", BODY_BYTES_MAX), Cow::Borrowed("short")));
        assert_eq!(cut_line("\n one\ntwo", 20), "one");
    }

    #[test]
    fn a_cut_code_block_is_closed_before_the_note() {
        let text = format!("```\n{}", "x\n".repeat(BODY_BYTES_MAX));
        let cut = cut_text(&text, BODY_BYTES_MAX);
        assert!(cut.ends_with(&format!("{FENCE}{NOTE}")));
        assert_eq!(cut.matches("```").count(), 2);
    }

    proptest! {
        #[test]
        fn no_text_passes_its_limit(text in "[a-zäß🦀`\\n]{0,400}", limit in 0_usize..300) {
            prop_assert!(cut_text(&text, limit).len() <= limit);
            prop_assert!(cut_line(&text, limit.max(3)).len() <= limit.max(3));
        }
    }
}
