//! The rules of a run, as pure functions.

pub mod ids;
