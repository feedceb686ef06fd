//! The difference of two commits, file by file, and which of its lines may carry a review comment.

use super::command::{Git, GitError};

/// The side of a diff that a line is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The file before.
    Left,
    /// The file after.
    Right,
}

impl Side {
    /// As GitHub writes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Left => "LEFT",
            Self::Right => "RIGHT",
        }
    }
}

/// One line of a hunk.
#[derive(Debug, Clone)]
pub(crate) struct DiffLine {
    /// Number in the file before; `None` for an added line.
    pub(crate) left: Option<u64>,
    /// Number in the file after; `None` for a removed line.
    pub(crate) right: Option<u64>,
    /// Lines below the file's first hunk header, GitHub's older way to name a place.
    pub(crate) position: u64,
    /// With its leading `+`, `-` or space.
    pub(crate) text: String,
}

/// A run of changed lines with their surroundings.
#[derive(Debug, Clone)]
pub(crate) struct Hunk {
    pub(crate) header: String,
    pub(crate) lines: Vec<DiffLine>,
}

/// What happened to one file.
#[derive(Debug, Clone)]
pub(crate) struct FileDiff {
    pub(crate) path: String,
    pub(crate) previous_path: Option<String>,
    /// `added`, `removed`, `modified`, `renamed`, `copied` or `changed`.
    pub(crate) status: &'static str,
    pub(crate) sha: String,
    pub(crate) additions: u64,
    pub(crate) deletions: u64,
    /// The hunks as text, `None` for binary files and pure renames.
    pub(crate) patch: Option<String>,
    pub(crate) hunks: Vec<Hunk>,
}

impl FileDiff {
    /// The hunk and line that show `line` of `side`, if the diff shows it at all.
    pub(crate) fn find(&self, side: Side, line: u64) -> Option<(usize, &DiffLine)> {
        self.hunks.iter().enumerate().find_map(|(index, hunk)| {
            hunk.lines.iter().find(|at| at.number(side) == Some(line)).map(|at| (index, at))
        })
    }

    /// The line at GitHub's older `position`.
    pub(crate) fn at_position(&self, position: u64) -> Option<(Side, u64)> {
        let line = self.hunks.iter().flat_map(|hunk| &hunk.lines).find(|line| line.position == position)?;
        line.right.map(|right| (Side::Right, right)).or(line.left.map(|left| (Side::Left, left)))
    }

    /// The hunk's text down to `line`, as GitHub stores it with a comment.
    pub(crate) fn hunk_above(&self, side: Side, line: u64) -> String {
        let Some((index, _)) = self.find(side, line) else { return String::new() };
        let Some(hunk) = self.hunks.get(index) else { return String::new() };
        let mut text = hunk.header.clone();
        for shown in &hunk.lines {
            text.push('\n');
            text.push_str(&shown.text);
            if shown.number(side) == Some(line) {
                break;
            }
        }
        text
    }
}

impl DiffLine {
    pub(crate) fn number(&self, side: Side) -> Option<u64> {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }
}

/// Reads the two starts of `@@ -1,2 +3,4 @@`.
fn starts(header: &str) -> Option<(u64, u64)> {
    let mut words = header.split_whitespace().skip(1);
    let mut start =
        |sign: char| -> Option<u64> { words.next()?.strip_prefix(sign)?.split(',').next()?.parse().ok() };
    Some((start('-')?, start('+')?))
}

/// Reads the hunks of one file's patch.
fn hunks(patch: &str) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let (mut left, mut right, mut position) = (0, 0, 0);
    for text in patch.lines() {
        if text.starts_with("@@") {
            let Some(found) = starts(text) else { continue };
            (left, right) = found;
            if !hunks.is_empty() {
                position += 1;
            }
            hunks.push(Hunk { header: text.to_owned(), lines: Vec::new() });
            continue;
        }
        let Some(hunk) = hunks.last_mut() else { continue };
        position += 1;
        let (has_left, has_right) = match text.chars().next() {
            Some('+') => (false, true),
            Some('-') => (true, false),
            Some(' ') | None => (true, true),
            // "\ No newline at end of file" takes a position but is no line.
            Some(_) => (false, false),
        };
        hunk.lines.push(DiffLine {
            left: has_left.then_some(left),
            right: has_right.then_some(right),
            position,
            text: text.to_owned(),
        });
        left += u64::from(has_left);
        right += u64::from(has_right);
    }
    hunks
}

