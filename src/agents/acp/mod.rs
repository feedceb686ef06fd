//! A client of the Agent Client Protocol, version 1, over an agent's standard input and output
//! (<https://agentclientprotocol.com/protocol/overview>).
//!
//! Written by hand, although there is a crate (`agent-client-protocol`): the smallest correct client is four requests
//! out, two kinds of message in and "not found" to everything else, and what matters here is what the crate leaves to
//! its caller. Each line and all lines together are bounded, nothing is queued (one message is read, handled and
//! forgotten before the next one is read), and whatever an agent does against the protocol ends its task under a name
//! of its own ([`Fault`]). The crate brings some eighty more, and had five major versions in a short life.
//!
//! No `fs` and no `terminal` capability is offered: the agent works on the files in its cage itself, and a client outside
//! of the cage that writes paths an agent chose would be its deputy.

mod client;
mod fault;
mod message;
mod permission;
#[cfg(test)]
mod tests;

pub(super) use client::{Client, Listener, Session, TurnEnd};
pub(super) use fault::Fault;
