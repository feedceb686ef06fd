//! The real binary as a child process, against the simulated GitHub and the scripted models of the test.

mod bad_webhooks;
mod budget;
mod burst;
mod cage;
mod command_line;
mod dlq;
mod doctor;
mod draining;
mod kills;
mod relay;
mod server;
mod serving;
mod slots;
mod storage;
