//! The client against a script of answers: every request that was not foreseen fails the test.

mod script;

mod checks;
mod credentials;
mod exchange;
mod fuzz;
mod limits;
mod reading;
mod simulated;
mod transport;
mod writing;
