//! All integration tests, one binary.

mod architecture;
mod books;
mod cli;
mod engine;
mod lab_canary;
mod lab_fleet;
mod lab_rotation;
mod plan;
mod ssh;
mod ssh_hosts;
mod ssh_lab;
mod ssh_rig;
mod steps;
