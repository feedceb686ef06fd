//! Real bare repositories, worked on with the `git` program. The only module that spawns it.

pub(crate) mod command;
pub(crate) mod commit;
pub(crate) mod diff;
pub(crate) mod http;
pub(crate) mod merge;
pub(crate) mod push;
pub(crate) mod tree;