fn status(letter: &str) -> &'static str {
    match letter.chars().next() {
        Some('A') => "added",
        Some('D') => "removed",
        Some('R') => "renamed",
        Some('C') => "copied",
        Some('T') => "changed",
        _ => "modified",
    }
}

/// The hunk part of each `diff --git` section, in order.
fn sections(text: &str) -> Vec<Option<String>> {
    let mut sections: Vec<Option<String>> = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("diff --git ") {
            sections.push(None);
        } else if let Some(section) = sections.last_mut() {
            match section {
                Some(patch) => patch.push_str(line),
                None if line.starts_with("@@") => *section = Some(line.to_owned()),
                None => {}
            }
        }
    }
    sections
}

impl Git {
    /// What changed from `from` to `to`, renames found.
    pub(crate) fn diff(&self, from: &str, to: &str) -> Result<Vec<FileDiff>, GitError> {
        let raw = self.run_with(&["diff", "-z", "--raw", "--no-abbrev", "-M", from, to, "--"], &[], &[])?;
        let raw = String::from_utf8_lossy(&raw).into_owned();
        let patch =
            self.run_with(&["diff", "--no-color", "--no-ext-diff", "-U3", "-M", from, to, "--"], &[], &[])?;
        let mut patches = sections(&String::from_utf8_lossy(&patch)).into_iter();
        let mut fields = raw.split('\0');
        let mut files = Vec::new();
        while let Some(record) = fields.next().filter(|record| !record.is_empty()) {
            let words: Vec<&str> = record.split_whitespace().collect();
            let [_, _, before, after, letter] = words.as_slice() else { break };
            let status = status(letter);
            let first = fields.next().unwrap_or_default().to_owned();
            let moved = status == "renamed" || status == "copied";
            let second = if moved { fields.next().map(str::to_owned) } else { None };
            let (path, previous_path) = match second {
                Some(path) => (path, Some(first)),
                None => (first, None),
            };
            let patch = patches.next().flatten().map(|patch| patch.trim_end_matches('\n').to_owned());
            let hunks = patch.as_deref().map(hunks).unwrap_or_default();
            let count = |wanted: fn(&DiffLine) -> bool| {
                hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| wanted(line)).count() as u64
            };
            files.push(FileDiff {
                path,
                previous_path,
                status,
                sha: (if status == "removed" { before } else { after }).to_string(),
                additions: count(|line| line.left.is_none() && line.right.is_some()),
                deletions: count(|line| line.right.is_none() && line.left.is_some()),
                patch,
                hunks,
            });
        }
        Ok(files)
    }

    /// What `head` changed since it left `base`: the diff that a pull request shows.
    pub(crate) fn pull_diff(&self, base: &str, head: &str) -> Result<Vec<FileDiff>, GitError> {
        let from = self.merge_base(base, head).unwrap_or_else(|| base.to_owned());
        self.diff(&from, head)
    }

    /// Where line `line` of `path` in `from` is in `to`; `None` if it was changed or removed.
    pub(crate) fn follow_line(
        &self,
        from: &str,
        to: &str,
        path: &str,
        line: u64,
    ) -> Result<Option<u64>, GitError> {
        if from == to {
            return Ok(Some(line));
        }
        let patch = self.run_with(
            &["--literal-pathspecs", "diff", "--no-color", "--no-ext-diff", "-U0", from, to, "--", path],
            &[],
            &[],
        )?;
        let (mut added, mut removed) = (0, 0);
        for hunk in
            sections(&String::from_utf8_lossy(&patch)).into_iter().flatten().flat_map(|text| hunks(&text))
        {
            let lefts: Vec<u64> = hunk.lines.iter().filter_map(|line| line.left).collect();
            let rights = hunk.lines.iter().filter(|line| line.right.is_some()).count() as u64;
            // A hunk without removed lines names the line after which it inserts.
            let begins = lefts.first().copied().or_else(|| starts(&hunk.header).map(|(left, _)| left + 1));
            if begins.is_none_or(|begins| begins > line) {
                break;
            }
            if lefts.contains(&line) {
                return Ok(None);
            }
            added += rights;
            removed += lefts.len() as u64;
        }
        Ok((line + added).checked_sub(removed))
    }
}
