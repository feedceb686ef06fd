//! Pairbot, the library behind the one binary.

pub mod adapters;
pub mod agents;
pub mod bus;
pub mod config;
pub mod engine;
pub mod gateway;
pub mod git;
pub mod http;
pub mod bus;
pub mod github;
pub mod ports;
pub mod store;
pub mod telemetry;
pub mod cli;
pub mod gates;
pub mod git;
pub mod policy;
pub mod ports;
pub mod store;
pub mod text;
pub mod wire;
