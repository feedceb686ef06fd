//! The model server over real HTTP, and the demo's stories on real files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod anthropic;
mod client;
mod faults;
mod gemini;
mod openai;
mod player;
mod responses;
mod stories;
mod usage;
mod vendors;
