//! Pairbot, the library behind the one binary.

pub mod adapters;
pub mod agents;
pub mod bus;
pub mod cli;
pub mod config;
pub mod demo;
pub mod engine;
pub mod gates;
pub mod gateway;
pub mod git;
pub mod github;
pub mod http;
pub mod meaning;
pub mod policy;
pub mod ports;
pub mod reconciler;
pub mod redact;
pub mod sandbox;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod text;
pub mod wire;
pub mod workers;
