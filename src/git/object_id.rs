//! What an operation accepts where head and base play the same part, in git's own words.

use std::fmt;
use std::str::FromStr;

use pairbot_protocol::ids::{BaseSha, HeadSha, MalformedId, TreeSha};

/// An object that names a tree: a tree, or a commit that holds one.
pub trait Treeish: fmt::Display + Sync {
    /// The full lower-case hex digits.
    fn as_str(&self) -> &str;
}

/// A commit, as head or as base.
pub trait Commitish: Treeish + FromStr<Err = MalformedId> + Send {}

impl Treeish for HeadSha {
    fn as_str(&self) -> &str {
        Self::as_str(self)
    }
}

impl Treeish for BaseSha {
    fn as_str(&self) -> &str {
        Self::as_str(self)
    }
}

impl Treeish for TreeSha {
    fn as_str(&self) -> &str {
        Self::as_str(self)
    }
}

impl Commitish for HeadSha {}
impl Commitish for BaseSha {}
