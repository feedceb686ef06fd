//! The rules of a run, as pure functions.
//!
//! In reading order: [`ids`] are the words, [`signal`] is what can happen, [`run`] the state, [`event`] what did
//! happen, [`effect`] what shall happen. [`policy`], [`finding`] and [`command`] are values used by all of them.

pub mod command;
pub mod effect;
pub mod event;
pub mod finding;
pub mod ids;
pub mod policy;
pub mod run;
pub mod signal;
