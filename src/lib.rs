//! Pairbot, the library behind the one binary.

pub mod github;
pub mod ports;
