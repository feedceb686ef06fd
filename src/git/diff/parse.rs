//! Reads unified diffs as git writes them. Any bytes are taken; what is not such a diff is an error with its line.

use std::borrow::Cow;

use super::raw::mode;
use super::{ChangedFile, Diff, FileStatus, Hunk, HunkLine, LineKind, MalformedDiff};

impl Diff {
    /// Reads the text of `git diff`. What stands before the first file is skipped. Combined diffs (of a merge with
    /// several parents) are refused: their lines have no single old number.
    pub fn parse(text: &[u8]) -> Result<Self, MalformedDiff> {
        let mut reader = Reader { lines: text.split_inclusive(|byte| *byte == b'\n').collect(), position: 0 };
        let mut files = Vec::new();
        while let Some(line) = reader.next() {
            if line.starts_with(b"diff --cc ")
                || line.starts_with(b"diff --combined ")
                || line.starts_with(b"@@@ ")
            {
                return Err(reader.malformed("belongs to a combined diff"));
            }
            if let Some(names) = line.strip_prefix(b"diff --git ") {
                files.push(reader.file(names)?);
            } else if !files.is_empty() {
                return Err(reader.malformed("is neither part of a hunk nor a new file"));
            }
        }
        Ok(Self { files })
    }
}

struct Reader<'a> {
    lines: Vec<&'a [u8]>,
    position: usize,
}

/// What the lines above the hunks say.
#[derive(Default)]
struct Header {
    old: Option<String>,
    new: Option<String>,
    renamed: bool,
}

impl<'a> Reader<'a> {
    /// The next line without its line feed.
    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.peek()?;
        self.position += 1;
        Some(line)
    }

    fn peek(&self) -> Option<&'a [u8]> {
        let line = self.lines.get(self.position)?;
        Some(line.strip_suffix(b"\n").unwrap_or(line))
    }

    /// An error at the line that was read last.
    fn malformed(&self, problem: &'static str) -> MalformedDiff {
        MalformedDiff { line: self.position.max(1), problem }
    }

    fn file(&mut self, names: &[u8]) -> Result<ChangedFile, MalformedDiff> {
        let mut file = ChangedFile::empty(FileStatus::Modified);
        let mut header = Header::default();
        while let Some(line) = self.peek() {
            if line.starts_with(b"@@ ") || line.starts_with(b"diff --") {
                break;
            }
            self.position += 1;
            self.header_line(line, &mut header, &mut file)?;
        }
        self.name(names, header, &mut file)?;
        while self.peek().is_some_and(|line| line.starts_with(b"@@ ")) {
            let hunk = self.hunk()?;
            for line in &hunk.lines {
                match line.kind {
                    LineKind::Added => file.additions += 1,
                    LineKind::Removed => file.deletions += 1,
                    LineKind::Context => {}
                }
            }
            file.hunks.push(hunk);
        }
        Ok(file)
    }

    fn header_line(
        &mut self,
        line: &[u8],
        header: &mut Header,
        file: &mut ChangedFile,
    ) -> Result<(), MalformedDiff> {
        let text = String::from_utf8_lossy(line);
        let (first, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match (first, rest) {
            ("---", name) => header.old = self.side(name, "a/")?,
            ("+++", name) => header.new = self.side(name, "b/")?,
            ("rename" | "copy", name) => {
                header.renamed = first == "rename";
                match name.split_once(' ') {
                    Some(("from", name)) => header.old = Some(self.unquoted(name)?),
                    Some(("to", name)) => header.new = Some(self.unquoted(name)?),
                    _ => return Err(self.malformed("names no side of a rename")),
                }
            }
            ("old", bits) => file.old_mode = bits.strip_prefix("mode ").and_then(mode),
            ("new", bits) if bits.starts_with("mode ") => {
                file.new_mode = bits.strip_prefix("mode ").and_then(mode);
            }
            ("new", bits) => {
                file.status = FileStatus::Added;
                file.old_mode = None;
                file.new_mode = bits.strip_prefix("file mode ").and_then(mode);
            }
            ("deleted", bits) => {
                file.status = FileStatus::Deleted;
                file.old_mode = bits.strip_prefix("file mode ").and_then(mode);
                file.new_mode = None;
            }
            ("Binary", _) => file.binary = true,
            ("GIT", "binary patch") => {
                file.binary = true;
                while self.peek().is_some_and(|line| !line.starts_with(b"diff --")) {
                    self.position += 1;
                }
            }
            ("index" | "similarity" | "dissimilarity", _) => {}
            _ => return Err(self.malformed("is not part of a file's header")),
        }
        Ok(())
    }

    /// Settles the paths of a file from its header, or from its first line where the header names none.
    fn name(&self, names: &[u8], header: Header, file: &mut ChangedFile) -> Result<(), MalformedDiff> {
        let (old, new) = match (header.old, header.new) {
            (None, None) => {
                let both = self.same_name(&String::from_utf8_lossy(names))?;
                (Some(both.clone()), Some(both))
            }
            sides => sides,
        };
        if header.renamed {
            file.status = FileStatus::Renamed;
            file.old_path.clone_from(&old);
        }
        file.path = new.or(old).unwrap_or_default();
        if file.path.is_empty() {
            return Err(self.malformed("ends a header that names no file"));
        }
        Ok(())
    }

    /// A path behind `---` or `+++`; `None` for the side that is not there.
    fn side(&self, name: &str, prefix: &str) -> Result<Option<String>, MalformedDiff> {
        // Git ends a name that holds a space with a tab; a tab of the name itself is always quoted.
        let name = name.strip_suffix('\t').unwrap_or(name);
        if name == "/dev/null" {
            return Ok(None);
        }
        let name = self.unquoted(name)?;
        let path =
            name.strip_prefix(prefix).ok_or_else(|| self.malformed("names a file without its side"))?;
        Ok(Some(path.to_owned()))
    }

    /// The path in `a/<path> b/<path>`, for files whose header names no path again: both are the same then.
    fn same_name(&self, names: &str) -> Result<String, MalformedDiff> {
        let malformed = || self.malformed("ends a header that names no file");
        let (old, new) = if names.starts_with('"') {
            let middle = names.find("\" ").ok_or_else(malformed)?;
            (names.get(..=middle).ok_or_else(malformed)?, names.get(middle + 2..).ok_or_else(malformed)?)
        } else {
            let middle = names.len() / 2;
            (names.get(..middle).ok_or_else(malformed)?, names.get(middle + 1..).ok_or_else(malformed)?)
        };
        let (old, new) = (self.unquoted(old)?, self.unquoted(new)?);
        match (old.strip_prefix("a/"), new.strip_prefix("b/")) {
            (Some(old), Some(new)) if old == new => Ok(new.to_owned()),
            _ => Err(malformed()),
        }
    }

    /// A path that git may have quoted as C does.
    fn unquoted(&self, name: &str) -> Result<String, MalformedDiff> {
        let Some(quoted) = name.strip_prefix('"') else { return Ok(name.to_owned()) };
        let quoted = quoted.strip_suffix('"').ok_or_else(|| self.malformed("leaves a quote open"))?;
        unquote(quoted).ok_or_else(|| self.malformed("holds an escape that git does not write"))
    }

    fn hunk(&mut self) -> Result<Hunk, MalformedDiff> {
        let header = self.next().map(String::from_utf8_lossy).unwrap_or_default();
        let mut hunk = hunk_header(&header).ok_or_else(|| self.malformed("is not a hunk's header"))?;
        let (mut old, mut new) = (hunk.old_start, hunk.new_start);
        let (old_end, new_end) = (hunk.old_start + hunk.old_lines, hunk.new_start + hunk.new_lines);
        while old < old_end || new < new_end {
            let line = self.next().ok_or_else(|| self.malformed("ends inside a hunk"))?;
            let (kind, text) = match line.split_first() {
                Some((b'+', text)) => (LineKind::Added, text),
                Some((b'-', text)) => (LineKind::Removed, text),
                Some((b' ', text)) => (LineKind::Context, text),
                // Editors and mailers take the one space of an empty line away.
                None => (LineKind::Context, line),
                Some((b'\\', _)) => {
                    hunk.end_unterminated();
                    continue;
                }
                Some(_) => return Err(self.malformed("is not a line of a hunk")),
            };
            let on_old = kind != LineKind::Added;
            let on_new = kind != LineKind::Removed;
            if (on_old && old >= old_end) || (on_new && new >= new_end) {
                return Err(self.malformed("is more than its hunk announced"));
            }
            let text = String::from_utf8_lossy(text).into_owned();
            let (old_number, new_number) = (on_old.then_some(old), on_new.then_some(new));
            hunk.lines.push(HunkLine { kind, old: old_number, new: new_number, text, unterminated: false });
            old += u32::from(on_old);
            new += u32::from(on_new);
        }
        if self.peek().is_some_and(|line| line.starts_with(b"\\")) {
            self.position += 1;
            hunk.end_unterminated();
        }
        Ok(hunk)
    }
}

