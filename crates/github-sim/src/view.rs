//! Turns what is kept into GitHub's JSON.

pub(crate) mod account;
pub(crate) mod check;
pub(crate) mod git;
pub(crate) mod issue;
pub(crate) mod pull;
pub(crate) mod repository;
pub(crate) mod review;
