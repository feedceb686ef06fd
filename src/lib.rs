//! Pairbot, the library behind the one binary.

pub mod agents;
pub mod gateway;
pub mod ports;