impl Hunk {
    fn end_unterminated(&mut self) {
        if let Some(last) = self.lines.last_mut() {
            last.unterminated = true;
        }
    }
}

/// Reads `@@ -<start>[,<lines>] +<start>[,<lines>] @@ <section>`.
fn hunk_header(line: &str) -> Option<Hunk> {
    let (ranges, section) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| -> Option<(u32, u32)> {
        let (start, lines) = text.split_once(',').unwrap_or((text, "1"));
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(start) || !all_digits(lines) {
            return None;
        }
        let (start, lines) = (start.parse::<u32>().ok()?, lines.parse::<u32>().ok()?);
        // Lines are counted from 1; only an empty side may start at 0.
        (start.checked_add(lines).is_some() && (start > 0 || lines == 0)).then_some((start, lines))
    };
    let ((old_start, old_lines), (new_start, new_lines)) = (range(old)?, range(new)?);
    let section = section.strip_prefix(' ').unwrap_or(section).to_owned();
    Some(Hunk { old_start, old_lines, new_start, new_lines, section, lines: Vec::new() })
}

/// Undoes git's quoting of paths: C escapes, and octal for bytes beyond ASCII.
fn unquote(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            same @ (b'"' | b'\\') => same,
            high @ b'0'..=b'3' => {
                let digits = [high, rest.next()?, rest.next()?].map(char::from);
                let octal: String = digits.into_iter().collect();
                u8::from_str_radix(&octal, 8).ok()?
            }
            _ => return None,
        });
    }
    let text: Cow<'_, str> = String::from_utf8_lossy(&bytes);
    Some(text.into_owned())
}
