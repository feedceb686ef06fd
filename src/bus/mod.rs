//! How tasks reach those who carry them out.
//!
//! At least once: a task may come twice, under two leases of which only the newer one counts.

mod embedded;

use std::fmt;
use std::num::NonZeroUsize;

use async_trait::async_trait;

pub use embedded::EmbeddedBus;

use crate::store::{Claimed, Result, TaskKinds};

/// Hands out tasks.
#[async_trait]
pub trait Bus: Send + Sync + fmt::Debug {
    /// Waits for tasks of these kinds and leases at most `free_slots` of them, at least one. Giving up waiting loses
    /// no task: what was leased for somebody who has gone is given back at once.
    async fn next(&self, kinds: TaskKinds, free_slots: NonZeroUsize) -> Result<Vec<Claimed>>;
}
