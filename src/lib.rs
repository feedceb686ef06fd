//! Pairbot, the library behind the one binary.

pub mod adapters;
pub mod git;
pub mod ports;
pub mod store;
pub mod wire;
