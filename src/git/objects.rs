//! Files as git keeps them: read without a tree on disk, so no link can lead elsewhere.

use super::command::LISTING_BYTES_MAX;
use super::{GitError, Mirror, Treeish};

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A link; its content is its target.
    Symlink,
    /// A commit of another repository.
    Submodule,
    /// A directory.
    Directory,
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// From the root of the tree, with `/`. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// The size in bytes; 0 for a submodule and a directory.
    pub bytes: u64,
    id: String,
}

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// A file, an executable or a link.
    pub kind: EntryKind,
    /// Its content, unchanged.
    pub bytes: Vec<u8>,
}

impl Mirror {
    /// The content of a file of a commit or tree; `None` if there is no such path or if it is no file.
    ///
    /// [`GitError::TooLarge`] if it is longer than `bytes_max`; then it is not read.
    pub async fn read_blob(
        &self,
        at: &impl Treeish,
        path: &str,
        bytes_max: usize,
    ) -> Result<Option<Blob>, GitError> {
        let listing = self.listing(at, &[], Some(path)).await?;
        let Some(entry) = listing.into_iter().find(|entry| entry.path == path) else { return Ok(None) };
        match entry.kind {
            EntryKind::File | EntryKind::Executable | EntryKind::Symlink => {}
            EntryKind::Submodule | EntryKind::Directory => return Ok(None),
        }
        if usize::try_from(entry.bytes).map_or(true, |bytes| bytes > bytes_max) {
            return Err(GitError::TooLarge { what: format!("`{path}`"), bytes_max });
        }
        let call = self.call("cat-file")?.args(["blob", &entry.id]);
        let bytes = call.output_bytes_max(bytes_max.saturating_add(1)).output().await?;
        Ok(Some(Blob { kind: entry.kind, bytes }))
    }

    /// Every file of a commit or tree, in git's order.
    pub async fn list_tree(&self, at: &impl Treeish) -> Result<Vec<TreeEntry>, GitError> {
        self.listing(at, &["-r"], None).await
    }

    /// The tree of a commit.
    pub async fn tree_of(&self, at: &impl Treeish) -> Result<pairbot_protocol::ids::TreeSha, GitError> {
        let name = format!("{at}^{{tree}}");
        let text = self.call("rev-parse")?.args(["--verify", "--end-of-options", &name]).text().await?;
        super::commit::parsed("rev-parse", &text)
    }

    async fn listing(
        &self,
        at: &impl Treeish,
        options: &[&str],
        path: Option<&str>,
    ) -> Result<Vec<TreeEntry>, GitError> {
        let call = self.call("ls-tree")?.args(["-z", "--long", "--full-tree"]).args(options.iter().copied());
        let call = call.args([Treeish::as_str(at), "--"]).args(path);
        let output = call.output_bytes_max(LISTING_BYTES_MAX).output().await?;
        let lines = output.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        lines.map(entry).collect::<Option<_>>().ok_or_else(|| GitError::Failed {
            operation: "ls-tree",
            message: "a line is not `<mode> <type> <id> <size><tab><path>`".to_owned(),
        })
    }
}

/// Reads `<mode> <type> <id> <size><tab><path>`.
fn entry(line: &[u8]) -> Option<TreeEntry> {
    let line = String::from_utf8_lossy(line);
    let (facts, path) = line.split_once('\t')?;
    let mut facts = facts.split_ascii_whitespace();
    let (mode, _type, id, size) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
    let kind = match mode {
        "100755" => EntryKind::Executable,
        "120000" => EntryKind::Symlink,
        "160000" => EntryKind::Submodule,
        "040000" => EntryKind::Directory,
        // 100644, and the 100664 of very old commits.
        _ => EntryKind::File,
    };
    let bytes = if size == "-" { 0 } else { size.parse().ok()? };
    Some(TreeEntry { path: path.to_owned(), kind, bytes, id: id.to_owned() })
}
