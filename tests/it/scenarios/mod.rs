//! Stories of pull requests, told against the whole server: a simulated GitHub over HTTP, real git, real SQLite,
//! scripted models. Each ends with everything that became visible having been looked at.

pub(crate) mod picture;
mod world;

mod crashes;
mod happy_path;
