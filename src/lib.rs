//! Pairbot, the library behind the one binary.

pub mod ports;
