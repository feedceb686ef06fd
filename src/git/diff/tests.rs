mod fuzz;

use proptest::prelude::*;

use super::*;

const PATCH: &str = "\
diff --git a/src/a.rs b/src/a.rs
index 1111111..2222222 100644
--- a/src/a.rs
+++ b/src/a.rs
@@ -1,4 +1,5 @@ fn first()
 one
-two
+TWO\r
+more
 three
 four
@@ -20,2 +21 @@
-gone
 last
\\ No newline at end of file
diff --git \"a/t\\303\\274r \\\"x\\\".txt\" \"b/t\\303\\274r \\\"x\\\".txt\"
new file mode 100755
index 0000000..2222222
--- /dev/null
+++ \"b/t\\303\\274r \\\"x\\\".txt\"\t
@@ -0,0 +1 @@
+-- a/not a header
diff --git a/old name b/new name
similarity index 90%
rename from old name
rename to new name
index 1111111..2222222 100644
--- a/old name\t
+++ b/new name\t
@@ -1 +1 @@
-a
+b
diff --git a/gone b/gone
deleted file mode 100644
index 1111111..0000000
--- a/gone
+++ /dev/null
@@ -1,2 +0,0 @@
-x
-y
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
diff --git a/pic.png b/pic.png
index 1111111..2222222 100644
Binary files a/pic.png and b/pic.png differ
";

#[test]
fn every_kind_of_change_is_read_from_text() {
    let diff = Diff::parse(PATCH.as_bytes()).unwrap();
    let facts: Vec<_> =
        diff.files.iter().map(|f| (f.path.as_str(), f.status, f.additions, f.deletions)).collect();
    assert_eq!(
        facts,
        [
            ("src/a.rs", FileStatus::Modified, 2, 2),
            ("tür \"x\".txt", FileStatus::Added, 1, 0),
            ("new name", FileStatus::Renamed, 1, 1),
            ("gone", FileStatus::Deleted, 0, 2),
            ("run.sh", FileStatus::Modified, 0, 0),
            ("pic.png", FileStatus::Modified, 0, 0),
        ]
    );
    assert_eq!(diff.files[0].hunks[0].lines[2].text, "TWO\r");
    assert_eq!(diff.files[0].hunks[0].section, "fn first()");
    assert!(diff.files[0].hunks[1].lines[1].unterminated);
    assert_eq!(diff.files[1].hunks[0].lines[0].text, "-- a/not a header");
    assert_eq!(diff.files[2].old_path.as_deref(), Some("old name"));
    assert_eq!(diff.files[4].new_mode, Some(FileMode::Executable));
    assert!(diff.files[5].binary);
}

#[test]
fn a_comment_place_is_any_line_of_a_hunk_and_no_other() {
    let diff = Diff::parse(PATCH.as_bytes()).unwrap();
    let right = |hunk| Some(CommentPlace { side: Side::Right, hunk });
    assert_eq!(diff.comment_place("src/a.rs", 1), right(0));
    assert_eq!(diff.comment_place("src/a.rs", 5), right(0));
    assert_eq!(diff.comment_place("src/a.rs", 6), None);
    assert_eq!(diff.comment_place("src/a.rs", 21), right(1));
    assert_eq!(diff.comment_place("src/a.rs", 22), None);
    assert_eq!(diff.comment_place("src/a.rs", 0), None);
    assert_eq!(diff.files[0].comment_place(Side::Left, 20), Some(CommentPlace { side: Side::Left, hunk: 1 }));
    assert_eq!(diff.comment_place("gone", 2), Some(CommentPlace { side: Side::Left, hunk: 0 }));
    assert_eq!(diff.comment_place("old name", 1), None);
    assert_eq!(diff.comment_place("pic.png", 1), None);
    assert_eq!(diff.comment_place("elsewhere", 1), None);
    assert_eq!(diff.comment_range("src/a.rs", 2, 4), right(0));
    assert_eq!(diff.comment_range("src/a.rs", 4, 2), None);
    assert_eq!(diff.comment_range("src/a.rs", 2, 21), None);
}

