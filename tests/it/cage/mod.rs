//! The sandbox against programs that mean harm: each attack is carried out for real, in a real cage, and fails.
//!
//! Needs bubblewrap, and root or a delegated control group for what it bounds.

mod around;
mod bounds;
mod reach;
pub(crate) mod stage;
mod survival;
