//! Pairbot, the library behind the one binary.

pub mod gateway;
pub mod ports;
