//! Pairbot's own git: what it reads, writes and pushes, never what an agent runs.
//!
//! One bare [`Mirror`] per repository, fetched into and never cloned anew; [`Worktree`]s beside it that agents
//! write to; commits made from those without ever running code that came with them.
//!
//! How it stays safe in trees that strangers wrote, in the order of the defence:
//! 1. Git's own directory and index lie outside the tree, and no `.git` in the tree is ever looked at: each call
//!    names both directories, and entries of that name are removed before git walks the tree.
//! 2. Git reads no configuration but the list in [`command`]: no hooks, filters, monitors, helpers, includes.
//! 3. Only plumbing that does one thing is used, one file per operation.
//! 4. The token exists in the environment of the one network call that needs it, never in an argument or a file.

mod branch;
mod checkpoint;
mod command;
mod commit;
mod diff;
mod error;
mod history;
mod known;
mod merge_tree;
mod mirror;
mod object_id;
mod objects;
mod push;
mod remote;
mod settings;
mod tree_files;
mod worktree;

pub use branch::BranchName;
pub use commit::{CommitRequest, Identity, Staged, Symlink};
pub use diff::{
    ChangedFile, CommentPlace, Diff, DiffLimits, FileMode, FileStatus, Hunk, HunkLine, LineKind,
    MalformedDiff, Side,
};
pub use error::{GitError, PushRefusal};
pub use merge_tree::MergeResult;
pub use mirror::Mirror;
pub use object_id::{Commitish, Treeish};
pub use objects::{Blob, EntryKind, TreeEntry};
pub use push::Pushed;
pub use remote::{MalformedRemote, Remote};
pub use settings::{Git, GitSettings};
pub use worktree::{Opened, Swept, Worktree, WorktreeName};

#[cfg(test)]
mod tests;
