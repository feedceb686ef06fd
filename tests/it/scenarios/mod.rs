//! Stories of pull requests, told against the whole server: a simulated GitHub over HTTP, real git, real SQLite,
//! scripted models. Each ends with everything that became visible having been looked at.

mod picture;
mod world;

mod happy_path;
mod gates;
mod github_faults;
mod model_faults;
mod money;
mod policy_file;
