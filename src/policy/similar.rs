//! "Did you mean": the known word nearest to an unknown one.

/// How many characters of a word are compared; longer ones are not a slip of the pen.
const CHARS_MAX: usize = 40;

/// The known word that is nearest to `found`, if it is near: one letter and a third of them may differ
/// (two letters in the wrong order differ twice).
pub(super) fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found: Vec<char> = found.chars().flat_map(char::to_lowercase).take(CHARS_MAX + 1).collect();
    if found.len() > CHARS_MAX {
        return None;
    }
    known
        .into_iter()
        .map(|word| (distance(&found, word), word))
        .filter(|(distance, word)| *distance <= word.chars().count().max(found.len()) / 3 + 1)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many letters must be added, removed or replaced (Levenshtein).
fn distance(found: &[char], word: &str) -> usize {
    let mut row: Vec<usize> = (0..=found.len()).collect();
    for (index, letter) in word.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (above, candidate) in row.iter_mut().skip(1).zip(found) {
            let replaced = diagonal + usize::from(*candidate != letter);
            diagonal = *above;
            left = replaced.min(diagonal + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_another_word_is_not() {
        let known = ["reviewers", "rounds", "budget", "gates"];
        assert_eq!(nearest("reviewer", known), Some("reviewers"));
        assert_eq!(nearest("Gates", known), Some("gates"));
        assert_eq!(nearest("bugdet", known), Some("budget"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
        assert_eq!(nearest("", known), None);
    }
}
