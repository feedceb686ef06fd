//! Pairbot, the library behind the one binary.

pub mod bus;
pub mod ports;
pub mod store;
pub mod wire;
