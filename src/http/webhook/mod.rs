//! The one door in: a delivery of GitHub is verified, read, made durable and acknowledged, in this order.

mod body;
mod bounded;
mod delivery_headers;
pub(super) mod handler;
mod normalise;
pub mod own;
mod payload;
mod refusal;
pub mod signature;

pub(crate) use bounded::{TEXT_BYTES_MAX, bounded};
pub use normalise::EVENTS;
