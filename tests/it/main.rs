//! The only integration binary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod browser;
mod cage;
mod conformance;
mod door;
mod process;
mod scenarios;
mod simulation;
