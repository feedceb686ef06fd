//! Pairbot, the library behind the one binary.

pub mod adapters;
pub mod cli;
pub mod gates;
pub mod git;
pub mod policy;
pub mod ports;
pub mod store;
pub mod text;
pub mod wire;
