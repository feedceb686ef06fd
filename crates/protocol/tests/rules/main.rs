//! The rules as examples: each test is a sentence of the design, told as a short story of one run.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod creating;
mod endings;
mod gating;
mod halting;
mod intake;
mod people;
mod publishing;
mod reviewing;
mod story;
