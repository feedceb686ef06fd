//! The door to the models for agents that make their calls themselves: a real socket, real HTTP, the real store, and a model
//! server whose books are compared with ours.

mod books;
mod conditions;
mod endings;
mod money;
mod patience;
mod secrets;
mod stage;
mod strangers;
mod wire;
