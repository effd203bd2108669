//! All integration tests, one binary.

mod ssh;
mod ssh_rig;
