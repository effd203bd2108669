//! All integration tests, one binary.

mod architecture;
mod ssh;
mod ssh_lab;
mod ssh_rig;
