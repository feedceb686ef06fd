//! Unified diffs, held against a reader that is too simple to be wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::PATCH;
use crate::git::diff::raw::counts;
use crate::git::diff::*;

/// Lines that no hunk shows, then lines kept (0), removed (1) or added (2).
type Part = (u32, Vec<(u8, String)>);

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let line = (0_u8..3, "[a-z+@\\\\ -]{0,5}");
    prop::collection::vec((1_u32..30, prop::collection::vec(line, 1..12)), 1..6)
}

/// A patch, and by counting alone: which lines of either side lie in which hunk, and what they say.
struct Naive {
    patch: String,
    left: BTreeMap<u32, (usize, String)>,
    right: BTreeMap<u32, (usize, String)>,
}

fn naive(parts: &[Part]) -> Naive {
    let mut told = Naive {
        patch: "diff --git a/f b/f\n--- a/f\n+++ b/f\n".to_owned(),
        left: BTreeMap::new(),
        right: BTreeMap::new(),
    };
    let (mut old, mut new) = (0, 0);
    for (hunk, (hidden, lines)) in parts.iter().enumerate() {
        (old, new) = (old + hidden, new + hidden);
        let (old_before, new_before) = (old, new);
        let mut body = String::new();
        for (kind, text) in lines {
            if *kind != 2 {
                old += 1;
                told.left.insert(old, (hunk, text.clone()));
            }
            if *kind != 1 {
                new += 1;
                told.right.insert(new, (hunk, text.clone()));
            }
            let sign = [' ', '-', '+'][usize::from(*kind)];
            writeln!(body, "{sign}{text}").unwrap();
        }
        // As git does: an empty side names the line before it.
        let range = |before: u32, after: u32| {
            let lines = after - before;
            format!("{},{lines}", if lines == 0 { before } else { before + 1 })
        };
        writeln!(told.patch, "@@ -{} +{} @@ f", range(old_before, old), range(new_before, new)).unwrap();
        told.patch.push_str(&body);
    }
    told
}

proptest! {
    #[test]
    fn places_are_where_counting_finds_them(parts in parts()) {
        let naive = naive(&parts);
        let diff = Diff::parse(naive.patch.as_bytes()).unwrap();
        let file = diff.file("f").unwrap();
        for line in 0..250 {
            let right = file.comment_place(Side::Right, line).map(|place| place.hunk);
            prop_assert_eq!(right, naive.right.get(&line).map(|(hunk, _)| *hunk), "new line {}", line);
            let left = file.comment_place(Side::Left, line).map(|place| place.hunk);
            prop_assert_eq!(left, naive.left.get(&line).map(|(hunk, _)| *hunk), "old line {}", line);
            for other in [line, line + 1, line + 7] {
                let same = naive.right.get(&line).zip(naive.right.get(&other)).is_some_and(|(a, b)| a.0 == b.0);
                prop_assert_eq!(diff.comment_range("f", line, other).is_some(), same);
            }
        }
    }

    #[test]
    fn lines_say_what_counting_finds(parts in parts()) {
        let naive = naive(&parts);
        let diff = Diff::parse(naive.patch.as_bytes()).unwrap();
        let lines = || diff.files[0].hunks.iter().flat_map(|hunk| &hunk.lines);
        for line in lines() {
            if let Some(number) = line.old {
                prop_assert_eq!(&naive.left[&number].1, &line.text);
            }
            if let Some(number) = line.new {
                prop_assert_eq!(&naive.right[&number].1, &line.text);
            }
        }
        prop_assert_eq!(lines().filter(|line| line.new.is_some()).count(), naive.right.len());
        prop_assert_eq!(lines().filter(|line| line.old.is_some()).count(), naive.left.len());
    }

    #[test]
    fn what_is_shown_is_read_again(parts in parts()) {
        let diff = Diff::parse(naive(&parts).patch.as_bytes()).unwrap();
        let again = format!("diff --git a/f b/f\n{}", diff.render(usize::MAX));
        prop_assert_eq!(Diff::parse(again.as_bytes()).unwrap(), diff);
    }

    #[test]
    fn lines_of_diffs_in_any_order_are_read_or_refused(
        order in prop::collection::vec(0..PATCH.lines().count(), 0..40), bytes_max in 0_usize..300,
    ) {
        let lines: Vec<&str> = PATCH.lines().collect();
        let text: String = order.into_iter().flat_map(|line| [lines[line], "\n"]).collect();
        match Diff::parse(text.as_bytes()) {
            Ok(diff) => {
                for hunk in diff.files.iter().flat_map(|file| &file.hunks) {
                    let count = |on: fn(&HunkLine) -> bool| hunk.lines.iter().filter(|line| on(line)).count();
                    prop_assert_eq!(count(|line| line.old.is_some()), hunk.old_lines as usize);
                    prop_assert_eq!(count(|line| line.new.is_some()), hunk.new_lines as usize);
                }
                // What is left out is named, so that the answer is bounded by the names.
                prop_assert!(diff.render(bytes_max).len() <= bytes_max + 120 * diff.files.len());
            }
            Err(malformed) => prop_assert!(malformed.line <= lines.len() * 40),
        }
    }

    #[test]
    fn any_counts_are_read(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(b'\t'), any::<u8>()], 0..200)) {
        prop_assert!(counts(&bytes).len() <= bytes.len());
    }
}
