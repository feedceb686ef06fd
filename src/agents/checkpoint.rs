//! The files of a creator, as something that can be returned to.

use async_trait::async_trait;

/// Files that could not be kept or brought back. The task is tried again: to go on would do its last turn twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CheckpointError(pub String);

/// Remembers what the files of a task were between two turns. A turn that a crash cut off is then done on the files as
/// they were before it: an edit is not made twice, and a command does not meet its own half.
#[async_trait]
pub trait Checkpoint: Send + Sync {
    /// Names the files as they are now.
    async fn keep(&self) -> Result<String, CheckpointError>;

    /// Makes the files what they were when they got this name.
    async fn go_back(&self, name: &str) -> Result<(), CheckpointError>;
}

/// A git repository for who works in the files, apart from ours.
#[async_trait]
pub trait Repository: Send + Sync {
    /// Gives the files a fresh `.git` at the commit they started from, so that an agent's own git works there. It shares
    /// nothing with ours and is thrown away unread.
    async fn begin(&self) -> Result<(), CheckpointError>;
}
