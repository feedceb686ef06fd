//! How an agent of another vendor is told its task and hands in what it made: tools of the Model Context Protocol.
//!
//! ```text
//! agent ──stdio, MCP──▶ `pairbot mcp` ──Unix socket──▶ TaskDesk ──▶ the desks of crate::agents::desk
//!        └──────────── in the cage ────────────┘      └────────── in the server ──────────┘
//! ```
//!
//! What runs in the cage ([`bridge`]) knows nothing and decides nothing: it asks the socket which tools there are and
//! forwards each call. What is handed in is checked on the server's side by the desks that the builtin agent uses too.

mod bridge;
mod counter;
mod desk;
#[cfg(test)]
mod tests;
mod wire;

pub use bridge::serve;
pub(super) use counter::{Counter, CreatorCounter, ReviewerCounter};
pub(super) use desk::TaskDesk;
