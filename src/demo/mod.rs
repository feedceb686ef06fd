//! The whole main job on one machine, without credentials: a simulated GitHub, scripted models, the real server.
//!
//! Nothing of the server is replaced but what stands at the other end of its doors. [`Stage`] is also where scenario
//! tests play, so that a story told there is one a person can watch.

pub mod agent;
mod player;
mod stage;
mod summary;

pub use player::{PlayError, play};
pub use stage::{MAINTAINER, Models, REPOSITORY, STRANGER, Stage, StageSettings};
pub use summary::{Summary, summarise};
