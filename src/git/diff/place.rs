//! Where GitHub accepts a review comment.
//!
//! One comment outside the diff costs the whole review, so a place is looked up here before it is sent. GitHub takes
//! any line of a hunk, the lines of context included; of several lines all must lie in one hunk on one side.

use super::{ChangedFile, CommentPlace, Diff, FileStatus, Hunk, Side};

impl Diff {
    /// The changed file at a path; a renamed one is found by its new path.
    pub fn file(&self, path: &str) -> Option<&ChangedFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The place of a line as a reader of the new version numbers it; of a deleted file, as it was. `None` if
    /// GitHub would refuse a comment there.
    pub fn comment_place(&self, path: &str, line: u32) -> Option<CommentPlace> {
        let file = self.file(path)?;
        let side = if file.status == FileStatus::Deleted { Side::Left } else { Side::Right };
        file.comment_place(side, line)
    }

    /// The place of a range of lines, both ends included; `None` if it is empty or leaves its hunk.
    pub fn comment_range(&self, path: &str, first: u32, last: u32) -> Option<CommentPlace> {
        let (start, end) = (self.comment_place(path, first)?, self.comment_place(path, last)?);
        (first <= last && start == end).then_some(end)
    }
}

impl ChangedFile {
    /// The place of a line counted on a side, `None` if it is in no hunk.
    pub fn comment_place(&self, side: Side, line: u32) -> Option<CommentPlace> {
        let hunk = self.hunks.iter().position(|hunk| hunk.holds(side, line))?;
        Some(CommentPlace { side, hunk })
    }
}

impl Hunk {
    /// Whether a line counted on a side lies in this hunk.
    pub fn holds(&self, side: Side, line: u32) -> bool {
        let (start, lines) = match side {
            Side::Left => (self.old_start, self.old_lines),
            Side::Right => (self.new_start, self.new_lines),
        };
        line >= start && line - start < lines
    }
}
