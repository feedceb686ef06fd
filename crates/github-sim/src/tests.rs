//! The simulated GitHub as its clients meet it: over HTTP, with real git.

mod delivering;
mod graph;
mod pushing;
mod refusing;
mod shapes;
mod stage;
mod stories;
