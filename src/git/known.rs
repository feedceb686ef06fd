//! What this process learnt of its mirrors and need not ask git again: which of them are usable, which commits they hold,
//! and how commits differ, which never changes. A call of git costs more than all that we compute around it, and the
//! reviewers and gates of one head ask the same.
//!
//! A mirror may be damaged at any time. Whatever git fails hard at is taken as a sign of that, and all is forgotten.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pairbot_protocol::ids::RepositoryId;

use super::{Diff, DiffLimits};

/// How many commits are remembered before all are forgotten.
const COMMITS_MAX: usize = 4_096;
/// How many comparisons are kept, the newest of them.
const DIFFS_MAX: usize = 16;
/// Lines of a diff that is kept; a larger one is made again when it is asked for.
const DIFF_LINES_MAX: usize = 20_000;

/// A question that always has the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) repository: RepositoryId,
    pub(super) from: String,
    pub(super) to: String,
    /// Compared with where the two parted, and not with `from` itself.
    pub(super) since_parting: bool,
    pub(super) limits: DiffLimits,
}

/// What is known now.
#[derive(Debug, Default)]
struct Facts {
    usable: BTreeSet<RepositoryId>,
    commits: BTreeSet<(RepositoryId, String)>,
    diffs: VecDeque<(Comparison, Arc<Diff>)>,
}

/// What is known of all mirrors.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Facts>);

impl Known {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is wrong somewhere: nothing is taken for granted any more.
    pub(super) fn forget(&self) {
        *self.facts() = Facts::default();
    }

    pub(super) fn is_usable(&self, repository: RepositoryId) -> bool {
        self.facts().usable.contains(&repository)
    }

    pub(super) fn found_usable(&self, repository: RepositoryId) {
        self.facts().usable.insert(repository);
    }

    pub(super) fn has_commit(&self, repository: RepositoryId, commit: &str) -> bool {
        self.facts().commits.contains(&(repository, commit.to_owned()))
    }

    pub(super) fn found_commit(&self, repository: RepositoryId, commit: &str) {
        let commits = &mut self.facts().commits;
        if commits.len() >= COMMITS_MAX {
            commits.clear();
        }
        commits.insert((repository, commit.to_owned()));
    }

    pub(super) fn diff(&self, comparison: &Comparison) -> Option<Arc<Diff>> {
        let facts = self.facts();
        facts.diffs.iter().find(|(known, _)| known == comparison).map(|(_, diff)| diff.clone())
    }

    pub(super) fn compared(&self, comparison: Comparison, diff: &Arc<Diff>) {
        let lines: usize = diff.files.iter().flat_map(|file| &file.hunks).map(|hunk| hunk.lines.len()).sum();
        if lines > DIFF_LINES_MAX {
            return;
        }
        let diffs = &mut self.facts().diffs;
        diffs.truncate(DIFFS_MAX - 1);
        diffs.push_front((comparison, diff.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::ChangedFile;
    use crate::git::{FileStatus, Hunk, HunkLine, LineKind};

    fn comparison(to: usize) -> Comparison {
        Comparison {
            repository: RepositoryId(1),
            from: "a".to_owned(),
            to: to.to_string(),
            since_parting: false,
            limits: DiffLimits::default(),
        }
    }

    fn of_lines(count: usize) -> Arc<Diff> {
        let line = HunkLine {
            kind: LineKind::Added,
            old: None,
            new: Some(1),
            text: String::new(),
            unterminated: false,
        };
        let hunk = Hunk {
            old_start: 0,
            old_lines: 0,
            new_start: 1,
            new_lines: 1,
            section: String::new(),
            lines: vec![line; count],
        };
        let file = ChangedFile {
            path: "a".to_owned(),
            old_path: None,
            status: FileStatus::Added,
            old_mode: None,
            new_mode: None,
            additions: 1,
            deletions: 0,
            binary: false,
            hunks: vec![hunk],
            omitted: false,
        };
        Arc::new(Diff { files: vec![file] })
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_at_the_first_doubt() {
        let known = Known::default();
        for to in 0..2 * DIFFS_MAX {
            known.compared(comparison(to), &of_lines(1));
        }
        known.compared(comparison(99), &of_lines(DIFF_LINES_MAX + 1));
        assert_eq!(known.facts().diffs.len(), DIFFS_MAX);
        assert!(known.diff(&comparison(2 * DIFFS_MAX - 1)).is_some(), "the newest is there");
        assert!(known.diff(&comparison(0)).is_none(), "the oldest is gone");
        assert!(known.diff(&comparison(99)).is_none(), "too large to keep");
        for commit in 0..=COMMITS_MAX {
            known.found_commit(RepositoryId(1), &commit.to_string());
        }
        assert!(known.facts().commits.len() <= COMMITS_MAX);
        known.found_usable(RepositoryId(1));
        known.forget();
        assert!(!known.is_usable(RepositoryId(1)));
        assert!(!known.has_commit(RepositoryId(1), "4096"));
        assert!(known.diff(&comparison(2 * DIFFS_MAX - 1)).is_none());
    }
}
