//! Stories of pull requests, told against the whole server: a simulated GitHub over HTTP, real git, real SQLite,
//! scripted models. Each ends with everything that became visible having been looked at.

pub(crate) mod bill;
mod meanwhile;
pub(crate) mod picture;
mod world;

mod agents;
mod cage;
mod commands;
mod crashes;
mod dead_letters;
mod endings;
mod feedback;
mod gates;
mod github_faults;
mod happy_path;
mod interrupted_calls;
mod labels;
mod model_faults;
mod money;
mod policy_file;
mod pushes;
mod real_agents;
mod reconciling;
mod secrets;
mod set_up;
mod shared_money;
