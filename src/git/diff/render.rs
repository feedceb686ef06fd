//! A diff as text, for those who read it as a whole.

use std::fmt::Write as _;

use super::{ChangedFile, Diff, Hunk, LineKind};

impl Diff {
    /// Unified text of at most about `bytes_max` bytes. A file that does not fit is named with its counts instead, so
    /// a reader knows what is missing.
    pub fn render(&self, bytes_max: usize) -> String {
        let mut text = String::new();
        for file in &self.files {
            let rendered = file.render();
            if file.omitted || text.len() + rendered.len() > bytes_max {
                // Writing to a string does not fail.
                let _written = writeln!(
                    text,
                    "diff of {} left out: {} lines added, {} removed",
                    file.path, file.additions, file.deletions
                );
            } else {
                text.push_str(&rendered);
            }
        }
        text
    }
}

impl ChangedFile {
    /// Unified text of this file.
    pub fn render(&self) -> String {
        let old_path = self.old_path.as_deref().unwrap_or(&self.path);
        let old = self.old_mode.map_or_else(|| "/dev/null".to_owned(), |_| format!("a/{old_path}"));
        let new = self.new_mode.map_or_else(|| "/dev/null".to_owned(), |_| format!("b/{}", self.path));
        let mut text = format!("--- {old}\n+++ {new}\n");
        if self.old_mode != self.new_mode && self.old_mode.is_some() && self.new_mode.is_some() {
            let _written = writeln!(text, "# was {:?}, is {:?}", self.old_mode, self.new_mode);
        }
        if self.binary {
            text.push_str("# binary or too large to show\n");
        }
        for hunk in &self.hunks {
            hunk.render(&mut text);
        }
        text
    }
}

impl Hunk {
    fn render(&self, text: &mut String) {
        let section = if self.section.is_empty() { String::new() } else { format!(" {}", self.section) };
        let Self { old_start, old_lines, new_start, new_lines, .. } = self;
        let _written = writeln!(text, "@@ -{old_start},{old_lines} +{new_start},{new_lines} @@{section}");
        for line in &self.lines {
            text.push(match line.kind {
                LineKind::Context => ' ',
                LineKind::Added => '+',
                LineKind::Removed => '-',
            });
            text.push_str(&line.text);
            text.push('\n');
            if line.unterminated {
                text.push_str("\\ No newline at end of file\n");
            }
        }
    }
}
