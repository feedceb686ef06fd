//! Pairbot, the library behind the one binary.

pub mod bus;
pub mod config;
pub mod http;
pub mod ports;
pub mod store;
pub mod telemetry;
pub mod wire;
