//! Places in a change, as a reviewer names them: lines of the new side.

use crate::conversation::Conversation;

/// The line of the new side of the diff in the first message at which `path` has an added line that contains
/// `needle`. Where the message shows no such line, the last reading of the file is searched: lines that begin
/// with their number.
pub(crate) fn added_line(conversation: &Conversation, path: &str, needle: &str) -> Option<u32> {
    in_diff(conversation.first_text(), path, needle).or_else(|| in_reading(conversation, path, needle))
}

fn in_diff(text: &str, path: &str, needle: &str) -> Option<u32> {
    let mut current = "";
    let mut place: Option<Hunk> = None;
    for line in text.lines() {
        if let Some(hunk) = &mut place {
            if let Some(number) = hunk.take(line)
                && current == path
                && line.contains(needle)
            {
                return Some(number);
            }
            if hunk.is_over() {
                place = None;
            }
        } else if let Some(file) = line.strip_prefix("+++ ") {
            current = file.strip_prefix("b/").unwrap_or(file).trim_end();
        } else {
            place = Hunk::open(line);
        }
    }
    None
}

/// Where a walk through a hunk is.
struct Hunk {
    line: u32,
    old_left: u32,
    new_left: u32,
}

impl Hunk {
    /// Reads `@@ -a,b +c,d @@`.
    fn open(line: &str) -> Option<Self> {
        let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
        let (new, _) = rest.split_once(" @@")?;
        let (_, old_left) = range(old)?;
        let (line, new_left) = range(new)?;
        Some(Self { line, old_left, new_left })
    }

    /// Steps over one line; an added one gives its number.
    fn take(&mut self, line: &str) -> Option<u32> {
        match line.as_bytes().first() {
            Some(b'+') => {
                let number = self.line;
                self.line = number.saturating_add(1);
                self.new_left = self.new_left.saturating_sub(1);
                Some(number)
            }
            Some(b'-') => {
                self.old_left = self.old_left.saturating_sub(1);
                None
            }
            Some(b'\\') => None,
            // A space, or nothing where something on the way dropped the space of an empty line.
            _ => {
                self.line = self.line.saturating_add(1);
                self.old_left = self.old_left.saturating_sub(1);
                self.new_left = self.new_left.saturating_sub(1);
                None
            }
        }
    }

    fn is_over(&self) -> bool {
        self.old_left == 0 && self.new_left == 0
    }
}

/// `start` or `start,count`.
fn range(text: &str) -> Option<(u32, u32)> {
    let (start, count) = text.split_once(',').unwrap_or((text, "1"));
    Some((start.parse().ok()?, count.parse().ok()?))
}

fn in_reading(conversation: &Conversation, path: &str, needle: &str) -> Option<u32> {
    let line = conversation.read_result(path)?.lines().find(|line| line.contains(needle))?;
    let digits = line.trim_start().split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "````diff\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -3,3 +3,4 @@ fn\n a\n-++ b\n+new one\n+new two\n c\n\
        @@ -20 +21 @@\n-old\n+new two\ndiff --git a/y b/y\n--- /dev/null\n+++ b/y\n@@ -0,0 +1,2 @@\n+p\n+new two\n````\n";

    #[test]
    fn a_line_is_found_in_its_file_and_hunk() {
        assert_eq!(in_diff(DIFF, "x", "new two"), Some(5));
        assert_eq!(in_diff(DIFF, "y", "new two"), Some(2));
        assert_eq!(in_diff(DIFF, "x", "old"), None);
        assert_eq!(in_diff("@@ -1,x +2 @@\n+++ b/x\n+new", "x", "new"), None);
    }
}
