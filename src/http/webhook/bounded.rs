//! Text of strangers, cut to what is kept of it.

/// How many bytes of a comment or review are kept.
pub(crate) const TEXT_BYTES_MAX: usize = 16 * 1024;

/// How many bytes of a title or a repository's name are kept. GitHub allows 256 characters of four bytes at most.
pub(crate) const NAME_BYTES_MAX: usize = 1024;

/// The beginning of a text, at most `bytes_max` long, cut between characters.
pub(crate) fn bounded(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(bounded("aé", 3), "aé");
        assert_eq!(bounded("aé", 2), "a");
        assert_eq!(bounded("", 2), "");
        assert_eq!(bounded("🦀", 3), "");
    }
}
