//! The rules of a run, as pure functions.
//!
//! In reading order: [`ids`] are the words, [`signal`] is what can happen, [`run`] the state, [`event`] what did
//! happen, [`effect`] what shall happen. [`decide`](decide::decide) turns a signal into events and effects,
//! [`apply`](apply::apply) folds events into a run, [`checks`] derives what check runs say, [`publish`] what people must be shown, and
//! [`invariants`] says what is always true, [`awaits`] whether a piece of work is still wanted. [`budget`] says who may spend how much, [`policy`], [`finding`] and [`command`] are values used by all of them.

pub mod apply;
pub mod awaits;
pub mod budget;
pub mod checks;
pub mod command;
pub mod decide;
pub mod effect;
pub mod event;
pub mod finding;
pub mod ids;
pub mod invariants;
pub mod policy;
pub mod publish;
pub mod run;
pub mod signal;
