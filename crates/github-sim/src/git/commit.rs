//! Reads and writes commits.

use super::command::{Git, GitError};

/// Who made a commit.
#[derive(Debug, Clone)]
pub(crate) struct Ident {
    pub(crate) name: String,
    pub(crate) email: String,
}

/// One commit as `git log` tells it.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) tree: String,
    pub(crate) parents: Vec<String>,
    pub(crate) author: Ident,
    pub(crate) authored_s: u64,
    pub(crate) committer: Ident,
    pub(crate) committed_s: u64,
    pub(crate) message: String,
}

/// A change of one file: its new content, or `None` to delete it.
pub(crate) type FileChange = (String, Option<Vec<u8>>);

const LOG_FORMAT: &str = "--format=%H%n%T%n%P%n%an%n%ae%n%at%n%cn%n%ce%n%ct%n%B";

fn parse(record: &str) -> Option<Commit> {
    let mut lines = record.splitn(10, '\n');
    let mut next = || lines.next().map(str::to_owned);
    Some(Commit {
        sha: next()?,
        tree: next()?,
        parents: next()?.split_whitespace().map(str::to_owned).collect(),
        author: Ident { name: next()?, email: next()? },
        authored_s: next()?.parse().ok()?,
        committer: Ident { name: next()?, email: next()? },
        committed_s: next()?.parse().ok()?,
        message: next().unwrap_or_default().trim_end().to_owned(),
    })
}

/// A path as `git fast-import` reads it.
fn quoted(path: &str) -> String {
    let escaped = path.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

impl Git {
    /// The commits of a range such as `a..b`, newest first, at most `limit`.
    pub(crate) fn log(&self, range: &[&str], limit: usize) -> Result<Vec<Commit>, GitError> {
        let limit = format!("--max-count={limit}");
        let mut arguments = vec!["log", "-z", LOG_FORMAT, &limit];
        arguments.extend_from_slice(range);
        arguments.push("--");
        let output = self.run_with(&arguments, &[], &[])?;
        Ok(String::from_utf8_lossy(&output).split('\0').filter_map(parse).collect())
    }

    /// One commit.
    pub(crate) fn commit(&self, sha: &str) -> Result<Commit, GitError> {
        self.log(&["--no-walk", sha], 1)?.pop().ok_or_else(|| self.error("log", &format!("no commit {sha}")))
    }

    /// Commits `changes` on top of `parent` without moving any branch; gives the new commit.
    pub(crate) fn commit_files(
        &self,
        parent: Option<&str>,
        changes: &[FileChange],
        author: &Ident,
        at_s: u64,
        message: &str,
    ) -> Result<String, GitError> {
        let Ident { name, email } = author;
        let mut stream = format!(
            "commit refs/sim/import\nmark :1\nauthor {name} <{email}> {at_s} +0000\n\
             committer {name} <{email}> {at_s} +0000\ndata {}\n{message}\n",
            message.len()
        )
        .into_bytes();
        match parent {
            Some(parent) => stream.extend_from_slice(format!("from {parent}\n").as_bytes()),
            None => stream.splice(0..0, *b"reset refs/sim/import\n\n").for_each(drop),
        }
        for (path, content) in changes {
            match content {
                Some(content) => {
                    let mode = if content.starts_with(b"#!") { "100755" } else { "100644" };
                    let header = format!("M {mode} inline {}\ndata {}\n", quoted(path), content.len());
                    stream.extend_from_slice(header.as_bytes());
                    stream.extend_from_slice(content);
                    stream.push(b'\n');
                }
                None => stream.extend_from_slice(format!("D {}\n", quoted(path)).as_bytes()),
            }
        }
        stream.extend_from_slice(b"\nget-mark :1\ndone\n");
        let output = self.run_with(&["fast-import", "--quiet", "--force", "--done"], &[], &stream)?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Makes a commit of an existing tree.
    pub(crate) fn commit_tree(
        &self,
        tree: &str,
        parents: &[&str],
        author: &Ident,
        at_s: u64,
        message: &str,
    ) -> Result<String, GitError> {
        let mut arguments = vec!["commit-tree", tree];
        for parent in parents {
            arguments.extend_from_slice(&["-p", parent]);
        }
        let date = format!("{at_s} +0000");
        let environment = [
            ("GIT_AUTHOR_NAME", author.name.clone()),
            ("GIT_AUTHOR_EMAIL", author.email.clone()),
            ("GIT_AUTHOR_DATE", date.clone()),
            ("GIT_COMMITTER_NAME", "GitHub".to_owned()),
            ("GIT_COMMITTER_EMAIL", "noreply@github.com".to_owned()),
            ("GIT_COMMITTER_DATE", date),
        ];
        let output = self.run_with(&arguments, &environment, message.as_bytes())?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }
}