#[test]
fn what_is_no_diff_of_two_versions_is_refused_with_its_line() {
    let head = "diff --git a/x b/x\n--- a/x\n+++ b/x\n";
    for (body, line) in [
        ("@@ -1,2 +1,2 @@\n a\n", 5),
        ("@@ -1 +1 @@\nx\n", 5),
        ("@@ -1 +1 @@\n+a\n+b\n-a\n", 6),
        ("@@ -4294967295,2 +1 @@\n a\n", 4),
        ("@@ -0,1 +1 @@\n a\n", 4),
        ("@@ -1 +1 @@\n a\nrubbish\n", 6),
        ("@@ -a +1 @@\n", 4),
    ] {
        let error = Diff::parse(format!("{head}{body}").as_bytes()).unwrap_err();
        assert_eq!(error.line, line, "{body:?}: {error}");
    }
    let combined = "diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1,1 -1,1 +1,1 @@@\n";
    assert!(Diff::parse(combined.as_bytes()).unwrap_err().problem.contains("combined"));
    assert!(Diff::parse(b"diff --git a/x b/y\n").is_err());
    assert!(Diff::parse(b"diff --git \"a/\\400\" \"b/\\400\"\n").is_err());
    assert_eq!(Diff::parse(b"").unwrap(), Diff::default());
    assert_eq!(Diff::parse(b"no diff at all\n\xff\n").unwrap(), Diff::default());
}

#[test]
fn a_rendered_diff_reads_as_the_same_lines_and_names_what_it_leaves_out() {
    let diff = Diff::parse(PATCH.as_bytes()).unwrap();
    let text = diff.render(1_000_000);
    assert!(text.contains("+++ b/src/a.rs\n@@ -1,4 +1,5 @@ fn first()\n one\n-two\n"), "{text}");
    assert!(text.contains("\\ No newline at end of file"));
    let short = diff.render(100);
    assert!(short.contains("diff of src/a.rs left out: 2 lines added, 2 removed"), "{short}");
}

/// Two versions of a file as edits: a line is kept, removed or added.
fn edits() -> impl Strategy<Value = Vec<(u8, String)>> {
    prop::collection::vec((0_u8..3, "[a-z+@\\-\r ]{0,6}"), 1..40)
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..400)) {
        let _read = Diff::parse(&text);
    }

    #[test]
    fn no_damage_to_a_diff_makes_the_reader_panic(at in 0_usize..1200, byte in any::<u8>(), cut in 0_usize..1200) {
        let mut text = PATCH.as_bytes().to_vec();
        if let Some(place) = text.get_mut(at) {
            *place = byte;
        }
        text.truncate(cut);
        if let Ok(diff) = Diff::parse(&text) {
            for file in &diff.files {
                let _place = diff.comment_place(&file.path, u32::MAX);
            }
        }
    }

    #[test]
    fn each_line_keeps_the_numbers_it_has_in_its_files(edits in edits(), first in 1_u32..1000) {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        let mut body = String::new();
        for (kind, text) in &edits {
            let sign = match kind { 0 => ' ', 1 => '-', _ => '+' };
            if *kind != 2 { old.push(text); }
            if *kind != 1 { new.push(text); }
            body.extend([sign.to_string().as_str(), text, "\n"]);
        }
        let start = |lines: &[&String]| if lines.is_empty() { 0 } else { first };
        let patch = format!(
            "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -{},{} +{},{} @@\n{body}",
            start(&old), old.len(), start(&new), new.len()
        );
        let diff = Diff::parse(patch.as_bytes()).unwrap();
        let hunk = &diff.files[0].hunks[0];
        prop_assert_eq!(hunk.lines.len(), edits.len());
        for line in &hunk.lines {
            if let Some(number) = line.old {
                prop_assert_eq!(old[(number - first) as usize], &line.text);
            }
            if let Some(number) = line.new {
                prop_assert_eq!(new[(number - first) as usize], &line.text);
                prop_assert!(diff.comment_place("f", number).is_some());
            }
        }
        let past = first + u32::try_from(new.len()).unwrap();
        prop_assert!(diff.comment_place("f", past).is_none());
    }
}
