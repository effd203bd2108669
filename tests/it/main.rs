//! All integration tests, one binary.

mod engine;
mod ssh;
mod ssh_hosts;
mod ssh_lab;
mod ssh_rig;
