//! The whole system under a virtual clock, out of a seed: ingress, engine, SQLite, bus, workers, git, gateway, simulated
//! GitHub and scripted models in one thread, while webhooks are lost and doubled, answers fail to come, the disk is full,
//! the power is cut and people meddle. Afterwards every promise must hold, and the same seed must give the same ledgers,
//! byte for byte.
//!
//! The idea is that of `FoundationDB` and `TigerBeetle`: one thread, one clock, one source of chance, so that a failure is a
//! number, and the number is the way back to the failure. `scripts/simulate` lives through as many worlds as one likes.
//!
//! In reading order: `plan` is what a seed means; `world` puts it up; `course` lives through it; `weather` decides what
//! goes wrong, and `store`, `github`, `models`, `programs` and `clock` are the doors at which it does; `checks` is what
//! must hold; `record` is what a seed determines.

mod chance;
mod checks;
mod clock;
mod course;
mod deeds;
mod github;
mod here;
mod models;
mod plan;
mod programs;
mod record;
mod seeds;
mod store;
mod weather;
mod world;
