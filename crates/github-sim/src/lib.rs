//! A stateful simulated GitHub: REST, GraphQL, webhooks, git over HTTP and a web page, with faults.
//!
//! It keeps real bare repositories, refuses what GitHub refuses, and knows nothing of any particular client.
//! [`GitHubSim`] starts it and sets the scene, [`Person`] and [`AppHandle`] act in it, [`Fault`] and [`Mishap`]
//! make things go wrong, and the `…Seen` types say what came of it.
//!
//! Reading order: [`mod@sim`] for a test's view; `server` → `api` → `rest`, `graphql` for a request's way;
//! `state` for what is kept; `emit` → `webhooks` → `courier` for what hooks hear.

#![recursion_limit = "256"] // the JSON of a pull request is one deep macro call

mod act;
mod actor;
mod acts;
mod api;
mod call;
mod clock;
mod courier;
mod emit;
mod faults;
mod git;
mod graphql;
mod ids;
mod limits;
mod looked;
mod page;
mod refs;
mod reply;
mod rest;
mod role;
mod seen;
mod server;
mod setup;
mod sim;
mod state;
mod state_checks;
mod state_items;
mod view;
mod webhooks;

#[cfg(test)]
mod tests;

pub use act::{AppHandle, Person, ReviewVerdict};
pub use clock::{ManualClock, SimClock, SystemClock};
pub use courier::{Courier, HttpCourier};
pub use faults::{Fault, Pause, RecordedRequest};
pub use git::command::GitError;
pub use limits::Limits;
pub use role::{Access, Permissions, Role, permissions, usual_permissions};
pub use seen::{
    CheckSeen, CommentSeen, DeliverySeen, IssueSeen, PullSeen, ReactionSeen, ReviewCommentSeen, ReviewSeen,
    StatusSeen,
};
pub use setup::{AppKey, NewApp, NewRepository};
pub use sim::{GitHubSim, SimConfig, SimError};
pub use state::Protection;
pub use webhooks::{ContentType, Mishap, WebhookRequest};
