//! A stateful simulated GitHub.
