//! A scripted model server, and the stories of the demo.
//!
//! It speaks Anthropic Messages, `OpenAI` Chat Completions and Responses and Gemini's `generateContent` as they are on the
//! wire, streaming and not, refuses what the real ones refuse, counts and bills tokens, and goes wrong on demand. What it answers is picked by [`Script`]s
//! from the request alone, so a call that is repeated after a crash hears the same again. It knows nothing of the
//! program that calls it but the few lines at the top of the first message ([`Brief`]) and the tools' arguments.
//!
//! In reading order: [`conversation`] is what a request says; [`script`] and [`stories`] pick a [`reply`];
//! `anthropic`, `openai`, `responses` and `gemini` read requests and write answers; `exchange` ties one call together; [`faults`] break it;
//! [`ledger`] remembers it; [`server`] listens.

mod anthropic;
mod body;
pub mod conversation;
pub mod demo_repository;
mod diff;
mod exchange;
pub mod faults;
mod gemini;
mod generic;
pub mod ledger;
mod openai;
mod refusal;
pub mod reply;
mod request;
mod responses;
pub mod script;
pub mod server;
pub mod stories;
pub mod usage;
mod written;

pub use conversation::{Brief, Conversation, Provider, Role};
pub use demo_repository::{DEMO_POLICY, demo_repository};
pub use faults::{Fault, When};
pub use ledger::CallRecord;
pub use reply::{Answer, Finding, Reply, Verdict};
pub use script::Script;
pub use server::{ModelSim, SimConfig, StartError};
pub use stories::{DEFAULT_STORY, STORIES, Story, story};
pub use usage::Usage;
