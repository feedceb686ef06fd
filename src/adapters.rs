//! The real machine behind [`crate::ports`], and the stand-ins a test or a simulation puts in its place.
//!
//! The only place that reads time, draws chance or starts a program.

pub mod clock;
pub mod disk;
pub mod entropy;
pub mod foreground;
pub mod manual_clock;
#[cfg(target_os = "linux")]
pub mod own_process;
pub mod spawn;

pub use clock::SystemClock;
pub use disk::on_disk;
pub use entropy::{SeededEntropy, SystemEntropy};
pub use foreground::Foreground;
pub use manual_clock::ManualClock;
pub use spawn::SystemSpawner;
