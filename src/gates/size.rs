//! `size`: the change is small enough to be read.

use pairbot_protocol::signal::{GateReport, Verdict};

use super::{ChangedFile, and_more, report};
use crate::text::{counted, untrusted};

/// How many of the largest files are named.
const NAMED_MAX: usize = 10;

/// Holds a change against its limits. `lines_max` is for lines added and removed together.
pub fn examine(files: &[ChangedFile], files_max: u32, lines_max: u32) -> GateReport {
    let lines = files.iter().map(|file| u64::from(file.lines())).sum::<u64>();
    let files_over = files.len() > usize::try_from(files_max).unwrap_or(usize::MAX);
    let lines_over = lines > u64::from(lines_max);
    let uncounted = match files.iter().filter(|file| file.binary).count() {
        0 => String::new(),
        count => format!(" and {} without lines to count", counted(count, "file")),
    };
    let size = format!("{}, {lines} changed lines{uncounted}", counted(files.len(), "file"));
    let limits = format!("{files_max} files and {lines_max} lines");
    let (verdict, title) = if files_over || lines_over {
        (Verdict::Red, format!("{size}: more than {limits}"))
    } else {
        (Verdict::Green, format!("{size}: within {limits}"))
    };
    let mut summary = format!(
        "| | changed | limit |\n|---|---:|---:|\n| files | {} | {files_max} |\n| lines | {lines} | {lines_max} |\n",
        files.len()
    );
    if verdict == Verdict::Red {
        summary.push_str(
            "\nA change of this size is hard to review well. Split it, or leave out what the issue does not ask \
             for.\n",
        );
    }
    summary.push_str(&largest(files));
    report(verdict, title, summary)
}

fn largest(files: &[ChangedFile]) -> String {
    let mut sorted: Vec<&ChangedFile> = files.iter().collect();
    sorted.sort_by(|one, other| other.lines().cmp(&one.lines()).then_with(|| one.path.cmp(&other.path)));
    let item = |file: &&ChangedFile| {
        let path = untrusted::code(&file.path, 200);
        if file.binary {
            format!("\n- {path} binary")
        } else {
            format!("\n- {path} +{} −{}", file.additions, file.deletions)
        }
    };
    let named: Vec<String> = sorted.iter().take(NAMED_MAX).map(item).collect();
    named.concat() + &and_more(sorted.len(), NAMED_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, additions: u32, deletions: u32) -> ChangedFile {
        ChangedFile { path: path.to_owned(), old_path: None, additions, deletions, binary: false }
    }

    #[test]
    fn a_change_at_its_limits_is_green_and_one_beyond_either_is_red() {
        let files = [file("a", 6, 4), file("b", 10, 0)];
        assert_eq!(examine(&files, 2, 20).verdict, Verdict::Green);
        assert_eq!(examine(&files, 1, 20).verdict, Verdict::Red);
        assert_eq!(examine(&files, 2, 19).verdict, Verdict::Red);
        assert_eq!(examine(&files, 2, 19).title, "2 files, 20 changed lines: more than 2 files and 19 lines");
    }

    #[test]
    fn a_file_whose_lines_cannot_be_counted_is_told_in_the_title() {
        let files = [file("a", 6, 4), ChangedFile { binary: true, ..file("b.png", 0, 0) }];
        let title =
            "2 files, 10 changed lines and 1 file without lines to count: within 40 files and 1500 lines";
        assert_eq!(examine(&files, 40, 1500).title, title);
    }

    #[test]
    fn counts_do_not_wrap_around() {
        let files = [file("a", u32::MAX, u32::MAX), file("b", u32::MAX, 0)];
        assert_eq!(examine(&files, 40, 1500).verdict, Verdict::Red);
    }

    #[test]
    fn the_largest_files_are_named_first_and_not_all_of_them() {
        let files: Vec<_> = (0..30).map(|index| file(&format!("f{index}"), index, 0)).collect();
        let summary = examine(&files, 40, 1500).summary;
        assert!(summary.contains("- `f29` +29 −0\n- `f28`"), "{summary}");
        assert!(summary.contains("- and 20 more"), "{summary}");
    }
}
